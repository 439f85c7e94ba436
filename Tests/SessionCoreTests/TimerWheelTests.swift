// SPDX-License-Identifier: Apache-2.0
//
// The wheel against the plainest model there is, a dictionary of deadlines, under random orders: the same timers
// expire, none early and none late, and the announced wake-up is never after the earliest deadline.

import SessionCore
import Testing
import Vocabulary

@Suite("the timer wheel")
struct TimerWheelTests {
    private static let ranges: [UInt64] = [2, 60, 70, 5000, 300_000, 20_000_000, 1 << 34]

    @Test("expires what a list of deadlines would", arguments: 1...6)
    func model(seed: Int) {
        var random = SeededRandom(seed: UInt64(seed))
        let capacity = 64
        var now = UInt64.random(in: 0...1 << 38, using: &random)
        var wheel = TimerWheel(capacity: capacity, now: now)
        for index in 0..<capacity { wheel.prepare(index) }
        var deadlines: [Int: UInt64] = [:]
        for _ in 0..<2000 {
            let index = Int.random(in: 0..<capacity, using: &random)
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<5:
                let range = TimerWheelTests.ranges.randomElement(using: &random)!
                let deadline = now + UInt64.random(in: 0...range, using: &random)
                wheel.arm(index, deadline: deadline)
                deadlines[index] = deadline
            case 5:
                wheel.disarm(index)
                deadlines[index] = nil
            default:
                let isAtWakeup = Bool.random(using: &random)
                let range = TimerWheelTests.ranges.randomElement(using: &random)!
                let next = isAtWakeup ? wheel.nextWakeup : nil
                now = max(now, next ?? now + UInt64.random(in: 0...range, using: &random))
                var expired: Set<Int> = []
                while let timer = wheel.popExpired(now: now) {
                    #expect(expired.insert(timer).inserted)
                }
                #expect(expired == Set(deadlines.filter { $0.value <= now }.keys))
                for timer in expired { deadlines[timer] = nil }
            }
            #expect(wheel.armedCount == deadlines.count)
            #expect(wheel.isArmed(index) == (deadlines[index] != nil))
            if let earliest = deadlines.values.min() {
                #expect((wheel.nextWakeup ?? .max) <= max(earliest, now))
            } else {
                #expect(wheel.nextWakeup == nil)
            }
        }
    }

    @Test("carries a deadline over the 795th day of a machine")
    func longUptime() {
        let border: UInt64 = 1 << 36
        var wheel = TimerWheel(capacity: 1, now: border - 1000)
        wheel.prepare(0)
        wheel.arm(0, deadline: border + 1000)
        let early = wheel.popExpired(now: border + 999)
        let due = wheel.popExpired(now: border + 1000)
        #expect(early == nil)
        #expect(due == 0)
    }

    @Test("wakes a bounded number of times on the way to one deadline")
    func wakeups() {
        var wheel = TimerWheel(capacity: 1, now: 1)
        wheel.prepare(0)
        wheel.arm(0, deadline: 1 << 35)
        var wakeups = 0
        while let next = wheel.nextWakeup {
            wakeups += 1
            if wheel.popExpired(now: next) != nil { break }
        }
        #expect(wakeups <= 7)
    }
}
