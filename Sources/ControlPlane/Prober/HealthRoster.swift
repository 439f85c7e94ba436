// SPDX-License-Identifier: Apache-2.0
//
// All peers, their checks and what these have made of them. Pure: plans, results, times and chance go in; what the
// shared region has to say of a peer and what is to be logged come out.
//
// Invariant 1: every check that is not running stands in `due` exactly once. Invariant 2: a peer's health is what its
// checks together say. Entries in `due` whose check a reload took away are skipped when their time comes.

import Health
import ProxyConfig

package enum CheckResult: Sendable, Equatable {
    case passed
    case failed(HealthFault)
    /// Nothing was learnt: this process had no descriptor or no memory.
    case abandoned
}

/// A peer has another state than before.
package struct PeerChange: Sendable, Equatable {
    package enum Cause: Sendable, Equatable {
        /// So many checks in a row have passed.
        case passed(Int)
        case failed(HealthFault)
        /// The configuration has begun to ask for a check before clients come.
        case mandatory
        /// The configuration has none of the checks any more that kept the peer from being healthy.
        case unchecked
    }
    /// The peer's address.
    package let name: String
    package let group: String
    package let state: HealthState
    package let cause: Cause
    /// The check that brought it about; empty without `match`.
    package let checkName: String
    /// Nil: there is no server block behind this; the main context's logs are meant.
    package let errorLogs: [ErrorLog]?
}

/// What a check that ended says about its peer.
package struct CheckFinding: Sendable, Equatable {
    package let peer: PeerKey
    /// Nil where nothing was learnt.
    package let hasPassed: Bool?
    /// The peer has another reason for being unhealthy than before, or another state.
    package let isNews: Bool
    package let change: PeerChange?
}

