// SPDX-License-Identifier: Apache-2.0
//
// Buckets of histograms: what falls where, and what a reader is told about their borders.

import CShared
import SharedState
import Testing

@Suite("Histograms") struct HistogramTests {
    @Test(
        "a value falls into the lowest bucket whose border it does not exceed",
        arguments: [(0, 0), (1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (1024, 10), (1025, 11)] as [(UInt64, UInt32)])
    func buckets(_ steps: UInt64, _ bucket: UInt32) {
        #expect(cs_bucket(steps) == bucket)
    }

    @Test("the last bucket takes all that is larger")
    func lastBucket() {
        let last = UInt32(SharedHistogram.bucketCount - 1)
        #expect(cs_bucket(1 << 21) == last - 1)
        #expect(cs_bucket(1 << 21 + 1) == last)
        #expect(cs_bucket(UInt64.max) == last)
    }

    @Test("borders are in seconds: 1 ms for connects, 1 s for sessions, 1 µs for turns, doubled from bucket to bucket")
    func borders() {
        #expect(HistogramReport(.connectTime).upperBorderSeconds(0) == 0.001)
        #expect(HistogramReport(.firstByteTime).upperBorderSeconds(10) == 1.024)
        #expect(HistogramReport(.sessionLength).upperBorderSeconds(4) == 16)
        #expect(HistogramReport(.turnLength).upperBorderSeconds(20) == 1.048576)
        for histogram in SharedHistogram.allCases {
            #expect(HistogramReport(histogram).upperBorderSeconds(SharedHistogram.bucketCount - 1) == .infinity)
        }
    }

    @Test("each value is in the bucket that its border says, and the sum is exact", arguments: SharedHistogram.allCases)
    func values(_ histogram: SharedHistogram) throws {
        let region = try SharedRegion.create(masterPID: 1, wallMilliseconds: 1)
        defer { region.detach() }
        let worker = try #require(WorkerSlot(index: 3))
        let ticks: [UInt64] = [0, 1, 2, 3, 999, 1000, 1001, 4096, 70_000, 1 << 40]
        for value in ticks { region.record(worker, histogram, ticks: value) }
        let report = region.histogramReport(worker, histogram)
        #expect(report.count == UInt64(ticks.count))
        let secondsPerTick = histogram == .turnLength ? 1e-6 : 1e-3
        #expect(abs(report.sumSeconds - Double(ticks.reduce(0, +)) * secondsPerTick) < 1e-3)
        for bucket in 0..<SharedHistogram.bucketCount {
            let below = report.counts[...bucket].reduce(0, +)
            let border = report.upperBorderSeconds(bucket)
            #expect(below == UInt64(ticks.count { Double($0) * secondsPerTick <= border * (1 + 1e-12) }))
        }
        #expect((report + report).count == 2 * report.count)
        for other in SharedHistogram.allCases where other != histogram {
            #expect(region.histogramReport(worker, other).count == 0)
        }
    }
}
