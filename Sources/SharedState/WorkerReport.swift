// SPDX-License-Identifier: Apache-2.0
//
// A worker as readers see it: what it has counted, and what it holds.

import CShared
import Vocabulary

/// What became of the first bytes of a client, where a server block reads them as MQTT.
package enum ConnectOutcome: UInt8, Sendable, CaseIterable {
    case acceptedV31 = 0
    case acceptedV311
    case acceptedV5
    /// Malformed, or larger than `preread_buffer_size`, under `mqtt_preread required`.
    case refusedV31
    case refusedV311
    case refusedV5
    case refusedUnknown
    /// Passed on or not.
    case notMQTT
    /// The client ended or was too slow.
    case incomplete

    var field: cs_connect_field { cs_connect_field(rawValue: UInt32(rawValue)) }
}

/// What a worker holds, as of the last second in which it did something.
package struct WorkerGauges: Sendable, Equatable {
    package var descriptors: UInt64 = 0
    package var descriptorsMax: UInt64 = 0
    package var sessionsMax: UInt64 = 0
    /// Of the pool that receives take from. It grows when receives find none, and never shrinks.
    package var buffers: UInt64 = 0
    package var buffersMax: UInt64 = 0
    /// Of one buffer.
    package var bufferBytes: UInt64 = 0
    /// In use.
    package var tlsBuffers: UInt64 = 0
    package var pipes: UInt64 = 0
    package var idlePipes: UInt64 = 0
    /// Since the worker's start: times the submission queue was full in the middle of a turn, and completions that the
    /// kernel kept for want of room.
    package var ringFull: UInt64 = 0
    package var ringOverflows: UInt64 = 0
    /// Configurations that sessions still hold, the committed one included.
    package var generations: UInt64 = 0
    package var settings: UInt64 = 0

    package init() {}

    static var words: [(cs_worker_field, WritableKeyPath<WorkerGauges, UInt64>)] {
        [
            (CS_WORKER_DESCRIPTORS, \.descriptors), (CS_WORKER_DESCRIPTORS_MAX, \.descriptorsMax),
            (CS_WORKER_SESSIONS_MAX, \.sessionsMax), (CS_WORKER_BUFFERS, \.buffers),
            (CS_WORKER_BUFFERS_MAX, \.buffersMax), (CS_WORKER_BUFFER_BYTES, \.bufferBytes),
            (CS_WORKER_TLS_BUFFERS, \.tlsBuffers), (CS_WORKER_PIPES, \.pipes),
            (CS_WORKER_PIPES_IDLE, \.idlePipes), (CS_WORKER_RING_FULL, \.ringFull),
            (CS_WORKER_RING_OVERFLOWS, \.ringOverflows), (CS_WORKER_GENERATIONS, \.generations),
            (CS_WORKER_SETTINGS, \.settings),
        ]
    }
}

package struct WorkerReport: Sendable {
    package var slot: WorkerSlot
    /// 0: nobody.
    package var pid: Int32
    package var state: WorkerState
    package var respawns: UInt64
    /// Wall clock, milliseconds.
    package var startedAt: UInt64
    package var accepted: UInt64
    package var active: UInt64
    /// Of the active sessions those whose first packet is not complete.
    package var waiting: UInt64
    package var refused: UInt64
    package var buffersStarved: UInt64
    package var descriptorsStarved: UInt64
    package var turns: UInt64
    /// Monotonic milliseconds.
    package var lastTurnAt: UInt64
    package var completions: UInt64
    package var logLinesLost: UInt64
    package var inquiries: UInt64
    package var gauges: WorkerGauges
    /// Indexed by CloseReason's raw value.
    package var closed: [UInt64]
    /// Indexed by ConnectOutcome's raw value.
    package var connects: [UInt64]
    package var clientTLS: TLSReport
    package var brokerTLS: TLSReport
    /// Indexed by SharedHistogram's raw value.
    package var histograms: [HistogramReport]

    package func closed(_ reason: CloseReason) -> UInt64 { closed[Int(reason.rawValue)] }
    package func connects(_ outcome: ConnectOutcome) -> UInt64 { connects[Int(outcome.rawValue)] }
    package func histogram(_ histogram: SharedHistogram) -> HistogramReport { histograms[Int(histogram.rawValue)] }
}

extension SharedRegion {
    /// Every slot that was ever used.
    package func workerReports() -> [WorkerReport] {
        (0..<UInt32(workersUsed)).map { workerReport(WorkerSlot(number: $0)) }
    }

    package func workerReport(_ worker: WorkerSlot) -> WorkerReport {
        func word(_ field: cs_worker_field) -> UInt64 { unsafe cs_load(cs_worker(base, worker.number, field)) }
        func tls(_ start: cs_worker_field) -> TLSReport {
            let words = unsafe cs_worker(base, worker.number, start)
            return TLSReport(isServer: true) { unsafe cs_load(words + Int($0.rawValue)) }
        }
        var gauges = WorkerGauges()
        for (field, path) in WorkerGauges.words { gauges[keyPath: path] = word(field) }
        return WorkerReport(
            slot: worker, pid: Int32(truncatingIfNeeded: word(CS_WORKER_PID)),
            state: WorkerState(rawValue: UInt8(truncatingIfNeeded: word(CS_WORKER_STATE))) ?? .free,
            respawns: word(CS_WORKER_RESPAWNS), startedAt: word(CS_WORKER_STARTED_AT),
            accepted: word(CS_WORKER_ACCEPTED), active: word(CS_WORKER_ACTIVE), waiting: word(CS_WORKER_WAITING),
            refused: word(CS_WORKER_REFUSED), buffersStarved: word(CS_WORKER_BUFFERS_STARVED),
            descriptorsStarved: word(CS_WORKER_DESCRIPTORS_STARVED), turns: word(CS_WORKER_TURNS),
            lastTurnAt: word(CS_WORKER_LAST_TURN_AT), completions: word(CS_WORKER_COMPLETIONS),
            logLinesLost: word(CS_WORKER_LOG_LINES_LOST), inquiries: word(CS_WORKER_INQUIRIES), gauges: gauges,
            closed: (0..<UInt8(CS_CLOSE_REASONS)).map { unsafe cs_load(cs_closed(base, worker.number, $0)) },
            connects: ConnectOutcome.allCases.map {
                unsafe cs_load(cs_worker_connects(base, worker.number, $0.field))
            },
            clientTLS: tls(CS_WORKER_TLS_CLIENTS), brokerTLS: tls(CS_WORKER_TLS_BROKERS),
            histograms: SharedHistogram.allCases.map { histogramReport(worker, $0) })
    }
}
