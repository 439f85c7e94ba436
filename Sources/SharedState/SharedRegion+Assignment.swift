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

/// A configuration has more groups, peers or zones than the region has places.
package enum SlotFault: Error, Sendable, Equatable {
    case groupsUsedUp(max: Int)
    case peersUsedUp(max: Int)
    case zonesUsedUp(max: Int)

    package var text: String {
        switch self {
        case .groupsUsedUp(let max): "more than \(max) upstream groups"
        case .peersUsedUp(let max): "more than \(max) servers in all upstream groups"
        case .zonesUsedUp(let max): "more than \(max) zones of status_zone"
        }
    }
}

extension SharedRegion {
    /// Gives every group, peer and zone its slot. When there is no room nothing has changed. `pause` is called between
    /// groups, for a caller that rests.
    package func assignSlots(
        _ groups: [GroupRequest], zones: [String] = [], pause: () -> Void = {}
    ) throws(SlotFault) {
        abandonSlots()
        // What is there already is marked before anything new is placed, so that no newcomer takes its place.
        for group in groups {
            pause()
            guard let slot = groupSlot(named: group.name) else { continue }
            markPrepared(slot)
            for peer in group.peers {
                if let place = peerSlot(group: slot, identity: peer.identity) { markPrepared(place, peer.weight) }
            }
        }
        var vacancies = Vacancies()
        do throws(SlotFault) {
            for group in groups {
                pause()
                let slot: GroupSlot
                if let present = groupSlot(named: group.name) {
                    slot = present
                } else {
                    slot = try placeGroup(Array(group.name.utf8), &vacancies)
                }
                markPrepared(slot)
                for peer in group.peers where peerSlot(group: slot, identity: peer.identity) == nil {
                    let place = try placePeer(slot, Array(peer.identity.utf8), peer.weight, &vacancies)
                    markPrepared(place, peer.weight)
                }
            }
            try assignZones(zones, pause: pause)
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
        commitZones()
        setHeader(CS_HEADER_GENERATION, UInt64(generation))
    }

    /// Forgets the prepared configuration.
    package func abandonSlots() {
        for group in 0..<UInt32(groupsUsed) { unsafe clearPrepared(cs_group(base, group, CS_GROUP_USE)) }
        for peer in 0..<UInt32(peersUsed) { unsafe clearPrepared(cs_peer(base, peer, CS_PEER_USE)) }
        abandonZones()
    }

    // MARK: - Marks

    func committed(_ use: UInt64) -> UInt64 {
        use & UInt64(CS_USE_PREPARED.rawValue) != 0 ? UInt64(CS_USE_COMMITTED.rawValue) : 0
    }

    func clearPrepared(_ word: UnsafeMutablePointer<cs_word>) {
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

    // MARK: - Places

    /// Slots that may be given away, found once for each assignment when no fresh ones are left.
    private struct Vacancies {
        var groups: [UInt32]? = nil
        var peers: [UInt32]? = nil
    }

    private func placeGroup(_ name: [UInt8], _ vacancies: inout Vacancies) throws(SlotFault) -> GroupSlot {
        let number: UInt32
        if groupsUsed < Self.groupsMax {
            number = UInt32(groupsUsed)
        } else {
            if vacancies.groups == nil { vacancies.groups = vacantGroups() }
            guard let vacant = vacancies.groups?.popLast() else { throw .groupsUsedUp(max: Self.groupsMax) }
            number = vacant
            vacatePeers(of: vacant)
            vacancies.peers = nil
        }
        let hashes = unsafe cs_group_hashes(base)
        unsafe cs_store(hashes + Int(number), 0)
        for field in 0..<Int(CS_GROUP_WORDS.rawValue) {
            unsafe cs_store(cs_group(base, number, CS_GROUP_USE) + field, 0)
        }
        unsafe cs_store(cs_group(base, number, CS_GROUP_NAME_BYTES), UInt64(name.count))
        nameText(number).store(name)
        unsafe cs_store_release(hashes + Int(number), identityHash(name))
        if Int(number) == groupsUsed { setHeader(CS_HEADER_GROUPS_USED, UInt64(number) + 1) }
        return GroupSlot(number: number)
    }

    private func placePeer(
        _ group: GroupSlot, _ identity: [UInt8], _ weight: Int32, _ vacancies: inout Vacancies
    ) throws(SlotFault) -> PeerSlot {
        let number: UInt32
        if peersUsed < Self.peersMax {
            number = UInt32(peersUsed)
        } else {
            if vacancies.peers == nil { vacancies.peers = vacantPeers() }
            guard let vacant = vacancies.peers?.popLast() else { throw .peersUsedUp(max: Self.peersMax) }
            number = vacant
        }
        let hashes = unsafe cs_peer_hashes(base)
        unsafe cs_store(hashes + Int(number), 0)
        for field in 0..<Int(CS_PEER_WORDS.rawValue) {
            unsafe cs_store(cs_peer(base, number, CS_PEER_USE) + field, 0)
        }
        // No session of any worker uses the slot, so nobody writes to its shares now.
        for worker in 0..<UInt32(workersUsed) {
            for field in 0..<Int(CS_SHARE_WORDS.rawValue) {
                unsafe cs_store(cs_share(base, worker, number, CS_SHARE_ACTIVE) + field, 0)
            }
        }
        unsafe cs_store(cs_peer(base, number, CS_PEER_GROUP), UInt64(group.number))
        unsafe cs_store(cs_peer(base, number, CS_PEER_WEIGHT), UInt64(max(0, weight)))
        unsafe cs_store(cs_peer(base, number, CS_PEER_EFFECTIVE_WEIGHT), UInt64(max(0, weight)))
        unsafe cs_store(cs_peer(base, number, CS_PEER_IDENTITY_BYTES), UInt64(identity.count))
        identityText(number).store(identity)
        unsafe cs_store_release(hashes + Int(number), peerHash(group, identity))
        if Int(number) == peersUsed { setHeader(CS_HEADER_PEERS_USED, UInt64(number) + 1) }
        return PeerSlot(number: number)
    }

    private func isVacant(peer: UInt32) -> Bool {
        if unsafe cs_load(cs_peer_hashes(base) + Int(peer)) == 0 { return true }
        return unsafe cs_load(cs_peer(base, peer, CS_PEER_USE)) == 0 && activeSessions(PeerSlot(number: peer)) == 0
    }

    private func vacantPeers() -> [UInt32] {
        (0..<UInt32(peersUsed)).filter { isVacant(peer: $0) }
    }

    /// Groups that no configuration names and whose peers have no session.
    private func vacantGroups() -> [UInt32] {
        var isBusy = [Bool](repeating: false, count: Self.groupsMax)
        for group in 0..<groupsUsed {
            isBusy[group] = unsafe cs_load(cs_group(base, UInt32(group), CS_GROUP_USE)) != 0
        }
        for peer in 0..<UInt32(peersUsed) where !isVacant(peer: peer) {
            isBusy[unsafe Int(cs_load(cs_peer(base, peer, CS_PEER_GROUP)))] = true
        }
        return (0..<groupsUsed).filter { !isBusy[$0] }.map { UInt32($0) }
    }

    private func vacatePeers(of group: UInt32) {
        for peer in 0..<UInt32(peersUsed) where unsafe cs_load(cs_peer(base, peer, CS_PEER_GROUP)) == UInt64(group) {
            unsafe cs_store(cs_peer_hashes(base) + Int(peer), 0)
        }
    }
}
