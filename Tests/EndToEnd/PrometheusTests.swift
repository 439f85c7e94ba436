// SPDX-License-Identifier: Apache-2.0
//
// A running Weir, real brokers, and the programs that people watch them with: Prometheus with the documentation's rules
// and dashboard, promtool, and nginx's exporter.

import Foundation
import TestSupport
import Testing

@Suite("metrics of a running Weir")
struct PrometheusTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Sources/weir/Documentation.docc/Monitoring")

    private func http(_ port: UInt16) -> String {
        """
        http {
            server {
                listen 127.0.0.1:\(port);
                location = /metrics { prometheus; }
                location /api { api; }
            }
        }
        """
    }

    private func stream(_ trio: MosquittoTrio, _ port: UInt16) -> String {
        """
        upstream brokers { zone brokers 64k; hash $mqtt_preread_clientid consistent; \(trio.servers("max_fails=0")) }
        \(talkMatch)
        server {
            listen 127.0.0.1:\(port);
            status_zone devices;
            mqtt_preread on;
            proxy_pass brokers;
            health_check interval=200ms match=mqtt;
        }
        """
    }

    /// Waits until the admin process serves.
    private func metrics(at admin: Endpoint, accept: String = "text/plain") async throws -> HTTPTestAnswer {
        try await eventually("/metrics answers") { () -> HTTPTestAnswer? in
            let answer = try? HTTPTestClient.get("/metrics", at: admin, fields: ["Accept": accept])
            return answer?.status == 200 ? answer : nil
        }
    }

    @Test("promtool has nothing to say against /metrics, and a session is in it")
    func promtool() async throws {
        let trio = try await MosquittoTrio()
        let ports = try PortRegistry.take(count: 2)
        let admin = Endpoint.ipv4(ports[1])
        try await withWeir(main: http(ports[1]), stream: stream(trio, ports[0]), workers: 2) { weir in
            let client = try MQTTTestClient.connected(to: .ipv4(ports[0]), id: "lamp-1")
            try client.publish("a", "b")
            try await eventually("a session is counted") {
                let text = try await metrics(at: admin).text
                return text.contains("\nweir_zone_sessions{zone=\"devices\"} 1\n")
                    && text.contains("\nweir_mqtt_connects_total{version=\"3.1.1\",outcome=\"accepted\"} 1\n")
            }
            let answer = try await metrics(at: admin)
            #expect(answer.field("content-type") == "text/plain; version=0.0.4; charset=utf-8")
            #expect(!answer.text.contains("lamp-1"))
            let path = try weir.directory.write(answer.text, to: "metrics")
            let process = try ManagedProcess("promtool", ["check", "metrics"], input: path)
            #expect(try await process.wait() == .exited(0), "\(process.output)")
            #expect(process.output == "")
            client.disconnect()
        }
    }

    @Test("Prometheus scrapes OpenMetrics, its alert fires for a killed broker and ends when that is back")
    func alert() async throws {
        let trio = try await MosquittoTrio()
        let ports = try PortRegistry.take(count: 2)
        // A rule's `for` is promtool's to test; waiting for it here would prove nothing more.
        let rules = contents(of: Self.folder.appendingPathComponent("weir-alerts.yml").path)
            .replacing(/for: [0-9a-z]+/, with: "for: 0s")
        #expect(rules.contains("for: 0s"))
        try await withWeir(main: http(ports[1]), stream: stream(trio, ports[0]), workers: 2) { weir in
            _ = try await metrics(at: .ipv4(ports[1]))
            let prometheus = try await PrometheusServer(scraping: .ipv4(ports[1]), rules: rules)
            try await eventually("three brokers are up\n\(prometheus.log)") {
                try prometheus.query(#"sum(weir_peer_state{state="up"})"#).first?.value == 3
            }
            #expect(try prometheus.lastScrapeError() == "")
            let killed = trio.brokers[1]
            func isFiring() throws -> Bool {
                try prometheus.firingAlerts().contains { alert in
                    alert["alertname"] == "WeirBrokerDown" && alert["server"] == killed.endpoint.text
                        && alert["upstream"] == "brokers" && alert["state"] == "unhealthy"
                }
            }
            #expect(try !isFiring())
            killed.kill()
            try await eventually("WeirBrokerDown fires") { try isFiring() }
            // The others are well, so this one does not.
            #expect(try !prometheus.firingAlerts().contains { $0["alertname"] == "WeirNoBroker" })
            try await killed.start()
            try await eventually("WeirBrokerDown ends") { try !isFiring() }
        }
    }

    @Test("every expression of the dashboard is PromQL, and those of the first row have values")
    func dashboard() async throws {
        let trio = try await MosquittoTrio()
        let ports = try PortRegistry.take(count: 2)
        let data = try Data(contentsOf: Self.folder.appendingPathComponent("weir-dashboard.json"))
        let dashboard = try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        let panels = try #require(dashboard["panels"] as? [[String: Any]])
        let expressions = panels.flatMap { $0["targets"] as? [[String: Any]] ?? [] }.compactMap { $0["expr"] as? String }
        #expect(expressions.count > 40)
        try await withWeir(main: http(ports[1]), stream: stream(trio, ports[0])) { _ in
            _ = try await metrics(at: .ipv4(ports[1]))
            let prometheus = try await PrometheusServer(scraping: .ipv4(ports[1]))
            func query(_ expression: String) throws -> [Double] {
                let plain = ["job", "instance", "upstream"].reduce(expression) { text, name in
                    text.replacing("$\(name)\"", with: ".*\"")
                }
                return try prometheus.query(plain.replacing("$__rate_interval", with: "1m")).map(\.value)
            }
            try await eventually("Prometheus has scraped twice") {
                try query(#"count_over_time(up{job="weir"}[1m])"#).first ?? 0 >= 2
            }
            for expression in expressions { #expect(throws: Never.self, "\(expression)") { try query(expression) } }
            for expression in expressions.prefix(6) { #expect(try query(expression).count == 1, "\(expression)") }
        }
    }

    @Test("prometheus-nginx-exporter reads the API without an error")
    func exporter() async throws {
        let trio = try await MosquittoTrio()
        let ports = try PortRegistry.take(count: 3)
        let admin = Endpoint.ipv4(ports[1])
        try await withWeir(main: http(ports[1]), stream: stream(trio, ports[0]), workers: 2) { _ in
            _ = try await metrics(at: admin)
            let client = try MQTTTestClient.connected(to: .ipv4(ports[0]), id: "lamp-1")
            let exporter = try ManagedProcess(
                "prometheus-nginx-exporter",
                [
                    "-nginx.plus", "-nginx.scrape-uri", "http://\(admin.text)/api", "-web.listen-address",
                    "127.0.0.1:\(ports[2])",
                ])
            let text = try await eventually("the exporter answers: \(exporter.output)") { () -> String? in
                guard exporter.isRunning else { throw TestFault("the exporter ended: \(exporter.output)") }
                return try? HTTPTestClient.get("/metrics", at: .ipv4(ports[2])).text
            }
            #expect(text.contains("\nnginxplus_up 1\n"), "\(exporter.output)")
            #expect(!exporter.output.contains("rror"), "\(exporter.output)")
            #expect(text.contains("\nnginxplus_stream_server_zone_processing{server_zone=\"devices\"} 1\n"), "\(text)")
            for broker in trio.brokers {
                let labels = "server=\"\(broker.endpoint.text)\",upstream=\"brokers\""
                #expect(text.contains("\nnginxplus_stream_upstream_server_state{\(labels)} 1\n"), "\(text)")
            }
            client.disconnect()
        }
    }
}
