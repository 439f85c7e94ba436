// SPDX-License-Identifier: Apache-2.0
//
// Fetched OCSP responses: whole or not at all, none that has expired, and whoever dies in the middle harms nothing.

import CShared
import Glibc
import LinuxIO
import SharedState
import Testing

@Suite struct StapleTests {
    private func key(_ home: UInt32, _ rest: UInt8 = 1) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: home >> (8 * $0)) } + [UInt8](repeating: rest, count: 28)
    }

    @Test("a response is read as it was put, until the second in which it ends", arguments: [1, 7, 8, 4_000, 16_384])
    func put(length: Int) throws {
        let region = try StapleRegion.create()
        let response = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ 1) }
        let place = region.places(for: key(5))[0]
        #expect(region.response(key(5), nowSeconds: 0) == nil)
        region.put(response, key(5), at: place, holdsUntil: 100, askAt: 50)
        #expect(region.response(key(5), nowSeconds: 100) == response)
        #expect(region.response(key(5), nowSeconds: 101) == nil)
        #expect(region.place(of: key(5)) == place)
        #expect(region.key(at: place) == key(5))
        #expect(region.askAt(place) == 50 && region.holdsUntil(place) == 100)
        #expect(region.response(key(5, 2), nowSeconds: 1) == nil, "another key with the same home")
        #expect(region.key(at: region.places(for: key(5))[1]) == nil)
    }

    @Test("a key is found at every place of its reach, over the end of the table too")
    func reach() throws {
        let region = try StapleRegion.create()
        let places = region.places(for: key(UInt32(CS_STAPLES) - 3))
        #expect(Set(places).count == Int(CS_STAPLES_REACH))
        for (index, place) in places.enumerated() {
            let key = key(UInt32(CS_STAPLES) - 3, UInt8(index + 1))
            region.put([UInt8(index)], key, at: place, holdsUntil: 9, askAt: 9)
        }
        for index in places.indices {
            let key = key(UInt32(CS_STAPLES) - 3, UInt8(index + 1))
            #expect(region.response(key, nowSeconds: 1) == [UInt8(index)])
        }
    }

    @Test("a place that another key takes over has nothing for the former")
    func takenOver() throws {
        let region = try StapleRegion.create()
        let place = region.places(for: key(1))[0]
        region.put([1, 2, 3], key(1), at: place, holdsUntil: 9, askAt: 9)
        region.put([4], key(1, 2), at: place, holdsUntil: 9, askAt: 9)
        #expect(region.response(key(1), nowSeconds: 1) == nil)
        #expect(region.response(key(1, 2), nowSeconds: 1) == [4])
    }

    @Test("a prober that died while it wrote leaves nothing to read, and its successor a place to write")
    func mended() throws {
        let region = try StapleRegion.create()
        let place = region.places(for: key(0))[0]
        let other = region.places(for: key(1))[0]
        region.put([1], key(0), at: place, holdsUntil: 9, askAt: 9)
        region.put([2], key(1), at: other, holdsUntil: 9, askAt: 9)
        unsafe cs_bump(region.address.assumingMemoryBound(to: cs_word.self), 1)
        #expect(region.response(key(0), nowSeconds: 1) == nil)
        region.mend()
        #expect(region.key(at: place) == nil)
        #expect(region.response(key(1), nowSeconds: 1) == [2])
        region.put([3], key(0), at: place, holdsUntil: 9, askAt: 9)
        #expect(region.response(key(0), nowSeconds: 1) == [3])
    }

    /// Responses of one byte value each and of lengths that tell which: a reader that saw halves of two would notice.
    @Test("a reader in another process never sees half a response")
    func torn() throws {
        let region = try StapleRegion.create()
        let place = region.places(for: key(3))[0]
        region.put([UInt8](repeating: 1, count: 1001), key(3), at: place, holdsUntil: 9, askAt: 9)
        let reader: Int32
        let wanted = key(3)
        switch try Processes.fork() {
        case .parent(let child): reader = child
        case .child: Processes.exit(readersVerdict(region, wanted))
        }
        var status: Int32 = 0
        var round: UInt8 = 1
        while unsafe waitpid(reader, &status, WNOHANG) == 0 {
            round = round == 200 ? 1 : round + 1
            let response = [UInt8](repeating: round, count: 1000 + Int(round))
            region.put(response, wanted, at: place, holdsUntil: 9, askAt: 9)
        }
        #expect(status == 0)
    }
}

/// Without allocating, since it runs in a copy of one thread of many. 2: it never saw a response.
private func readersVerdict(_ region: StapleRegion, _ key: [UInt8]) -> Int32 {
    unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: StapleRegion.responseBytesMax) { bytes in
        var seen = 0
        for _ in 0..<100_000 {
            let length = Int(unsafe cs_staples_get(region.address, key, bytes.baseAddress, bytes.count, 1))
            guard length > 0 else { continue }
            seen += 1
            let value = unsafe bytes[0]
            if length != 1000 + Int(value) { return 1 }
            for index in 0..<length where unsafe bytes[index] != value { return 1 }
        }
        return seen > 0 ? 0 : 2
    }
}
