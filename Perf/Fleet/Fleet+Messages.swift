// SPDX-License-Identifier: Apache-2.0
//
// QoS 1 messages over the open sessions: at a steady rate, or as fast as answers come.
//
// At a rate the load is an open loop: message k is due at start + k / rate, whatever became of the ones before it, and
// its latency counts from that moment. A proxy that stalls is charged for all that should have been sent meanwhile.

import Histogram
import LinuxIO
import MQTTWire

/// When each message of a paced job is due, and who sends it: sessions take turns.
struct Schedule {
    var start: UInt64
    var perSecond: Double
    var sessionCount: Int

    func dueTime(of message: Int) -> UInt64 { start + UInt64(Double(message) * 1e9 / perSecond) }

    /// The moment at which message `count` of a session is due.
    func dueTime(ofSession index: Int, message count: Int) -> UInt64 { dueTime(of: index + count * sessionCount) }
}

extension Fleet {
    package static let payloadBytes = 128

    /// Messages of one session that may be under way; more wait in the session and are late.
    private static let windowMax = 16

    /// `perSecond` messages of all sessions together, evenly spaced, for `seconds` or until they are wanted no more.
    /// Counts those answered, with their latencies.
    package func publish(
        perSecond: Double, seconds: Double, into latencies: inout Latencies, while isWanted: () -> Bool = { true }
    ) -> JobResult {
        let schedule = Schedule(start: monotonicNanoseconds(), perSecond: perSecond, sessionCount: sessions.count)
        begin(.paced(schedule))
        resetMessageCounts()
        let total = Int(perSecond * seconds)
        var nextMessage = 0
        while nextMessage < total, isWanted() {
            let now = monotonicNanoseconds()
            // Answers are read between bursts, however late we are.
            var burst = 0
            while nextMessage < total, burst < 64, schedule.dueTime(of: nextMessage) <= now {
                let number = sessions[nextMessage % sessions.count]
                if number >= 0 { publishDue(number) }
                nextMessage += 1
                burst += 1
            }
            turn(until: nextMessage < total ? schedule.dueTime(of: nextMessage) : now)
        }
        return finishMessages(since: schedule.start, into: &latencies)
    }

    /// Every session has one message in flight, and sends the next when it is answered.
    package func saturate(seconds: Double, into latencies: inout Latencies) -> JobResult {
        begin(.saturated)
        resetMessageCounts()
        let start = monotonicNanoseconds()
        let deadline = start + UInt64(seconds * 1e9)
        for number in sessions where number >= 0 { publishNow(number) }
        while monotonicNanoseconds() < deadline { turn(until: deadline) }
        return finishMessages(since: start, into: &latencies)
    }

    private func finishMessages(since start: UInt64, into latencies: inout Latencies) -> JobResult {
        isStopping = true
        let grace = monotonicNanoseconds() + Self.graceNanoseconds
        if !turn(until: grace, { unansweredCount == 0 }) { tally.unanswered += unansweredCount }
        latencies.add(record.latencies)
        return JobResult(count: record.answered, nanoseconds: monotonicNanoseconds() - start)
    }

    private var unansweredCount: Int { record.published - record.answered + record.owed }

    private func resetMessageCounts() {
        for number in sessions where number >= 0 {
            connections[Int(number)].sentCount = 0
            connections[Int(number)].answeredCount = 0
            connections[Int(number)].owedCount = 0
        }
    }

    private func publishDue(_ number: Int32) {
        let connection = connections[Int(number)]
        if connection.sentCount - connection.answeredCount < Self.windowMax {
            publishNow(number)
        } else {
            connections[Int(number)].owedCount += 1
            record.owed += 1
        }
    }

    private func publishNow(_ number: Int32) {
        let slot = Int(number)
        let packetID = Self.packetID(of: connections[slot].sentCount)
        let place = publishPacket.count - Self.payloadBytes - 2
        publishPacket[place] = UInt8(packetID >> 8)
        publishPacket[place + 1] = UInt8(truncatingIfNeeded: packetID)
        connections[slot].sentAt = monotonicNanoseconds()
        connections[slot].sentCount += 1
        record.published += 1
        if !sendSmall(number, publishPacket) { end(number, nil) }
    }

    /// A broker acknowledges in order (3.1.1 section 4.6), so the id that must come next is known.
    func answered(_ number: Int32, _ packetID: UInt16) {
        let slot = Int(number)
        let connection = connections[slot]
        guard connection.answeredCount < connection.sentCount,
            packetID == Self.packetID(of: connection.answeredCount)
        else { return wrong(number) }
        let now = monotonicNanoseconds()
        connections[slot].answeredCount += 1
        record.answered += 1
        switch job {
        case .paced(let schedule):
            let due = schedule.dueTime(ofSession: connection.sessionIndex, message: connection.answeredCount)
            record.latencies.record(now > due ? now - due : 0)
            if connection.owedCount > 0 {
                connections[slot].owedCount -= 1
                record.owed -= 1
                publishNow(number)
            }
        case .saturated:
            record.latencies.record(now - connection.sentAt)
            if !isStopping { publishNow(number) }
        case .sessions, .churn, .bulk: wrong(number)
        }
    }

    private static func packetID(of count: Int) -> UInt16 { UInt16(count % 65_535) + 1 }

    static func makePublishPacket() -> [UInt8] {
        PublishPacket(
            topic: "fleet/telemetry", payload: [UInt8](repeating: UInt8(ascii: "x"), count: payloadBytes), packetID: 1
        ).bytes(for: .v311)
    }
}
