// SPDX-License-Identifier: Apache-2.0
//
// When a living session's next `interval=` line is due. The moments of a session lie at a point of the interval that
// its number draws, so that thousands that came at once do not write at once, and nothing needs to be remembered.

package enum IntervalSchedule {
    /// The first moment after `now` at which the session with this number is due; at most an interval away. A session's
    /// own moments are exactly an interval apart.
    package static func next(after now: UInt64, intervalMilliseconds: UInt64, number: UInt64) -> UInt64 {
        precondition(intervalMilliseconds > 0)
        // Numbers of a storm follow each other: Fibonacci hashing lays neighbours far apart. The high half of the
        // product scales to the interval without a bias that a remainder would have.
        let drawn = number &* 0x9E37_79B9_7F4A_7C15
        let phase = drawn.multipliedFullWidth(by: intervalMilliseconds).high
        let isPast = (now % intervalMilliseconds + intervalMilliseconds - phase) % intervalMilliseconds
        return now + intervalMilliseconds - isPast
    }
}
