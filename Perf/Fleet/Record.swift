// SPDX-License-Identifier: Apache-2.0
//
// What a job counts while it runs, and what it answers when it is done.

import Histogram

/// Latencies in nanoseconds, to three digits, up to a minute.
package typealias Latencies = Histogram<UInt64>

extension Latencies {
    package static var empty: Latencies {
        Latencies(highestTrackableValue: 60_000_000_000, numberOfSignificantValueDigits: .three)
    }
}

struct Record {
    var connected = 0
    /// Devices that churn at this moment.
    var churning = 0
    var endedEarly = 0
    var resumed = 0
    var subscribed = 0
    var bulkPackets = 0
    var bulkBytesEach = 0
    var published = 0
    /// Messages that are due and wait in their sessions.
    var owed = 0
    var answered = 0
    var latencies = Latencies.empty
}

/// `count` of what was asked for happened in `nanoseconds`.
package struct JobResult: Sendable {
    package var count: Int
    package var nanoseconds: UInt64

    package var perSecond: Double { nanoseconds == 0 ? 0 : Double(count) * 1e9 / Double(nanoseconds) }
}