package struct HealthRoster: Sendable {
    package struct Peer: Sendable {
        let name: String
        package fileprivate(set) var checks: [CheckID]
        fileprivate var health: PeerHealth
        /// Why the peer is unhealthy; empty in any other state, and unknown after a start until a check has failed.
        package fileprivate(set) var reason: String

        package var state: HealthState { health.state }
    }
    package struct Check: Sendable {
        let peer: PeerKey
        /// Among the checks of its peer.
        let position: Int
        package let definition: CheckDefinition
        let expectation: AnswerMatcher.Expectation?
        let errorLogs: [ErrorLog]
        package fileprivate(set) var machine: CheckMachine
    }

    package private(set) var peers: [PeerKey: Peer] = [:]
    package private(set) var checks: [CheckID: Check] = [:]
    private var due = DueQueue()
    private var checksMade = 0

    package init() {}

    // MARK: Reload

    /// What must be said of the peers that only this plan has, before a client can be sent to one of them. `known`:
    /// peers whose state an earlier prober has left behind; theirs stands already.
    package func newcomers(of plan: HealthPlan, known: [PeerKey: HealthState]) -> [(key: PeerKey, state: HealthState)] {
        plan.peers.filter { peers[$0.key] == nil && known[$0.key] == nil }.map {
            ($0.key, $0.isMandatory ? .checking : .healthy)
        }
    }

    /// The commit: checks that are the same as before go on, others begin, those that are gone are forgotten. Says
    /// which peers have another state now. `pause` is called between peers, for a caller that rests.
    package mutating func adopt(
        _ plan: HealthPlan, known: [PeerKey: HealthState], nowMilliseconds: UInt64, pause: () -> Void = {}
    ) -> [PeerChange] {
        let former = (peers: peers, checks: checks)
        // For each planned check the one that goes on in its place.
        let kept = plan.peers.map { peer in
            peer.checks.map { check in
                former.peers[peer.key]?.checks.first { former.checks[$0]?.definition == check.definition }
            }
        }
        let newCount = kept.reduce(0) { sum, ids in sum + ids.count { $0 == nil } }
        var newSeen = 0
        peers = [:]
        checks = [:]
        var changes: [PeerChange] = []
        for (planned, keptIDs) in zip(plan.peers, kept) {
            pause()
            let old = former.peers[planned.key]
            let formerState = old?.state ?? known[planned.key]
            var ids: [CheckID] = []
            var states: [HealthState] = []
            for (check, keptID) in zip(planned.checks, keptIDs) {
                let machine: CheckMachine
                let id: CheckID
                if let keptID, let former = former.checks[keptID] {
                    (id, machine) = (keptID, former.machine)
                } else {
                    let settings = check.definition.settings
                    let moment =
                        nowMilliseconds
                        + CheckMachine.firstDelayMilliseconds(position: newSeen, of: newCount, settings: settings)
                    newSeen += 1
                    let origin: CheckMachine.Origin =
                        if let old {
                            answer(to: check.definition, at: old, former.checks).map { .resumed($0) }
                                ?? .reloaded(old.state)
                        } else {
                            formerState.map { .resumed($0) } ?? .unknown
                        }
                    machine = CheckMachine(settings, origin: origin, firstDueMilliseconds: moment)
                    id = makeID()
                    due.insert(id, at: moment)
                }
                checks[id] = Check(
                    peer: planned.key, position: ids.count, definition: check.definition,
                    expectation: check.expectation, errorLogs: check.errorLogs, machine: machine)
                ids.append(id)
                states.append(machine.state)
            }
            let health = PeerHealth(states)
            if let formerState, health.state != formerState {
                changes.append(change(of: planned, to: health.state))
            }
            peers[planned.key] = Peer(
                name: planned.name, checks: ids, health: health,
                reason: health.state == .unhealthy ? old?.reason ?? "" : "")
        }
        return changes
    }

    /// What a former check knows that asked the same and was only made at other times or counted in another way. Were
    /// it forgotten, a reload that changes an interval under `mandatory` would take all servers away for a moment.
    private func answer(
        to definition: CheckDefinition, at peer: Peer, _ formerChecks: [CheckID: Check]
    ) -> HealthState? {
        for id in peer.checks {
            guard let former = formerChecks[id], former.definition.asksTheSame(as: definition),
                former.machine.counters.lastPassed != nil
            else { continue }
            return former.machine.state
        }
        return nil
    }

    private mutating func makeID() -> CheckID {
        checksMade += 1
        return CheckID(number: checksMade)
    }

    private func change(of peer: PlannedPeer, to state: HealthState) -> PeerChange {
        PeerChange(
            name: peer.name, group: peer.key.group, state: state,
            cause: state == .checking ? .mandatory : .unchecked,
            checkName: peer.checks.first?.definition.name ?? "", errorLogs: peer.checks.first?.errorLogs)
    }

    // MARK: Checks

    /// When `start` has something to give.
    package var nextDueMilliseconds: UInt64? { due.firstDueMilliseconds }

    /// The next check whose time has come; it runs from here on, until `finish`.
    package mutating func start(at nowMilliseconds: UInt64) -> CheckID? {
        while let moment = due.firstDueMilliseconds, moment <= nowMilliseconds, let id = due.removeFirst() {
            guard checks[id] != nil else { continue }
            checks[id]?.machine.started(at: nowMilliseconds)
            return id
        }
        return nil
    }

    /// What a check came to. Nil where a reload has taken it away meanwhile.
    package mutating func finish(
        _ id: CheckID, _ result: CheckResult, nowMilliseconds: UInt64, chance: UInt64
    ) -> CheckFinding? {
        guard var check = checks[id], var peer = peers[check.peer] else { return nil }
        let hasPassed: Bool?
        let cause: PeerChange.Cause?
        switch result {
        case .passed:
            _ = check.machine.passed(at: nowMilliseconds, chance: chance)
            (hasPassed, cause) = (true, .passed(check.definition.settings.passes))
        case .failed(let fault):
            _ = check.machine.failed(fault, at: nowMilliseconds, chance: chance)
            (hasPassed, cause) = (false, .failed(fault))
        case .abandoned:
            check.machine.abandoned(at: nowMilliseconds, chance: chance)
            (hasPassed, cause) = (nil, nil)
        }
        if let moment = check.machine.dueMilliseconds { due.insert(id, at: moment) }
        let formerReason = peer.reason
        let hasChanged = peer.health.update(check: check.position, to: check.machine.state)
        if peer.state != .unhealthy {
            peer.reason = ""
        } else if case .failed(let fault) = result, check.machine.state == .unhealthy {
            peer.reason = fault.text
        }
        checks[id] = check
        peers[check.peer] = peer
        let change = cause.flatMap { cause in
            hasChanged
                ? PeerChange(
                    name: peer.name, group: check.peer.group, state: peer.state, cause: cause,
                    checkName: check.definition.name, errorLogs: check.errorLogs) : nil
        }
        return CheckFinding(
            peer: check.peer, hasPassed: hasPassed, isNews: hasChanged || peer.reason != formerReason, change: change)
    }
}
