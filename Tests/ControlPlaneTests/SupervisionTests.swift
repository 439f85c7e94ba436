// SPDX-License-Identifier: Apache-2.0
//
// The supervisor without processes: events in, actions out.

import ControlPlane
import Testing
import Vocabulary

/// A supervisor whose children answer at once when told to by the test.
struct Staff {
    var supervision: Supervision
    var now = 1_000_000

    init(workers: Int, slots: Int = 8, isServing: Bool = true) {
        supervision = Supervision(slotCount: slots)
        _ = supervision.start(workers: workers, now: now)
        guard isServing else { return }
        for child in [.prober] + (0..<workers).map({ Child.worker(slot: $0) }) {
            #expect(supervision.ready(child, now: now) == [.commit(child)])
            _ = supervision.committed(child, now: now)
        }
    }

    mutating func wait(_ milliseconds: Int) -> [SupervisionAction] {
        now += milliseconds
        return supervision.tick(now)
    }

    /// HUP, and a configuration with `workers` that every one of `children` gets ready.
    mutating func prepare(workers: Int, _ children: [Child]) -> [SupervisionAction] {
        #expect(supervision.hangup() == [.readConfiguration])
        var actions = supervision.configurationRead(workers: workers, now: now)
        for child in children { actions += supervision.ready(child, now: now) }
        return actions
    }

    mutating func commit(_ children: [Child]) -> [SupervisionAction] {
        children.flatMap { supervision.committed($0, now: now) }
    }
}

@Suite("supervision")
struct SupervisionTests {
    static let first = Child.worker(slot: 0)
    static let second = Child.worker(slot: 1)
    static let third = Child.worker(slot: 2)

