// SPDX-License-Identifier: Apache-2.0
//
// The text of a scrape, grown family by family. Knows both formats, and nothing of what is told.
//
// 1. A family comes once, with all its samples behind its head (both formats demand it).
// 2. Counts are told whole, to the last digit; times in seconds, whatever the region counts them in.

import LinuxIO
import SharedState
import Vocabulary

/// A number as it is counted; told in the unit of its metric.
package enum MetricValue: Sendable, Equatable {
    case count(UInt64)
    case signed(Int)
    case seconds(Double)
    /// Told in seconds.
    case milliseconds(UInt64)

    package static func flag(_ isTrue: Bool) -> MetricValue { .count(isTrue ? 1 : 0) }
}

/// Something that samples are about, with the labels that say which one.
package struct Labelled<Value> {
    package var value: Value
    package var labels: MetricLabels

    package init(_ value: Value, _ labels: MetricLabels) {
        self.value = value
        self.labels = labels
    }
}

package struct MetricWriter {
    private let format: MetricFormat
    private var text: [UInt8] = []

    package init(_ format: MetricFormat, bytesExpected: Int = 0) {
        self.format = format
        text.reserveCapacity(bytesExpected)
    }

    /// The whole text; nothing may be written after it.
    package consuming func finish() -> [UInt8] {
        if format == .openMetrics { text.append(utf8: "# EOF\n") }
        return text
    }

    // MARK: Families

    /// One sample without labels.
    package mutating func write(_ metric: Metric, _ value: MetricValue) {
        writeHead(metric)
        writeSample(metric, [:], value)
    }

    /// A sample for each row; none where there is no value.
    package mutating func write<Value>(
        _ metric: Metric, of rows: [Labelled<Value>], _ value: (Value) -> MetricValue?
    ) {
        writeHead(metric)
        for row in rows {
            if let value = value(row.value) { writeSample(metric, row.labels, value) }
        }
    }

    /// For each row a sample for each of `parts`, told apart by one more label.
    package mutating func write<Value>(
        _ metric: Metric, of rows: [Labelled<Value>], by label: StaticString,
        _ parts: [(name: String, value: @Sendable (Value) -> MetricValue?)]
    ) {
        writeHead(metric)
        for row in rows {
            for part in parts {
                if let value = part.value(row.value) { writeSample(metric, row.labels.with(label, part.name), value) }
            }
        }
    }

    /// A histogram for each row.
    package mutating func writeHistograms<Value>(
        _ metric: Metric, of rows: [Labelled<Value>], _ histogram: (Value) -> HistogramReport
    ) {
        writeHead(metric)
        for row in rows { writeHistogram(metric, row.labels, histogram(row.value)) }
    }

    // MARK: Lines

    private mutating func writeHead(_ metric: Metric) {
        // A scrape takes milliseconds; a worker that waits for this processor does not wait that long.
        Processes.giveWay()
        let name = format == .openMetrics ? metric.familyName : metric.rawValue
        text.append(utf8: "# HELP ")
        text.append(text: name)
        text.append(UInt8(ascii: " "))
        text.append(text: metric.help)
        text.append(utf8: "\n# TYPE ")
        text.append(text: name)
        text.append(UInt8(ascii: " "))
        switch (metric.kind, format) {
        case (.counter, _): text.append(utf8: "counter")
        case (.histogram, _): text.append(utf8: "histogram")
        case (.gauge, _), (.info, .prometheus): text.append(utf8: "gauge")
        case (.info, .openMetrics): text.append(utf8: "info")
        }
        text.append(UInt8(ascii: "\n"))
        if format == .openMetrics, let unit = metric.unit {
            text.append(utf8: "# UNIT ")
            text.append(text: name)
            text.append(UInt8(ascii: " "))
            text.append(text: unit.rawValue)
            text.append(UInt8(ascii: "\n"))
        }
    }

    private mutating func writeSample(
        _ metric: Metric, _ labels: MetricLabels, _ value: MetricValue, suffix: StaticString = ""
    ) {
        text.append(text: metric.rawValue)
        text.append(utf8: suffix)
        if !labels.bytes.isEmpty {
            text.append(UInt8(ascii: "{"))
            text.append(contentsOf: labels.bytes)
            text.append(UInt8(ascii: "}"))
        }
        write(value)
    }

    /// Buckets are told summed up, the last one is that of infinity.
    private mutating func writeHistogram(_ metric: Metric, _ labels: MetricLabels, _ histogram: HistogramReport) {
        var count: UInt64 = 0
        for (bucket, more) in histogram.counts.enumerated() {
            count &+= more
            let border = histogram.upperBorderSeconds(bucket)
            // The same in both formats, so that a series does not depend on the way it came: OpenMetrics wants `1.0`.
            let text = border.isInfinite ? "+Inf" : "\(border)"
            writeSample(metric, labels.with("le", text), .count(count), suffix: "_bucket")
        }
        writeSample(metric, labels, .seconds(histogram.sumSeconds), suffix: "_sum")
        writeSample(metric, labels, .count(count), suffix: "_count")
    }

    private mutating func write(_ value: MetricValue) {
        text.append(UInt8(ascii: " "))
        switch value {
        case .count(let count): text.appendDecimal(count)
        case .signed(let number): text.appendDecimal(number)
        case .milliseconds(let milliseconds): text.appendSeconds(milliseconds: milliseconds)
        case .seconds(let seconds): text.append(text: "\(seconds)")
        }
        text.append(UInt8(ascii: "\n"))
    }
}
