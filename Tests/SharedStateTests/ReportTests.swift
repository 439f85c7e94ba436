// SPDX-License-Identifier: Apache-2.0
//
// What one process stores in the region, another reads: sums over workers, times by both clocks, texts cut in their
// place, and slots that identities keep.

import CShared
import SharedState
import Testing
import Vocabulary

@Suite("Reports of the shared region") struct ReportTests {
    private let region: SharedRegion
    private let first = WorkerSlot(index: 0)!
    private let second = WorkerSlot(index: 1)!

    init() throws {
        region = try SharedRegion.create(masterPID: 1, wallMilliseconds: 1_000_000)
        region.beginWorker(first, pid: 10, isRespawn: false, wallMilliseconds: 1_000_100)
        region.beginWorker(second, pid: 11, isRespawn: false, wallMilliseconds: 1_000_200)
    }

    private func peer(_ group: String = "brokers", _ identity: String = "10.0.0.1:1883") throws -> PeerSlot {
        try region.assignSlots(
            [GroupRequest(name: group, peers: [.init(identity: identity, weight: 1)])], zones: ["mqtt", "tls"])
        region.commitSlots(generation: 1)
        let slot = try #require(region.groupSlot(named: group))
        return try #require(region.peerSlot(group: slot, identity: identity))
    }

    private func moment(_ milliseconds: UInt64) -> ReportMoment {
        ReportMoment(monotonicMilliseconds: milliseconds, wallMilliseconds: 1_000_000 + milliseconds)
    }

    @Test("a peer's numbers are the sum of what its workers say")
    func peerSums() throws {
        defer { region.detach() }
        let peer = try peer()
        for worker in [first, second] {
            region.addSession(worker, peer)
            region.countConnected(worker, peer, milliseconds: 7)
            region.countFirstByte(worker, peer, milliseconds: 9)
            region.addBytes(worker, peer, toPeer: 100)
            region.addBytes(worker, peer, fromPeer: 30)
        }
        region.noteSelected(first, peer, now: 400)
        region.noteSelected(second, peer, now: 300)
        region.countEnded(second, peer, milliseconds: 5000)
        region.removeSession(second, peer)
        region.countConnectFailed(first, peer)
        region.countHandshake(.failed(.verify(.expired)), first, peer: peer)
        region.countHandshake(.succeeded(isReused: true), second, peer: peer)

        let report = region.peerReport(peer, at: moment(1000))
        #expect(report.active == 1 && report.sessions == 2 && report.ended == 1)
        #expect(report.connected == 2 && report.connectMilliseconds == 14)
        #expect(report.firstBytes == 2 && report.firstByteMilliseconds == 18)
        #expect(report.sessionMilliseconds == 5000)
        #expect(report.bytesToPeer == 200 && report.bytesFromPeer == 60)
        #expect(report.connectsFailed == 1)
        #expect(report.selectedAt == 1_000_400, "the later of the two, by the wall's clock")
        #expect(report.tls.handshakes == 1 && report.tls.reuses == 1 && report.tls.failed == 1)
        #expect(report.tls.expired == 1)
    }

    @Test("a failure that only a server sees is no word of a peer's")
    func serverOnlyFailure() throws {
        defer { region.detach() }
        let peer = try peer()
        region.countHandshake(.failed(.noCommonCipher), first, peer: peer)
        let report = region.peerReport(peer)
        #expect(report.tls.failed == 1 && report.tls.noCommonCipher == 0)
        #expect(report.active == 0, "the word behind the peer's last one is the next peer's")
        #expect(region.workerReport(first).brokerTLS.failed == 1)
    }

    @Test("failure windows count once each, grow with failures inside, and end early with a success")
    func failureWindows() throws {
        defer { region.detach() }
        let peer = try peer()
        #expect(region.peerReport(peer, at: moment(1)).condition() == .up)
        region.noteOut(first, peer, now: 1000, until: 11_000)
        region.noteOut(second, peer, now: 3000, until: 13_000)
        var report = region.peerReport(peer, at: moment(5000))
        #expect(report.condition() == .unavailable)
        #expect(report.timesUnavailable == 1 && report.downMilliseconds == 4000 && report.downSince == 1_001_000)
        report = region.peerReport(peer, at: moment(60_000))
        #expect(report.condition() == .up)
        #expect(report.downMilliseconds == 12_000 && report.downSince == 0)

        region.noteOut(second, peer, now: 70_000, until: 80_000)
        region.noteBack(peer, now: 71_000)
        report = region.peerReport(peer, at: moment(90_000))
        #expect(report.timesUnavailable == 2 && report.downMilliseconds == 13_000 && !report.isUnavailable)
    }

    @Test("time out of health adds up over states that are not up")
    func healthDowntime() throws {
        defer { region.detach() }
        let peer = try peer()
        region.setHealth(.checking, peer, wallMilliseconds: 1_001_000, reason: [])
        region.setHealth(.unhealthy, peer, wallMilliseconds: 1_003_000, reason: Array("refused".utf8))
        var report = region.peerReport(peer, at: moment(4000))
        #expect(report.condition() == .unhealthy && report.reason == "refused")
        #expect(report.downSince == 1_001_000 && report.downMilliseconds == 3000)
        region.setHealth(.up, peer, wallMilliseconds: 1_006_000, reason: [])
        report = region.peerReport(peer, at: moment(99_000))
        #expect(report.downSince == 0 && report.downMilliseconds == 5000 && report.timesUnhealthy == 1)
    }

