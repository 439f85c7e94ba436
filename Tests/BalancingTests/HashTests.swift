// SPDX-License-Identifier: Apache-2.0
//
// The two hash methods where the recorded vectors do not reach: servers that are out, empty keys, backups, names with
// several addresses, and the shape of the ring.

import Balancing
import Testing

private let keys = (0..<400).map { "sensor-\($0)" }

/// The plain hash by its definition, with arrays and strings.
private func plainSteps(_ key: String, weights: [Int], count: Int) -> [Int] {
    var sum: UInt32 = 0
    return (0..<count).map { step in
        let text = (step > 0 ? String(step) : "") + key
        sum &+= CRC32.checksum(Array(text.utf8).span) >> 16 & 0x7FFF
        var rest = Int(sum) % weights.reduce(0, +)
        var index = 0
        while rest >= weights[index] {
            rest -= weights[index]
            index += 1
        }
        return index
    }
}

/// The ring by its definition: sorted pairs of point and member.
private func ringPoints(_ members: [(host: String, port: String, weight: Int)]) -> [(hash: UInt32, member: Int)] {
    var points: [(hash: UInt32, member: Int)] = []
    for (index, member) in members.enumerated() {
        var previous: UInt32 = 0
        for _ in 0..<member.weight * 160 {
            let little = (0..<4).map { UInt8(truncatingIfNeeded: previous >> UInt32(8 * $0)) }
            previous = CRC32.checksum((Array(member.host.utf8) + [0] + Array(member.port.utf8) + little).span)
            points.append((previous, index))
        }
    }
    points.sort { ($0.hash, $0.member) < ($1.hash, $1.member) }
    var unique: [(hash: UInt32, member: Int)] = []
    for point in points where unique.last?.hash != point.hash { unique.append(point) }
    return unique
}

@Suite struct HashTests {
    @Test("hash: when a server is out its clients take the next step, the others stay", arguments: 0..<3)
    func plainDown(down: Int) {
        let weights = [5, 2, 1]
        let group = Group(weights: [5, 2, 1], method: .hash)
        group.peers[down].flags = .down
        for key in keys {
            let steps = plainSteps(key, weights: weights, count: 20)
            guard let expected = steps.first(where: { $0 != down }) else { continue }
            #expect(group.first(key) == expected, "\(key)")
        }
    }

    @Test("hash: a client that fails on goes on from the step it is at")
    func plainRow() {
        let group = Group(weights: [1, 1, 1], method: .hash)
        for key in keys {
            var expected: [Int] = []
            for step in plainSteps(key, weights: [1, 1, 1], count: 22) where !expected.contains(step) {
                expected.append(step)
            }
            #expect(Array(group.row(key).prefix(expected.count)) == expected, "\(key)")
        }
    }

    @Test("consistent: when a server is out its clients take the next points, the others stay", arguments: 0..<3)
    func consistentDown(down: Int) {
        let members = [
            (host: "127.0.0.1", port: "18831", weight: 5), ("127.0.0.1", "18832", 2), ("127.0.0.1", "18833", 1),
        ]
        let points = ringPoints(members)
        let group = Group(weights: [5, 2, 1], method: .consistentHash(.local(weights: [5, 2, 1])))
        let whole = Group(weights: [5, 2, 1], method: group.method)
        group.peers[down].flags = .draining
        for key in keys {
            let hash = CRC32.checksum(Array(key.utf8).span)
            let start = points.firstIndex { $0.hash >= hash } ?? 0
            #expect(whole.first(key) == points[start].member)
            let walk = (0..<21).map { points[(start + $0) % points.count].member }
            guard let expected = walk.first(where: { $0 != down }) else { continue }
            #expect(group.first(key) == expected, "\(key)")
        }
    }

    @Test("the ring closes behind its last point")
    func wraps() {
        let points = ringPoints([(host: "127.0.0.1", port: "18831", weight: 1), ("127.0.0.1", "18832", 1)])
        let last = points.last!.hash
        let group = Group(weights: [1, 1], method: .consistentHash(.local(weights: [1, 1])))
        var found = 0
        for number in 0..<20_000 {
            let key = "k\(number)"
            guard CRC32.checksum(Array(key.utf8).span) > last else { continue }
            found += 1
            #expect(group.first(key) == points[0].member)
        }
        #expect(found > 0)
    }

