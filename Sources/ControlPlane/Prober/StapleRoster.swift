// SPDX-License-Identifier: Apache-2.0
//
// When which certificate is asked about. Pure: time is an argument, milliseconds of the monotonic clock for what is
// due, seconds of the wall clock for what a response says of itself.
//
//     due ──▶ asking ──(an answer that holds)──▶ waits until shortly before its end, an hour at most
//               └──────(none, or none of use)──▶ waits five minutes; a reload does not wait

/// How patient the questions to responders are; tests have less time than the world.
package struct StapleTimes: Sendable {
    /// After a failure, and the least between two questions.
    package var retrySeconds: UInt64 = 300
    /// For one address to take the question and to answer it.
    package var answerMilliseconds: UInt64 = 60_000

    /// nginx's.
    package init() {}
}

/// `Target` is what is to be asked, whatever that takes.
package struct StapleRoster<Target> {
    private struct Entry {
        var target: Target
        var askAtMilliseconds: UInt64
        var isAsking = false
        var hasFailed = false
    }

    /// nginx's numbers. A response is asked for anew before it ends, but not earlier than in five minutes.
    package static var refreshSecondsMax: UInt64 { 3600 }
    private static var marginSeconds: UInt64 { 300 }

    private let retrySeconds: UInt64
    private var entries: [[UInt8]: Entry] = [:]

    package init(retrySeconds: UInt64 = StapleTimes().retrySeconds) { self.retrySeconds = retrySeconds }

    package func wants(_ key: [UInt8]) -> Bool { entries[key] != nil }

    /// The plan of a new generation. What went well goes on; what failed is asked again at once, as whoever reloads may
    /// have mended it. `secondsLeft` says of a certificate that this roster has never seen how long to wait.
    package mutating func adopt(
        _ targets: [[UInt8]: Target], nowMilliseconds: UInt64, secondsLeft: ([UInt8]) -> UInt64
    ) {
        var adopted: [[UInt8]: Entry] = [:]
        for (key, target) in targets {
            if var entry = entries[key] {
                entry.target = target
                if entry.hasFailed { entry.askAtMilliseconds = nowMilliseconds }
                adopted[key] = entry
            } else {
                adopted[key] = Entry(
                    target: target, askAtMilliseconds: nowMilliseconds + secondsLeft(key) * 1000)
            }
        }
        entries = adopted
    }

    package var nextDueMilliseconds: UInt64? {
        entries.values.lazy.filter { !$0.isAsking }.map(\.askAtMilliseconds).min()
    }

    /// The target whose turn it is longest, which is being asked about from now on.
    package mutating func start(at nowMilliseconds: UInt64) -> Target? {
        let due = entries.filter { !$0.value.isAsking && $0.value.askAtMilliseconds <= nowMilliseconds }
        guard let next = due.min(by: { $0.value.askAtMilliseconds < $1.value.askAtMilliseconds }) else { return nil }
        entries[next.key]!.isAsking = true
        return next.value.target
    }

    /// When a response that holds until then is asked for again.
    package func askAt(holdsUntilSeconds: UInt64, nowSeconds: UInt64) -> UInt64 {
        let soon = holdsUntilSeconds > Self.marginSeconds ? holdsUntilSeconds - Self.marginSeconds : 0
        return max(min(soon, nowSeconds + Self.refreshSecondsMax), nowSeconds + retrySeconds)
    }

    /// `secondsLeft` nil: it failed.
    package mutating func finish(_ key: [UInt8], nowMilliseconds: UInt64, secondsLeft: UInt64?) {
        entries[key]?.isAsking = false
        entries[key]?.hasFailed = secondsLeft == nil
        entries[key]?.askAtMilliseconds = nowMilliseconds + (secondsLeft ?? retrySeconds) * 1000
    }
}
