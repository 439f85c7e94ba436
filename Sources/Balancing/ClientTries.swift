// SPDX-License-Identifier: Apache-2.0
//
// What one client's choices remember of each other, from its first try to its last: the peers tried, how far a hash has
// walked, and whether only backups are left.

/// A set of peers by index. The first 128 need no allocation.
package struct TriedSet: Sendable {
    private var low: UInt64 = 0
    private var high: UInt64 = 0
    /// Words for peers from 128 on; empty, and so without storage, until one of them is tried.
    private var rest: [UInt64] = []

    package init() {}

    package func contains(_ index: Int) -> Bool {
        let bit: UInt64 = 1 << UInt64(index & 63)
        switch index >> 6 {
        case 0: return low & bit != 0
        case 1: return high & bit != 0
        case let word: return word - 2 < rest.count && rest[word - 2] & bit != 0
        }
    }

    package mutating func insert(_ index: Int) {
        let bit: UInt64 = 1 << UInt64(index & 63)
        switch index >> 6 {
        case 0: low |= bit
        case 1: high |= bit
        case let word:
            while rest.count <= word - 2 { rest.append(0) }
            rest[word - 2] |= bit
        }
    }
}

package struct ClientTries: Sendable {
    /// Draws, steps or points that led to no eligible peer before a policy gives up and round robin decides: nginx's.
    static let missesMax: UInt8 = 20

    package internal(set) var tried = TriedSet()
    /// True once no primary was eligible; primaries are not looked at again.
    package internal(set) var isAmongBackups = false
    /// Over all choices of this client.
    var misses: UInt8 = 0
    /// Plain hash: steps taken.
    var hashSteps: UInt32 = 0
    /// Plain hash: sum of the steps' values. Consistent hash: how many points the walk has moved on.
    var hashSum: UInt32 = 0

    package init() {}

    /// Counts a miss; true when the policy gives up.
    mutating func missed() -> Bool {
        misses += 1
        return misses > ClientTries.missesMax
    }

    var isGivenUp: Bool { misses > ClientTries.missesMax }

    /// The client may be sent to this peer: of the tier looked at, not tried, and eligible.
    func allows(_ index: Int, of peers: borrowing MutableSpan<PeerState>, now: Int64) -> Bool {
        peers[index].isBackup == isAmongBackups && !tried.contains(index) && peers[index].isEligible(now: now)
    }

    mutating func choose(_ index: Int, of peers: inout MutableSpan<PeerState>, now: Int64) -> Int {
        peers[index].noteChosen(now: now)
        tried.insert(index)
        return index
    }
}
