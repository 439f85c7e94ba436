// SPDX-License-Identifier: Apache-2.0
//
// Scenarios of handshakes: what one costs, full or resumed, and what a storm of them does to the messages of others.
// TLS 1.3, one certificate for all peers, tickets with keys of the proxy's own.

import Fleet
import Histogram
import LinuxIO

struct HandshakeScenario: Scenario {
    /// Each takes up the session that an earlier device was given a ticket for.
    let isResumed: Bool
    let isSecure = true

    var name: String { isResumed ? "tls-resumed" : "tls-full" }

    func summary(_ settings: Settings) -> String {
        "\(ChurnScenario.atOnce) devices at once: connect, \(isResumed ? "resumed" : "full") handshake, CONNECT, "
            + "CONNACK, close"
    }

    let measures = [
        Measure("proxy CPU us/connection", decimals: 1, bar: .ofNginx(1.0)),
        Measure("machine busy us/connection", decimals: 1),
        Measure("connections/s", decimals: 0),
        Measure("resumed, of all", decimals: 3, isCompared: false),
        Measure("proxy share of its CPU", decimals: 2, isCompared: false),
        Measure("load share of its CPU", decimals: 2, isCompared: false),
        .elsewhere,
    ]

    func run(_ stage: Stage) throws -> [Double] {
        stage.fleet.transport = isResumed ? .resumed : .full
        _ = stage.fleet.churn(atOnce: ChurnScenario.atOnce, seconds: stage.settings.warmUpSeconds)
        let (result, usage) = stage.measured {
            stage.fleet.churn(atOnce: ChurnScenario.atOnce, seconds: stage.settings.seconds)
        }
        return [
            usage.proxyMicroseconds(per: result.count), usage.machineMicroseconds(per: result.count),
            result.perSecond, Double(stage.fleet.resumedCount) / Double(max(1, result.count)),
            usage.proxyShare, usage.loadShare, usage.elsewhere,
        ]
    }
}

/// Messages of plaintext sessions before and while another process has thousands of devices shake hands with the same
/// worker, all at once.
struct StormScenario: Scenario {
    let name = "tls-storm"
    let isSecure = true

    func summary(_ settings: Settings) -> String {
        "\(settings.stormCount) storms of \(settings.stormHandshakes) full handshakes at once, under "
            + "\(Int(settings.stormMessagesPerSecond)) messages a second over \(settings.stormSessionCount) plaintext "
            + "sessions"
    }

    let measures = [
        Measure("before: p50 us", decimals: 0),
        Measure("before: p99 us", decimals: 0),
        Measure("before: p99.9 us", decimals: 0),
        Measure("during: p50 us", decimals: 0),
        Measure("during: p99 us", decimals: 0),
        Measure("during: p99.9 us", decimals: 0),
        Measure("during: max us", decimals: 0),
        Measure("handshakes/s in the storm", decimals: 0),
        Measure("proxy share of its CPU in the storm", decimals: 2, isCompared: false),
    ]

    func run(_ stage: Stage) throws -> [Double] {
        let (fleet, settings) = (stage.fleet, stage.settings)
        let rate = settings.stormMessagesPerSecond
        _ = fleet.openSessions(settings.stormSessionCount)
        var warmUp = Latencies.empty
        _ = fleet.publish(perSecond: rate, seconds: settings.warmUpSeconds, into: &warmUp)
        var before = Latencies.empty
        var during = Latencies.empty
        var storms: [Double] = []
        var shares: [Double] = []
        for _ in 0..<settings.stormCount {
            let storm = try Storm(handshakes: settings.stormHandshakes)
            _ = fleet.publish(perSecond: rate, seconds: settings.seconds, into: &before)
            let (_, usage) = try stage.measured {
                try storm.begin()
                return fleet.publish(perSecond: rate, seconds: Storm.secondsMax, into: &during) {
                    // A fault ends the storm, and is thrown below.
                    do { return try storm.perSecond() == nil } catch { return false }
                }
            }
            guard let perSecond = try storm.perSecond() else { throw RunFault(description: "a storm did not end") }
            storms.append(perSecond)
            shares.append(usage.proxyShare)
            // Proxy and broker have thousands of closes to see to.
            storm.waitForEnd()
            fleet.hold(seconds: settings.warmUpSeconds)
        }
        fleet.closeSessions()
        return [
            before.microseconds(50), before.microseconds(99), before.microseconds(99.9),
            during.microseconds(50), during.microseconds(99), during.microseconds(99.9),
            Double(during.maxRecorded) / 1000, Statistics.median(storms), Statistics.median(shares),
        ]
    }
}
