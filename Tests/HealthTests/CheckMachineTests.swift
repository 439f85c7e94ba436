// SPDX-License-Identifier: Apache-2.0
//
// What results make of a peer, what is counted, and when the next check is due.

import Health
import Testing

extension CheckSettings {
    static func given(
        interval: Int = 5_000, jitter: Int = 0, fails: Int = 1, passes: Int = 1, mandatory: Bool = false,
        persistent: Bool = false
    ) -> CheckSettings {
        CheckSettings(
            intervalMilliseconds: interval, jitterMilliseconds: jitter, fails: fails, passes: passes,
            isMandatory: mandatory, isPersistent: persistent)
    }
}

struct CheckMachineTests {
    static let refused = HealthFault.connectFailed(SystemFault(code: 111, text: "Connection refused"))

    /// A story: `p` passed, `f` failed, `a` abandoned; what came of each: `H` became healthy, `U` became unhealthy,
    /// `-` nothing; and the state at the end.
    static let stories: [(CheckSettings, String, String, HealthState)] = [
        (.given(), "pp", "--", .healthy),
        (.given(), "fffpp", "U--H-", .healthy),
        (.given(fails: 3), "ffpfff", "-----U", .unhealthy),
        (.given(fails: 3), "fffpfff", "--UH--U", .unhealthy),
        (.given(passes: 3), "fppfppp", "U-----H", .healthy),
        (.given(fails: 2, passes: 2), "fpfpfp", "------", .healthy),
        (.given(fails: 2), "faf", "--U", .unhealthy),
        (.given(), "aaa", "---", .healthy),
        (.given(mandatory: true), "", "", .checking),
        (.given(mandatory: true), "a", "-", .checking),
        (.given(mandatory: true), "p", "H", .healthy),
        (.given(mandatory: true), "f", "U", .unhealthy),
        (.given(fails: 2, passes: 2, mandatory: true), "pf", "--", .checking),
        (.given(fails: 2, passes: 2, mandatory: true), "pfpp", "---H", .healthy),
        (.given(fails: 0, passes: -1), "fp", "UH", .healthy),
    ]

    @Test("results in a row decide", arguments: stories)
    func decided(_ settings: CheckSettings, results: String, transitions: String, end: HealthState) {
        var machine = CheckMachine(settings, firstDueMilliseconds: 0)
        var seen = ""
        for (turn, result) in results.enumerated() {
            let now = UInt64(turn) * 5_000
            machine.started(at: now)
            #expect(machine.dueMilliseconds == nil)
            switch result {
            case "p": seen += mark(machine.passed(at: now, chance: 0))
            case "f": seen += mark(machine.failed(CheckMachineTests.refused, at: now, chance: 0))
            default:
                machine.abandoned(at: now, chance: 0)
                seen += "-"
            }
            #expect(machine.dueMilliseconds == now + 5_000)
        }
        #expect(seen == transitions)
        #expect(machine.state == end)
        #expect(machine.counters.checks == UInt64(results.count { $0 != "a" }))
        #expect(machine.counters.fails == UInt64(results.count { $0 == "f" }))
        #expect(machine.counters.unhealthy == UInt64(transitions.count { $0 == "U" }))
        #expect(machine.counters.lastPassed == results.last { $0 != "a" }.map { $0 == "p" })
        #expect(machine.lastFault == (results.contains("f") ? CheckMachineTests.refused : nil))
    }

    private func mark(_ transition: CheckMachine.Transition) -> String {
        switch transition {
        case .none: "-"
        case .becameHealthy: "H"
        case .becameUnhealthy: "U"
        }
    }

    typealias Beginning = (
        origin: CheckMachine.Origin, plain: HealthState, mandatory: HealthState, persistent: HealthState
    )

    static let beginnings: [Beginning] = [
        (.unknown, .healthy, .checking, .checking),
        (.reloaded(.healthy), .healthy, .checking, .healthy),
        (.reloaded(.checking), .healthy, .checking, .checking),
        (.reloaded(.unhealthy), .unhealthy, .unhealthy, .unhealthy),
        (.resumed(.healthy), .healthy, .healthy, .healthy),
        (.resumed(.checking), .healthy, .checking, .checking),
        (.resumed(.unhealthy), .unhealthy, .unhealthy, .unhealthy),
    ]

