// SPDX-License-Identifier: Apache-2.0
//
// The table of metrics keeps the rules that Prometheus's and OpenMetrics's documents set for names, and Metrics.md has
// the same table.

import Foundation
import Testing

@testable import AdminPlane

@Suite("the table of metrics")
struct MetricTableTests {
    @Test("names are weir_ and words in lower case, and no family contains another", arguments: Metric.allCases)
    func names(_ metric: Metric) {
        #expect(metric.rawValue.wholeMatch(of: /weir(_[a-z0-9]+)+/) != nil)
        // OpenMetrics: neither two families nor their samples may have one name.
        let suffixes = ["", "_total", "_created", "_info", "_bucket", "_sum", "_count"]
        for other in Metric.allCases where other != metric {
            for suffix in suffixes {
                #expect(metric.familyName != other.familyName + suffix, "\(metric.rawValue), \(other.rawValue)")
            }
        }
    }

    @Test("what is time is told in seconds and what is size in bytes, by a name that ends so", arguments: Metric.allCases)
    func units(_ metric: Metric) {
        let words = metric.familyName.split(separator: "_")
        let foreign: Set<Substring> = ["milliseconds", "microseconds", "ms", "us", "minutes", "kib", "kilobytes", "percent"]
        #expect(foreign.isDisjoint(with: words))
        if words.contains("time") || words.contains("duration") || words.contains("downtime") {
            #expect(metric.unit == .seconds)
        }
        if words.contains("memory") { #expect(metric.unit == .bytes) }
        #expect(words.contains("seconds") == (metric.unit == .seconds))
        #expect(metric.kind != .info || metric.unit == nil)
    }

    @Test("HELP is one sentence that needs no escape", arguments: Metric.allCases)
    func help(_ metric: Metric) {
        #expect(metric.help.hasSuffix(".") && metric.help.count > 10)
        #expect(!metric.help.contains("\\") && !metric.help.contains("\n"))
    }

    @Test("Metrics.md lists each metric once, with its kind and its help")
    func page() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let page = try String(
            contentsOf: root.appending(path: "Sources/weir/Documentation.docc/Metrics.md"), encoding: .utf8)
        let rows = page.split(separator: "\n").filter { $0.hasPrefix("| `weir_") }
        // | `name` | kind | labels | help |
        let listed = rows.map { row in row.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) } }
        #expect(listed.map { $0[0] } == Metric.allCases.map { "`\($0.rawValue)`" })
        for (row, metric) in zip(listed, Metric.allCases) {
            #expect(row.count == 4)
            #expect(row[1] == metric.kind.rawValue, "\(metric.rawValue)")
            #expect(row[2] == metric.labelNames.map { "`\($0)`" }.joined(separator: " "), "\(metric.rawValue)")
            #expect(row[3] == metric.help, "\(metric.rawValue)")
        }
    }
}
