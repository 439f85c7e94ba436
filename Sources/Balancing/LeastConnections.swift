// SPDX-License-Identifier: Apache-2.0
//
// `least_conn`: the peer with the fewest sessions for its weight; several such peers are settled by a smooth weighted
// round robin among just them.

enum LeastConnections {
    static func choose(
        _ peers: inout MutableSpan<PeerState>, tries: inout ClientTries, now: Int64
    ) -> Int? {
        guard peers.count > 1 else { return SmoothWeightedRoundRobin.choose(&peers, tries: &tries, now: now) }
        if let index = chooseInTier(&peers, tries: &tries, now: now) { return index }
        guard tries.enterBackups(of: peers) else { return nil }
        return chooseInTier(&peers, tries: &tries, now: now)
    }

    private static func chooseInTier(
        _ peers: inout MutableSpan<PeerState>, tries: inout ClientTries, now: Int64
    ) -> Int? {
        let order = Order(of: peers)
        var best = -1
        var hasTie = false
        for index in peers.indices where tries.allows(index, of: peers, now: now) {
            if best < 0 || order.isLess(peers[index], peers[best]) {
                best = index
                hasTie = false
            } else if order.isEqual(peers[index], peers[best]) {
                hasTie = true
            }
        }
        guard best >= 0 else { return nil }
        if hasTie {
            // Whoever ties with the best stands behind it, else it were the best.
            var round = SmoothWeightedRoundRobin.Round()
            let least = peers[best]
            for index in best..<peers.count
            where order.isEqual(peers[index], least) && tries.allows(index, of: peers, now: now) {
                round.add(index, of: &peers)
            }
            if let settled = round.settle(&peers) { best = settled }
        }
        return tries.choose(best, of: &peers, now: now)
    }

    /// nginx's measure, or that of `slow_start` where some peer starts: one for all, so that it orders them.
    private struct Order {
        private var isStarting = false

        init(of peers: borrowing MutableSpan<PeerState>) {
            for index in peers.indices where peers[index].share < SlowStart.whole { isStarting = true }
        }

        func isLess(_ one: PeerState, _ other: PeerState) -> Bool {
            isStarting ? one.loadWithOneMore < other.loadWithOneMore : one.hasFewerSessions(than: other)
        }

        func isEqual(_ one: PeerState, _ other: PeerState) -> Bool {
            isStarting ? one.loadWithOneMore == other.loadWithOneMore : one.hasEqualSessions(to: other)
        }
    }
}
