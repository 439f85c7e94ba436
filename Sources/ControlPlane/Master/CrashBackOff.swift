// SPDX-License-Identifier: Apache-2.0
//
// How long a dead child's place stays empty. A single death is made good at once; a child that dies again and again
// gets longer and longer pauses, so that a crash loop costs neither the machine nor the log.

package struct CrashBackOff: Sendable, Equatable {
    package static let windowMilliseconds = 10_000
    package static let deathsMax = 5
    package static let delaySecondsMax = 30

    private var recentDeaths: [Int] = []
    /// Seconds of the last pause; 0 while no loop is seen.
    private var delaySeconds = 0

    package init() {}

    /// Milliseconds to wait before the next start, 0 for at once.
    package mutating func died(at now: Int) -> Int {
        // A loop is over when a child has lived longer than the window and the pause before it.
        let window = CrashBackOff.windowMilliseconds + delaySeconds * 1000
        if let last = recentDeaths.last, now - last > window {
            recentDeaths = []
            delaySeconds = 0
        }
        if delaySeconds == 0 { recentDeaths.removeAll { now - $0 > CrashBackOff.windowMilliseconds } }
        recentDeaths.append(now)
        guard recentDeaths.count >= CrashBackOff.deathsMax else { return 0 }
        recentDeaths.removeFirst(recentDeaths.count - CrashBackOff.deathsMax)
        delaySeconds = min(max(1, delaySeconds * 2), CrashBackOff.delaySecondsMax)
        return delaySeconds * 1000
    }
}
