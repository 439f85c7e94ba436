// SPDX-License-Identifier: Apache-2.0
//
// Sessions that stay: opened a few at a time, held, closed. Also how every job begins and ends.

import LinuxIO

extension Fleet {
    /// How long answers may take after the last request.
    static let graceNanoseconds: UInt64 = 5_000_000_000

    /// Opens `count` more sessions, `atOnce` at a time.
    package func openSessions(_ count: Int, atOnce: Int = 64) -> JobResult {
        begin(.sessions)
        let start = monotonicNanoseconds()
        var startedCount = 0
        let deadline = start + Self.graceNanoseconds + UInt64(count) * 10_000_000
        while record.connected + record.endedEarly < startedCount || startedCount < count {
            if monotonicNanoseconds() > deadline { break }
            while startedCount < count, startedCount - record.connected - record.endedEarly < atOnce {
                startedCount += 1
                if startDevice() == nil { record.endedEarly += 1 }
            }
            turn(until: deadline)
        }
        tally.unanswered += startedCount - record.connected - record.endedEarly
        return JobResult(count: record.connected, nanoseconds: monotonicNanoseconds() - start)
    }

    /// Nothing is sent; sessions that end are noticed.
    package func hold(seconds: Double) {
        begin(.sessions)
        let deadline = monotonicNanoseconds() + UInt64(seconds * 1e9)
        while monotonicNanoseconds() < deadline { turn(until: deadline) }
    }

    /// Closes all, and waits until the broker has seen each of them end.
    package func closeSessions() {
        begin(.sessions)
        for number in sessions where number >= 0 { hangUp(number) }
        sessions.removeAll(keepingCapacity: true)
        finish(within: Self.graceNanoseconds) { brokerConnectionCount == 0 }
        // Those that the broker still has would disturb what comes next.
        for slot in connections.indices where connections[slot].role == .broker { close(Int32(slot)) }
    }

    package var openSessionCount: Int { sessions.count { $0 >= 0 } }

    var brokerConnectionCount: Int { connections.count { $0.role == .broker } }

    func begin(_ job: Job) {
        self.job = job
        isStopping = false
        record = Record()
    }

    /// Whatever does not hold in time is counted as unanswered.
    func finish(within nanoseconds: UInt64, _ condition: () -> Bool) {
        if !turn(until: monotonicNanoseconds() + nanoseconds, condition) { tally.unanswered += 1 }
    }
}
