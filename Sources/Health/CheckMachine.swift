// SPDX-License-Identifier: Apache-2.0
//
// One health check of one peer: when it is due, what its results make of the peer, what is counted. Knows no socket and
// no clock; time and chance are arguments.
//
//                     `passes` in a row
//     checking ───────────────────────────▶ healthy        started → passed    counts, may become healthy
//         │                                 │     ▲                → failed    counts, may become unhealthy
//         │ `fails` in a row                │     │                → abandoned counts nothing
//         └────────────▶ unhealthy ◀────────┘     │        Each of the three sets the time of the next check.
//                            └────────────────────┘
//
// Invariant 1: `dueMilliseconds` is nil exactly while a check runs. Invariant 2: at most one of the two runs of equal
// results is above zero.

/// The parameters of `health_check` that matter here. Numbers below 1 (below 0 for jitter) are taken as that.
package struct CheckSettings: Sendable, Equatable {
    package let intervalMilliseconds: UInt64
    package let jitterMilliseconds: UInt64
    package let fails: Int
    package let passes: Int
    package let isMandatory: Bool
    package let isPersistent: Bool

    package init(
        intervalMilliseconds: Int, jitterMilliseconds: Int, fails: Int, passes: Int, isMandatory: Bool,
        isPersistent: Bool
    ) {
        // Far beyond any time that a configuration can say, and a sum of the two never traps.
        self.intervalMilliseconds = UInt64(min(max(intervalMilliseconds, 1), 1 << 61))
        self.jitterMilliseconds = UInt64(min(max(jitterMilliseconds, 0), 1 << 61))
        self.fails = max(fails, 1)
        self.passes = max(passes, 1)
        self.isMandatory = isMandatory
        self.isPersistent = isPersistent
    }
}

/// What nginx's API tells of a check, in its words.
package struct CheckCounters: Sendable, Equatable {
    package var checks: UInt64 = 0
    package var fails: UInt64 = 0
    /// How often the peer became unhealthy.
    package var unhealthy: UInt64 = 0
    /// Nil before the first result.
    package var lastPassed: Bool? = nil

    package init() {}
}

package struct CheckMachine: Sendable {
    /// What is known of the peer when its check begins.
    package enum Origin: Sendable, Equatable {
        case unknown
        /// The same check and peer existed before a reload that changed the check.
        case reloaded(HealthState)
        /// The same configuration goes on in another process, after the prober crashed.
        case resumed(HealthState)
    }

    package enum Transition: Sendable, Equatable {
        case none
        case becameHealthy
        case becameUnhealthy(HealthFault)
    }

    package let settings: CheckSettings
    package private(set) var state: HealthState
    package private(set) var counters: CheckCounters
    /// The newest reason of a failure, whether or not it made the peer unhealthy.
    package private(set) var lastFault: HealthFault? = nil
    /// When the next check is to start; nil exactly while one runs.
    package private(set) var dueMilliseconds: UInt64?
    private var startedMilliseconds: UInt64 = 0
    private var failsInRow = 0
    private var passesInRow = 0

    package init(
        _ settings: CheckSettings, origin: Origin = .unknown, counters: CheckCounters = CheckCounters(),
        firstDueMilliseconds: UInt64
    ) {
        self.settings = settings
        self.counters = counters
        state = CheckMachine.initialState(settings, origin)
        dueMilliseconds = firstDueMilliseconds
    }

    /// An unhealthy peer stays so until a check says otherwise. A healthy one starts over in `checking` where a
    /// reload meets `mandatory` without `persistent`, as in nginx.
    private static func initialState(_ settings: CheckSettings, _ origin: Origin) -> HealthState {
        switch origin {
        case .reloaded(.unhealthy), .resumed(.unhealthy): .unhealthy
        case .resumed(.healthy): .healthy
        case .reloaded(.healthy): settings.isMandatory && !settings.isPersistent ? .checking : .healthy
        case .unknown, .reloaded(.checking), .resumed(.checking): settings.isMandatory ? .checking : .healthy
        }
    }

    /// How long check number `position` of `count` waits at the start. Up to `burst` start at once; with more, bursts
    /// are spread evenly over the first interval, so that a start of a thousand checks is no storm on the brokers.
    package static func firstDelayMilliseconds(position: Int, of count: Int, settings: CheckSettings) -> UInt64 {
        let burst = 32
        let bursts = UInt64((max(count, 1) + burst - 1) / burst)
        let turn = UInt64(max(position, 0) / burst) % bursts
        // Divided first where the product would not fit.
        let (product, overflow) = settings.intervalMilliseconds.multipliedReportingOverflow(by: turn)
        return overflow ? settings.intervalMilliseconds / bursts * turn : product / bursts
    }

    package mutating func started(at nowMilliseconds: UInt64) {
        precondition(dueMilliseconds != nil, "a check started twice")
        dueMilliseconds = nil
        startedMilliseconds = nowMilliseconds
    }

    /// `chance`: any random number; jitter is taken from it.
    package mutating func passed(at nowMilliseconds: UInt64, chance: UInt64) -> Transition {
        finish(at: nowMilliseconds, chance: chance)
        counters.checks += 1
        counters.lastPassed = true
        failsInRow = 0
        switch state {
        case .healthy:
            return .none
        case .checking, .unhealthy:
            passesInRow += 1
            guard passesInRow >= settings.passes else { return .none }
            passesInRow = 0
            state = .healthy
            return .becameHealthy
        }
    }

    package mutating func failed(_ fault: HealthFault, at nowMilliseconds: UInt64, chance: UInt64) -> Transition {
        finish(at: nowMilliseconds, chance: chance)
        counters.checks += 1
        counters.fails += 1
        counters.lastPassed = false
        lastFault = fault
        passesInRow = 0
        switch state {
        case .unhealthy:
            return .none
        case .checking, .healthy:
            failsInRow += 1
            guard failsInRow >= settings.fails else { return .none }
            failsInRow = 0
            counters.unhealthy += 1
            state = .unhealthy
            return .becameUnhealthy(fault)
        }
    }

    /// The check ended without a word about the peer: this process had no descriptor left, or no memory.
    package mutating func abandoned(at nowMilliseconds: UInt64, chance: UInt64) {
        finish(at: nowMilliseconds, chance: chance)
    }

    /// The interval runs from start to start, so that a peer that lets checks time out is seen as soon as one that
    /// refuses; a check that takes longer than the interval is followed at once by the next, never overtaken.
    private mutating func finish(at nowMilliseconds: UInt64, chance: UInt64) {
        precondition(dueMilliseconds == nil, "a check ended that did not run")
        let jitter = chance % (settings.jitterMilliseconds + 1)
        let (due, overflow) = startedMilliseconds.addingReportingOverflow(settings.intervalMilliseconds + jitter)
        dueMilliseconds = overflow ? .max : max(due, nowMilliseconds)
    }
}
