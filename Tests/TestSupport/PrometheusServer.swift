// SPDX-License-Identifier: Apache-2.0
//
// A real Prometheus that scrapes one target, with rules or without, and answers for what it has stored.

import Foundation

package final class PrometheusServer: Sendable {
    package let endpoint: Endpoint
    private let directory: TemporaryDirectory
    private let process: ManagedProcess

    /// Scrapes /metrics of `target` each `interval`, evaluates `rules` (a file's text) as often, and returns when it
    /// answers.
    package init(scraping target: Endpoint, rules: String = "groups: []\n", interval: String = "1s") async throws {
        directory = try TemporaryDirectory()
        endpoint = .ipv4(try PortRegistry.take())
        try directory.write(rules, to: "rules.yml")
        let configuration = """
            global:
              scrape_interval: \(interval)
              scrape_timeout: \(interval)
              evaluation_interval: \(interval)
            rule_files: [rules.yml]
            scrape_configs:
              - job_name: weir
                static_configs:
                  - targets: ["\(target.text)"]

            """
        try directory.write(configuration, to: "prometheus.yml")
        process = try ManagedProcess(
            "prometheus",
            [
                "--config.file=\(directory.path("prometheus.yml"))", "--storage.tsdb.path=\(directory.path("data"))",
                "--web.listen-address=\(endpoint.text)",
            ], output: directory.path("log"))
        try await eventually("Prometheus answers: \(process.output)") {
            guard process.isRunning else { throw TestFault("Prometheus ended: \(process.output)") }
            return (try? HTTPTestClient.get("/-/ready", at: endpoint))?.status == 200
        }
    }

    package var log: String { process.output }

    /// The value of each series that an expression has now, by its labels. An expression that is no PromQL is a fault
    /// with Prometheus's own words.
    package func query(_ expression: String) throws -> [(labels: [String: String], value: Double)] {
        let data = try fetch("/api/v1/query?query=\(Self.escaped(expression))")
        switch data["resultType"] as? String {
        case "vector":
            return ((data["result"] as? [[String: Any]]) ?? []).map { series in
                let value = (series["value"] as? [Any])?.last as? String
                return (series["metric"] as? [String: String] ?? [:], value.flatMap { Double($0) } ?? .nan)
            }
        case "scalar":
            return [([:], ((data["result"] as? [Any])?.last as? String).flatMap { Double($0) } ?? .nan)]
        default: throw TestFault("\(expression) is \(data["resultType"] ?? "nothing")")
        }
    }

    /// Names and labels of alerts that fire now.
    package func firingAlerts() throws -> [[String: String]] {
        let alerts = try fetch("/api/v1/alerts")["alerts"] as? [[String: Any]] ?? []
        return alerts.filter { $0["state"] as? String == "firing" }.compactMap { $0["labels"] as? [String: String] }
    }

    /// What went wrong with the last scrape; "" when nothing did. Nil: it has not been scraped yet.
    package func lastScrapeError() throws -> String? {
        let targets = try fetch("/api/v1/targets")["activeTargets"] as? [[String: Any]] ?? []
        guard let target = targets.first, target["health"] as? String != "unknown" else { return nil }
        return target["lastError"] as? String
    }

    private func fetch(_ path: String) throws -> [String: Any] {
        let answer = try HTTPTestClient.get(path, at: endpoint)
        let object = try JSONSerialization.jsonObject(with: Data(answer.body)) as? [String: Any] ?? [:]
        guard answer.status == 200, let data = object["data"] as? [String: Any] else {
            throw TestFault("\(path): \(answer.status) \(answer.text)")
        }
        return data
    }

    private static func escaped(_ text: String) -> String {
        text.addingPercentEncoding(withAllowedCharacters: .alphanumerics) ?? ""
    }
}
