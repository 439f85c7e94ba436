// SPDX-License-Identifier: Apache-2.0
//
// Time: what has passed (monotonic), what the calendar says (wall), and the calendar's parts for log stamps.

import Glibc

package func monotonicNanoseconds() -> UInt64 { nanoseconds(of: CLOCK_MONOTONIC) }

package func monotonicMilliseconds() -> UInt64 { nanoseconds(of: CLOCK_MONOTONIC) / 1_000_000 }

/// Milliseconds since 1970, UTC.
package func wallMilliseconds() -> UInt64 { nanoseconds(of: CLOCK_REALTIME) / 1_000_000 }

/// CPU time of this process.
package func processorNanoseconds() -> UInt64 { nanoseconds(of: CLOCK_PROCESS_CPUTIME_ID) }

private func nanoseconds(of clock: clockid_t) -> UInt64 {
    var time = timespec()
    let status = unsafe clock_gettime(clock, &time)
    precondition(status == 0, "these clocks exist since Linux 2.6")
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}

/// Sleeps for at least that long, whatever signals arrive.
package func sleep(milliseconds: UInt64) {
    var left = timespec(tv_sec: Int(milliseconds / 1000), tv_nsec: Int(milliseconds % 1000) * 1_000_000)
    var rest = timespec()
    while unsafe nanosleep(&left, &rest) == -1, errno == EINTR { left = rest }
}

/// A moment in the local calendar.
package struct LocalTime: Sendable, Equatable, BitwiseCopyable {
    package var year: Int
    /// 1 … 12.
    package var month: Int
    /// 1 … 31.
    package var day: Int
    package var hour: Int
    package var minute: Int
    package var second: Int
    package var millisecond: Int
    /// East of Greenwich is positive: +120 for `+0200`.
    package var offsetMinutes: Int

    /// Reads the zone (TZ, /etc/localtime) at the first call of a process only; localtime_r(3) need not look again.
    package init(wallMilliseconds: UInt64) {
        var seconds = time_t(wallMilliseconds / 1000)
        var parts = unsafe tm()
        unsafe localtime_r(&seconds, &parts)
        year = unsafe Int(parts.tm_year) + 1900
        month = unsafe Int(parts.tm_mon) + 1
        day = unsafe Int(parts.tm_mday)
        hour = unsafe Int(parts.tm_hour)
        minute = unsafe Int(parts.tm_min)
        second = unsafe Int(parts.tm_sec)
        millisecond = Int(wallMilliseconds % 1000)
        offsetMinutes = unsafe parts.tm_gmtoff / 60
    }

    /// Reads the zone; called once at start, before rights and root are given up.
    package static func loadZone() { tzset() }
}
