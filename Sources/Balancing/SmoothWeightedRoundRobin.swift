// SPDX-License-Identifier: Apache-2.0
//
// Smooth weighted round robin, nginx's: every candidate gains its effective weight, the highest wins and pays what all
// gained. Weights 5, 1, 1 give a a b a c a a. All other policies end here when they find nobody, and settle ties
// with it.

enum SmoothWeightedRoundRobin {
    /// With `slow_start`.
    static func choose(
        _ peers: inout MutableSpan<PeerState>, tries: inout ClientTries, now: Int64, random: inout RandomDraws
    ) -> Int? {
        SlowStart.drawRests(&peers, random: &random)
        return choose(&peers, tries: &tries, now: now)
    }

    /// Primaries first, then backups; nil when nobody is eligible.
    static func choose(
        _ peers: inout MutableSpan<PeerState>, tries: inout ClientTries, now: Int64
    ) -> Int? {
        if peers.count == 1 { return chooseOnly(&peers, tries: &tries, now: now) }
        if let index = chooseInTier(&peers, tries: &tries, now: now) { return index }
        guard tries.enterBackups(of: peers) else { return nil }
        return chooseInTier(&peers, tries: &tries, now: now)
    }

    /// Failures are ignored: there is nowhere else to go.
    private static func chooseOnly(
        _ peers: inout MutableSpan<PeerState>, tries: inout ClientTries, now: Int64
    ) -> Int? {
        guard peers[0].isOpen, !tries.tried.contains(0) else { return nil }
        return tries.choose(0, of: &peers, now: now)
    }

    private static func chooseInTier(
        _ peers: inout MutableSpan<PeerState>, tries: inout ClientTries, now: Int64
    ) -> Int? {
        var round = Round()
        var hasResting = false
        for index in peers.indices where tries.allows(index, of: peers, now: now) {
            if peers[index].flags.contains(.resting) { hasResting = true } else { round.add(index, of: &peers) }
        }
        if let index = round.settle(&peers) { return tries.choose(index, of: &peers, now: now) }
        guard hasResting else { return nil }
        // Nobody else is there. A slow start is no reason to turn a client away, or to go to backups.
        for index in peers.indices where tries.allows(index, of: peers, now: now) { round.add(index, of: &peers) }
        return round.settle(&peers).map { tries.choose($0, of: &peers, now: now) }
    }

    /// One round among candidates that are added one by one, in configured order.
    struct Round {
        private var best = -1
        private var total: Int32 = 0

        mutating func add(_ index: Int, of peers: inout MutableSpan<PeerState>) {
            peers[index].currentWeight &+= peers[index].effectiveWeight
            total &+= peers[index].effectiveWeight
            if peers[index].effectiveWeight < peers[index].weight { peers[index].effectiveWeight += 1 }
            if best < 0 || peers[index].currentWeight > peers[best].currentWeight { best = index }
        }

        /// The winner pays; nil when no candidate was added.
        func settle(_ peers: inout MutableSpan<PeerState>) -> Int? {
            guard best >= 0 else { return nil }
            peers[best].currentWeight &-= total
            return best
        }
    }
}

extension ClientTries {
    /// True when the client moves on to backups just now, and there are any.
    mutating func enterBackups(of peers: borrowing MutableSpan<PeerState>) -> Bool {
        guard !isAmongBackups else { return false }
        for index in peers.indices where peers[index].isBackup {
            isAmongBackups = true
            return true
        }
        return false
    }
}
