// SPDX-License-Identifier: Apache-2.0
//
// The two texts that metrics are told in, and which of them a scraper asked for.

/// Both are UTF-8.
package enum MetricFormat: Sendable, CaseIterable {
    /// Prometheus's own, version 0.0.4.
    case prometheus
    /// OpenMetrics 1.0.
    case openMetrics

    package var contentType: String {
        switch self {
        case .prometheus: "text/plain; version=0.0.4; charset=utf-8"
        case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
        }
    }

    /// The one that an Accept header prefers. Prometheus's text where it says nothing, and where it wants neither: a
    /// person with a browser is better served by that than by 406.
    package init(accept: String?) {
        var best = MetricFormat.prometheus
        var bestWeight = 0
        for range in (accept ?? "").lowercased().split(separator: ",") {
            let parts = range.split(separator: ";").map { $0.filter { $0 != " " && $0 != "\t" } }
            guard let type = parts.first else { continue }
            let parameters = parts.dropFirst()
            let version = parameters.first { $0.hasPrefix("version=") }?.dropFirst(8).filter { $0 != "\"" }
            guard let format = MetricFormat(mediaType: type, version: version) else { continue }
            let weight = Self.thousandths(parameters.first { $0.hasPrefix("q=") }?.dropFirst(2))
            if weight > bestWeight { (best, bestWeight) = (format, weight) }
        }
        self = best
    }

    private init?(mediaType: String, version: String?) {
        switch (mediaType, version) {
        // Scrapers of before 1.0 ask for 0.0.1, which differs in nothing that is written here.
        case ("application/openmetrics-text", nil), ("application/openmetrics-text", "1.0.0"),
            ("application/openmetrics-text", "0.0.1"):
            self = .openMetrics
        case ("text/plain", nil), ("text/plain", "0.0.4"), ("text/*", nil), ("*/*", nil): self = .prometheus
        default: return nil
        }
    }

    /// A weight of RFC 9110, 12.4.2, in thousandths: 1 where there is none, 0 where it is no number.
    private static func thousandths(_ text: Substring?) -> Int {
        guard let text else { return 1000 }
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard let whole = Int(parts[0]), (0...1).contains(whole) else { return 0 }
        guard parts.count == 2, !parts[1].isEmpty else { return whole * 1000 }
        guard parts[1].utf8.count <= 3, parts[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return 0 }
        let places = parts[1] + String(repeating: "0", count: 3 - parts[1].utf8.count)
        return min(1000, whole * 1000 + (Int(places) ?? 0))
    }
}
