// SPDX-License-Identifier: Apache-2.0
//
// What active health checks say about a peer, from one check or from all of its checks together.

package enum HealthState: Sendable, Equatable, CaseIterable {
    /// May get clients.
    case healthy
    /// Not decided yet, under `mandatory`: gets no clients.
    case checking
    case unhealthy
}

/// The checks of one peer together: several server blocks may each check the group that the peer is in. One check that
/// failed is enough to be unhealthy; one that is not decided keeps the peer in `checking`.
package struct PeerHealth: Sendable {
    private var states: [HealthState]

    /// A peer without checks is healthy.
    package init(_ states: [HealthState]) { self.states = states }

    package var state: HealthState {
        if states.contains(.unhealthy) { return .unhealthy }
        return states.contains(.checking) ? .checking : .healthy
    }

    /// One check's new word; true where the peer as a whole changes by it.
    package mutating func update(check: Int, to state: HealthState) -> Bool {
        let former = self.state
        states[check] = state
        return self.state != former
    }
}
