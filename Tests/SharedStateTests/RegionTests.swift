// SPDX-License-Identifier: Apache-2.0
//
// What processes write and read in the region, several at once and after a death.

import CShared
import Glibc
import LinuxIO
import Testing
import Vocabulary

@testable import SharedState

@Suite struct RegionTests {
    @Test("the region is as large as the layout says, and costs little while it is empty")
    func size() throws {
        #expect(MemoryLayout<cs_region>.size == 70_914_048)
        #expect(MemoryLayout<cs_word>.stride == 8)
    }

    @Test("a window survives the way through the region, whatever its numbers")
    func window() throws {
        let region = try makeRegion()
        try region.reload([request("a", ["1:1", "2:2"])], generation: 1)
        let peer = try #require(region.peer("a", "1:1"))
        let other = try #require(region.peer("a", "2:2"))
        let extreme = PeerWindow(
            fails: .max, accessedSeconds: .min, checkedSeconds: .max, effectiveWeight: .min, currentWeight: .max)
        region.store(extreme, peer)
        #expect(region.loadWindow(peer) == extreme)
        #expect(region.loadWindow(other) == PeerWindow())
    }

    @Test("sessions of all workers are summed, and a dead worker takes its own with it")
    func sums() throws {
        let region = try makeRegion()
        try region.reload([request("a", ["1:1"])], generation: 1)
        let peer = try #require(region.peer("a", "1:1"))
        let first = try #require(WorkerSlot(index: 0))
        let last = try #require(WorkerSlot(index: 127))
        region.beginWorker(first, pid: 100, isRespawn: false)
        region.beginWorker(last, pid: 200, isRespawn: false)
        for _ in 0..<3 { region.addSession(first, peer) }
        region.addSession(last, peer)
        region.removeSession(first, peer)
        region.setActiveSessions(first, 2)
        region.countConnectFailed(last, peer)
        region.addBytes(first, peer, toPeer: 5, fromPeer: 7)
        region.addBytes(last, peer, toPeer: 50, fromPeer: 70)
        #expect(region.activeSessions(peer) == 3)
        region.endWorker(first, state: .pausing)
        region.beginWorker(first, pid: 101, isRespawn: true)
        #expect(region.activeSessions(peer) == 1)
        let report = region.peerReport(peer)
        #expect(report.active == 1 && report.sessions == 4 && report.connectsFailed == 1)
        #expect(report.bytesToPeer == 55 && report.bytesFromPeer == 77)
        let worker = region.workerReport(first)
        #expect(worker.pid == 101 && worker.respawns == 1 && worker.active == 0 && worker.state == .starting)
    }

    @Test("a worker's own counters say what it did")
    func workers() throws {
        let region = try makeRegion()
        let worker = try #require(WorkerSlot(index: 1))
        region.beginWorker(worker, pid: 100, isRespawn: false)
        region.setState(.running, of: worker)
        region.countAccepted(worker)
        region.countAccepted(worker)
        region.countRefused(worker)
        region.countBufferStarved(worker)
        region.countDescriptorsStarved(worker)
        region.countTurn(worker, now: 77)
        for reason in CloseReason.allCases { region.countClosed(worker, reason) }
        let report = region.workerReport(worker)
        #expect(report.accepted == 2 && report.refused == 1 && report.buffersStarved == 1)
        #expect(report.descriptorsStarved == 1 && report.turns == 1 && report.lastTurnAt == 77)
        #expect(report.state == .running)
        #expect(report.closed == CloseReason.allCases.map { _ in 1 } + [UInt64](repeating: 0, count: 16))
        #expect(region.workerReports().count == 2)
    }

    @Test("health, its reason and its checks are as the prober left them")
    func health() throws {
        let region = try makeRegion()
        try region.reload([request("a", ["10.0.0.1:1883\u{0}2"])], generation: 1)
        let peer = try #require(region.peer("a", "10.0.0.1:1883\u{0}2"))
        #expect(region.health(peer) == .up && region.healthSince(peer) == 0)
        region.setHealth(.unhealthy, peer, wallMilliseconds: 5000, reason: Array("answer 20020005".utf8))
        region.setHealth(.unhealthy, peer, wallMilliseconds: 5001, reason: [UInt8](repeating: 65, count: 100))
        region.countCheck(peer, hasPassed: false, wallMilliseconds: 5001)
        region.setHealth(.checking, peer, wallMilliseconds: 6000, reason: Array("new".utf8))
        region.countCheck(peer, hasPassed: true, wallMilliseconds: 6001)
        region.setAdminState(.draining, peer)
        let report = region.peerReport(peer)
        #expect(report.health == .checking && report.healthSince == 6000 && report.reason == "new")
        #expect(report.checks == 2 && report.checksFailed == 1 && report.timesUnhealthy == 1)
        #expect(report.lastCheckPassed && report.lastCheckAt == 6001 && report.admin == .draining)
        #expect(report.endpoint == "10.0.0.1:1883")
        region.setHealth(.unhealthy, peer, wallMilliseconds: 7000, reason: [UInt8](repeating: 65, count: 100))
        #expect(region.peerReport(peer).reason == String(repeating: "A", count: 64))
    }

