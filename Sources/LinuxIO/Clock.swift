// SPDX-License-Identifier: Apache-2.0
//
// Time: what has passed (monotonic), what the calendar says (wall), and the calendar's parts for log stamps.

import Glibc
import Vocabulary

package func monotonicNanoseconds() -> UInt64 { nanoseconds(of: CLOCK_MONOTONIC) }

package func monotonicMilliseconds() -> UInt64 { nanoseconds(of: CLOCK_MONOTONIC) / 1_000_000 }

/// The same clock as the kernel's last tick left it: up to 4 ms old, and read without asking the processor's counter,
/// which costs a virtual machine as much as a small system call. nginx keeps its time with it, too.
package func coarseMonotonicMilliseconds() -> UInt64 { nanoseconds(of: CLOCK_MONOTONIC_COARSE) / 1_000_000 }

/// From one tick to the next, rounded up.
package func coarseMonotonicStepMilliseconds() -> UInt64 {
    var step = timespec()
    let status = unsafe clock_getres(CLOCK_MONOTONIC_COARSE, &step)
    precondition(status == 0, "this clock exists since Linux 2.6.32")
    return (UInt64(step.tv_nsec) + 999_999) / 1_000_000
}

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
package func sleep(milliseconds: UInt64) { sleep(nanoseconds: milliseconds * 1_000_000) }

package func sleep(nanoseconds: UInt64) {
    var left = timespec(tv_sec: Int(nanoseconds / 1_000_000_000), tv_nsec: Int(nanoseconds % 1_000_000_000))
    var rest = timespec()
    while unsafe nanosleep(&left, &rest) == -1, errno == EINTR { left = rest }
}

extension LocalTime {
    package init(wallMilliseconds: UInt64) {
        self.init(secondsSince1970: Int64(wallMilliseconds / 1000))
    }

    /// localtime_r(3): the zone is what `loadZone` has read.
    package init(secondsSince1970: Int64) {
        var seconds = time_t(secondsSince1970)
        var parts = unsafe tm()
        unsafe localtime_r(&seconds, &parts)
        unsafe self.init(
            year: Int(parts.tm_year) + 1900, month: Int(parts.tm_mon) + 1, day: Int(parts.tm_mday),
            hour: Int(parts.tm_hour), minute: Int(parts.tm_min), second: Int(parts.tm_sec),
            offsetMinutes: parts.tm_gmtoff / 60)
    }

    /// Reads the zone (TZ, /etc/localtime); called once at start, before rights and root are given up.
    package static func loadZone() { tzset() }
}
