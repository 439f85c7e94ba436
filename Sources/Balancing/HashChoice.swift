// SPDX-License-Identifier: Apache-2.0
//
// `hash KEY`, step by step as nginx does it (and Cache::Memcached before it): a fleet moved here stays where it is. The
// price of it is known: one server more or less moves nearly every client.

enum HashChoice {
    static func choose(
        key: Span<UInt8>, _ peers: inout MutableSpan<PeerState>, tries: inout ClientTries, now: Int64
    ) -> Int? {
        let tier = Tier(of: peers, isBackup: tries.isAmongBackups)
        guard key.count > 0, tier.count >= 2, tier.weight > 0, !tries.isGivenUp else {
            return SmoothWeightedRoundRobin.choose(&peers, tries: &tries, now: now)
        }
        while true {
            tries.hashSum &+= step(tries.hashSteps, key: key)
            tries.hashSteps += 1
            let index = peer(at: Int64(tries.hashSum) % tier.weight, of: peers, isBackup: tries.isAmongBackups)
            if tries.allows(index, of: peers, now: now) {
                return tries.choose(index, of: &peers, now: now)
            }
            if tries.missed() { return SmoothWeightedRoundRobin.choose(&peers, tries: &tries, now: now) }
        }
    }

    /// The step's number stands in front of the key as text, from the second step on. Steps stay below 100: one client
    /// chooses as often as there are servers, and misses end at 20.
    private static func step(_ number: UInt32, key: Span<UInt8>) -> UInt32 {
        var crc = CRC32()
        if number > 0 { appendDecimal(number, to: &crc) }
        crc.update(key)
        return crc.value >> 16 & 0x7FFF
    }

    private static func appendDecimal(_ number: UInt32, to crc: inout CRC32) {
        var divisor: UInt32 = 1
        while number / divisor >= 10 { divisor *= 10 }
        while divisor > 0 {
            crc.update(UInt8(ascii: "0") + UInt8(number / divisor % 10))
            divisor /= 10
        }
    }

    /// Walks the tier by weight in configured order to the peer that holds `position`, 0 …< the tier's weight.
    static func peer(at position: Int64, of peers: borrowing MutableSpan<PeerState>, isBackup: Bool) -> Int {
        var rest = position
        for index in peers.indices where peers[index].isBackup == isBackup {
            let weight = Int64(max(0, peers[index].weight))
            if rest < weight { return index }
            rest -= weight
        }
        preconditionFailure("position beyond the weight of the tier")
    }
}

/// How many peers a tier has, and their weight, eligible or not.
struct Tier {
    var count = 0
    var weight: Int64 = 0

    init(of peers: borrowing MutableSpan<PeerState>, isBackup: Bool) {
        for index in peers.indices where peers[index].isBackup == isBackup {
            count += 1
            weight += Int64(max(0, peers[index].weight))
        }
    }
}
