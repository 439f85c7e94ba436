// SPDX-License-Identifier: Apache-2.0
//
// When a certificate's status is asked for, by nginx's numbers, without a clock.

import ControlPlane
import Testing

@Suite("stapling's times") struct StapleRosterTests {
    private func roster(_ keys: [UInt8]..., at now: UInt64 = 1_000) -> StapleRoster<Int> {
        var roster = StapleRoster<Int>()
        roster.adopt(targets(keys), nowMilliseconds: now) { _ in 0 }
        return roster
    }

    private func targets(_ keys: [[UInt8]]) -> [[UInt8]: Int] {
        Dictionary(uniqueKeysWithValues: keys.map { ($0, Int($0[0])) })
    }

    @Test(
        "a response is asked for five minutes before its end, within an hour, and not before five minutes are over",
        arguments: zip(
            [2_800, 87_400, UInt64.max, 1_400, 1_000, 0] as [UInt64], [2_500, 4_600, 4_600, 1_300, 1_300, 1_300]))
    func refresh(holdsUntil: UInt64, askAt: UInt64) {
        #expect(StapleRoster<Int>().askAt(holdsUntilSeconds: holdsUntil, nowSeconds: 1_000) == askAt)
    }

    @Test("each is asked once at the start, and again when its time has come")
    func turns() {
        var roster = roster([1], [2])
        #expect(Set([roster.start(at: 1_000), roster.start(at: 1_000)]) == [1, 2])
        #expect(roster.start(at: .max / 2) == nil)
        #expect(roster.nextDueMilliseconds == nil)
        roster.finish([1], nowMilliseconds: 5_000, secondsLeft: 3_600)
        roster.finish([2], nowMilliseconds: 5_000, secondsLeft: nil)
        #expect(roster.nextDueMilliseconds == 305_000)
        #expect(roster.start(at: 304_999) == nil)
        #expect(roster.start(at: 305_000) == 2)
        #expect(roster.nextDueMilliseconds == 3_605_000)
        #expect(roster.start(at: 3_605_000) == 1)
    }

    @Test("a reload keeps what goes well, asks at once what failed or is new, and forgets the rest")
    func reload() {
        var roster = roster([1], [2], [3])
        for _ in 1...3 { _ = roster.start(at: 1_000) }
        roster.finish([1], nowMilliseconds: 2_000, secondsLeft: 600)
        roster.finish([2], nowMilliseconds: 2_000, secondsLeft: nil)
        roster.adopt(targets([[1], [2], [4], [5]]), nowMilliseconds: 3_000) { $0 == [5] ? 60 : 0 }
        #expect(Set([roster.start(at: 3_000), roster.start(at: 3_000)]) == [2, 4])
        #expect(roster.start(at: 3_000) == nil)
        #expect(!roster.wants([3]) && roster.wants([1]))
        #expect(roster.nextDueMilliseconds == 63_000)
        #expect(roster.start(at: 63_000) == 5)
        #expect(roster.nextDueMilliseconds == 602_000)
    }

    @Test("an answer to a question that a reload has made pointless changes nothing")
    func forgotten() {
        var roster = roster([1])
        #expect(roster.start(at: 1_000) == 1)
        roster.adopt([:], nowMilliseconds: 2_000) { _ in 0 }
        roster.finish([1], nowMilliseconds: 3_000, secondsLeft: 5)
        #expect(roster.nextDueMilliseconds == nil)
    }
}