    @Test("another process reads a running master's region, and says what a process without one is")
    func attach() throws {
        let (read, write) = try Pipes.make()
        // Regions of other tests are open here, too; the child closes them, so that only its own is found.
        let pid = try inChild(keeping: [write]) {
            guard let region = try? makeRegion(), (try? region.reload([request("a", ["1:1"])], generation: 7)) != nil
            else { return 1 }
            _ = try? Files.write(write, [1][...])
            sleep(milliseconds: 60_000)
            return 0
        }
        var entries = [PollEntry(read, .readable)]
        #expect(try Poll.wait(&entries, milliseconds: 10_000) == 1)
        let region = try SharedRegion.attach(pid: pid)
        #expect(region.generation == 7 && region.masterPID == pid)
        #expect(region.groupReports().first?.peers.first?.endpoint == "1:1")
        region.detach()
        try Processes.send(SIGKILL, to: pid)
        _ = try Processes.wait(for: pid)
        #expect(throws: AttachFault.system(.notFound)) { try SharedRegion.attach(pid: pid) }
        // A program that was started by exec has none of our descriptors.
        let sleeper = try inChild {
            _ = Processes.execute("/bin/sleep", ["sleep", "60"], environment: [])
            return 1
        }
        let name = "/proc/\(sleeper)/comm"
        while try Files.read(name, bytesMax: 100) != Array("sleep\n".utf8) { sleep(milliseconds: 1) }
        #expect(throws: AttachFault.noRegion) { try SharedRegion.attach(pid: sleeper) }
        try Processes.send(SIGKILL, to: sleeper)
        _ = try Processes.wait(for: sleeper)
        Descriptors.close(read)
        Descriptors.close(write)
    }
}

@Suite struct GroupLockTests {
    // Goal: between `lock` and `unlock` no other process changes the group. Method: two processes each add one to two
    // numbers that must stay equal, many times; a round without the lock is not counted, so the sum is exact.
    @Test("two processes that hold the lock in turn lose no update")
    func contention() throws {
        let region = try makeRegion()
        try region.reload([request("a", ["1:1", "2:2"])], generation: 1)
        let group = try #require(region.groupSlot(named: "a"))
        let peer = try #require(region.peer("a", "1:1"))
        let rounds = 20_000

        func work() -> Int32 {
            let pid = Processes.currentID
            var done = 0
            while done < rounds {
                guard region.lock(group, pid: pid) else { continue }
                var window = region.loadWindow(peer)
                guard window.accessedSeconds == window.checkedSeconds else { return 1 }
                window.accessedSeconds += 1
                window.checkedSeconds += 1
                region.store(window, peer)
                region.unlock(group, pid: pid)
                done += 1
            }
            return 0
        }

        var children: [Int32] = []
        for _ in 0..<2 { children.append(try inChild(work)) }
        for child in children { #expect(try Processes.wait(for: child)?.way == .exited(0)) }
        #expect(region.loadWindow(peer).accessedSeconds == Int64(2 * rounds))
    }

    @Test("a killed holder stops nobody, and the master frees its lock")
    func killedHolder() throws {
        let region = try makeRegion()
        try region.reload([request("a", ["1:1"])], generation: 1)
        let group = try #require(region.groupSlot(named: "a"))
        let worker = try #require(WorkerSlot(index: 0))
        let child = try inChild {
            region.lock(group, pid: Processes.currentID)
            kill(Processes.currentID, SIGKILL)
            return 1
        }
        region.beginWorker(worker, pid: child, isRespawn: false)
        _ = try Processes.wait(for: child)
        let me = Processes.currentID
        let start = monotonicNanoseconds()
        #expect(!region.lock(group, pid: me))
        #expect(monotonicNanoseconds() - start < 1_000_000_000)
        region.unlock(group, pid: me)
        #expect(!region.lock(group, pid: me), "who does not hold a lock cannot free it")
        region.endWorker(worker, state: .free)
        #expect(region.lock(group, pid: me))
        region.unlock(group, pid: me)
        #expect(region.lock(group, pid: me))
    }
}
