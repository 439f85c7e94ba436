// SPDX-License-Identifier: Apache-2.0
//
// Ticket keys: three of them, the newest encrypts, and a reader never sees half of one.

import CShared
import Glibc
import LinuxIO
import SharedState
import Testing

@Suite struct TicketKeyTests {
    @Test("a key is current, then opens through two rotations, then is gone")
    func rotation() throws {
        let keys = try TicketKeyRegion.create(nowMilliseconds: 5)
        #expect(keys.createdAt == 5)
        let first = try #require(keys.current)
        #expect(keys.find(first.name) == Found(key: first.bytes, isCurrent: true))
        for round in 1...2 {
            keys.rotate(nowMilliseconds: 5 + UInt64(round))
            #expect(keys.createdAt == 5 + UInt64(round))
            #expect(keys.current != first)
            #expect(keys.find(first.name) == Found(key: first.bytes, isCurrent: false))
        }
        keys.rotate(nowMilliseconds: 8)
        #expect(keys.find(first.name) == nil)
        let current = try #require(keys.current)
        #expect(keys.find(current.name)?.isCurrent == true)
        #expect(Set(current.bytes).count > 20, "80 bytes of chance")
        keys.forget()
    }

    @Test("a name of nobody finds nothing, and neither does one of zeroes while there are free places")
    func strangers() throws {
        let keys = try TicketKeyRegion.create(nowMilliseconds: 1)
        #expect(keys.find([UInt8](repeating: 0, count: 16)) == nil)
        #expect(keys.find([UInt8](repeating: 1, count: 16)) == nil)
    }

    @Test("a reader gives up when the master stopped in the middle of writing")
    func stopped() throws {
        let keys = try TicketKeyRegion.create(nowMilliseconds: 1)
        let name = try #require(keys.current).name
        let sequence = unsafe keys.address.assumingMemoryBound(to: cs_word.self)
        unsafe cs_bump(sequence, 1)
        #expect(keys.current == nil)
        #expect(keys.find(name) == nil)
    }

    @Test("no file of this process leads to the keys")
    func noFile() throws {
        let keys = try TicketKeyRegion.create(nowMilliseconds: 1)
        let place = unsafe UInt(bitPattern: keys.address)
        let maps = String(decoding: try Files.read("/proc/self/maps"), as: UTF8.self).split(separator: "\n")
        let line = try #require(maps.first { $0.hasPrefix(String(place, radix: 16) + "-") })
        #expect(line.hasSuffix("/dev/zero (deleted)"), "\(line)")
        for name in try Files.names(in: "/proc/self/fd") {
            guard let target = try? Files.linkTarget("/proc/self/fd/\(name)") else { continue }
            #expect(!target.contains("/dev/zero"))
        }
        keys.forget()
    }

    /// The child looks up what it just took as current: half a key would have another name or other bytes.
    @Test("a reader in another process never sees half a key")
    func torn() throws {
        let keys = try TicketKeyRegion.create(nowMilliseconds: 1)
        let reader: Int32
        switch try Processes.fork() {
        case .parent(let child): reader = child
        case .child: Processes.exit(readersVerdict(keys))
        }
        var status: Int32 = 0
        while unsafe waitpid(reader, &status, WNOHANG) == 0 { keys.rotate(nowMilliseconds: 2) }
        #expect(status == 0)
    }
}

/// Without allocating, since it runs in a copy of one thread of many.
private func readersVerdict(_ keys: TicketKeyRegion) -> Int32 {
    unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 160) { bytes in
        let first = bytes.baseAddress!
        let second = unsafe first.advanced(by: 80)
        var isCurrent: Int32 = 0
        for _ in 0..<300_000 {
            guard unsafe cs_tickets_current(keys.address, first) == 1,
                unsafe cs_tickets_find(keys.address, first, second, &isCurrent) == 1
            else { continue }
            if unsafe memcmp(first, second, 80) != 0 { return 1 }
        }
        return 0
    }
}

private struct Key: Equatable {
    var bytes: [UInt8]
    var name: [UInt8] { Array(bytes[..<16]) }
}

private struct Found: Equatable {
    var key: [UInt8]
    var isCurrent: Bool
}

extension TicketKeyRegion {
    fileprivate var current: Key? {
        var bytes = [UInt8](repeating: 0, count: 80)
        return unsafe cs_tickets_current(address, &bytes) == 1 ? Key(bytes: bytes) : nil
    }

    fileprivate func find(_ name: [UInt8]) -> Found? {
        var bytes = [UInt8](repeating: 0, count: 80)
        var isCurrent: Int32 = 0
        guard unsafe cs_tickets_find(address, name, &bytes, &isCurrent) == 1 else { return nil }
        return Found(key: bytes, isCurrent: isCurrent == 1)
    }
}
