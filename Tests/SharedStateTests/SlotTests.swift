// SPDX-License-Identifier: Apache-2.0
//
// The life of slots over reloads: who keeps a place, who loses one, and what a refused reload leaves behind.

import LinuxIO
import Testing
import Vocabulary

@testable import SharedState

func makeRegion() throws -> SharedRegion {
    try SharedRegion.create(masterPID: Processes.currentID, wallMilliseconds: 1000)
}

func request(_ name: String, _ peers: [String], weight: Int32 = 1) -> GroupRequest {
    GroupRequest(name: name, peers: peers.map { GroupRequest.Peer(identity: $0, weight: weight) })
}

extension SharedRegion {
    func peer(_ group: String, _ identity: String) -> PeerSlot? {
        groupSlot(named: group).flatMap { peerSlot(group: $0, identity: identity) }
    }

    func reload(_ groups: [GroupRequest], generation: UInt32) throws(SlotFault) {
        try assignSlots(groups)
        commitSlots(generation: generation)
    }
}

@Suite struct SlotTests {
    @Test("an empty region knows nobody")
    func empty() throws {
        let region = try makeRegion()
        #expect(region.groupSlot(named: "brokers") == nil)
        #expect(region.masterPID == Processes.currentID && region.startedAt == 1000 && region.generation == 0)
        #expect(region.groupReports().isEmpty && region.workerReports().isEmpty)
        #expect(WorkerSlot(index: 127) != nil && WorkerSlot(index: 128) == nil && WorkerSlot(index: -1) == nil)
    }

    @Test("the same identity in two groups has two places, one that stands twice has one")
    func identities() throws {
        let region = try makeRegion()
        try region.reload([request("a", ["1:1", "2:2"]), request("b", ["1:1", "1:1"])], generation: 1)
        let places = [region.peer("a", "1:1"), region.peer("a", "2:2"), region.peer("b", "1:1")]
        #expect(Set(places.compactMap { $0 }).count == 3)
        #expect(region.peer("b", "2:2") == nil)
        #expect(region.generation == 1)
    }

    @Test("an identity keeps its place, its health and its counters over reloads, also through one without it")
    func keeps() throws {
        let region = try makeRegion()
        let worker = try #require(WorkerSlot(index: 0))
        region.beginWorker(worker, pid: 100, isRespawn: false)
        try region.reload([request("a", ["1:1", "2:2"])], generation: 1)
        let place = try #require(region.peer("a", "2:2"))
        region.setHealth(.unhealthy, place, wallMilliseconds: 5, reason: Array("connect() failed".utf8))
        region.addSession(worker, place)
        try region.reload([request("a", ["2:2", "3:3"])], generation: 2)
        #expect(region.peer("a", "2:2") == place)
        try region.reload([request("b", ["1:1"])], generation: 3)
        try region.reload([request("a", ["2:2"])], generation: 4)
        #expect(region.peer("a", "2:2") == place)
        #expect(region.health(place) == .unhealthy)
        #expect(region.activeSessions(place) == 1)
        #expect(region.groupReports().map(\.name) == ["a"])
        #expect(region.groupReports(onlyCommitted: false).count == 2)
    }

    @Test("a refused configuration changes nothing that the committed one reads")
    func refused() throws {
        let region = try makeRegion()
        try region.reload([request("a", ["1:1"], weight: 5)], generation: 1)
        let place = try #require(region.peer("a", "1:1"))
        #expect(region.loadWindow(place).effectiveWeight == 5)
        try region.assignSlots([request("a", ["1:1", "2:2"], weight: 9)])
        #expect(region.loadWindow(place).effectiveWeight == 5)
        region.abandonSlots()
        #expect(region.generation == 1)
        #expect(region.peerReport(place).weight == 5)
        #expect(region.groupReports().first?.peers.map(\.endpoint) == ["1:1"])
    }

