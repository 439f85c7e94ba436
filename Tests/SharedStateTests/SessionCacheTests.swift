// SPDX-License-Identifier: Apache-2.0
//
// The shared session cache: what it keeps, what it forgets first, and that neither noise nor the death of a process in
// the middle of writing makes it hand out anything but whole sessions.

import CShared
import Glibc
import LinuxIO
import SharedState
import Testing
import Vocabulary

@Suite struct SessionCacheTests {
    @Test("a session is found under its id until it expires, and no longer after it was removed")
    func life() throws {
        let cache = try Cache(byteCount: 1 << 20)
        let id = [UInt8](repeating: 7, count: 32)
        #expect(cache.get(id) == nil)
        #expect(cache.put(id, [1, 2, 3], expires: 100))
        #expect(cache.get(id, now: 99) == [1, 2, 3])
        #expect(cache.get(id, now: 100) == nil)
        #expect(cache.put(id, [4, 5], expires: 200))
        #expect(cache.get(id, now: 150) == [4, 5])
        cache.remove(id)
        #expect(cache.get(id, now: 150) == nil)
        cache.remove(id)
    }

    @Test("ids of any length are told apart", arguments: 1...32)
    func ids(length: Int) throws {
        let cache = try Cache(byteCount: 1 << 16)
        let id = [UInt8](repeating: 9, count: length)
        #expect(cache.put(id, [UInt8(length)]))
        #expect(cache.get(id) == [UInt8(length)])
        #expect(cache.get(id + [9]) == nil)
        #expect(length == 1 || cache.get(Array(id.dropLast())) == nil)
    }

    @Test("what is too long, empty or does not fit the reader is refused")
    func bounds() throws {
        let cache = try Cache(byteCount: 1 << 16)
        let id: [UInt8] = [1]
        #expect(!cache.put([], [1]))
        #expect(!cache.put([UInt8](repeating: 1, count: 33), [1]))
        #expect(!cache.put(id, []))
        #expect(!cache.put(id, [UInt8](repeating: 1, count: 4097)))
        let longest = (0..<4096).map { UInt8(truncatingIfNeeded: $0) }
        #expect(cache.put(id, longest))
        #expect(cache.get(id) == longest)
        #expect(cache.get(id, capacity: 4095) == nil)
        #expect(throws: Errno.invalid) { _ = try SessionCacheRegion.makeFile(byteCount: 32767) }
    }

    @Test("a mebibyte holds about 4,000 sessions of clients without certificates, and the newest of them", arguments: [
        32_768, 100_000, 1 << 20,
    ])
    func capacity(byteCount: Int) throws {
        let cache = try Cache(byteCount: byteCount)
        let count = 3 * byteCount / 200
        let session = [UInt8](repeating: 5, count: 160)
        let ids = (0..<count).map { Sample.id($0) }
        let areKept = ids.map { cache.put($0, session) }
        #expect(!areKept.contains(false))
        let found = (0..<count).filter { cache.get(ids[$0], capacity: 160) == session }
        #expect(found.count * (1 << 20) / byteCount >= 4_000)
        let newest = found.filter { $0 >= count - byteCount / 300 }
        #expect(newest.count * 100 >= byteCount / 300 * 95, "\(newest.count) of the newest \(byteCount / 300)")
        #expect(cache.get(Sample.id(0)) == nil)
    }