    @Test("a start forks every worker and the prober, and each is committed when it is ready")
    func start() {
        var supervision = Supervision(slotCount: 4)
        #expect(
            supervision.start(workers: 2, now: 0) == [
                .spawn(Self.first, position: 0, isPending: false),
                .spawn(Self.second, position: 1, isPending: false),
                .spawn(.prober, position: -1, isPending: false),
            ])
        #expect(supervision.ready(Self.second, now: 1) == [.commit(Self.second)])
        #expect(supervision.committed(Self.second, now: 2) == [])
        #expect(supervision.stages[Self.second] == .running)
    }

    @Test("a dead worker is replaced at once, at its slot and position")
    func respawn() {
        var staff = Staff(workers: 2)
        #expect(
            staff.supervision.died(Self.second, "exited on signal 9", now: staff.now) == [
                .spawn(Self.second, position: 1, isPending: false)
            ])
    }

    @Test("a crash loop is slowed down, and a HUP is still answered while it waits")
    func crashLoop() {
        var staff = Staff(workers: 1)
        for _ in 1..<CrashBackOff.deathsMax {
            #expect(staff.supervision.died(Self.first, "exited on signal 11", now: staff.now).count == 1)
        }
        let actions = staff.supervision.died(Self.first, "exited on signal 11", now: staff.now)
        #expect(actions.count == 1)
        guard case .log(.alert, _) = actions.first else {
            Issue.record("expected an alert, got \(actions)")
            return
        }
        #expect(staff.supervision.deadline == staff.now + 1000)
        #expect(staff.wait(999) == [])
        #expect(staff.supervision.hangup() == [.readConfiguration])
        #expect(staff.supervision.configurationUnusable() == [])
        #expect(staff.wait(1) == [.spawn(Self.first, position: 0, isPending: false)])
    }

    @Test("a worker that does not answer its first talk is killed")
    func hungStart() {
        var staff = Staff(workers: 1, isServing: false)
        #expect(staff.wait(Supervision.talkMilliseconds).contains(.kill(Self.first)))
    }

    @Test("a refusal before anything has ever served ends the master with 1")
    func refusedStart() {
        var staff = Staff(workers: 1, isServing: false)
        let actions = staff.supervision.refused(Self.first, "io_uring is not permitted", now: staff.now)
        #expect(actions.contains(.stop(Self.first)) && actions.contains(.stop(.prober)))
        #expect(staff.supervision.died(Self.first, "exited with code 0", now: staff.now) == [])
        #expect(staff.supervision.died(.prober, "exited with code 0", now: staff.now) == [.exit(code: 1)])
    }

    // MARK: Reload

    @Test("a reload commits only when all are ready, and lets go of listeners when all have committed")
    func reload() {
        var staff = Staff(workers: 2)
        #expect(
            staff.prepare(workers: 2, [Self.second, .prober]) == [
                .talk(.prober, position: -1), .talk(Self.first, position: 0), .talk(Self.second, position: 1),
            ])
        #expect(staff.supervision.ready(Self.first, now: staff.now) == [.enlist])
        #expect(
            staff.supervision.enlisted(now: staff.now) == [
                .adopt, .commit(.prober), .commit(Self.first), .commit(Self.second),
            ])
        #expect(staff.commit([.prober, Self.first]) == [])
        #expect(staff.commit([Self.second]) == [.closeRemovedListeners])
        #expect(staff.supervision.reload == .idle)
    }

    @Test("one refusal aborts the reload at all others")
    func refusedReload() {
        var staff = Staff(workers: 2)
        _ = staff.prepare(workers: 2, [Self.first])
        #expect(
            staff.supervision.refused(Self.second, "no memory", now: staff.now) == [
                .abort(.prober), .abort(Self.first),
                .discard(reason: "worker process refused it: no memory"),
            ])
        #expect(staff.supervision.reload == .idle)
        #expect(staff.supervision.ready(.prober, now: staff.now) == [], "an answer that comes too late")
    }

    @Test("a death gives the pending reload up, then the worker is replaced")
    func deathInReload() {
        var staff = Staff(workers: 2)
        _ = staff.prepare(workers: 2, [Self.first])
        let actions = staff.supervision.died(Self.first, "exited on signal 9", now: staff.now)
        #expect(actions.dropLast(2) == [.abort(.prober), .abort(Self.second)])
        #expect(actions.last == .spawn(Self.first, position: 0, isPending: false))
    }

    @Test("a death after the commit costs the reload nothing")
    func deathInCommit() {
        var staff = Staff(workers: 2)
        _ = staff.prepare(workers: 2, [Self.first, Self.second, .prober])
        _ = staff.supervision.enlisted(now: staff.now)
        #expect(staff.commit([.prober, Self.first]) == [])
        #expect(
            staff.supervision.died(Self.second, "exited on signal 9", now: staff.now) == [
                .closeRemovedListeners, .spawn(Self.second, position: 1, isPending: false),
            ])
    }

    @Test("HUPs that come during a reload make one more")
    func coalesced() {
        var staff = Staff(workers: 1)
        _ = staff.prepare(workers: 1, [Self.first])
        for _ in 0..<5 { #expect(staff.supervision.hangup() == []) }
        _ = staff.supervision.ready(.prober, now: staff.now)
        _ = staff.supervision.enlisted(now: staff.now)
        #expect(staff.commit([.prober, Self.first]) == [.closeRemovedListeners, .readConfiguration])
        #expect(staff.supervision.configurationUnusable() == [])
    }

    @Test("a HUP while a worker starts waits until it serves")
    func hangupInStart() {
        var staff = Staff(workers: 1, isServing: false)
        #expect(staff.supervision.hangup() == [])
        #expect(staff.commit([.prober]) == [])
        #expect(staff.commit([Self.first]) == [.readConfiguration])
    }

    @Test("a child that stays silent gives the reload up")
    func lateReload() {
        var staff = Staff(workers: 2)
        _ = staff.prepare(workers: 2, [.prober, Self.first])
        #expect(staff.wait(Supervision.talkMilliseconds - 1) == [])
        #expect(
            staff.wait(1) == [
                .abort(.prober), .abort(Self.first), .abort(Self.second),
                .discard(reason: "worker process did not answer in time"),
            ])
        // Its answer comes too late to matter, and it takes part in the next reload as if nothing had been.
        #expect(staff.supervision.ready(Self.second, now: staff.now) == [])
        #expect(staff.prepare(workers: 2, [.prober, Self.first, Self.second]).last == .enlist)
    }

    // MARK: The number of workers

    @Test("more workers: the new ones are forked for the pending generation and serve from the commit on")
    func grow() {
        var staff = Staff(workers: 1)
        let actions = staff.prepare(workers: 3, [])
        #expect(
            actions.suffix(2) == [
                .spawn(Self.second, position: 1, isPending: true), .spawn(Self.third, position: 2, isPending: true),
            ])
        var last: [SupervisionAction] = []
        for child in [.prober, Self.third, Self.first, Self.second] {
            last = staff.supervision.ready(child, now: staff.now)
        }
        #expect(last == [.enlist])
        #expect(
            staff.supervision.enlisted(now: staff.now) == [
                .adopt, .commit(.prober), .commit(Self.first), .commit(Self.second), .commit(Self.third),
            ])
        #expect(staff.commit([.prober, Self.first, Self.second, Self.third]) == [.closeRemovedListeners])
        #expect(staff.supervision.members == [0, 1, 2])
        #expect(staff.supervision.positionCount == 3)
    }

    @Test("a reload that is given up sends its new workers away")
    func growRefused() {
        var staff = Staff(workers: 1)
        _ = staff.prepare(workers: 2, [Self.second])
        let actions = staff.supervision.refused(Self.first, "no", now: staff.now)
        #expect(actions == [.abort(.prober), .stop(Self.second), .discard(reason: "worker process refused it: no")])
        #expect(staff.supervision.died(Self.second, "exited with code 0", now: staff.now) == [])
        #expect(staff.supervision.members == [0])
    }

    @Test("fewer workers: steered away before the commit, told to quit when settled, closed when drained")
    func shrink() {
        var staff = Staff(workers: 3)
        _ = staff.prepare(workers: 1, [.prober, Self.first])
        #expect(
            staff.supervision.enlisted(now: staff.now) == [
                .adopt, .steer(count: 1), .commit(.prober), .commit(Self.first),
            ])
        #expect(staff.commit([.prober, Self.first]) == [.closeRemovedListeners])
        #expect(staff.wait(Supervision.settleMilliseconds - 1) == [])
        #expect(staff.wait(1) == [.quit(Self.second), .quit(Self.third)])
        #expect(staff.supervision.listenersClosed(Self.third, now: staff.now) == [])
        #expect(
            staff.supervision.died(Self.second, "exited with code 0", now: staff.now) == [.closePositions(count: 1)])
        #expect(staff.supervision.reload == .idle)
    }

    @Test("a slot whose worker still leaves is not used again")
    func growWhileLeaving() {
        var staff = Staff(workers: 2, slots: 3)
        _ = staff.prepare(workers: 1, [.prober, Self.first])
        _ = staff.supervision.enlisted(now: staff.now)
        _ = staff.commit([.prober, Self.first])
        _ = staff.wait(Supervision.settleMilliseconds)
        _ = staff.supervision.listenersClosed(Self.second, now: staff.now)
        let actions = staff.prepare(workers: 3, [])
        #expect(actions.last == .spawn(Self.third, position: 1, isPending: true))
        guard case .log(.warn, _) = actions.first else {
            Issue.record("expected a warning that a worker is missing")
            return
        }
    }

    // MARK: The ways down

    @Test("QUIT lets workers end, then the prober, then the master")
    func quit() {
        var staff = Staff(workers: 2)
        #expect(
            staff.supervision.quit(now: staff.now) == [
                .quit(Self.first), .quit(Self.second), .closePositions(count: 0),
            ])
        #expect(staff.supervision.hangup() == [])
        #expect(staff.supervision.died(Self.first, "exited with code 0", now: staff.now) == [])
        #expect(staff.supervision.died(Self.second, "exited with code 0", now: staff.now) == [.stop(.prober)])
        #expect(staff.supervision.died(.prober, "exited with code 0", now: staff.now) == [.exit(code: 0)])
    }

    @Test("TERM stops all and kills after a second what is left, also during QUIT")
    func terminate() {
        var staff = Staff(workers: 1)
        _ = staff.supervision.quit(now: staff.now)
        #expect(staff.supervision.terminate(now: staff.now) == [.stop(.prober), .stop(Self.first)])
        #expect(staff.supervision.died(.prober, "exited with code 0", now: staff.now) == [])
        #expect(staff.wait(999) == [])
        #expect(staff.wait(1) == [.kill(Self.first)])
        #expect(staff.supervision.died(Self.first, "exited on signal 9", now: staff.now) == [.exit(code: 0)])
    }

    @Test("a worker that says it cannot run here ends a master that has never served")
    func fatalStart() {
        var staff = Staff(workers: 1, isServing: false)
        let actions = staff.supervision.died(Self.first, "exited with code 2", isFatal: true, now: staff.now)
        #expect(actions.contains(.stop(.prober)))
        #expect(staff.supervision.died(.prober, "exited with code 0", now: staff.now) == [.exit(code: 1)])
    }

    @Test("a new worker that ignores its dismissal is killed")
    func discardedIsKilled() {
        var staff = Staff(workers: 1)
        _ = staff.prepare(workers: 2, [Self.second])
        _ = staff.supervision.refused(Self.first, "no", now: staff.now)
        #expect(staff.wait(Supervision.stopMilliseconds) == [.kill(Self.second)])
    }

    @Test("QUIT after WINCH ends, also while the prober waits for its next start")
    func quitAfterDismissal() {
        var staff = Staff(workers: 1)
        for _ in 0..<CrashBackOff.deathsMax {
            _ = staff.supervision.died(.prober, "exited on signal 6", now: staff.now)
        }
        _ = staff.supervision.dismissWorkers(now: staff.now)
        _ = staff.supervision.died(Self.first, "exited with code 0", now: staff.now)
        #expect(staff.supervision.quit(now: staff.now) == [.closePositions(count: 0), .exit(code: 0)])
    }

    @Test("TERM in a crash loop ends at once")
    func terminateInCrashLoop() {
        var staff = Staff(workers: 1)
        for _ in 0..<CrashBackOff.deathsMax {
            _ = staff.supervision.died(Self.first, "exited on signal 11", now: staff.now)
        }
        _ = staff.supervision.terminate(now: staff.now)
        #expect(staff.supervision.died(.prober, "exited with code 0", now: staff.now) == [.exit(code: 0)])
    }

    @Test("WINCH sends the workers away; a reload starts new ones at the same positions")
    func dismiss() {
        var staff = Staff(workers: 2)
        #expect(staff.supervision.dismissWorkers(now: staff.now) == [.quit(Self.first), .quit(Self.second)])
        #expect(staff.supervision.died(Self.first, "exited with code 0", now: staff.now) == [])
        let actions = staff.prepare(workers: 2, [.prober])
        #expect(
            actions == [
                .talk(.prober, position: -1), .spawn(Self.first, position: 0, isPending: true),
                .spawn(Self.third, position: 1, isPending: true),
            ])
    }

    // MARK: Back-off

    @Test("pauses double up to thirty seconds, and a child that lived long starts afresh")
    func backOff() {
        var backOff = CrashBackOff()
        var now = 0
        for _ in 1..<CrashBackOff.deathsMax { #expect(backOff.died(at: now) == 0) }
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            #expect(backOff.died(at: now) == seconds * 1000)
            now += seconds * 1000
        }
        now += CrashBackOff.windowMilliseconds + 1
        #expect(backOff.died(at: now) == 0)
    }

    @Test("sessions follow worker_connections, and the descriptor limit where it is smaller or alone")
    func capacity() {
        #expect(SessionCapacity(descriptorLimit: 20_000, workerConnections: 512, listeners: 1, logs: 1).sessions == 256)
        #expect(SessionCapacity(descriptorLimit: 1024, workerConnections: nil, listeners: 2, logs: 2).sessions == 446)
        #expect(SessionCapacity(descriptorLimit: 1024, workerConnections: 9999, listeners: 2, logs: 2).sessions == 446)
        #expect(SessionCapacity(descriptorLimit: 100, workerConnections: nil, listeners: 2, logs: 2).sessions == 25)
    }
}
