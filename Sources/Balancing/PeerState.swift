// SPDX-License-Identifier: Apache-2.0
//
// One server of a group as a choice sees it: a copy of what the shared region holds. The worker fills a reused array of
// these under a short lock, lets the choice change current weight, effective weight and `checked`, and writes those
// back. `sessions` is only read here: who connects counts it.

package struct PeerState: Sendable, Equatable, BitwiseCopyable {
    /// What keeps new sessions away whatever the counters say.
    package struct Flags: OptionSet, Sendable, Equatable, BitwiseCopyable {
        package let rawValue: UInt8
        package init(rawValue: UInt8) { self.rawValue = rawValue }

        /// `down` in the configuration or by an administrator.
        package static let down = Flags(rawValue: 1)
        /// A health check failed, or a mandatory one has not passed yet.
        package static let unhealthy = Flags(rawValue: 2)
        /// Keeps its sessions, gets no new ones.
        package static let draining = Flags(rawValue: 4)
        /// Gets sessions only when no primary can.
        package static let backup = Flags(rawValue: 8)
        /// `slow_start` leaves it out of this round, unless there is nobody else.
        static let resting = Flags(rawValue: 16)
    }

    /// As configured or set by an administrator, at least 1.
    package var weight: Int32
    /// `weight`, less what failures took; recovers by one with each choice that it takes part in.
    package var effectiveWeight: Int32
    /// Smooth weighted round robin's running value. All sums of weights wrap instead of trapping: absurd weights give
    /// absurd shares and nothing worse.
    package var currentWeight: Int32 = 0
    /// Failures since the last success that counted.
    package var fails: UInt32 = 0
    /// Second of the last failure.
    package var accessedSeconds: Int64 = 0
    /// Second of the last failure, or of the last choice after a failure window had passed.
    package var checkedSeconds: Int64 = 0
    /// Live sessions over all workers.
    package var sessions: UInt32 = 0
    /// 0: no limit.
    package var maxConnections: UInt32 = 0
    /// 0: failures are not counted.
    package var maxFails: UInt32 = 1
    package var failTimeoutSeconds: Int64 = 10
    package var flags: Flags = []
    /// What `slow_start` leaves of the weight, in thousandths.
    package var share = SlowStart.whole

    package init(weight: Int32 = 1) {
        self.weight = weight
        effectiveWeight = weight
    }

    package var isBackup: Bool { flags.contains(.backup) }

    /// The two tests that hold for a group of one server, too.
    package var isOpen: Bool {
        flags.isDisjoint(with: [.down, .unhealthy, .draining]) && (maxConnections == 0 || sessions < maxConnections)
    }

    /// All that a peer needs to be chosen but not having been tried.
    package func isEligible(now: Int64) -> Bool {
        isOpen && !isInFailureWindow(now: now)
    }

    /// Compares sessions for each unit of weight, without a division.
    package func hasFewerSessions(than other: PeerState) -> Bool {
        Int64(sessions) * Int64(other.weight) < Int64(other.sessions) * Int64(weight)
    }

    package func hasEqualSessions(to other: PeerState) -> Bool {
        Int64(sessions) * Int64(other.weight) == Int64(other.sessions) * Int64(weight)
    }
}
