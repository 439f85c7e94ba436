// SPDX-License-Identifier: Apache-2.0
//
// Who gets which slot. Only the master does this, once for each configuration that it prepares:
//
//   assignSlots ──► (children build, looking slots up) ──► commitSlots      all children have committed
//                                                     └──► abandonSlots     one refused
//
// 1. An identity keeps its slot, and with it health, counters and failure windows, for as long as a committed or
//    prepared configuration names it, and after that until somebody else needs the place.
// 2. A slot that a configuration names, or that a session still uses, is never given to another identity.
// 3. Preparing changes nothing that the committed configuration reads.

import CShared

/// What a configuration needs slots for.
package struct GroupRequest: Sendable {
    package struct Peer: Sendable {
        package var identity: String
        package var weight: Int32
        package init(identity: String, weight: Int32) {
            self.identity = identity
            self.weight = weight
        }
    }
    package var name: String
    package var peers: [Peer]
    package init(name: String, peers: [Peer]) {
        self.name = name
        self.peers = peers
    }
}

/// A configuration has more groups or peers than the region has places.
package enum SlotFault: Error, Sendable, Equatable {
    case groupsUsedUp(max: Int)
    case peersUsedUp(max: Int)

    package var text: String {
        switch self {
        case .groupsUsedUp(let max): "more than \(max) upstream groups"
        case .peersUsedUp(let max): "more than \(max) servers in all upstream groups"
        }
    }
}

extension SharedRegion {
    /// Gives every group and peer its slot. When there is no room nothing has changed.
    package func assignSlots(_ groups: [GroupRequest]) throws(SlotFault) {
        abandonSlots()
        var places = Places(self)
        // What is there already is marked before anything new is placed, so that no newcomer takes its place.
        for group in groups {
            guard let slot = places.group(group.name) else { continue }
            markPrepared(slot)
            for peer in group.peers {
                if let place = places.peer(slot, peer.identity) { markPrepared(place, peer.weight) }
            }
        }
        do throws(SlotFault) {
            for group in groups {
                let slot: GroupSlot
                if let present = places.group(group.name) {
                    slot = present
                } else {
                    slot = try places.placeGroup(Array(group.name.utf8))
                }
                markPrepared(slot)
                for peer in group.peers where places.peer(slot, peer.identity) == nil {
                    let place = try places.placePeer(slot, Array(peer.identity.utf8), peer.weight)
                    markPrepared(place, peer.weight)
                }
            }
        } catch {
            abandonSlots()
            throw error
        }
    }

    /// The prepared configuration is the committed one now, at all children.
    package func commitSlots(generation: UInt32) {
        for group in 0..<UInt32(groupsUsed) {
            unsafe cs_store(
                cs_group(base, group, CS_GROUP_USE), committed(cs_load(cs_group(base, group, CS_GROUP_USE))))
        }
        for peer in 0..<UInt32(peersUsed) {
            let use = unsafe cs_load(cs_peer(base, peer, CS_PEER_USE))
            unsafe cs_store(cs_peer(base, peer, CS_PEER_USE), committed(use))
            guard use & UInt64(CS_USE_PREPARED.rawValue) != 0 else { continue }
            let weight = unsafe cs_load(cs_peer(base, peer, CS_PEER_WEIGHT_PREPARED))
            guard unsafe cs_load(cs_peer(base, peer, CS_PEER_WEIGHT)) != weight else { continue }
            // A worker may be choosing right now; its late store costs one choice its exact weight.
            unsafe cs_store(cs_peer(base, peer, CS_PEER_WEIGHT), weight)
            unsafe cs_store(cs_peer(base, peer, CS_PEER_EFFECTIVE_WEIGHT), weight)
            unsafe cs_store(cs_peer(base, peer, CS_PEER_CURRENT_WEIGHT), 0)
        }
        setHeader(CS_HEADER_GENERATION, UInt64(generation))
    }

    /// Forgets the prepared configuration.
    package func abandonSlots() {
        for group in 0..<UInt32(groupsUsed) { unsafe clearPrepared(cs_group(base, group, CS_GROUP_USE)) }
        for peer in 0..<UInt32(peersUsed) { unsafe clearPrepared(cs_peer(base, peer, CS_PEER_USE)) }
    }

    // MARK: - Marks

    private func committed(_ use: UInt64) -> UInt64 {
        use & UInt64(CS_USE_PREPARED.rawValue) != 0 ? UInt64(CS_USE_COMMITTED.rawValue) : 0
    }

    private func clearPrepared(_ word: UnsafeMutablePointer<cs_word>) {
        let use = unsafe cs_load(word)
        if use & UInt64(CS_USE_PREPARED.rawValue) != 0 {
            unsafe cs_store(word, use & ~UInt64(CS_USE_PREPARED.rawValue))
        }
    }

    private func markPrepared(_ group: GroupSlot) {
        let word = unsafe cs_group(base, group.number, CS_GROUP_USE)
        unsafe cs_store(word, cs_load(word) | UInt64(CS_USE_PREPARED.rawValue))
    }

    private func markPrepared(_ peer: PeerSlot, _ weight: Int32) {
        let word = unsafe cs_peer(base, peer.number, CS_PEER_USE)
        unsafe cs_store(word, cs_load(word) | UInt64(CS_USE_PREPARED.rawValue))
        unsafe cs_store(cs_peer(base, peer.number, CS_PEER_WEIGHT_PREPARED), UInt64(max(0, weight)))
    }
}
