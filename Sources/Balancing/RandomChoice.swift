// SPDX-License-Identifier: Apache-2.0
//
// `random`: by weight, and `random two`: of two different peers drawn by weight the one with fewer sessions for its
// weight. What is drawn and not eligible counts as a miss; after too many of them round robin decides.

enum RandomChoice {
    static func chooseOne(
        _ peers: inout MutableSpan<PeerState>, tries: inout ClientTries, now: Int64, random: inout RandomDraws
    ) -> Int? {
        let tier = Tier(of: peers, isBackup: false)
        guard isPossible(in: tier, tries: tries) else {
            return SmoothWeightedRoundRobin.choose(&peers, tries: &tries, now: now)
        }
        while true {
            let drawn = HashChoice.peer(at: random.draw(below: tier.weight), of: peers, isBackup: false)
            if tries.allows(drawn, of: peers, now: now) { return tries.choose(drawn, of: &peers, now: now) }
            if tries.missed() { return SmoothWeightedRoundRobin.choose(&peers, tries: &tries, now: now) }
        }
    }

    /// The first draw counts as a miss, too, as in nginx.
    static func chooseOfTwo(
        _ peers: inout MutableSpan<PeerState>, tries: inout ClientTries, now: Int64, random: inout RandomDraws
    ) -> Int? {
        let tier = Tier(of: peers, isBackup: false)
        guard isPossible(in: tier, tries: tries) else {
            return SmoothWeightedRoundRobin.choose(&peers, tries: &tries, now: now)
        }
        var first: Int? = nil
        while true {
            let drawn = HashChoice.peer(at: random.draw(below: tier.weight), of: peers, isBackup: false)
            if drawn != first, tries.allows(drawn, of: peers, now: now) {
                guard let other = first else {
                    first = drawn
                    if tries.missed() { break }
                    continue
                }
                let better = peers[other].hasFewerSessions(than: peers[drawn]) ? other : drawn
                return tries.choose(better, of: &peers, now: now)
            }
            if tries.missed() { break }
        }
        return SmoothWeightedRoundRobin.choose(&peers, tries: &tries, now: now)
    }

    private static func isPossible(in tier: Tier, tries: ClientTries) -> Bool {
        tier.count >= 2 && tier.weight > 0 && !tries.isAmongBackups && !tries.isGivenUp
    }
}

/// Chance as an argument: one seed is one row of draws (SplitMix64). A worker keeps one and seeds it at its start.
package struct RandomDraws: Sendable, BitwiseCopyable, RandomNumberGenerator {
    private var state: UInt64

    package init(seed: UInt64) { state = seed }

    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }

    /// 0 …< `bound`; the bias of the remainder is below one in 2³².
    mutating func draw(below bound: Int64) -> Int64 {
        Int64(truncatingIfNeeded: next() >> 1) % bound
    }
}
