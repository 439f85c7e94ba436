// SPDX-License-Identifier: Apache-2.0
//
// A scrape of a region that the test has written: every metric of the table is there once, with the labels of the table
// and what was counted, and Prometheus's own programs have nothing to say against the text.

import ProxyConfig
import SharedState
import TestSupport
import Testing
import Vocabulary

@testable import AdminPlane

@Suite("a scrape")
struct ScrapeTests {
    @Test("has every metric of the table once, with its labels and nothing else", arguments: MetricFormat.allCases)
    func complete(_ format: MetricFormat) throws {
        let stage = try RegionStage()
        let text = MetricText(stage.scrape(format))
        #expect(text.types.map(\.name) == Metric.allCases.map { format == .openMetrics ? $0.familyName : $0.rawValue })
        let suffixes: [Metric.Kind: [String]] = [.histogram: ["_bucket", "_sum", "_count"]]
        for metric in Metric.allCases {
            let names = (suffixes[metric.kind] ?? [""]).map { metric.rawValue + $0 }
            let samples = text.samples.filter { names.contains($0.name) }
            #expect(!samples.isEmpty, "\(metric.rawValue)")
            for sample in samples {
                let labels = Set(sample.labels.keys).subtracting(metric.kind == .histogram ? ["le"] : [])
                let expected = Set(metric.labelNames)
                // Only workers have a number.
                let isOther = expected.contains("process") && sample.labels["process"] != "worker"
                #expect(labels == (isOther ? expected.subtracting(["worker"]) : expected), "\(metric.rawValue)")
            }
        }
        #expect(text.samples.count == Set(text.samples.map(\.series)).count)
    }

