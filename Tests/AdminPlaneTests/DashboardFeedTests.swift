// SPDX-License-Identifier: Apache-2.0
//
// The dashboard's feed over a region of the test's own: one look for all viewers, none without one, changes at once,
// and bounds for viewers that are slow or many.

import ControlLink
import Foundation
import LinuxIO
import NIOCore
import ProxyConfig
import SharedState
import TestSupport
import Testing
import Vocabulary

@testable import AdminPlane

@Suite("dashboard feed")
struct DashboardFeedTests {
    struct NoControl: AdminControl {
        func change(_ change: MembershipChange) async throws(AdminRefusal) -> [Int] {
            throw AdminRefusal(.unreachable, "nobody is there")
        }

        func ask(_ query: SessionQuery, workers: Set<Int>?) async -> [WorkerSessions] { [] }
    }

    /// A region with three brokers in one group, as a master would have made it.
    final class Stage: Sendable {
        let region: SharedRegion
        let context: AdminContext
        let brokers: [PeerSlot]

        init() throws {
            let region = try SharedRegion.create(masterPID: 4100, wallMilliseconds: wallMilliseconds())
            var upstream = Upstream(name: "brokers")
            upstream.peers = (1...3).map { number in
                let address = IPAddress(ipv4: 0x0A00_0000 + UInt32(number))
                var peer = Peer(
                    serverText: "10.0.0.\(number):1883", endpoint: .ip(IPEndpoint(address: address, port: 1883)),
                    ringHost: "10.0.0.\(number)", ringPort: "1883")
                peer.isBackup = number == 3
                return peer
            }
            var configuration = Configuration()
            configuration.upstreams = [upstream]
            let identities = upstream.peerIdentities()
            try region.assignSlots([
                GroupRequest(
                    name: upstream.name, peers: identities.map { GroupRequest.Peer(identity: $0, weight: 1) })
            ])
            region.commitSlots(generation: 1)
            self.region = region
            context = AdminContext(configuration: configuration, region: region, control: NoControl())
            let group = try #require(region.groupSlot(named: "brokers"))
            brokers = try identities.map {
                try #require(region.peerSlot(group: group, identity: $0))
            }
        }

    }

    /// The JSON of one message.
    private func state(_ message: ByteBuffer) throws -> [String: Any] {
        let text = String(buffer: message)
        #expect(text.hasPrefix("event: state\ndata: {") && text.hasSuffix("}\n\n"))
        #expect(text.split(separator: "\n").count == 2, "a message is one line of data")
        let json = text.dropFirst("event: state\ndata: ".count)
        return try #require(try JSONSerialization.jsonObject(with: Data(json.utf8)) as? [String: Any])
    }

    private func brokers(_ message: ByteBuffer) throws -> [[String: Any]] {
        let groups = try #require(try state(message)["groups"] as? [[String: Any]])
        return try #require(groups.first?["brokers"] as? [[String: Any]])
    }

    @Test("a viewer gets the state at once, in the configuration's order and words")
    func first() async throws {
        let stage = try Stage()
        stage.region.setHealth(
            .unhealthy, stage.brokers[1], wallMilliseconds: 1_700_000_000_123, reason: Array("no \"answer\"\nin time".utf8))
        stage.region.setAdminState(.draining, stage.brokers[2], wallMilliseconds: 1_700_000_000_456)
        let feed = DashboardFeed(context: stage.context)
        var viewer = try #require(await feed.watch()).makeAsyncIterator()
        let message = try #require(await viewer.next())
        let brokers = try brokers(message)
        #expect(brokers.map { $0["address"] as? String } == ["10.0.0.1:1883", "10.0.0.2:1883", "10.0.0.3:1883"])
        #expect(brokers.map { $0["state"] as? String } == ["up", "unhealthy", "draining"])
        #expect(brokers.map { $0["backup"] as? Bool } == [false, false, true])
        #expect(brokers.map { $0["id"] as? Int } == stage.brokers.map(\.index))
        #expect(brokers[1]["reason"] as? String == "no \"answer\"\nin time")
        #expect(brokers[1]["since"] as? UInt64 == 1_700_000_000_123)
        #expect(brokers[2]["since"] as? UInt64 == 1_700_000_000_456)
        #expect(brokers[0]["since"] == nil, "nobody has ever set its health")
        let weir = try #require(try state(message)["weir"] as? [String: Any])
        #expect(weir["pid"] as? Int == 4100)
        #expect(weir["generation"] as? Int == 1)
    }

