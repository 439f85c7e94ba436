// SPDX-License-Identifier: Apache-2.0
//
// `hash KEY consistent`: the ring's point at or behind the key's hash names the server; when it is not eligible the
// next points are asked. A server's end moves only its own clients.

enum ConsistentHashChoice {
    static func choose(
        ring: HashRing, key: Span<UInt8>, _ peers: inout MutableSpan<PeerState>, tries: inout ClientTries, now: Int64
    ) -> Int? {
        precondition(ring.peerCount == peers.count, "a ring belongs to its group")
        let tier = Tier(of: peers, isBackup: false)
        guard key.count > 0, tier.count >= 2, ring.pointCount > 0, !tries.isAmongBackups, !tries.isGivenUp else {
            return SmoothWeightedRoundRobin.choose(&peers, tries: &tries, now: now)
        }
        let first = ring.firstPoint(for: CRC32.checksum(key))
        while true {
            let owner = ring.owner(ofPoint: first + Int(tries.hashSum))
            if let index = chooseAmongPeers(of: owner, in: ring, &peers, tries: tries, now: now) {
                return tries.choose(index, of: &peers, now: now)
            }
            tries.hashSum += 1
            if tries.missed() { return SmoothWeightedRoundRobin.choose(&peers, tries: &tries, now: now) }
        }
    }

    /// The owner of the point where the client's walk stands, if that is one peer.
    static func preferred(ring: HashRing, key: Span<UInt8>, tries: ClientTries) -> Int? {
        guard key.count > 0, ring.primaryCount >= 2, ring.pointCount > 0, !tries.isAmongBackups, !tries.isGivenUp
        else { return nil }
        let point = ring.firstPoint(for: CRC32.checksum(key)) + Int(tries.hashSum)
        return ring.onlyPeer(of: ring.owner(ofPoint: point))
    }

    /// A round of one candidate: the weights stay, an effective weight recovers.
    static func take(_ index: Int, peer: inout PeerState, tries: inout ClientTries, now: Int64) -> Bool {
        guard !tries.tried.contains(index), peer.isEligible(now: now) else { return false }
        if peer.effectiveWeight < peer.weight { peer.effectiveWeight += 1 }
        peer.noteChosen(now: now)
        tries.tried.insert(index)
        return true
    }

    /// A round even for one candidate, as nginx does: it leaves the weights where they were, but lets an effective
    /// weight recover.
    private static func chooseAmongPeers(
        of owner: UInt16, in ring: HashRing, _ peers: inout MutableSpan<PeerState>, tries: ClientTries, now: Int64
    ) -> Int? {
        var round = SmoothWeightedRoundRobin.Round()
        if let only = ring.onlyPeer(of: owner) {
            if tries.allows(only, of: peers, now: now) { round.add(only, of: &peers) }
        } else {
            for index in peers.indices
            where ring.owner(ofPeer: index) == owner && tries.allows(index, of: peers, now: now) {
                round.add(index, of: &peers)
            }
        }
        return round.settle(&peers)
    }
}
