// SPDX-License-Identifier: Apache-2.0
//
// Waiting for a condition, with a deadline. Nothing in the tests sleeps for luck: they wait for what must become true.

import Foundation

/// A deadline on the monotonic clock.
package struct Deadline: Sendable {
    private let end: ContinuousClock.Instant

    package init(in duration: Duration) { end = .now + duration }

    package var hasPassed: Bool { ContinuousClock.now >= end }

    /// For poll(2): whole milliseconds, at least one while the deadline has not passed.
    package var millisecondsLeft: Int32 {
        let left = ContinuousClock.now.duration(to: end)
        if left <= .zero { return 0 }
        let milliseconds = left.components.seconds * 1000 + left.components.attoseconds / 1_000_000_000_000_000
        return Int32(min(max(milliseconds, 1), 1_000_000))
    }

    package var left: Duration { .milliseconds(Int(millisecondsLeft)) }
}

/// Returns when `condition` holds; throws with `what` when it does not within the time, which is generous: tests run
/// side by side and block the few threads that they share.
package func eventually(
    _ what: @autoclosure () -> String, within duration: Duration = .seconds(30),
    _ condition: () async throws -> Bool
) async throws {
    let deadline = Deadline(in: duration)
    var pause = Duration.milliseconds(2)
    while true {
        if try await condition() { return }
        if deadline.hasPassed { throw TestFault("not within \(duration): \(what())") }
        try await Task.sleep(for: pause)
        pause = min(pause * 2, .milliseconds(50))
    }
}

/// The first value that `body` has to offer within the time.
package func eventually<Value>(
    _ what: @autoclosure () -> String, within duration: Duration = .seconds(30),
    value body: () async throws -> Value?
) async throws -> Value {
    var found: Value?
    try await eventually(what(), within: duration) {
        found = try await body()
        return found != nil
    }
    guard let found else { throw TestFault(what()) }
    return found
}

/// The same for threads that may block.
package func blockUntil(
    _ what: @autoclosure () -> String, within duration: Duration = .seconds(30), _ condition: () throws -> Bool
) throws {
    let deadline = Deadline(in: duration)
    while try !condition() {
        if deadline.hasPassed { throw TestFault("not within \(duration): \(what())") }
        Thread.sleep(forTimeInterval: 0.003)
    }
}
