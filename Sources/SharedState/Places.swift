// SPDX-License-Identifier: Apache-2.0
//
// The master's view of all places during one assignment: who has which, and which may be given away. An index by hash
// spares it a scan for each of thousands of peers; children, which look up a few, scan.

import CShared

struct Places {
    private let region: SharedRegion
    private var base: UnsafeMutableRawPointer { unsafe region.base }
    /// The first slot with a hash. Two identities of one hash are so rare that the second one takes the scan.
    private var groupsByHash: [UInt64: UInt32] = [:]
    private var peersByHash: [UInt64: UInt32] = [:]
    /// Slots that may be given away, found once no fresh ones are left.
    private var vacantGroups: [UInt32]? = nil
    private var vacantPeers: [UInt32]? = nil
    private var peersOfVacantGroups: [UInt32: [UInt32]] = [:]

    init(_ region: SharedRegion) {
        self.region = region
        for group in 0..<UInt32(region.groupsUsed) {
            let hash = unsafe cs_load(cs_group_hashes(base) + Int(group))
            if hash != 0, groupsByHash[hash] == nil { groupsByHash[hash] = group }
        }
        for peer in 0..<UInt32(region.peersUsed) {
            let hash = unsafe cs_load(cs_peer_hashes(base) + Int(peer))
            if hash != 0, peersByHash[hash] == nil { peersByHash[hash] = peer }
        }
    }

    // MARK: Finding

    func group(_ name: String) -> GroupSlot? {
        let text = Array(name.utf8)
        guard let found = groupsByHash[identityHash(text)] else { return nil }
        return region.isNamed(group: found, text) ? GroupSlot(number: found) : region.groupSlot(named: name)
    }

    func peer(_ group: GroupSlot, _ identity: String) -> PeerSlot? {
        let text = Array(identity.utf8)
        guard let found = peersByHash[region.peerHash(group, text)] else { return nil }
        return region.isNamed(peer: found, group, text)
            ? PeerSlot(number: found) : region.peerSlot(group: group, identity: identity)
    }

    // MARK: Placing

    mutating func placeGroup(_ name: [UInt8]) throws(SlotFault) -> GroupSlot {
        let used = region.groupsUsed
        let number: UInt32
        if used < SharedRegion.groupsMax {
            number = UInt32(used)
        } else {
            if vacantGroups == nil { vacantGroups = findVacantGroups() }
            guard let vacant = vacantGroups?.popLast() else { throw .groupsUsedUp(max: SharedRegion.groupsMax) }
            number = vacant
            forgetGroup(vacant)
        }
        let hash = unsafe cs_group_hashes(base) + Int(number)
        for field in 0..<Int(CS_GROUP_WORDS.rawValue) {
            unsafe cs_store(cs_group(base, number, CS_GROUP_USE) + field, 0)
        }
        unsafe cs_store(cs_group(base, number, CS_GROUP_NAME_BYTES), UInt64(name.count))
        region.nameText(number).store(name)
        unsafe cs_store_release(hash, identityHash(name))
        if Int(number) == used { region.setHeader(CS_HEADER_GROUPS_USED, UInt64(number) + 1) }
        groupsByHash[identityHash(name)] = number
        return GroupSlot(number: number)
    }

    mutating func placePeer(_ group: GroupSlot, _ identity: [UInt8], _ weight: Int32) throws(SlotFault) -> PeerSlot {
        let used = region.peersUsed
        let number: UInt32
        if used < SharedRegion.peersMax {
            number = UInt32(used)
        } else {
            if vacantPeers == nil { vacantPeers = (0..<UInt32(used)).filter { isVacant(peer: $0) } }
            guard let vacant = vacantPeers?.popLast() else { throw .peersUsedUp(max: SharedRegion.peersMax) }
            number = vacant
            forgetPeer(vacant)
        }
        for field in 0..<Int(CS_PEER_WORDS.rawValue) {
            unsafe cs_store(cs_peer(base, number, CS_PEER_USE) + field, 0)
        }
        // No session of any worker uses the slot, so nobody writes to its shares now.
        for worker in 0..<UInt32(region.workersUsed) {
            for field in 0..<Int(CS_SHARE_WORDS.rawValue) {
                unsafe cs_store(cs_share(base, worker, number, CS_SHARE_ACTIVE) + field, 0)
            }
        }
        let hash = region.peerHash(group, identity)
        unsafe cs_store(cs_peer(base, number, CS_PEER_GROUP), UInt64(group.number))
        unsafe cs_store(cs_peer(base, number, CS_PEER_WEIGHT), UInt64(max(0, weight)))
        unsafe cs_store(cs_peer(base, number, CS_PEER_EFFECTIVE_WEIGHT), UInt64(max(0, weight)))
        unsafe cs_store(cs_peer(base, number, CS_PEER_IDENTITY_BYTES), UInt64(identity.count))
        region.identityText(number).store(identity)
        unsafe cs_store_release(cs_peer_hashes(base) + Int(number), hash)
        if Int(number) == used { region.setHeader(CS_HEADER_PEERS_USED, UInt64(number) + 1) }
        peersByHash[hash] = number
        return PeerSlot(number: number)
    }

    // MARK: Vacancies

    private func isVacant(peer: UInt32) -> Bool {
        if unsafe cs_load(cs_peer_hashes(base) + Int(peer)) == 0 { return true }
        return unsafe cs_load(cs_peer(base, peer, CS_PEER_USE)) == 0
            && region.activeSessions(PeerSlot(number: peer)) == 0
    }

    /// Groups that no configuration names and whose peers have no session.
    private mutating func findVacantGroups() -> [UInt32] {
        var isBusy = [Bool](repeating: false, count: SharedRegion.groupsMax)
        for group in 0..<region.groupsUsed {
            isBusy[group] = unsafe cs_load(cs_group(base, UInt32(group), CS_GROUP_USE)) != 0
        }
        for peer in 0..<UInt32(region.peersUsed) {
            let group = unsafe Int(cs_load(cs_peer(base, peer, CS_PEER_GROUP)))
            if isVacant(peer: peer) {
                peersOfVacantGroups[UInt32(group), default: []].append(peer)
            } else {
                isBusy[group] = true
            }
        }
        return (0..<region.groupsUsed).filter { !isBusy[$0] }.map { UInt32($0) }
    }

    /// False for a place that was given to another group since.
    private func isMember(_ peer: UInt32, of group: UInt32) -> Bool {
        unsafe cs_load(cs_peer(base, peer, CS_PEER_GROUP)) == UInt64(group)
    }

    /// The peers go with their group, since it is part of what they are known by. They were vacant already.
    private mutating func forgetGroup(_ group: UInt32) {
        for peer in peersOfVacantGroups.removeValue(forKey: group) ?? [] where isMember(peer, of: group) {
            forgetPeer(peer)
        }
        let hash = unsafe cs_group_hashes(base) + Int(group)
        groupsByHash[unsafe cs_load(hash)] = nil
        unsafe cs_store(hash, 0)
    }

    private mutating func forgetPeer(_ peer: UInt32) {
        let hash = unsafe cs_peer_hashes(base) + Int(peer)
        peersByHash[unsafe cs_load(hash)] = nil
        unsafe cs_store(hash, 0)
    }
}
