// SPDX-License-Identifier: Apache-2.0
//
// The text of a scrape as tests look at it.

import Testing

struct MetricText {
    struct Sample {
        var name: String
        var labels: [String: String]
        var value: Double
        /// Name and labels, as they stand.
        var series: String
    }

    let text: String
    private(set) var types: [(name: String, type: String)] = []
    private(set) var samples: [Sample] = []

    /// Label values that tests use have neither escapes nor commas.
    init(_ text: String) {
        self.text = text
        for line in text.split(separator: "\n") {
            if line.hasPrefix("#") {
                let words = line.split(separator: " ", maxSplits: 3)
                if words[1] == "TYPE" { types.append((String(words[2]), String(words[3]))) }
                continue
            }
            guard let space = line.lastIndex(of: " "), let value = Double(line[line.index(after: space)...]) else {
                Issue.record("no sample: \(line)")
                continue
            }
            let series = line[..<space]
            let parts = series.split(separator: "{", maxSplits: 1)
            var labels: [String: String] = [:]
            for label in parts.count == 2 ? parts[1].dropLast().split(separator: ",") : [] {
                let pair = label.split(separator: "=", maxSplits: 1)
                labels[String(pair[0])] = String(pair[1].dropFirst().dropLast())
            }
            samples.append(Sample(name: String(parts[0]), labels: labels, value: value, series: String(series)))
        }
    }

    /// Nil: there is no such series.
    func value(_ series: String) -> Double? { samples.first { $0.series == series }?.value }
}