    /// Goal: rules 1 to 3 of CSharedSessions.h over many times around the log. Method: a model that knows what was put
    /// last under each id; the cache may have forgotten, but never answers anything else.
    @Test("the cache forgets, and never answers with another session", arguments: [UInt64(1), 2, 3])
    func model(seed: UInt64) throws {
        var chance = SeededRandom(seed: seed)
        let cache = try Cache(byteCount: 40_000)
        var model: [Int: [UInt8]] = [:]
        for _ in 0..<20_000 {
            let number = Int.random(in: 0..<300, using: &chance)
            switch Int.random(in: 0..<4, using: &chance) {
            case 0:
                cache.remove(Sample.id(number))
                model[number] = nil
            case 1:
                let bytes = (0..<Int.random(in: 1...700, using: &chance)).map { _ in
                    UInt8(truncatingIfNeeded: chance.next())
                }
                #expect(cache.put(Sample.id(number), bytes))
                model[number] = bytes
            default:
                if let found = cache.get(Sample.id(number)) { #expect(found == model[number], "seed \(seed)") }
            }
        }
    }

    @Test("a cache that is attached twice is mapped once, and another file is another cache")
    func attaching() throws {
        let file = try SessionCacheRegion.makeFile(byteCount: 65_536)
        let copy = try file.duplicate()
        let first = try SessionCacheRegion.attach(file.number, known: [])
        let second = try SessionCacheRegion.attach(file.number, known: [])
        #expect(first !== second)
        #expect(try SessionCacheRegion.attach(copy.number, known: [first]) === first)
        let other = try SessionCacheRegion.makeFile(byteCount: 65_536)
        #expect(try SessionCacheRegion.attach(other.number, known: [first]) !== first)
        #expect(Cache(second).put([1], [5]))
        #expect(Cache(first).get([1]) == [5])
        let empty = try Memory.makeShared(name: "no-cache", byteCount: 65_536)
        #expect(throws: Errno.invalid) { try SessionCacheRegion.attach(empty.number, known: []) }
    }

    /// Goal: a worker that is killed while it writes costs nobody more than the lock, which the master frees. Method:
    /// two processes put as fast as they can; one is killed at a random moment, the lock is freed for it, and all
    /// that is read meanwhile and after is whole. Content follows from the id, so a torn session shows.
    @Test("two processes write, one is killed in the middle, and the other goes on")
    func killed() throws {
        let cache = try Cache(byteCount: 65_536)
        let ids = (0..<Writer.ids).map { Sample.id($0) }
        let sessions = (0..<Writer.ids).map { number in Writer.lengths.map { Sample.session(number, bytes: $0) } }
        var chance = SeededRandom(seed: 11)
        for round in 0..<15 {
            let victim = try Writer.start(cache, seed: UInt64(round))
            let other = try Writer.start(cache, seed: UInt64(round + 1_000))
            var found = 0
            for _ in 0..<20 + Int.random(in: 0..<60, using: &chance) {
                for number in 0..<Writer.ids {
                    guard let session = cache.get(ids[number], capacity: 2_000) else { continue }
                    found += 1
                    if !sessions[number].contains(session) { Issue.record("round \(round), id \(number): torn") }
                }
            }
            Writer.kill(victim)
            cache.region.release(of: victim)
            #expect(try eventually { cache.put([1, 2], [3]) })
            #expect(cache.get([1, 2]) == [3])
            Writer.kill(other)
            cache.region.release(of: other)
            #expect(cache.put([1, 2], [4]), "the lock is free when both are gone")
            #expect(found > 0 || round == 0)
        }
    }

    @Test("the lock of a process that lives is not taken from it")
    func lock() throws {
        let cache = try Cache(byteCount: 65_536)
        let lock = unsafe cache.region.address.assumingMemoryBound(to: cs_word.self).advanced(by: 8)
        unsafe cs_store(lock, 4_711)
        #expect(!cache.put([1], [1]))
        cache.region.release(of: 4_710)
        #expect(!cache.put([1], [1]))
        cache.region.release(of: 4_711)
        #expect(cache.put([1], [1]))
    }

    private func eventually(_ body: () -> Bool) throws -> Bool {
        for _ in 0..<1_000 {
            if body() { return true }
            sleep(milliseconds: 1)
        }
        return false
    }
}

/// The C calls with arrays.
struct Cache {
    let region: SessionCacheRegion

    init(_ region: SessionCacheRegion) { self.region = region }

    init(byteCount: Int) throws {
        let file = try SessionCacheRegion.makeFile(byteCount: byteCount)
        region = try SessionCacheRegion.attach(file.number, known: [])
    }

    func put(_ id: [UInt8], _ bytes: [UInt8], expires: UInt64 = 1_000) -> Bool {
        unsafe cs_sessions_put(region.address, id, id.count, bytes, bytes.count, expires) == 0
    }

    func get(_ id: [UInt8], now: UInt64 = 0, capacity: Int = 4_096) -> [UInt8]? {
        var out = [UInt8](repeating: 0, count: capacity)
        let count = unsafe cs_sessions_get(region.address, id, id.count, &out, capacity, now)
        return count > 0 ? Array(out[..<Int(count)]) : nil
    }

    func remove(_ id: [UInt8]) { unsafe cs_sessions_remove(region.address, id, id.count) }
}

/// Sessions whose content follows from their number.
enum Sample {
    static func id(_ number: Int) -> [UInt8] {
        var chance = SeededRandom(seed: UInt64(number))
        return (0..<32).map { _ in UInt8(truncatingIfNeeded: chance.next()) }
    }

    static func session(_ number: Int, bytes: Int) -> [UInt8] {
        (0..<bytes).map { UInt8(truncatingIfNeeded: number &* 31 &+ $0 &* 7 &+ bytes) }
    }
}

/// A process that does nothing but put sessions, as long as the test run lives.
private enum Writer {
    static let ids = 64
    static let lengths = [24, 160, 333, 1_500]

    /// All that the child touches is made before the fork: it is a copy of one thread of many.
    static func start(_ cache: Cache, seed: UInt64) throws -> Int32 {
        let ids = (0..<self.ids).map { Sample.id($0) }
        let sessions = (0..<self.ids).map { number in lengths.map { Sample.session(number, bytes: $0) } }
        var chance = SeededRandom(seed: seed)
        let parent = getpid()
        switch try Processes.fork() {
        case .parent(let child): return child
        case .child:
            while getppid() == parent {
                let number = Int(chance.next() % UInt64(ids.count))
                let bytes = sessions[number][Int(chance.next() % 4)]
                _ = unsafe cs_sessions_put(
                    cache.region.address, ids[number], 32, bytes, bytes.count, 1_000)
            }
            Processes.exit(0)
        }
    }

    static func kill(_ process: Int32) {
        Glibc.kill(process, SIGKILL)
        var status: Int32 = 0
        while unsafe waitpid(process, &status, 0) == -1 && errno == EINTR {}
    }
}
