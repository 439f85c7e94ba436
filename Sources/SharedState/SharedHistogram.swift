// SPDX-License-Identifier: Apache-2.0
//
// Histograms: fixed buckets whose borders are powers of two, so that finding a bucket is one instruction. Each worker
// has its own; readers add them up.

import CShared

package enum SharedHistogram: UInt8, Sendable, CaseIterable {
    /// From the begin of a connect to a broker until it stands.
    case connectTime = 0
    /// From the same begin to the broker's first byte.
    case firstByteTime
    /// From accept to close.
    case sessionLength
    /// What a worker's turn took, without its wait. One turn of `turnsForEachSample` is measured.
    case turnLength

    package static let bucketCount = Int(CS_HISTOGRAM_BUCKETS)
    package static let turnsForEachSample: UInt64 = 64

    /// Sums are kept in ticks.
    var secondsPerTick: Double { self == .turnLength ? 1e-6 : 1e-3 }
    /// The first bucket's upper border.
    var ticksPerStep: UInt64 { self == .sessionLength ? 1000 : 1 }

    var word: cs_histogram {
        switch self {
        case .connectTime: CS_HISTOGRAM_CONNECT_TIME
        case .firstByteTime: CS_HISTOGRAM_FIRST_BYTE_TIME
        case .sessionLength: CS_HISTOGRAM_SESSION_LENGTH
        case .turnLength: CS_HISTOGRAM_TURN_LENGTH
        }
    }
}

package struct HistogramReport: Sendable, Equatable {
    package let histogram: SharedHistogram
    /// One for each bucket, not cumulated. The last one has no upper border.
    package var counts: [UInt64]
    var ticks: UInt64

    package init(_ histogram: SharedHistogram, counts: [UInt64]? = nil, ticks: UInt64 = 0) {
        self.histogram = histogram
        self.counts = counts ?? [UInt64](repeating: 0, count: SharedHistogram.bucketCount)
        self.ticks = ticks
    }

    package var count: UInt64 { counts.reduce(0, &+) }
    package var sumSeconds: Double { Double(ticks) * histogram.secondsPerTick }

    /// Included in its bucket; infinity for the last one.
    package func upperBorderSeconds(_ bucket: Int) -> Double {
        guard bucket < counts.count - 1 else { return .infinity }
        return Double((1 as UInt64) << UInt64(bucket) * histogram.ticksPerStep) * histogram.secondsPerTick
    }

    package static func + (left: HistogramReport, right: HistogramReport) -> HistogramReport {
        precondition(left.histogram == right.histogram)
        return HistogramReport(
            left.histogram, counts: zip(left.counts, right.counts).map { $0 &+ $1 }, ticks: left.ticks &+ right.ticks)
    }
}

extension SharedRegion {
    /// By the worker. `ticks`: microseconds for turns, else milliseconds.
    package func record(_ worker: WorkerSlot, _ histogram: SharedHistogram, ticks: UInt64) {
        let perStep = histogram.ticksPerStep
        let bucket = cs_bucket(perStep == 1 ? ticks : (ticks + perStep - 1) / perStep)
        let words = unsafe cs_worker_histogram(base, worker.number, histogram.word)
        unsafe cs_bump(words + Int(bucket), 1)
        unsafe cs_bump(words + Int(CS_HISTOGRAM_SUM), ticks)
    }

    package func histogramReport(_ worker: WorkerSlot, _ histogram: SharedHistogram) -> HistogramReport {
        let words = unsafe cs_worker_histogram(base, worker.number, histogram.word)
        return HistogramReport(
            histogram, counts: (0..<SharedHistogram.bucketCount).map { unsafe cs_load(words + $0) },
            ticks: unsafe cs_load(words + Int(CS_HISTOGRAM_SUM)))
    }
}
