// SPDX-License-Identifier: Apache-2.0
//
// A shared region with a little of everything in it, as master, prober and two workers would have left it.

import LinuxIO
import ProxyConfig
import SharedState
import TestSupport
import Testing
import Vocabulary

@testable import AdminPlane

final class RegionStage {
    let region: SharedRegion
    let workers = [WorkerSlot(index: 0)!, WorkerSlot(index: 1)!]

    init() throws {
        region = try SharedRegion.create(masterPID: Processes.currentID, wallMilliseconds: 1_700_000_000_500)
        try assign()
        try fillPeers()
        fillWorkers()
        region.countReload(.done, wallMilliseconds: 1_700_000_100_000, tookMilliseconds: 5)
        region.countReload(.refused, wallMilliseconds: 1_700_000_200_000, tookMilliseconds: 12, text: "no such file")
    }

    deinit { region.detach() }

    func scrape(_ format: MetricFormat, peers: [Peer] = []) -> String {
        var configuration = Configuration()
        var upstream = Upstream(name: "brokers")
        upstream.peers = peers
        configuration.upstreams = [upstream]
        return String(decoding: Scrape.text(of: region, configuration, format: format), as: UTF8.self)
    }

    func peer(_ group: String, _ identity: String) throws -> PeerSlot {
        let group = try #require(region.groupSlot(named: group))
        return try #require(region.peerSlot(group: group, identity: identity))
    }

    private func assign() throws {
        try region.assignSlots(
            [
                GroupRequest(
                    name: "brokers",
                    peers: [.init(identity: "10.0.0.1:1883", weight: 1), .init(identity: "10.0.0.2:1883", weight: 2)]),
                GroupRequest(
                    name: "twins",
                    peers: [
                        .init(identity: "10.0.0.9:1883", weight: 1), .init(identity: "10.0.0.9:1883\u{0}2", weight: 5),
                    ]),
            ], zones: ["devices"])
        region.commitSlots(generation: 3)
    }

    private func fillPeers() throws {
        let first = try peer("brokers", "10.0.0.1:1883")
        for worker in workers {
            region.addSession(worker, first)
            region.countConnected(worker, first, milliseconds: 7)
            region.addBytes(worker, first, toPeer: 1 << 51)
        }
        region.removeSession(workers[0], first)
        let second = try peer("brokers", "10.0.0.2:1883")
        region.countCheck(second, hasPassed: false, wallMilliseconds: 1_700_000_050_250)
        region.setHealth(
            .unhealthy, second, wallMilliseconds: 1_700_000_050_250, reason: Array("no answer in time".utf8))
    }

    private func fillWorkers() {
        region.beginWorker(
            workers[0], pid: Processes.currentID, isRespawn: false, wallMilliseconds: 1_700_000_001_000)
        region.setState(.running, of: workers[0])
        region.beginWorker(workers[1], pid: Processes.currentID, isRespawn: true, wallMilliseconds: 1_700_000_002_000)
        for worker in workers { _ = region.countAccepted(worker) }
        for (worker, count) in zip(workers, [1, 2]) {
            for _ in 0..<count { region.countClosed(worker, .brokerReset) }
        }
        region.record(workers[0], .connectTime, ticks: 3)
        region.record(workers[1], .connectTime, ticks: 5000)
        region.record(workers[1], .sessionLength, ticks: 400)
        region.record(workers[1], .turnLength, ticks: 120)
        guard let zone = region.zoneSlot(named: "devices") else { return }
        region.enterZone(workers[0], zone)
        region.addBytes(workers[0], zone, received: 700, sent: 30)
        region.leaveZone(workers[0], zone, status: 403)
    }
}