    @Test("a changed weight counts from the commit on, an unchanged one keeps what failures took")
    func weights() throws {
        let region = try makeRegion()
        try region.reload([request("a", ["1:1"], weight: 5)], generation: 1)
        let place = try #require(region.peer("a", "1:1"))
        region.store(PeerWindow(fails: 2, effectiveWeight: 3, currentWeight: -7), place)
        try region.reload([request("a", ["1:1"], weight: 5)], generation: 2)
        #expect(region.loadWindow(place) == PeerWindow(fails: 2, effectiveWeight: 3, currentWeight: -7))
        try region.reload([request("a", ["1:1"], weight: 8)], generation: 3)
        #expect(region.loadWindow(place) == PeerWindow(fails: 2, effectiveWeight: 8, currentWeight: 0))
    }

    // Goal: places are given away only when nobody can miss them. Method: fill the region; then ask for more while the
    // old ones are committed, while one has a session, and when nothing holds them.
    @Test("places are recycled only when neither a configuration nor a session holds them")
    func recycling() throws {
        let region = try makeRegion()
        let worker = try #require(WorkerSlot(index: 3))
        region.beginWorker(worker, pid: 100, isRespawn: false)
        let all = (0..<SharedRegion.peersMax).map { "old:\($0)" }
        try region.reload([request("a", all)], generation: 1)
        #expect(throws: SlotFault.peersUsedUp(max: 8192)) { try region.assignSlots([request("a", ["new:0"])]) }
        #expect(region.peer("a", "old:8191") != nil && region.peer("a", "new:0") == nil)

        let held = try #require(region.peer("a", "old:4000"))
        let kept = try #require(region.peer("a", "old:17"))
        region.addSession(worker, held)
        region.addBytes(worker, held, toPeer: 10, fromPeer: 20)
        region.setHealth(.unhealthy, held, wallMilliseconds: 9, reason: [])
        try region.reload([request("a", ["old:17"])], generation: 2)
        let fresh = (0..<(SharedRegion.peersMax - 2)).map { "new:\($0)" }
        try region.assignSlots([request("a", fresh)])
        #expect(region.peer("a", "old:17") == kept, "the committed configuration still names it")
        #expect(region.peer("a", "old:4000") == held, "a session still uses it")
        #expect(region.peer("a", "old:5") == nil)
        #expect(throws: SlotFault.peersUsedUp(max: 8192)) {
            try region.assignSlots([request("a", fresh + ["new:more"])])
        }
        region.removeSession(worker, held)
        try region.reload([request("a", fresh + ["new:more"])], generation: 3)
        let more = try #require(region.peer("a", "new:more"))
        #expect(more == held)
        #expect(region.health(more) == .up && region.healthSince(more) == 0)
        #expect(region.peerReport(more).bytesToPeer == 0 && region.peerReport(more).sessions == 0)
    }

    @Test("groups are recycled with their peers, and a full table of groups is said")
    func groups() throws {
        let region = try makeRegion()
        let worker = try #require(WorkerSlot(index: 0))
        region.beginWorker(worker, pid: 100, isRespawn: false)
        let all = (0..<SharedRegion.groupsMax).map { request("g\($0)", ["1:1"]) }
        try region.reload(all, generation: 1)
        #expect(throws: SlotFault.groupsUsedUp(max: 2048)) { try region.assignSlots(all + [request("more", [])]) }
        let busy = try #require(region.peer("g7", "1:1"))
        region.addSession(worker, busy)
        try region.reload([], generation: 2)
        try region.reload((0..<2047).map { request("h\($0)", ["1:1"]) }, generation: 3)
        #expect(region.peer("g7", "1:1") == busy)
        #expect(region.groupReports().count == 2047)
        #expect(region.groupReports().allSatisfy { $0.peers.count == 1 })
    }

    @Test("names longer than their place are told apart by all of their bytes")
    func longNames() throws {
        let region = try makeRegion()
        let stem = String(repeating: "x", count: 300)
        try region.reload([request(stem + "1", [stem + "1", stem + "2"]), request(stem + "2", [stem])], generation: 1)
        #expect(region.groupSlot(named: stem + "1") != region.groupSlot(named: stem + "2"))
        #expect(region.peer(stem + "1", stem + "1") != region.peer(stem + "1", stem + "2"))
        #expect(region.groupSlot(named: stem) == nil)
        #expect(region.groupReports().first?.name == String(repeating: "x", count: 128))
    }
}
