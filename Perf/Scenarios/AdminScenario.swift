// SPDX-License-Identifier: Apache-2.0
//
// What watching costs: scrapes of a large Weir, and clients that mean the admin process no good, under messages of the
// same Weir's sessions. Admin process and worker share the proxy's CPU, which is the worst case for the worker.

import Fleet
import Histogram
import LinuxIO

struct AdminScenario: Scenario {
    let name = "admin"
    let peers: Set<Peer> = [.weir]

    func summary(_ settings: Settings) -> String {
        "\(settings.adminSessionCount) sessions, \(8 * (settings.adminGroups + 1)) servers in "
            + "\(settings.adminGroups + 1) upstreams, \(Int(settings.adminMessagesPerSecond)) messages a second; then "
            + "with a scrape every 250 ms, with a client that asks for all upstreams without pause, and with "
            + "\(settings.adminIdleConnections) idle HTTP connections"
    }

    let measures = [
        Measure("scrape: median ms, as the scraper sees it", decimals: 2, bar: .atMost(20)),
        Measure("scrape: CPU of the admin process, ms", decimals: 2, bar: .atMost(20)),
        Measure("scrape: KiB", decimals: 0),
        Measure("quiet: p50 us", decimals: 0),
        Measure("quiet: p99 us", decimals: 0),
        Measure("quiet: worker CPU us/message", decimals: 2),
        Measure("scraped: p50 us", decimals: 0),
        Measure("scraped: p99 us", decimals: 0),
        Measure("scraped: worker CPU us/message", decimals: 2),
        Measure("hammered: p50 us", decimals: 0),
        Measure("hammered: p99 us", decimals: 0),
        Measure("hammered: worker CPU us/message", decimals: 2),
        Measure("hammered: requests/s", decimals: 0),
        Measure("idle connections: p50 us", decimals: 0),
        Measure("idle connections: p99 us", decimals: 0),
        Measure("idle connections: worker CPU us/message", decimals: 2),
    ]

    func configuration(_ peer: Peer, folder: String, _ settings: Settings) -> PeerConfiguration {
        PeerConfiguration(peer: peer, folder: folder, furtherGroups: settings.adminGroups, hasAdmin: true)
    }

    func run(_ stage: Stage) throws -> [Double] {
        guard let proxy = stage.proxy else { throw RunFault(description: "there is nothing to watch") }
        let admin = try process("admin", of: proxy)
        _ = stage.fleet.openSessions(stage.settings.adminSessionCount)
        let warmUp = try messages(stage, seconds: stage.settings.warmUpSeconds)
        precondition(warmUp.latencies.totalCount > 0)

        let quiet = try messages(stage)
        let scraper = try HTTPLoad(asking: "/metrics", pauseMilliseconds: 250)
        try scraper.begin()
        let usedBefore = admin.processorNanoseconds
        let scraped = try messages(stage)
        let scrapes = try scraper.end()
        let perScrape = Double(admin.processorNanoseconds - usedBefore) / 1e6 / Double(max(1, scrapes.count))

        let hammer = try HTTPLoad(asking: "/api/9/stream/upstreams", pauseMilliseconds: 0)
        try hammer.begin()
        let hammered = try messages(stage)
        let requests = try hammer.end()

        let idlers = try HTTPLoad(idle: stage.settings.adminIdleConnections)
        try idlers.begin()
        let idle = try messages(stage)
        _ = try idlers.end()
        stage.fleet.closeSessions()
        return [scrapes.medianMilliseconds, perScrape, Double(scrapes.bytes) / 1024]
            + quiet.figures + scraped.figures + hammered.figures + [Double(requests.count) / stage.settings.seconds]
            + idle.figures
    }

    private struct Phase {
        var latencies: Latencies
        var workerMicroseconds: Double
        var figures: [Double] { [latencies.microseconds(50), latencies.microseconds(99), workerMicroseconds] }
    }

    private func messages(_ stage: Stage, seconds: Double? = nil) throws -> Phase {
        guard let proxy = stage.proxy else { throw RunFault(description: "there is nothing to watch") }
        let worker = try process("worker", of: proxy)
        var latencies = Latencies.empty
        let start = worker.processorNanoseconds
        let result = stage.fleet.publish(
            perSecond: stage.settings.adminMessagesPerSecond, seconds: seconds ?? stage.settings.seconds,
            into: &latencies)
        let used = worker.processorNanoseconds - start
        return Phase(latencies: latencies, workerMicroseconds: Double(used) / 1000 / Double(max(1, result.count)))
    }

    /// The proxy's child with this word in its command line: the admin process is another program, and has none of our
    /// titles.
    private func process(_ word: String, of proxy: RunningPeer) throws -> ProcessTree {
        for member in proxy.tree.members where member != proxy.tree.root {
            if ProcFile.text("/proc/\(member)/cmdline").contains(word) { return ProcessTree(root: member) }
        }
        throw RunFault(description: "weir has no \(word): \(proxy.log)")
    }
}
