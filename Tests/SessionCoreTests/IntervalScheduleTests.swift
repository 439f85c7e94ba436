// SPDX-License-Identifier: Apache-2.0
//
// Interval lines of a session come at their distance; those of a storm of sessions come one by one.

import SessionCore
import Testing
import Vocabulary

@Suite("interval lines")
struct IntervalScheduleTests {
    private func next(_ now: UInt64, _ interval: UInt64, _ number: UInt64) -> UInt64 {
        IntervalSchedule.next(after: now, intervalMilliseconds: interval, number: number)
    }

    @Test("are exactly an interval apart, and the first is at most an interval away", arguments: [
        1, 1000, 1001, 300_000, 604_800_000,
    ] as [UInt64])
    func distance(interval: UInt64) {
        for number in 0..<200 as Range<UInt64> {
            let start = 12_345_678 + number * 77
            var moment = next(start, interval, number)
            #expect(moment > start && moment <= start + interval)
            for _ in 0..<3 {
                // Whoever asks anywhere in between hears the same.
                #expect(next(moment - 1, interval, number) == moment)
                let following = next(moment, interval, number)
                #expect(following == moment + interval)
                moment = following
            }
        }
    }

    @Test("of ten thousand sessions of one moment are spread: no tenth of a second has twice its share")
    func spread() {
        let interval: UInt64 = 60_000
        for worker in [0, 3, 127] {
            var tenths = [Int](repeating: 0, count: 600)
            for count in 1...10_000 as ClosedRange<UInt64> {
                let number = SessionID.number(worker: worker, count: count)
                tenths[Int((next(1_000_000, interval, number) - 1_000_001) / 100)] += 1
            }
            #expect(tenths.max()! <= 2 * 10_000 / 600 + 1, "\(tenths)")
        }
    }
}