    @Test("points of a ring: 160 for each unit of weight, duplicates dropped")
    func pointCount() {
        let weights = [3, 1, 7, 20]
        let members = weights.enumerated().map {
            (host: "127.0.0.1", port: String(18831 + $0.offset), weight: $0.element)
        }
        #expect(HashRing.local(weights: weights).pointCount == ringPoints(members).count)
        #expect(
            HashRing.local(weights: [1, 1], isBackup: [1]).pointCount == ringPoints(Array(members[..<1])).count / 3)
    }

    @Test("a ring too large to hold is refused instead of made")
    func tooLarge() {
        #expect(HashRing(members: [.init(host: "a", port: "1", weight: 200_000)]) == nil)
        #expect(
            HashRing(members: [.init(host: "a", port: "1", weight: Int.max), .init(host: "b", port: "1", weight: 1)])
                == nil)
        #expect(HashRing(members: [.init(host: "a", port: "1", weight: 200_000, isBackup: true)])?.pointCount == 0)
    }

    @Test("twenty misses, then round robin", arguments: ["hash", "consistent"])
    func manyMisses(mode: String) {
        // Two servers of a thousandth of the weight are left: hardly any walk of twenty reaches them.
        let method: BalancingMethod = mode == "hash" ? .hash : .consistentHash(.local(weights: [998, 1, 1]))
        let group = Group(weights: [998, 1, 1], method: method)
        group.peers[0].flags = .down
        var counts = [0, 0, 0]
        for key in keys {
            guard let index = group.first(key) else {
                Issue.record("nobody for \(key)")
                return
            }
            counts[index] += 1
        }
        #expect(counts[0] == 0)
        #expect(abs(counts[1] - counts[2]) < 40)
    }

    @Test("an empty key is spread by round robin", arguments: ["hash", "consistent"])
    func emptyKey(mode: String) {
        let method: BalancingMethod = mode == "hash" ? .hash : .consistentHash(.local(weights: [5, 1, 1]))
        let group = Group(weights: [5, 1, 1], method: method)
        #expect(group.letters(7) == "aabacaa")
    }

    @Test("a full server and one in its failure window are passed by", arguments: ["hash", "consistent"])
    func ineligible(mode: String) {
        let method: BalancingMethod = mode == "hash" ? .hash : .consistentHash(.local(weights: [1, 1, 1]))
        let group = Group(weights: [1, 1, 1], method: method)
        let before = keys.map { group.first($0)! }
        group.peers[0].maxConnections = 1
        group.peers[0].sessions = 1
        _ = group.fail(1)
        #expect(keys.allSatisfy { group.first($0) == 2 })
        group.peers[0].sessions = 0
        group.now += 11
        // One client probes; nobody is moved who had another server before.
        _ = keys.map { group.first($0) }
        _ = group.succeed(1)
        #expect(keys.map { group.first($0)! } == before)
    }

    @Test("backups are no part of the hash, and serve when no primary can", arguments: ["hash", "consistent"])
    func backups(mode: String) {
        let ring = HashRing.local(weights: [1, 1, 1], isBackup: [1])
        let group = Group(weights: [1, 1, 1], method: mode == "hash" ? .hash : .consistentHash(ring))
        group.peers[1].flags = .backup
        #expect(Set(keys.map { group.first($0)! }) == [0, 2])
        for key in keys.prefix(50) {
            let row = group.row(key)
            #expect(row.last == 1 && row.count == 3)
        }
        group.peers[0].flags = .down
        group.peers[2].flags = .down
        #expect(keys.allSatisfy { group.first($0) == 1 })
    }

    @Test("peers of one server name share its points and settle by round robin among themselves")
    func sharedName() {
        let ring = HashRing(members: [
            .init(host: "broker", port: "1883", weight: 1), .init(host: "broker", port: "1883", weight: 1),
            .init(host: "other", port: "1883", weight: 1),
        ])!
        #expect(ring.pointCount == ringPoints([(host: "broker", port: "1883", weight: 1), ("other", "1883", 1)]).count)
        let group = Group(weights: [1, 1, 1], method: .consistentHash(ring))
        let key = keys.first { group.first($0) != 2 }!
        let row = (0..<6).map { _ in group.first(key)! }
        #expect(row == [1, 0, 1, 0, 1, 0] || row == [0, 1, 0, 1, 0, 1])
        group.peers[1].flags = .down
        #expect((0..<3).map { _ in group.first(key)! } == [0, 0, 0])
    }

    @Test("a server gone moves only its own clients")
    func minimalMoves() {
        let three = Group(weights: [1, 1, 1], method: .consistentHash(.local(weights: [1, 1, 1])))
        let two = Group(weights: [1, 1], method: .consistentHash(.local(weights: [1, 1])))
        for key in keys {
            let before = three.first(key)!
            if before != 2 { #expect(two.first(key) == before) }
        }
    }
}
