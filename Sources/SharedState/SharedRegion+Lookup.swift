// SPDX-License-Identifier: Apache-2.0
//
// From an identity to its slot: done once a generation by each child, over a dense table of hashes.

import CShared

extension SharedRegion {
    /// Nil when the master has given no slot to a group of this name.
    package func groupSlot(named name: String) -> GroupSlot? {
        let text = Array(name.utf8)
        let hash = identityHash(text)
        let used = UInt32(groupsUsed)
        var next: UInt32 = 0
        while true {
            let found = unsafe cs_find(cs_group_hashes(base), next, used, hash)
            guard found < used else { return nil }
            if unsafe cs_load(cs_group(base, found, CS_GROUP_NAME_BYTES)) == UInt64(text.count),
                nameText(found).holds(text)
            {
                return GroupSlot(number: found)
            }
            next = found + 1
        }
    }

    /// Nil when the master has given no slot to this peer of the group.
    package func peerSlot(group: GroupSlot, identity: String) -> PeerSlot? {
        let text = Array(identity.utf8)
        let hash = peerHash(group, text)
        let used = UInt32(peersUsed)
        var next: UInt32 = 0
        while true {
            let found = unsafe cs_find(cs_peer_hashes(base), next, used, hash)
            guard found < used else { return nil }
            if unsafe cs_load(cs_peer(base, found, CS_PEER_GROUP)) == UInt64(group.number),
                unsafe cs_load(cs_peer(base, found, CS_PEER_IDENTITY_BYTES)) == UInt64(text.count),
                identityText(found).holds(text)
            {
                return PeerSlot(number: found)
            }
            next = found + 1
        }
    }

    /// Nil when the master has given no slot to a zone of this name.
    package func zoneSlot(named name: String) -> ZoneSlot? {
        let text = Array(name.utf8)
        let hash = identityHash(text)
        let used = UInt32(zonesUsed)
        var next: UInt32 = 0
        while true {
            let found = unsafe cs_find(cs_zone_hashes(base), next, used, hash)
            guard found < used else { return nil }
            if unsafe cs_load(cs_zone(base, found, CS_ZONE_NAME_BYTES)) == UInt64(text.count),
                zoneText(found).holds(text)
            {
                return ZoneSlot(number: found)
            }
            next = found + 1
        }
    }

    func peerHash(_ group: GroupSlot, _ identity: [UInt8]) -> UInt64 {
        identityHash(identity, seed: 0xCBF2_9CE4_8422_2325 ^ UInt64(group.number) << 32)
    }

    var workersUsed: Int { min(Int(header(CS_HEADER_WORKERS_USED)), Self.workersMax) }
    var groupsUsed: Int { min(Int(header(CS_HEADER_GROUPS_USED)), Self.groupsMax) }
    var peersUsed: Int { min(Int(header(CS_HEADER_PEERS_USED)), Self.peersMax) }
    var zonesUsed: Int { min(Int(header(CS_HEADER_ZONES_USED)), Self.zonesMax) }
}
