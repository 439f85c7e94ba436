// SPDX-License-Identifier: Apache-2.0
//
// Zones' slots, given, committed and taken back by the rules of SharedRegion+Assignment.

import CShared

extension SharedRegion {
    func assignZones(_ names: [String], pause: () -> Void) throws(SlotFault) {
        for name in names {
            if let present = zoneSlot(named: name) { markPrepared(present) }
        }
        var vacant: [UInt32]? = nil
        for name in names where zoneSlot(named: name) == nil {
            pause()
            markPrepared(try placeZone(Array(name.utf8), &vacant))
        }
    }

    func commitZones() {
        for zone in 0..<UInt32(zonesUsed) {
            let use = unsafe cs_zone(base, zone, CS_ZONE_USE)
            unsafe cs_store(use, committed(cs_load(use)))
        }
    }

    func abandonZones() {
        for zone in 0..<UInt32(zonesUsed) { unsafe clearPrepared(cs_zone(base, zone, CS_ZONE_USE)) }
    }

    private func markPrepared(_ zone: ZoneSlot) {
        let word = unsafe cs_zone(base, zone.number, CS_ZONE_USE)
        unsafe cs_store(word, cs_load(word) | UInt64(CS_USE_PREPARED.rawValue))
    }

    private func placeZone(_ name: [UInt8], _ vacant: inout [UInt32]?) throws(SlotFault) -> ZoneSlot {
        let number: UInt32
        if zonesUsed < Self.zonesMax {
            number = UInt32(zonesUsed)
        } else {
            if vacant == nil { vacant = vacantZones() }
            guard let place = vacant?.popLast() else { throw .zonesUsedUp(max: Self.zonesMax) }
            number = place
        }
        let hashes = unsafe cs_zone_hashes(base)
        unsafe cs_store(hashes + Int(number), 0)
        for field in 0..<Int(CS_ZONE_WORDS.rawValue) {
            unsafe cs_store(cs_zone(base, number, CS_ZONE_USE) + field, 0)
        }
        for worker in 0..<UInt32(workersUsed) {
            for field in 0..<Int(CS_ZONE_SHARE_WORDS.rawValue) {
                unsafe cs_store(cs_zone_share(base, worker, number, CS_ZONE_PROCESSING) + field, 0)
            }
        }
        unsafe cs_store(cs_zone(base, number, CS_ZONE_NAME_BYTES), UInt64(name.count))
        zoneText(number).store(name)
        unsafe cs_store_release(hashes + Int(number), identityHash(name))
        if Int(number) == zonesUsed { setHeader(CS_HEADER_ZONES_USED, UInt64(number) + 1) }
        return ZoneSlot(number: number)
    }

    /// Zones that no configuration names and no session is in. A session that was accepted under an older configuration
    /// and has not said its server's name yet may still enter one; it then counts for whoever has the place.
    private func vacantZones() -> [UInt32] {
        (0..<UInt32(zonesUsed)).filter { zone in
            unsafe cs_load(cs_zone(base, zone, CS_ZONE_USE)) == 0
                && zoneSum(ZoneSlot(number: zone), CS_ZONE_PROCESSING) == 0
        }
    }

    func zoneSum(_ zone: ZoneSlot, _ field: cs_zone_share_field) -> UInt64 {
        (0..<UInt32(workersUsed)).reduce(0) { sum, worker in
            sum &+ (unsafe cs_load(cs_zone_share(base, worker, zone.number, field)))
        }
    }
}