    @Test("tells what was counted")
    func values() throws {
        let stage = try RegionStage()
        let text = MetricText(stage.scrape(.prometheus))
        let expected: [(String, Double)] = [
            (#"weir_build_info{version="\#(weirVersion)"}"#, 1),
            ("weir_start_time_seconds", 1_700_000_000.5), ("weir_configuration_generation", 3),
            (#"weir_reloads_total{result="done"}"#, 1), (#"weir_reloads_total{result="refused"}"#, 1),
            ("weir_last_reload_succeeded", 0), ("weir_last_reload_time_seconds", 1_700_000_200),
            ("weir_last_reload_duration_seconds", 0.012),
            (#"weir_process_up{process="master"}"#, 1), (#"weir_process_up{process="admin"}"#, 0),
            (#"weir_process_up{process="worker",worker="0"}"#, 1),
            (#"weir_sessions_closed_total{reason="broker_reset"}"#, 3),
            (#"weir_sessions_closed_total{reason="client_closed"}"#, 0),
            ("weir_connect_duration_seconds_count", 2), ("weir_connect_duration_seconds_sum", 5.003),
            (#"weir_connect_duration_seconds_bucket{le="0.002"}"#, 0),
            (#"weir_connect_duration_seconds_bucket{le="0.004"}"#, 1),
            (#"weir_connect_duration_seconds_bucket{le="4.096"}"#, 1),
            (#"weir_connect_duration_seconds_bucket{le="8.192"}"#, 2),
            (#"weir_connect_duration_seconds_bucket{le="+Inf"}"#, 2),
            (#"weir_session_duration_seconds_bucket{le="1.0"}"#, 1),
            (#"weir_worker_state{worker="0",state="running"}"#, 1),
            (#"weir_worker_state{worker="1",state="starting"}"#, 1),
            (#"weir_worker_accepted_total{worker="1"}"#, 1),
            (#"weir_zone_sessions{zone="devices"}"#, 0),
            (#"weir_zone_sessions_ended_total{zone="devices",status="4xx"}"#, 1),
            (#"weir_zone_received_bytes_total{zone="devices"}"#, 700),
            (#"weir_peer_state{upstream="brokers",server="10.0.0.1:1883",state="up"}"#, 1),
            (#"weir_peer_state{upstream="brokers",server="10.0.0.2:1883",state="unhealthy"}"#, 1),
            (#"weir_peer_state{upstream="brokers",server="10.0.0.2:1883",state="up"}"#, 0),
            (#"weir_peer_sessions_begun_total{upstream="brokers",server="10.0.0.1:1883"}"#, 2),
            (#"weir_peer_sessions{upstream="brokers",server="10.0.0.1:1883"}"#, 1),
            (#"weir_peer_sent_bytes_total{upstream="brokers",server="10.0.0.1:1883"}"#, 0x1p52),
            (#"weir_peer_last_check_time_seconds{upstream="brokers",server="10.0.0.2:1883"}"#, 1_700_000_050.25),
            (#"weir_peer_last_check_passed{upstream="brokers",server="10.0.0.2:1883"}"#, 0),
        ]
        for (series, value) in expected { #expect(text.value(series) == value, "\(series)") }
        // Nobody has checked this one.
        #expect(text.value(#"weir_peer_last_check_time_seconds{upstream="brokers",server="10.0.0.1:1883"}"#) == nil)
    }

    @Test("a server that stands twice in its upstream has two series")
    func twins() throws {
        let stage = try RegionStage()
        let text = MetricText(stage.scrape(.prometheus))
        let servers = text.samples.filter { $0.name == "weir_peer_weight" && $0.labels["upstream"] == "twins" }
        #expect(servers.map { $0.labels["server"] } == ["10.0.0.9:1883", "10.0.0.9:1883#2"])
        #expect(servers.map(\.value) == [1, 5])
    }

    @Test("what the configuration calls down or drain is so")
    func configured() throws {
        let stage = try RegionStage()
        func peer(_ host: UInt32) -> Peer {
            let endpoint = Endpoint.ip(IPEndpoint(address: IPAddress(ipv4: host), port: 1883))
            return Peer(serverText: endpoint.text, endpoint: endpoint, ringHost: "", ringPort: "")
        }
        var draining = peer(0x0A00_0001)
        draining.isDraining = true
        var down = peer(0x0A00_0002)
        down.isDown = true
        let text = MetricText(stage.scrape(.prometheus, peers: [draining, down]))
        #expect(text.value(#"weir_peer_state{upstream="brokers",server="10.0.0.1:1883",state="draining"}"#) == 1)
        #expect(text.value(#"weir_peer_state{upstream="brokers",server="10.0.0.2:1883",state="down"}"#) == 1)
    }

    @Test("no text of a client or of a check is a label", arguments: MetricFormat.allCases)
    func labels(_ format: MetricFormat) throws {
        let text = MetricText(try RegionStage().scrape(format))
        let names = Set(text.samples.flatMap(\.labels.keys))
        #expect(names == Set(Metric.allCases.flatMap(\.labelNames)).union(["le"]))
        #expect(!text.text.contains("no answer in time"))
    }

    @Test("promtool finds nothing to say against it")
    func promtool() async throws {
        let directory = try TemporaryDirectory()
        let path = try directory.write(try RegionStage().scrape(.prometheus), to: "metrics")
        let process = try ManagedProcess("promtool", ["check", "metrics"], input: path)
        #expect(try await process.wait() == .exited(0), "\(process.output)")
        #expect(process.output == "")
    }

    @Test("the OpenMetrics parser of Prometheus's Python client reads it whole")
    func openMetrics() async throws {
        let directory = try TemporaryDirectory()
        let path = try directory.write(try RegionStage().scrape(.openMetrics), to: "metrics")
        let script = """
            import sys
            from prometheus_client.openmetrics.parser import text_fd_to_metric_families as families
            print(*[family.name for family in families(sys.stdin)], sep="\\n")
            """
        let process = try ManagedProcess("/usr/bin/python3", ["-c", script], input: path)
        #expect(try await process.wait() == .exited(0), "\(process.output)")
        #expect(process.output.split(separator: "\n").map(String.init) == Metric.allCases.map(\.familyName))
    }
}
