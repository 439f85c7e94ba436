// SPDX-License-Identifier: Apache-2.0
//
// random and random two, with seeded chance.

import Balancing
import Testing

@Suite struct RandomTests {
    @Test("one seed is one row of choices")
    func seeded() {
        let first = Group(weights: [1, 2, 3], method: .random)
        let second = Group(weights: [1, 2, 3], method: .random)
        let row = first.letters(50)
        #expect(second.letters(50) == row)
        second.random = RandomDraws(seed: 2)
        #expect(second.letters(50) != row)
    }

    @Test("shares follow the weights", arguments: [UInt64(1), 2, 3])
    func shares(seed: UInt64) {
        let group = Group(weights: [5, 3, 2], method: .random)
        group.random = RandomDraws(seed: seed)
        var counts = [0, 0, 0]
        for _ in 0..<10_000 { counts[group.first()!] += 1 }
        // Five standard deviations of a binomial share are below 250.
        #expect(abs(counts[0] - 5_000) < 250, "seed \(seed)")
        #expect(abs(counts[1] - 3_000) < 250, "seed \(seed)")
    }

    @Test("only eligible ones, each once for a client", arguments: ["one", "two"])
    func eligible(mode: String) {
        let group = Group(weights: [1, 1, 50, 1], method: mode == "one" ? .random : .randomOfTwo)
        group.peers[2].flags = .unhealthy
        for _ in 0..<300 { #expect(group.row().sorted() == [0, 1, 3]) }
        group.peers[0].flags = .down
        group.peers[1].flags = .down
        for _ in 0..<50 { #expect(group.first() == 3) }
        group.peers[3].flags = .backup
        for _ in 0..<50 { #expect(group.first() == 3) }
        group.peers[3].flags = [.backup, .down]
        #expect(group.first() == nil)
    }

    @Test("of two, the one with fewer sessions for its weight")
    func two() {
        let group = Group(weights: [1, 1], method: .randomOfTwo)
        group.peers[0].sessions = 1
        // Two servers: after the first draw only the other one counts, unless twenty draws all name the first.
        var counts = [0, 0]
        for _ in 0..<500 { counts[group.first()!] += 1 }
        #expect(counts[0] <= 1)
        let grown = Group(weights: [3, 1, 1], method: .randomOfTwo)
        for _ in 0..<1_000 { grown.peers[grown.first()!].sessions += 1 }
        #expect(grown.peers[0].sessions > 500 && grown.peers[0].sessions < 700)
    }
}
