// SPDX-License-Identifier: Apache-2.0
//
// Texts in the region: a count and a row of words with eight bytes each, the first byte lowest. A reader that comes
// while a text changes may see parts of both; every look is bounded, and a name is only believed together with its
// hash.

import CShared

/// A place for text.
@safe struct SharedText {
    let words: UnsafeMutablePointer<cs_word>
    let capacity: Int

    init(_ words: UnsafeMutablePointer<cs_word>, capacity: Int) {
        unsafe self.words = words
        self.capacity = capacity
    }

    /// Stores as much as there is room for.
    func store(_ text: [UInt8]) {
        let count = min(text.count, capacity)
        for start in stride(from: 0, to: count, by: 8) {
            var word: UInt64 = 0
            for offset in 0..<min(8, count - start) { word |= UInt64(text[start + offset]) << UInt64(offset * 8) }
            unsafe cs_store(words + start / 8, word)
        }
    }

    /// Byte `index` of what is stored.
    func byte(_ index: Int) -> UInt8 {
        precondition(index < capacity)
        return UInt8(truncatingIfNeeded: unsafe cs_load(words + index / 8) >> UInt64(index % 8 * 8))
    }

    /// The first `count` bytes, at most what there is room for.
    func load(count: UInt64) -> [UInt8] {
        (0..<Int(min(count, UInt64(capacity)))).map { byte($0) }
    }

    /// True when the text begins as `text` does, as far as there is room.
    func holds(_ text: [UInt8]) -> Bool {
        for index in 0..<min(text.count, capacity) where byte(index) != text[index] { return false }
        return true
    }
}

extension SharedRegion {
    func nameText(_ group: UInt32) -> SharedText {
        unsafe SharedText(cs_group(base, group, CS_GROUP_NAME), capacity: CS_IDENTITY_BYTES)
    }
    func identityText(_ peer: UInt32) -> SharedText {
        unsafe SharedText(cs_peer(base, peer, CS_PEER_IDENTITY), capacity: CS_IDENTITY_BYTES)
    }
    func zoneText(_ zone: UInt32) -> SharedText {
        unsafe SharedText(cs_zone(base, zone, CS_ZONE_NAME), capacity: CS_IDENTITY_BYTES)
    }
    var reloadText: SharedText {
        unsafe SharedText(cs_header(base, CS_HEADER_RELOAD_TEXT), capacity: CS_RELOAD_BYTES)
    }
    func reasonText(_ peer: UInt32) -> SharedText {
        unsafe SharedText(cs_peer(base, peer, CS_PEER_REASON), capacity: CS_REASON_BYTES)
    }
}

/// FNV-1a, never 0, which marks an empty slot.
func identityHash(_ text: [UInt8], seed: UInt64 = 0xCBF2_9CE4_8422_2325) -> UInt64 {
    var hash = seed
    for byte in text { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
    return hash == 0 ? 1 : hash
}
