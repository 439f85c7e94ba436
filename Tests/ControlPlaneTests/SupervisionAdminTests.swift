// SPDX-License-Identifier: Apache-2.0
//
// The admin process among the children, and changes of servers beside reloads.

import ControlPlane
import Testing
import Vocabulary

@Suite("supervision of the admin process")
struct SupervisionAdminTests {
    private static let worker = Child.worker(slot: 0)

    /// One worker, the prober and the admin process, all at work.
    private static func serving() -> Supervision {
        var supervision = Supervision(slotCount: 4)
        #expect(supervision.start(workers: 1, hasAdmin: true, now: 0).last == spawn)
        for child in [worker, .prober, .admin] {
            #expect(supervision.ready(child, now: 1) == [.commit(child)])
            #expect(supervision.committed(child, now: 1) == [])
        }
        return supervision
    }

    private static let spawn = SupervisionAction.spawn(.admin, position: -1, isPending: false)

    private static func reload(_ supervision: inout Supervision, hasAdmin: Bool) -> [SupervisionAction] {
        #expect(supervision.hangup() == [.readConfiguration])
        var actions = supervision.configurationRead(workers: 1, hasAdmin: hasAdmin, now: 2)
        for case .talk(let child, _) in actions { actions += supervision.ready(child, now: 2) }
        #expect(actions.last == .enlist)
        return supervision.enlisted(now: 2)
    }

    @Test("it is replaced when it dies, and its death ends nothing")
    func respawn() {
        var supervision = Self.serving()
        #expect(supervision.died(.admin, "exited on signal 9", now: 2) == [Self.spawn])
    }

    @Test("a program that cannot be run is not tried again before the next reload, which tries it")
    func fatal() {
        var supervision = Self.serving()
        _ = supervision.died(.admin, "exited on signal 9", now: 2)
        #expect(supervision.refused(.admin, "execve() failed", now: 2).count == 2)
        let actions = supervision.died(.admin, "exited with code 2", isFatal: true, now: 2)
        #expect(actions == [.log(.alert, "there is no admin process until the next reload; all else goes on")])
        #expect(supervision.deadline == nil)
        #expect(Self.reload(&supervision, hasAdmin: true).last == Self.spawn)
    }

    @Test("a master that has never served goes on when the admin process cannot run")
    func fatalAtStart() {
        var supervision = Supervision(slotCount: 4)
        _ = supervision.start(workers: 1, hasAdmin: true, now: 0)
        _ = supervision.died(.admin, "exited with code 2", isFatal: true, now: 0)
        #expect(supervision.phase == .running)
        #expect(supervision.ready(Self.worker, now: 1) == [.commit(Self.worker)])
    }

    @Test("a reload takes it along, adds it after the commit, and sends it away")
    func reload() {
        var supervision = Self.serving()
        let kept: [SupervisionAction] = [.adopt, .commit(.prober), .commit(Self.worker), .commit(.admin)]
        #expect(Self.reload(&supervision, hasAdmin: true) == kept)
        for child in [Self.worker, .prober] { #expect(supervision.committed(child, now: 3) == []) }
        #expect(supervision.committed(.admin, now: 3) == [.closeRemovedListeners])

        let removed = Self.reload(&supervision, hasAdmin: false)
        #expect(removed == [.adopt, .commit(.prober), .commit(Self.worker), .stop(.admin)])
        for child in [Self.worker, .prober] { _ = supervision.committed(child, now: 3) }
        #expect(supervision.reload == .idle)
        #expect(supervision.died(.admin, "exited with code 0", now: 3) == [])
        #expect(supervision.stages[.admin] == nil)

        #expect(Self.reload(&supervision, hasAdmin: true).last == Self.spawn)
    }

    @Test("one that is sent away and wanted again before it is gone gets a successor")
    func wantedAgain() {
        var supervision = Self.serving()
        _ = Self.reload(&supervision, hasAdmin: false)
        for child in [Self.worker, .prober] { _ = supervision.committed(child, now: 3) }
        _ = Self.reload(&supervision, hasAdmin: true)
        #expect(supervision.died(.admin, "exited with code 0", now: 3) == [Self.spawn])
    }

    @Test("it refuses a reload as others do, and a reload is given up when it dies meanwhile")
    func refuses() {
        var supervision = Self.serving()
        _ = supervision.hangup()
        _ = supervision.configurationRead(workers: 1, hasAdmin: true, now: 2)
        #expect(
            supervision.refused(.admin, "no", now: 2) == [
                .abort(.prober), .abort(Self.worker), .discard(reason: "admin process refused it: no"),
            ])
        _ = supervision.hangup()
        _ = supervision.configurationRead(workers: 1, hasAdmin: true, now: 2)
        let actions = supervision.died(.admin, "exited on signal 9", now: 2)
        #expect(actions.starts(with: [.abort(.prober), .abort(Self.worker)]))
        #expect(actions.last == Self.spawn)
    }

    @Test("QUIT keeps it until the last worker is gone")
    func quit() {
        var supervision = Self.serving()
        #expect(supervision.quit(now: 2) == [.quit(Self.worker), .closePositions(count: 0)])
        #expect(supervision.died(Self.worker, "exited with code 0", now: 3) == [.stop(.prober), .stop(.admin)])
        #expect(supervision.died(.prober, "exited with code 0", now: 3) == [])
        #expect(supervision.died(.admin, "exited with code 0", now: 3) == [.exit(code: 0)])
    }

    // MARK: Changes of servers

    @Test("a change goes through the same talk as a reload")
    func change() {
        var supervision = Self.serving()
        #expect(supervision.change() == [.makeChange])
        _ = supervision.configurationRead(workers: 1, hasAdmin: true, now: 2)
        for child in [Self.worker, .prober] { #expect(supervision.ready(child, now: 2) == []) }
        #expect(supervision.ready(.admin, now: 2) == [.enlist])
    }

    @Test("a HUP during a change comes next, and before further changes")
    func hangupDuringChange() {
        var supervision = Self.serving()
        #expect(supervision.change() == [.makeChange])
        #expect(supervision.change() == [])
        #expect(supervision.hangup() == [])
        #expect(supervision.configurationUnusable() == [.readConfiguration])
        #expect(supervision.configurationUnusable() == [.makeChange])
        #expect(supervision.configurationUnusable() == [])
    }

    @Test("no change begins while a child starts, or when we go down")
    func noChange() {
        var supervision = Self.serving()
        _ = supervision.died(.prober, "exited on signal 9", now: 2)
        #expect(supervision.change() == [])
        _ = supervision.ready(.prober, now: 2)
        #expect(supervision.committed(.prober, now: 2) == [.makeChange])
        _ = supervision.configurationUnusable()
        _ = supervision.quit(now: 2)
        #expect(supervision.change() == [])
    }
}
