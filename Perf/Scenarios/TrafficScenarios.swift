// SPDX-License-Identifier: Apache-2.0
//
// Scenarios of moving bytes: connections that come and go, messages at a rate, messages without pause, bulk.

import Fleet
import Histogram

struct ChurnScenario: Scenario {
    static let atOnce = 64
    let name = "churn"

    func summary(_ settings: Settings) -> String {
        "\(Self.atOnce) devices at once: connect, CONNECT, CONNACK, close"
    }

    let measures = [
        Measure("proxy CPU us/connection", decimals: 1, bar: .ofNginx(1.0)),
        Measure("machine busy us/connection", decimals: 1),
        Measure("connections/s", decimals: 0),
        Measure("proxy share of its CPU", decimals: 2, isCompared: false),
        Measure("load share of its CPU", decimals: 2, isCompared: false),
        .elsewhere,
    ]

    func run(_ stage: Stage) throws -> [Double] {
        _ = stage.fleet.churn(atOnce: Self.atOnce, seconds: stage.settings.warmUpSeconds)
        let (result, usage) = stage.measured {
            stage.fleet.churn(atOnce: Self.atOnce, seconds: stage.settings.seconds)
        }
        return [
            usage.proxyMicroseconds(per: result.count), usage.machineMicroseconds(per: result.count),
            result.perSecond, usage.proxyShare, usage.loadShare, usage.elsewhere,
        ]
    }
}

/// QoS 1 messages of 128 bytes, each answered by PUBACK.
struct MessageScenario: Scenario {
    /// As fast as answers come, instead of at the rate that is set.
    let isSaturated: Bool
    var isSecure = false

    var name: String { (isSecure ? "tls-" : "") + (isSaturated ? "saturated" : "messages") }

    func summary(_ settings: Settings) -> String {
        let rate =
            isSaturated ? "one in flight each, without pause" : "\(Int(settings.messagesPerSecond)) a second in all"
        return "\(settings.sessionCount) \(isSecure ? "TLS " : "")sessions, QoS 1, \(Fleet.payloadBytes) bytes, \(rate)"
    }

    var measures: [Measure] {
        [
            Measure("proxy CPU us/message", decimals: 2, bar: .ofNginx(isSecure ? 0.95 : 1.0)),
            Measure("machine busy us/message", decimals: 2),
            Measure("messages/s", decimals: 0, isCompared: isSaturated),
            Measure("latency p50 us", decimals: 0),
            Measure("latency p99 us", decimals: 0),
            Measure("latency p99.9 us", decimals: 0),
            Measure("proxy share of its CPU", decimals: 2, isCompared: false),
            Measure("load share of its CPU", decimals: 2, isCompared: false),
            .elsewhere,
        ]
    }

    func run(_ stage: Stage) throws -> [Double] {
        stage.fleet.transport = isSecure ? .full : .plain
        _ = stage.fleet.openSessions(stage.settings.sessionCount)
        var warmUp = Latencies.empty
        _ = publish(stage, seconds: stage.settings.warmUpSeconds, into: &warmUp)
        var latencies = Latencies.empty
        let (result, usage) = stage.measured { publish(stage, seconds: stage.settings.seconds, into: &latencies) }
        stage.fleet.closeSessions()
        return [
            usage.proxyMicroseconds(per: result.count), usage.machineMicroseconds(per: result.count),
            result.perSecond, latencies.microseconds(50), latencies.microseconds(99), latencies.microseconds(99.9),
            usage.proxyShare, usage.loadShare, usage.elsewhere,
        ]
    }

    private func publish(_ stage: Stage, seconds: Double, into latencies: inout Latencies) -> JobResult {
        isSaturated
            ? stage.fleet.saturate(seconds: seconds, into: &latencies)
            : stage.fleet.publish(perSecond: stage.settings.messagesPerSecond, seconds: seconds, into: &latencies)
    }
}

struct BulkScenario: Scenario {
    let direction: BulkDirection
    static let streamCount = 8

    var name: String { "bulk-\(direction.rawValue)" }

    func summary(_ settings: Settings) -> String {
        let way = direction == .up ? "from devices to the broker" : "from the broker to devices"
        return "\(Self.streamCount) streams, QoS 0 packets of 16 KiB, \(settings.bulkBytes >> 20) MiB in all, \(way)"
    }

    let measures = [
        Measure("proxy CPU s/GiB", decimals: 3, bar: .ofNginx(0.6)),
        Measure("proxy and load CPU s/GiB", decimals: 3),
        Measure("machine busy s/GiB", decimals: 3),
        Measure("GiB/s", decimals: 2),
        .elsewhere,
    ]

    func run(_ stage: Stage) throws -> [Double] {
        _ = stage.fleet.openSessions(Self.streamCount)
        let (result, usage) = stage.measured {
            stage.fleet.stream(direction, byteCount: stage.settings.bulkBytes)
        }
        stage.fleet.closeSessions()
        let gibibytes = max(1e-9, Double(result.count) / Double(1 << 30))
        return [
            Double(usage.proxy) / 1e9 / gibibytes, Double(usage.proxy + usage.load) / 1e9 / gibibytes,
            Double(usage.machine) / 1e9 / gibibytes, result.perSecond / Double(1 << 30),
            usage.elsewhere,
        ]
    }
}