    @Test("a check begins with what is known of its peer", arguments: beginnings)
    func beginning(_ given: Beginning) {
        func state(_ settings: CheckSettings) -> HealthState {
            CheckMachine(settings, origin: given.origin, firstDueMilliseconds: 0).state
        }
        #expect(state(.given()) == given.plain)
        #expect(state(.given(mandatory: true)) == given.mandatory)
        #expect(state(.given(mandatory: true, persistent: true)) == given.persistent)
    }

    @Test("counters go on over a reload")
    func countersGoOn() {
        var former = CheckMachine(.given(), firstDueMilliseconds: 0)
        former.started(at: 0)
        _ = former.failed(.noAnswer, at: 1, chance: 0)
        var machine = CheckMachine(
            .given(fails: 2), origin: .reloaded(former.state), counters: former.counters, firstDueMilliseconds: 10)
        machine.started(at: 10)
        #expect(machine.passed(at: 11, chance: 0) == .becameHealthy)
        #expect(machine.counters.checks == 2)
        #expect(machine.counters.unhealthy == 1)
    }

    static let dues: [(CheckSettings, started: UInt64, ended: UInt64, chance: UInt64, due: UInt64)] = [
        (.given(), 1_000, 1_003, 0, 6_000),
        (.given(), 1_000, 6_000, 77, 6_000),
        // Longer than the interval: at once, never before its end.
        (.given(interval: 100), 1_000, 6_000, 0, 6_000),
        (.given(jitter: 1_000), 1_000, 1_003, 0, 6_000),
        (.given(jitter: 1_000), 1_000, 1_003, 1_000, 7_000),
        (.given(jitter: 1_000), 1_000, 1_003, 1_001, 6_000),
        (.given(jitter: 1_000), 1_000, 1_003, .max, 6_000 + .max % 1_001),
        (.given(interval: 0, jitter: -1), 5, 5, 9, 6),
        (.given(interval: .max, jitter: .max), .max, .max, .max, .max),
    ]

    @Test("the next check is due an interval and its jitter after the start of the last", arguments: dues)
    func due(_ given: (settings: CheckSettings, started: UInt64, ended: UInt64, chance: UInt64, due: UInt64)) {
        var machine = CheckMachine(given.settings, firstDueMilliseconds: 0)
        machine.started(at: given.started)
        _ = machine.passed(at: given.ended, chance: given.chance)
        #expect(machine.dueMilliseconds == given.due)
    }

    @Test("few checks start at once; many are spread over the first interval, 32 at a time")
    func spread() {
        func delays(_ count: Int) -> [UInt64] {
            (0..<count).map { CheckMachine.firstDelayMilliseconds(position: $0, of: count, settings: .given()) }
        }
        #expect(delays(32).allSatisfy { $0 == 0 })
        #expect(delays(33).filter { $0 == 0 }.count == 32)
        #expect(delays(33)[32] == 2_500)
        let many = delays(1_000)
        #expect(Dictionary(grouping: many) { $0 }.values.allSatisfy { $0.count <= 32 })
        #expect(many == many.sorted())
        #expect(many[999] == 5_000 * 31 / 32)
        let endless = CheckSettings.given(interval: .max)
        let last = CheckMachine.firstDelayMilliseconds(position: 999, of: 1_000, settings: endless)
        #expect(last < endless.intervalMilliseconds)
    }

    static let together: [([HealthState], HealthState)] = [
        ([], .healthy), ([.healthy, .healthy], .healthy), ([.healthy, .checking], .checking),
        ([.checking, .unhealthy], .unhealthy), ([.unhealthy, .healthy], .unhealthy), ([.unhealthy], .unhealthy),
    ]

    @Test("several checks of a peer: one failure is enough, one undecided keeps it waiting", arguments: together)
    func combined(_ states: [HealthState], all: HealthState) {
        #expect(PeerHealth(states).state == all)
    }

    @Test("only a change of the whole is told")
    func change() {
        var peer = PeerHealth([.healthy, .healthy])
        let steps: [(check: Int, HealthState)] = [(0, .unhealthy), (1, .unhealthy), (0, .healthy), (1, .healthy)]
        let changes = steps.map { check, state in peer.update(check: check, to: state) }
        #expect(changes == [true, false, false, true])
    }
}
