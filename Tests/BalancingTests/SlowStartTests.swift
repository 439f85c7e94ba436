// SPDX-License-Identifier: Apache-2.0
//
// slow_start: a share of the weight that grows with time, in round robin and least_conn, and nothing of it elsewhere.

import Balancing
import Testing

@Suite("slow start")
struct SlowStartTests {
    @Test("the share grows from nothing to all with the time since the server is back", arguments: [
        (nil, 1000), (0, 0), (1, 0), (30, 1), (15_000, 500), (29_999, 999), (30_000, 1000), (UInt64.max, 1000),
    ] as [(UInt64?, Int32)])
    func share(elapsed: UInt64?, share: Int32) {
        #expect(SlowStart.share(elapsed: elapsed, of: 30_000) == share)
    }

    @Test("no slow start is no share less, and a very long one does not overflow")
    func bounds() {
        #expect(SlowStart.share(elapsed: 0, of: 0) == SlowStart.whole)
        #expect(SlowStart.share(elapsed: 1 << 40, of: 1 << 41) == 500)
    }

    @Test(
        "round robin gives a server its share of what it gets later",
        arguments: [
            ([1, 1] as [Int32], 0, 0.0), ([1, 1], 1, 0.0005), ([1, 1], 100, 0.05), ([1, 1], 500, 0.25),
            ([4, 1], 250, 0.2), ([1, 5], 100, 0.1 / 6), ([3, 1, 2], 500, 0.25),
        ] as [([Int32], Int32, Double)])
    func proportion(weights: [Int32], share: Int32, expected: Double) {
        let group = Group(weights: weights)
        group.peers[0].share = share
        var counts = [Int](repeating: 0, count: weights.count)
        for _ in 0..<20_000 { counts[group.first()!] += 1 }
        // Chance decides who takes part: five standard deviations of 20,000 draws are below 0.018.
        #expect(abs(Double(counts[0]) / 20_000 - expected) < 0.018, "\(counts)")
        if share == 0 { #expect(counts[0] == 0) }
        // The others share the rest by their weights, nearly: who is light wins rather in rounds that cost less.
        for index in weights.indices.dropFirst(2) {
            let ratio = Double(weights[index]) / Double(weights[1])
            #expect(abs(Double(counts[index]) / Double(counts[1]) - ratio) < 0.1 * ratio, "\(counts)")
        }
    }

    @Test("the end of a start leaves no trace: the rounds behind it are nginx's", arguments: [0, 300] as [Int32])
    func end(share: Int32) {
        let group = Group(weights: [1, 1, 1])
        group.peers[0].share = share
        for _ in 0..<1000 { _ = group.first() }
        group.peers[0].share = SlowStart.whole
        // Nobody is served twice in a row by more than the draws of one round can have left.
        let letters = group.letters(30)
        for letter in "abc" { #expect((9...11).contains(letters.count { $0 == letter }), "\(letters)") }
    }

    @Test("least_conn fills a server up to its share of the weight", arguments: [100, 250, 500] as [Int32])
    func least(share: Int32) {
        let group = Group(weights: [2, 1, 1], method: .leastConnections)
        group.peers[0].share = share
        group.peers[1].sessions = 400
        group.peers[2].sessions = 400
        for _ in 0..<4000 { group.peers[group.first()!].sessions += 1 }
        let total = 4800.0
        let own = 2 * Double(share) / 1000
        #expect(abs(Double(group.peers[0].sessions) - total * own / (own + 2)) <= 2, "\(group.peers.map(\.sessions))")
        #expect(group.peers[1].sessions.distance(to: group.peers[2].sessions).magnitude <= 1)
    }

    @Test("least_conn gives a server that has just come back nothing, though it has no sessions")
    func leastAtFirst() {
        let group = Group(weights: [1, 1], method: .leastConnections)
        group.peers[0].share = 0
        group.peers[1].sessions = 50
        #expect(group.letters(5) == "bbbbb")
        group.peers[0].share = 10
        #expect(group.letters(1) == "b")
        group.peers[0].share = 20
        #expect(group.letters(1) == "a")
    }

    @Test(
        "who is alone, or is left alone, is chosen whatever the share", arguments: [false, true])
    func alone(isLeast: Bool) {
        let method: BalancingMethod = isLeast ? .leastConnections : .roundRobin
        let only = Group(weights: [1], method: method)
        only.peers[0].share = 0
        #expect(only.letters(3) == "aaa")
        let left = Group(weights: [1, 1, 1], method: method)
        left.peers[0].share = 0
        left.peers[1].flags = .down
        left.peers[2].flags = .backup
        #expect(left.letters(3) == "aaa")
        #expect(left.row() == [0, 2])
    }

    @Test("all that come back at once share as ever", arguments: [0, 1, 500] as [Int32])
    func together(share: Int32) {
        let group = Group(weights: [1, 1])
        for index in 0...1 { group.peers[index].share = share }
        var counts = [0, 0]
        for _ in 0..<10_000 { counts[group.first()!] += 1 }
        #expect(abs(counts[0] - counts[1]) < 500, "\(counts)")
    }

    @Test("other methods know nothing of it", arguments: [false, true])
    func others(isTwo: Bool) {
        var rows: [[Int]] = []
        for share in [SlowStart.whole, 0] {
            let group = Group(weights: [1, 2, 3], method: isTwo ? .randomOfTwo : .random)
            group.peers[1].share = share
            rows.append((0..<200).map { _ in group.first()! })
        }
        #expect(rows[0] == rows[1])
        let hash = Group(weights: [1, 1], method: .hash)
        let before = (0..<50).map { hash.first("k\($0)") }
        hash.peers[0].share = 0
        #expect((0..<50).map { hash.first("k\($0)") } == before)
    }
}