    @Test("a peer that was looked at for the first time, and is well, is not back from anywhere")
    func neverAway() throws {
        defer { region.detach() }
        let peer = try peer()
        region.setHealth(.up, peer, wallMilliseconds: 1_000_100, reason: [])
        #expect(region.peerReport(peer, at: moment(500)).backMilliseconds == nil)
        region.setHealth(.checking, peer, wallMilliseconds: 1_000_600, reason: [])
        region.setHealth(.up, peer, wallMilliseconds: 1_000_600, reason: [])
        #expect(region.peerReport(peer, at: moment(700)).backMilliseconds == 100)
    }

    @Test("a peer that was down or draining is back since an administrator said so", arguments: AdminState.allCases)
    func backFromAdministrator(state: AdminState) throws {
        defer { region.detach() }
        let peer = try peer()
        func back(_ now: UInt64) -> UInt64? { region.peerReport(peer, at: moment(now)).backMilliseconds }
        guard state != .none else { return #expect(back(500) == nil) }
        region.setAdminState(state, peer, wallMilliseconds: 1_001_000)
        #expect(back(2000) == nil)
        region.setAdminState(.none, peer, wallMilliseconds: 1_003_000)
        #expect(back(3400) == 400)
        region.setHealth(.unhealthy, peer, wallMilliseconds: 1_004_000, reason: [])
        region.setHealth(.up, peer, wallMilliseconds: 1_005_000, reason: [])
        #expect(back(5100) == 100, "the latest return counts")
    }

    @Test("a peer is back since it is well or since its failure window is over, the later of both")
    func back() throws {
        defer { region.detach() }
        let peer = try peer()
        func back(_ now: UInt64) -> UInt64? { region.peerReport(peer, at: moment(now)).backMilliseconds }
        #expect(back(500) == nil, "it never was away")
        region.noteOut(first, peer, now: 1000, until: 11_000)
        #expect(back(5000) == nil)
        #expect(back(11_500) == 500)
        region.setHealth(.unhealthy, peer, wallMilliseconds: 1_020_000, reason: [])
        #expect(back(21_000) == nil)
        region.setHealth(.up, peer, wallMilliseconds: 1_030_000, reason: [])
        #expect(back(30_700) == 700)
        region.noteOut(first, peer, now: 40_000, until: 50_000)
        region.noteBack(peer, now: 41_000)
        #expect(back(41_250) == 250)
        // The wall's clock was set back behind the word of the checks; the window's end is of the other clock.
        let odd = ReportMoment(monotonicMilliseconds: 42_000, wallMilliseconds: 1_000_000)
        #expect(region.peerReport(peer, at: odd).backMilliseconds == 1000)
    }

    @Test("what an administrator says comes before what checks say")
    func conditions() throws {
        defer { region.detach() }
        let peer = try peer()
        region.setHealth(.unhealthy, peer, wallMilliseconds: 1_001_000, reason: [])
        region.setAdminState(.draining, peer, wallMilliseconds: 1_002_000)
        #expect(region.peerReport(peer).condition() == .draining)
        #expect(region.peerReport(peer).condition(isDown: true) == .down)
        #expect(region.peerReport(peer).adminSince == 1_002_000)
        region.setAdminState(.down, peer, wallMilliseconds: 1_003_000)
        #expect(region.peerReport(peer).condition(isDraining: true) == .down)
        region.setAdminState(.none, peer, wallMilliseconds: 1_004_000)
        #expect(region.peerReport(peer).condition() == .unhealthy)
    }

    @Test("a zone's connections are those that are there, that ended, and that were discarded")
    func zoneSums() throws {
        defer { region.detach() }
        _ = try peer()
        let zone = try #require(region.zoneSlot(named: "mqtt"))
        let other = try #require(region.zoneSlot(named: "tls"))
        for status in [200, 400, 403, 500, 502] as [UInt16] {
            region.enterZone(first, zone)
            region.leaveZone(first, zone, status: status)
        }
        region.enterZone(second, zone)
        region.countDiscarded(second, zone)
        region.addBytes(second, zone, received: 11, sent: 22)
        region.countHandshake(.refused(.noCertificate), second, zone: zone)
        region.countHandshake(.failed(.noCommonCipher), second, zone: other)

        let report = region.zoneReport(zone)
        #expect(report.name == "mqtt" && report.isCommitted)
        #expect(report.processing == 1 && report.connections == 7 && report.discarded == 1)
        #expect(report.sessions2xx == 1 && report.sessions4xx == 2 && report.sessions5xx == 2)
        #expect(report.sessionsTotal == 5)
        #expect(report.received == 11 && report.sent == 22)
        #expect(report.tls.noCertificate == 1 && report.tls.failed == 0 && report.tls.handshakes == 0)
        #expect(region.zoneReport(other).tls.noCommonCipher == 1)
        #expect(region.workerReport(second).clientTLS == report.tls + region.zoneReport(other).tls)

        region.endWorker(second, state: .free)
        #expect(region.zoneReport(zone).processing == 0, "its sessions died with the worker")
    }

    @Test("a zone keeps its slot and its counts over reloads, and is not given away while a session is in it")
    func zoneSlots() throws {
        defer { region.detach() }
        let names = (0..<SharedRegion.zonesMax).map { "zone\($0)" }
        try region.assignSlots([], zones: names)
        region.commitSlots(generation: 1)
        let busy = try #require(region.zoneSlot(named: "zone3"))
        region.enterZone(first, busy)
        try region.assignSlots([], zones: ["zone5"])
        region.commitSlots(generation: 2)
        #expect(region.zoneReports().map(\.name) == ["zone5"])
        #expect(region.zoneReports(onlyCommitted: false).count == SharedRegion.zonesMax)

        try region.assignSlots([], zones: ["zone5"] + (0..<SharedRegion.zonesMax - 2).map { "new\($0)" })
        region.commitSlots(generation: 3)
        #expect(region.zoneReport(busy).name == "zone3" && region.zoneReport(busy).processing == 1)
        #expect(throws: SlotFault.zonesUsedUp(max: SharedRegion.zonesMax)) {
            try region.assignSlots([], zones: ["zone5", "more", "than", "room"] + (0..<1021).map { "new\($0)" })
        }
        #expect(region.zoneSlot(named: "new0") != nil, "what is committed stays")
    }

