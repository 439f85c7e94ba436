// SPDX-License-Identifier: Apache-2.0
//
// What went wrong in a run. A figure from a run that is not clean is no figure.

package struct Tally: Sendable, Equatable {
    /// Connections that failed or ended before their CONNACK.
    package var failedConnects = 0
    /// CONNACK with a code other than 0.
    package var refusedConnects = 0
    /// Handshakes that were full although a session to resume was offered.
    package var unresumed = 0
    /// Sessions that ended although their device had not closed them.
    package var lostSessions = 0
    /// What should have come within the time allowed, and did not: CONNACK, PUBACK, bulk packets, closes.
    package var unanswered = 0
    /// Bytes that are no MQTT, packets that nobody asked for, acknowledgements out of order.
    package var wrongPackets = 0
    /// Small packets that a socket did not take at once.
    package var shortSends = 0
    /// Connections that the broker saw reset, and accepts that failed.
    package var brokerFaults = 0
    /// The error of the last failed connect or lost session.
    package var lastError: String? = nil

    package init() {}

    package var total: Int {
        failedConnects + refusedConnects + unresumed + lostSessions + unanswered + wrongPackets + shortSends
            + brokerFaults
    }
    package var isClean: Bool { total == 0 }

    /// `3 lost sessions, 1 unanswered (Connection reset by peer)`; empty when clean.
    package var text: String {
        let counts = [
            (failedConnects, "failed connects"), (refusedConnects, "refused connects"),
            (unresumed, "not resumed"), (lostSessions, "lost sessions"), (unanswered, "unanswered"),
            (wrongPackets, "wrong packets"), (shortSends, "short sends"), (brokerFaults, "broker faults"),
        ]
        let words = counts.filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }.joined(separator: ", ")
        guard let lastError, !words.isEmpty else { return words }
        return words + " (\(lastError))"
    }
}
