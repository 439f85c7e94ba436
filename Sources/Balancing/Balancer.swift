// SPDX-License-Identifier: Apache-2.0
//
// The front of this module: which peer of a group gets a client. Pure: peers, memory of the client, time and chance are
// arguments, nothing is allocated for the first 128 peers of a group, and the choices are nginx's to the last client.

/// How a group chooses; made once a generation.
package enum BalancingMethod: Sendable {
    case roundRobin
    case hash
    case consistentHash(HashRing)
    case leastConnections
    case random
    case randomOfTwo
}

package enum Balancer {
    /// The index of the peer to try next, nil when nobody is eligible (502). `peers` is the whole group in configured
    /// order, backups included; current weights, effective weights and `checked` are changed in it. `tries` belongs to
    /// the client and begins empty. `key` is used by the hash methods only. Who asks again after a failure tries at
    /// most as many times as there are peers.
    package static func choose(
        _ method: BalancingMethod, key: Span<UInt8>, peers: inout MutableSpan<PeerState>, tries: inout ClientTries,
        now: Int64, random: inout RandomDraws
    ) -> Int? {
        switch method {
        case .roundRobin:
            SmoothWeightedRoundRobin.choose(&peers, tries: &tries, now: now, random: &random)
        case .hash:
            HashChoice.choose(key: key, &peers, tries: &tries, now: now)
        case .consistentHash(let ring):
            ConsistentHashChoice.choose(ring: ring, key: key, &peers, tries: &tries, now: now)
        case .leastConnections:
            LeastConnections.choose(&peers, tries: &tries, now: now)
        case .random:
            RandomChoice.chooseOne(&peers, tries: &tries, now: now, random: &random)
        case .randomOfTwo:
            RandomChoice.chooseOfTwo(&peers, tries: &tries, now: now, random: &random)
        }
    }

    /// The peer that the client's next choice asks before all others, where the method has such a one: with `take`, a
    /// choice from a ring needs to know one peer and not the group. Nil: `choose` has to see them all.
    package static func preferred(_ method: BalancingMethod, key: Span<UInt8>, tries: ClientTries) -> Int? {
        guard case .consistentHash(let ring) = method else { return nil }
        return ConsistentHashChoice.preferred(ring: ring, key: key, tries: tries)
    }

    /// Chooses the preferred peer; false, and nothing has changed, when it is not eligible and `choose` decides. Leaves
    /// in `peer` and `tries` what `choose` would.
    package static func take(_ index: Int, peer: inout PeerState, tries: inout ClientTries, now: Int64) -> Bool {
        ConsistentHashChoice.take(index, peer: &peer, tries: &tries, now: now)
    }

    /// `choose` over an array that the caller keeps, for where a span cannot reach out of a class.
    package static func choose(
        _ method: BalancingMethod, key: Span<UInt8>, peers: inout [PeerState], tries: inout ClientTries, now: Int64,
        random: inout RandomDraws
    ) -> Int? {
        var span = peers.mutableSpan
        return choose(method, key: key, peers: &span, tries: &tries, now: now, random: &random)
    }
}