    @Test("a server that is gone and still has sessions is its group's zombie")
    func zombies() throws {
        defer { region.detach() }
        let old = try peer("brokers", "10.0.0.1:1883")
        region.addSession(first, old)
        _ = try peer("brokers", "10.0.0.2:1883")
        var group = try #require(region.groupReports().first)
        #expect(group.zombies == 1 && group.peers.map(\.endpoint) == ["10.0.0.2:1883"])
        region.removeSession(first, old)
        group = try #require(region.groupReports().first)
        #expect(group.zombies == 0)
    }

    @Test("a worker's counts are read back as they were stored, and what it held goes with it")
    func workers() throws {
        defer { region.detach() }
        for outcome in ConnectOutcome.allCases {
            for _ in 0...outcome.rawValue { region.countConnect(second, outcome) }
        }
        var gauges = WorkerGauges()
        gauges.buffers = 64
        gauges.settings = 3
        region.store(gauges, of: second)
        region.setActiveSessions(second, 5)
        region.setWaitingSessions(second, 2)
        region.countClosed(second, .badConnect)
        var report = region.workerReport(second)
        #expect(report.connects == ConnectOutcome.allCases.map { UInt64($0.rawValue) + 1 })
        #expect(report.gauges == gauges)
        #expect(report.active == 5 && report.waiting == 2 && report.startedAt == 1_000_200)
        #expect(report.closed(.badConnect) == 1 && report.closed.reduce(0, +) == 1)

        region.endWorker(second, state: .pausing)
        report = region.workerReport(second)
        #expect(report.gauges == WorkerGauges() && report.active == 0 && report.waiting == 0)
        #expect(report.connects(.acceptedV5) == 3, "counters go on over respawns")
        #expect(region.workerReport(first).connects.allSatisfy { $0 == 0 })
    }

    @Test("one turn of 64 is asked to be measured")
    func turns() {
        defer { region.detach() }
        let measured = (1...256 as ClosedRange<UInt64>).count { region.countTurn(first, now: $0) }
        #expect(measured == 4)
        #expect(region.workerReport(first).turns == 256)
    }

    @Test("the last reload says how it went, how long it took and why it was refused")
    func reloads() {
        defer { region.detach() }
        #expect(region.masterReport().lastReload == .none && region.masterReport().loadedAt == 1_000_000)
        region.countReload(.refused, wallMilliseconds: 1_005_000, tookMilliseconds: 40, text: "it has errors")
        var report = region.masterReport()
        #expect(report.lastReload == .refused && report.lastReloadText == "it has errors")
        #expect(report.reloadsRefused == 1 && report.loadedAt == 1_000_000)
        region.countReload(.done, wallMilliseconds: 1_006_000, tookMilliseconds: 50)
        report = region.masterReport()
        #expect(report.lastReload == .done && report.lastReloadText.isEmpty && report.lastReloadMilliseconds == 50)
        #expect(report.reloadsDone == 1 && report.loadedAt == 1_006_000 && report.lastReloadAt == 1_006_000)
    }

    @Test("the prober and the admin process are seen, with how often they were replaced")
    func helpers() {
        defer { region.detach() }
        region.beginHelper(.prober, pid: 20, isRespawn: false)
        region.beginHelper(.admin, pid: 21, isRespawn: false)
        region.endHelper(.admin)
        region.beginHelper(.admin, pid: 22, isRespawn: true)
        let report = region.masterReport()
        #expect(report.proberPID == 20 && report.proberRespawns == 0)
        #expect(report.adminPID == 22 && report.adminRespawns == 1)
    }
}
