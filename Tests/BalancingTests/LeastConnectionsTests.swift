// SPDX-License-Identifier: Apache-2.0
//
// least_conn: fewest sessions for the weight, ties by round robin among just those.

import Balancing
import Testing

@Suite struct LeastConnectionsTests {
    @Test(
        "the least loaded for its weight",
        arguments: [
            ([1, 1, 1] as [Int32], [3, 1, 2] as [UInt32], 1), ([4, 1, 1], [3, 1, 2], 0), ([2, 1, 1], [1, 1, 0], 2),
            ([10, 1, 1], [19, 2, 2], 0), ([1, 1, 3], [1, 1, 2], 2),
        ])
    func least(weights: [Int32], sessions: [UInt32], expected: Int) {
        let group = Group(weights: weights, method: .leastConnections)
        for (index, count) in sessions.enumerated() { group.peers[index].sessions = count }
        #expect(group.first() == expected)
    }

    @Test("ties are settled by a smooth round robin, and others take no part in it")
    func ties() {
        let group = Group(weights: [1, 1, 1, 1], method: .leastConnections)
        group.peers[0].sessions = 5
        #expect(group.letters(6) == "bcdbcd")
        #expect(group.peers[0].currentWeight == 0)
        let idle = Group(weights: [5, 1, 1], method: .leastConnections)
        #expect(idle.letters(7) == "aabacaa")
    }

    @Test("sessions grow in the proportion of the weights")
    func proportion() {
        let group = Group(weights: [4, 2, 1], method: .leastConnections)
        for _ in 0..<700 { group.peers[group.first()!].sessions += 1 }
        #expect(group.peers.map(\.sessions) == [400, 200, 100])
    }

    @Test("backups are chosen by the same measure, once no primary is left")
    func backups() {
        let group = Group(weights: [1, 1, 1], method: .leastConnections)
        group.peers[1].flags = .backup
        group.peers[2].flags = .backup
        group.peers[1].sessions = 1
        #expect(group.row() == [0, 2, 1])
        group.peers[0].flags = .down
        #expect(group.first() == 2)
    }

    @Test("the least loaded is passed by when it is out")
    func ineligible() {
        let group = Group(weights: [1, 1], method: .leastConnections)
        group.peers[1].sessions = 9
        _ = group.fail(0)
        #expect(group.letters(2) == "bb")
    }
}
