// SPDX-License-Identifier: Apache-2.0
//
// What the documentation gives to Prometheus and Grafana speaks of metrics that exist, and Prometheus's own program
// finds its rules right.

import Foundation
import TestSupport
import Testing

@testable import AdminPlane

@Suite("monitoring files")
struct MonitoringTests {
    private static let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().appending(path: "Sources/weir/Documentation.docc/Monitoring")

    @Test("dashboard and rules name metrics of the table only", arguments: ["weir-dashboard.json", "weir-alerts.yml"])
    func names(_ file: String) throws {
        let text = try String(contentsOf: Self.folder.appending(path: file), encoding: .utf8)
        let known = Set(
            Metric.allCases.flatMap { metric in
                metric.kind == .histogram
                    ? ["_bucket", "_sum", "_count"].map { metric.rawValue + $0 } : [metric.rawValue]
            })
        let used = Set(text.matches(of: /\bweir_[a-z0-9_]+/).map { String($0.output) })
        #expect(used.count > 10)
        #expect(used.subtracting(known) == [])
    }

    @Test("promtool finds the rules right, and its cases fire and do not fire as they say", arguments: ["check", "test"])
    func rules(_ word: String) async throws {
        let file = Self.folder.appending(path: word == "check" ? "weir-alerts.yml" : "weir-alerts-tests.yml").path
        let (ending, output) = try await ManagedProcess.run("promtool", [word, "rules", file], within: .seconds(60))
        #expect(ending == .exited(0), "\(output)")
        #expect(output.contains("SUCCESS"), "\(output)")
    }

    @Test("every alert has a case in which it fires and one in which it does not")
    func cases() throws {
        let rules = try String(contentsOf: Self.folder.appending(path: "weir-alerts.yml"), encoding: .utf8)
        let tests = try String(contentsOf: Self.folder.appending(path: "weir-alerts-tests.yml"), encoding: .utf8)
        let alerts = rules.matches(of: /- alert: (\w+)/).map { String($0.output.1) }
        #expect(alerts.count == Set(alerts).count && alerts.count > 10)
        for alert in alerts {
            #expect(tests.contains("alertname: \(alert), exp_alerts: []}"), "\(alert)")
            #expect(tests.contains("alertname: \(alert)\n        exp_alerts:\n          - exp_labels:"), "\(alert)")
        }
    }
}