    @Test("what changes comes at once; what only counts comes with the second")
    func changes() async throws {
        let stage = try Stage()
        var limits = DashboardFeed.Limits()
        limits.lookMilliseconds = 5
        // Longer than the test: a message that comes came because of a change.
        limits.periodMilliseconds = 1_000_000
        let feed = DashboardFeed(context: stage.context, limits: limits)
        var viewer = try #require(await feed.watch()).makeAsyncIterator()
        _ = await viewer.next()
        let worker = try #require(WorkerSlot(index: 0))
        stage.region.addSession(worker, stage.brokers[0])
        let looks = await feed.looks
        try await eventually("some looks") { await feed.looks > looks + 3 }

        stage.region.setHealth(.unhealthy, stage.brokers[0], wallMilliseconds: 1, reason: Array("refused".utf8))
        let message = try #require(await viewer.next())
        let broker = try brokers(message)[0]
        #expect(broker["state"] as? String == "unhealthy", "the count alone was no reason to send")
    }

    @Test("all viewers get the same looks; the last one's leaving ends them")
    func oneProducer() async throws {
        let stage = try Stage()
        var limits = DashboardFeed.Limits()
        limits.lookMilliseconds = 5
        limits.periodMilliseconds = 5
        let feed = DashboardFeed(context: stage.context, limits: limits)
        do {
            var one = try #require(await feed.watch()).makeAsyncIterator()
            let other = Task {
                guard let stream = await feed.watch() else { return 0 }
                var count = 0
                for await _ in stream where !Task.isCancelled { count += 1 }
                return count
            }
            for _ in 0..<20 { _ = try #require(await one.next()) }
            #expect(await feed.viewerCount == 2)
            other.cancel()
            #expect(await other.value > 0)
        }
        try await eventually("nobody watches") { await feed.viewerCount == 0 }
        let looks = await feed.looks
        try await Task.sleep(for: .milliseconds(50))
        #expect(await feed.looks == looks, "nobody watches, so nobody looks")
        // And the next one wakes it.
        var late = try #require(await feed.watch()).makeAsyncIterator()
        #expect(await late.next() != nil)
        #expect(await late.next() != nil)
    }

    @Test("a viewer that does not keep up is dropped with what waits for it; others go on")
    func slowViewer() async throws {
        let stage = try Stage()
        var limits = DashboardFeed.Limits()
        limits.lookMilliseconds = 5
        limits.periodMilliseconds = 5
        limits.waiting = 3
        let feed = DashboardFeed(context: stage.context, limits: limits)
        let slow = try #require(await feed.watch())
        try await eventually("the slow one is dropped") { await feed.viewerCount == 0 }
        var count = 0
        for await _ in slow { count += 1 }
        #expect(count == 3)
    }

    @Test("there are no more viewers than the limit")
    func manyViewers() async throws {
        let stage = try Stage()
        var limits = DashboardFeed.Limits()
        limits.viewers = 2
        let feed = DashboardFeed(context: stage.context, limits: limits)
        let one = await feed.watch()
        var two = await feed.watch()
        #expect(one != nil && two != nil)
        #expect(await feed.watch() == nil)
        two = nil
        try await eventually("there is room again") { await feed.watch() != nil }
        _ = one
    }

    @Test("three hundred brokers are one message below 128 KiB")
    func size() async throws {
        let stage = try Stage()
        let one = DashboardState(region: stage.region, configuration: stage.context.configuration)
        var many = one
        many.groups[0].brokers = Array(repeating: one.groups[0].brokers[0], count: 300)
        #expect(many.encoded().count < 128 * 1024)
    }
}
