// SPDX-License-Identifier: Apache-2.0
//
// Devices that come and go: connect, CONNECT, await CONNACK, close, and the next one at once.

import LinuxIO

extension Fleet {
    /// Keeps `atOnce` devices busy for `seconds`, then lets the last ones finish. Counts those that got their CONNACK.
    package func churn(atOnce: Int, seconds: Double) -> JobResult {
        begin(.churn)
        let start = monotonicNanoseconds()
        let deadline = start + UInt64(seconds * 1e9)
        record.churning = 0
        for _ in 0..<atOnce { churnStart() }
        while monotonicNanoseconds() < deadline { turn(until: deadline) }
        isStopping = true
        finish(within: Self.graceNanoseconds) { record.churning == 0 }
        return JobResult(count: record.connected, nanoseconds: monotonicNanoseconds() - start)
    }

    /// One device is through.
    func churnOn() {
        record.churning -= 1
        if !isStopping { churnStart() }
    }

    /// A device that could not even start is not tried again in this turn: nothing would end such a loop.
    private func churnStart() {
        if startDevice() != nil { record.churning += 1 }
    }
}
