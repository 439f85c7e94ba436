// SPDX-License-Identifier: Apache-2.0
//
// Scenarios of what stands: memory of sessions that wait, and a large configuration that is reloaded under traffic.

import Fleet
import Histogram
import LinuxIO

struct IdleScenario: Scenario {
    var isSecure = false

    var name: String { isSecure ? "tls-idle" : "idle" }

    func summary(_ settings: Settings) -> String {
        "\(count(settings)) \(isSecure ? "TLS " : "")sessions, idle after their CONNACK; "
            + "what the proxy held before them is subtracted"
    }

    var measures: [Measure] {
        [
            Measure("anonymous KiB/session", decimals: 2, bar: isSecure ? .ofNginx(0.4) : .atMost(1.4)),
            Measure("proportional (PSS) KiB/session", decimals: 2),
            Measure("kernel slab KiB/session, all sockets", decimals: 1),
            Measure("base PSS MiB", decimals: 1, isCompared: false),
        ]
    }

    private func count(_ settings: Settings) -> Int {
        isSecure ? settings.secureIdleSessionCount : settings.idleSessionCount
    }

    func run(_ stage: Stage) throws -> [Double] {
        let base = stage.proxy?.tree.memory ?? .init()
        let baseSlab = Machine.slabKibibytes
        stage.fleet.transport = isSecure ? .full : .plain
        _ = stage.fleet.openSessions(count(stage.settings))
        stage.fleet.hold(seconds: min(1, stage.settings.seconds))
        let opened = Double(max(1, stage.fleet.openSessionCount))
        let memory = stage.proxy?.tree.memory ?? .init()
        let slab = Machine.slabKibibytes
        stage.fleet.closeSessions()
        return [
            (memory.anonymous - base.anonymous) / opened, (memory.proportional - base.proportional) / opened,
            (slab - baseSlab) / opened, base.proportional / 1024,
        ]
    }
}

/// Every reload changes every block, and sessions are opened before each: the case in which peers keep one set of
/// processes for every reload. A listener that only the new configuration has proves that it took effect.
struct ReloadScenario: Scenario {
    let name = "reload"
    let peers: Set<Peer> = [.weir, .nginx]

    func summary(_ settings: Settings) -> String {
        "\(settings.reloadCount) reloads of \(settings.reloadBlocks) server blocks and \(settings.reloadGroups) "
            + "upstreams, under \(Int(settings.reloadMessagesPerSecond)) messages a second over "
            + "\(settings.reloadSessionCount) sessions"
    }

    let measures = [
        Measure("before: p50 us", decimals: 0),
        Measure("before: p99 us", decimals: 0),
        Measure("before: p99.9 us", decimals: 0),
        Measure("during: p50 us", decimals: 0),
        Measure("during: p99 us", decimals: 0),
        Measure("during: p99.9 us", decimals: 0, bar: .atMost(5000)),
        Measure("during: max us", decimals: 0),
        Measure("processes before", decimals: 0, isCompared: false),
        Measure("processes after", decimals: 0, isCompared: false),
        Measure("PSS before MiB", decimals: 1, isCompared: false),
        Measure("PSS after MiB", decimals: 1, isCompared: false),
        Measure("reloads not in effect within a second", decimals: 0, isCompared: false),
    ]

    func configuration(_ peer: Peer, folder: String, _ settings: Settings) -> PeerConfiguration {
        PeerConfiguration(
            peer: peer, folder: folder, furtherBlocks: settings.reloadBlocks, furtherGroups: settings.reloadGroups)
    }

    func run(_ stage: Stage) throws -> [Double] {
        guard let proxy = stage.proxy else { throw RunFault(description: "a reload needs a proxy") }
        let settings = stage.settings
        let rate = settings.reloadMessagesPerSecond
        let second = min(1, settings.seconds)
        _ = stage.fleet.openSessions(settings.reloadSessionCount)
        var warmUp = Latencies.empty
        _ = stage.fleet.publish(perSecond: rate, seconds: settings.warmUpSeconds, into: &warmUp)
        let base = proxy.tree.memory
        let baseCount = proxy.tree.members.count

        var before = Latencies.empty
        for _ in 0..<settings.reloadCount {
            _ = stage.fleet.publish(perSecond: rate, seconds: second, into: &before)
        }
        var during = Latencies.empty
        var lateReloads = 0
        for generation in 1...settings.reloadCount {
            _ = stage.fleet.openSessions(settings.reloadFurtherSessions)
            try proxy.reload { $0.generation = generation }
            _ = stage.fleet.publish(perSecond: rate, seconds: second, into: &during)
            if !RunningPeer.isListening(Place.generationPort + UInt16(generation)) { lateReloads += 1 }
        }
        let memory = proxy.tree.memory
        let count = proxy.tree.members.count
        stage.fleet.closeSessions()
        return [
            before.microseconds(50), before.microseconds(99), before.microseconds(99.9),
            during.microseconds(50), during.microseconds(99), during.microseconds(99.9),
            Double(during.maxRecorded) / 1000, Double(baseCount), Double(count),
            base.proportional / 1024, memory.proportional / 1024, Double(lateReloads),
        ]
    }
}
