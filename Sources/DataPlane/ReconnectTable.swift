// SPDX-License-Identifier: Apache-2.0
//
// Which client ids connect often: the space-saving algorithm (Metwally et al. 2005), in memory of a fixed size whatever
// clients do. An id that is new takes the place of the one with the lowest count, and that count is its doubt: it may
// have come so often unseen. It may take a place of one row only, so that a CONNECT looks at eight places, not at all;
// ids fall evenly on the rows, so a row's lowest count is about the table's. Two tables, so that what is long over is
// forgotten: the present one and the one before.

import ControlLink

/// Nothing is allocated after the start.
struct ReconnectTable {
    static let capacity = 256
    static let windowMilliseconds: UInt64 = 600_000

    private var present = Table()
    private var former = Table()
    private var windowEnds: UInt64 = 0

    /// A client has connected. `now`: monotonic milliseconds.
    mutating func note(_ clientID: UnsafeRawBufferPointer, now: UInt64) {
        // Without an id of its own a client gets one from the broker, another one each time.
        guard unsafe !clientID.isEmpty else { return }
        moveOn(now)
        unsafe present.note(hash(clientID), clientID)
    }

    /// Ids that certainly came more than once in the last one to two windows, those that came most first.
    mutating func top(_ limit: Int, now: UInt64) -> [ReconnectFacts] {
        moveOn(now)
        var facts: [UInt64: ReconnectFacts] = [:]
        for table in [present, former] {
            for place in table.taken {
                let counts = table.counts[place]
                if facts[table.hashes[place]] == nil {
                    facts[table.hashes[place]] = ReconnectFacts(clientID: table.text(place), count: 0, doubt: 0)
                }
                facts[table.hashes[place]]!.count += UInt64(counts.all - counts.doubt)
                facts[table.hashes[place]]!.doubt += UInt64(counts.doubt)
            }
        }
        let often = facts.values.filter { $0.count > 1 }
        let sorted = often.sorted { left, right in
            // Equal ones in an order that does not change from look to look.
            left.count != right.count
                ? left.count > right.count : left.clientID.lexicographicallyPrecedes(right.clientID)
        }
        return Array(sorted.prefix(limit))
    }

    private mutating func moveOn(_ now: UInt64) {
        guard now >= windowEnds else { return }
        let isFresh = now < windowEnds + Self.windowMilliseconds
        swap(&present, &former)
        present.empty()
        if !isFresh { former.empty() }
        windowEnds = now + Self.windowMilliseconds
    }

    /// FNV-1a. Who makes two ids of one hash gets them counted as one.
    private func hash(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for unsafe byte in unsafe bytes { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        return hash
    }
}

private struct Counts {
    var all: UInt32 = 0
    var doubt: UInt32 = 0
}

private struct Table {
    private static let rowPlaces = 8

    private(set) var hashes = [UInt64](repeating: 0, count: ReconnectTable.capacity)
    /// `all` is 0 where a place is free; then so are those behind it in its row.
    private(set) var counts = [Counts](repeating: Counts(), count: ReconnectTable.capacity)
    private var lengths = [UInt8](repeating: 0, count: ReconnectTable.capacity)
    private var texts = [UInt8](
        repeating: 0, count: ReconnectTable.capacity * ReconnectFacts.clientIDBytesMax)

    var taken: [Int] { counts.indices.filter { counts[$0].all > 0 } }

    mutating func note(_ hash: UInt64, _ clientID: UnsafeRawBufferPointer) {
        // FNV's upper bits depend on all bytes of the id.
        let row = Int(truncatingIfNeeded: hash >> 32) & (ReconnectTable.capacity / Self.rowPlaces - 1)
        let start = row * Self.rowPlaces
        var least = start
        for place in start..<start + Self.rowPlaces {
            if counts[place].all == 0 {
                least = place
                break
            }
            if hashes[place] == hash {
                if counts[place].all < UInt32.max { counts[place].all += 1 }
                return
            }
            if counts[place].all < counts[least].all { least = place }
        }
        let doubt = counts[least].all
        hashes[least] = hash
        counts[least] = Counts(all: doubt < UInt32.max ? doubt + 1 : doubt, doubt: doubt)
        unsafe keep(clientID, at: least)
    }

    private mutating func keep(_ clientID: UnsafeRawBufferPointer, at place: Int) {
        let length = min(clientID.count, ReconnectFacts.clientIDBytesMax)
        lengths[place] = UInt8(length)
        let start = place * ReconnectFacts.clientIDBytesMax
        for index in 0..<length { texts[start + index] = unsafe clientID[index] }
    }

    func text(_ place: Int) -> [UInt8] {
        let start = place * ReconnectFacts.clientIDBytesMax
        return Array(texts[start..<start + Int(lengths[place])])
    }

    mutating func empty() {
        for place in counts.indices { counts[place] = Counts() }
    }
}
