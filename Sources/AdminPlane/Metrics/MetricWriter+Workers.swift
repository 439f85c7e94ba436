// SPDX-License-Identifier: Apache-2.0
//
// Workers: what all of them have counted of sessions, and what each one has and does.

import SharedState
import Vocabulary

extension MetricWriter {
    /// `workers`: all slots that were ever used. What left with a worker still counts in the sums.
    mutating func writeSessions(_ workers: [WorkerReport]) {
        let all = [Labelled(workers, [:])]
        write(
            .closes, of: all, by: "reason",
            CloseReason.allCases.map { reason in
                (reason.name, { workers in .count(workers.reduce(0) { $0 &+ $1.closed(reason) }) })
            })
        writeConnects(workers)
        let sides = [
            Labelled(workers.reduce(TLSReport()) { $0 + $1.clientTLS }, ["side": "client"]),
            Labelled(workers.reduce(TLSReport()) { $0 + $1.brokerTLS }, ["side": "broker"]),
        ]
        write(.tlsHandshakes, of: sides) { .count($0.handshakes) }
        write(.tlsHandshakesFailed, of: sides) { .count($0.failed) }
        write(.tlsReuses, of: sides) { .count($0.reuses) }
        write(.tlsFailures, of: sides, by: "cause", tlsCauses)
        for (metric, histogram) in [
            (Metric.connectDuration, SharedHistogram.connectTime), (.firstByteDuration, .firstByteTime),
            (.sessionDuration, .sessionLength),
        ] {
            writeHistograms(metric, of: all) { workers in
                workers.reduce(HistogramReport(histogram)) { $0 + $1.histogram(histogram) }
            }
        }
    }

    private mutating func writeConnects(_ workers: [WorkerReport]) {
        write(
            .connects,
            of: ConnectOutcome.allCases.map { outcome in
                let words = outcome.words
                return Labelled(
                    workers.reduce(0) { $0 &+ $1.connects(outcome) },
                    ["version": words.version, "outcome": words.outcome])
            }
        ) { .count($0) }
    }

    mutating func write(_ workers: [Labelled<WorkerReport>]) {
        write(
            .workerState, of: workers, by: "state",
            [WorkerState.starting, .running, .leaving, .pausing].map { state in
                ("\(state)", { .flag($0.state == state) })
            })
        write(.workerStartTime, of: workers) { $0.pid == 0 ? nil : .milliseconds($0.startedAt) }
        write(.workerSessions, of: workers) { .count($0.active) }
        write(.workerSessionsMax, of: workers) { .count($0.gauges.sessionsMax) }
        write(.workerWaiting, of: workers) { .count($0.waiting) }
        write(.workerAccepted, of: workers) { .count($0.accepted) }
        write(.workerRefused, of: workers) { .count($0.refused) }
        write(.workerTurns, of: workers) { .count($0.turns) }
        write(.workerCompletions, of: workers) { .count($0.completions) }
        writeHistograms(.workerTurnDuration, of: workers) { $0.histogram(.turnLength) }
        write(.workerBuffers, of: workers) { .count($0.gauges.buffers) }
        write(.workerBuffersMax, of: workers) { .count($0.gauges.buffersMax) }
        write(.workerBufferMemory, of: workers) { .count($0.gauges.buffers &* $0.gauges.bufferBytes) }
        write(.workerBuffersStarved, of: workers) { .count($0.buffersStarved) }
        write(.workerTLSBuffers, of: workers) { .count($0.gauges.tlsBuffers) }
        write(.workerPipes, of: workers) { .count($0.gauges.pipes) }
        write(.workerPipesIdle, of: workers) { .count($0.gauges.idlePipes) }
        write(.workerRingFull, of: workers) { .count($0.gauges.ringFull) }
        write(.workerRingOverflows, of: workers) { .count($0.gauges.ringOverflows) }
        write(.workerDescriptorsStarved, of: workers) { .count($0.descriptorsStarved) }
        write(.workerLogLinesLost, of: workers) { .count($0.logLinesLost) }
        write(.workerInquiries, of: workers) { .count($0.inquiries) }
        write(.workerGenerations, of: workers) { .count($0.gauges.generations) }
        write(.workerSettings, of: workers) { .count($0.gauges.settings) }
    }
}

extension ConnectOutcome {
    /// The values of the labels `version` and `outcome`.
    var words: (version: String, outcome: String) {
        switch self {
        case .acceptedV31: ("3.1", "accepted")
        case .acceptedV311: ("3.1.1", "accepted")
        case .acceptedV5: ("5", "accepted")
        case .refusedV31: ("3.1", "refused")
        case .refusedV311: ("3.1.1", "refused")
        case .refusedV5: ("5", "refused")
        case .refusedUnknown: ("unknown", "refused")
        case .notMQTT: ("none", "not_mqtt")
        case .incomplete: ("none", "incomplete")
        }
    }
}

/// The values of the label `cause`, which are words of nginx's API.
let tlsCauses: [(name: String, value: @Sendable (TLSReport) -> MetricValue?)] = [
    ("no_common_protocol", { .count($0.noCommonProtocol) }),
    ("no_common_cipher", { .count($0.noCommonCipher) }),
    ("handshake_timeout", { .count($0.timeouts) }),
    ("peer_rejected_cert", { .count($0.peerRejectedCertificate) }),
    ("no_cert", { .count($0.noCertificate) }),
    ("expired_cert", { .count($0.expired) }),
    ("revoked_cert", { .count($0.revoked) }),
    ("hostname_mismatch", { .count($0.hostnameMismatch) }),
    ("other_cert", { .count($0.otherVerifyFailures) }),
]
