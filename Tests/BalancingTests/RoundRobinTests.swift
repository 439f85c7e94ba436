// SPDX-License-Identifier: Apache-2.0
//
// Smooth weighted round robin, and what makes a peer eligible for every method.

import Balancing
import Testing

@Suite struct RoundRobinTests {
    @Test(
        "golden rows, twice over",
        arguments: [
            ([5, 1, 1] as [Int32], "aabacaaaabacaa"), ([1, 1, 1], "abcabc"), ([3, 1], "aabaaaba"), ([1, 2], "babbab"),
            ([4, 2, 1], "abacabaabacaba"), ([1], "aaa"),
        ])
    func golden(weights: [Int32], row: String) {
        let group = Group(weights: weights)
        #expect(group.letters(row.count) == row)
    }

    @Test("one client sees each server once")
    func eachOnce() {
        let group = Group(weights: [1, 1, 1, 5])
        #expect(group.row().sorted() == [0, 1, 2, 3])
    }

    @Test("a failure takes weight, choices give it back one by one")
    func weightRecovers() {
        let group = Group(weights: [6, 2])
        group.peers[0].maxFails = 3
        #expect(!group.fail(0))
        #expect(group.peers[0].effectiveWeight == 4)
        #expect(!group.fail(0))
        #expect(group.peers[0].effectiveWeight == 2)
        for expected: Int32 in [3, 4, 5, 6, 6] {
            _ = group.first()
            #expect(group.peers[0].effectiveWeight == expected)
        }
        group.peers[0].maxFails = 1
        _ = group.fail(0)
        #expect(group.peers[0].effectiveWeight == 0)
        _ = group.fail(0)
        #expect(group.peers[0].effectiveWeight == 0)
    }

    @Test(
        "who is closed gets nobody, for each reason",
        arguments: [
            PeerState.Flags.down, .unhealthy, .draining, [.down, .draining],
        ])
    func closed(flags: PeerState.Flags) {
        let group = Group(weights: [5, 1, 1])
        group.peers[0].flags = flags
        #expect(group.letters(4) == "bcbc")
        #expect(group.peers[0].currentWeight == 0)
        group.peers[0].flags = []
        #expect(group.letters(7).filter { $0 == "a" }.count == 5)
    }

    @Test("max_conns keeps out from exactly the limit on")
    func maxConnections() {
        let group = Group(weights: [1, 1])
        group.peers[0].maxConnections = 2
        group.peers[0].sessions = 1
        #expect(group.letters(2) == "ab")
        group.peers[0].sessions = 2
        #expect(group.letters(2) == "bb")
        group.peers[1].maxConnections = 1
        group.peers[1].sessions = 1
        #expect(group.letters(1) == "-")
    }

    @Test("backups serve when no primary can, and then the client stays among them")
    func backups() {
        let group = Group(weights: [1, 1, 1, 1])
        group.peers[1].flags = .backup
        group.peers[3].flags = .backup
        #expect(group.letters(4) == "acac")
        #expect(group.row() == [0, 2, 1, 3])
        group.peers[0].flags = .down
        group.peers[2].flags = .unhealthy
        // The row before left d the higher weight.
        #expect(group.letters(4) == "dbdb")
        group.peers[1].flags.insert(.down)
        group.peers[3].flags.insert(.draining)
        #expect(group.letters(1) == "-")
    }

    @Test("a group of one is tried whatever failed, but not when it is closed, and once for each client")
    func onlyPeer() {
        let group = Group(weights: [1])
        for _ in 0..<5 {
            #expect(!group.fail(0))
            #expect(group.row() == [0])
        }
        group.peers[0].fails = 9
        group.peers[0].checkedSeconds = group.now
        #expect(group.letters(1) == "a")
        group.peers[0].flags = .unhealthy
        #expect(group.letters(1) == "-")
        group.peers[0].flags = []
        group.peers[0].maxConnections = 1
        group.peers[0].sessions = 1
        #expect(group.letters(1) == "-")
    }

    @Test("a group of a hundred and more remembers each try")
    func manyPeers() {
        let group = Group(weights: [Int32](repeating: 1, count: 300))
        #expect(group.row().sorted() == Array(0..<300))
    }

    @Test("absurd weights trap nowhere")
    func absurdWeights() {
        for method in [BalancingMethod.roundRobin, .hash, .random, .randomOfTwo, .leastConnections] {
            let group = Group(weights: [Int32.max, Int32.max, 0, -5], method: method)
            for peer in group.peers.indices { group.peers[peer].sessions = UInt32.max }
            for number in 0..<100 { #expect(!group.row("key-\(number)").isEmpty) }
        }
    }
}
