// SPDX-License-Identifier: Apache-2.0
//
// Which text a scraper gets, and how labels and numbers stand in it.

import Testing

@testable import AdminPlane

@Suite("the text of metrics")
struct MetricFormatTests {
    @Test(
        "Accept chooses the format",
        arguments: [
            ("", .prometheus), (",;=,q=1", .prometheus), ("*/*", .prometheus), ("text/html", .prometheus),
            ("text/plain", .prometheus), ("application/openmetrics-text", .openMetrics),
            ("APPLICATION/OpenMetrics-Text; Version=\"1.0.0\"", .openMetrics),
            ("application/openmetrics-text;version=2.0.0", .prometheus),
            ("application/openmetrics-text;version=2.0.0,application/openmetrics-text;version=1.0.0;q=0.1", .openMetrics),
            ("application/openmetrics-text;q=0", .prometheus), ("application/openmetrics-text;q=0.000", .prometheus),
            ("application/openmetrics-text;q=0.3,text/plain;q=0.5", .prometheus),
            ("application/openmetrics-text;q=0.51,text/plain;q=0.5", .openMetrics),
            ("text/plain;version=0.0.4;q=0.5,application/openmetrics-text;q=nan", .prometheus),
            // What Prometheus 2.42 sends, and 3.
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
                    + "text/plain;version=0.0.4;q=0.5,*/*;q=0.1", .openMetrics
            ),
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
                    + "application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4,*/*;q=0.2",
                .openMetrics
            ),
        ] as [(String, MetricFormat)])
    func negotiation(_ accept: String, _ expected: MetricFormat) {
        #expect(MetricFormat(accept: accept) == expected)
    }

    @Test("without Accept it is Prometheus's")
    func noWish() {
        #expect(MetricFormat(accept: nil) == .prometheus)
    }

    @Test(
        "a label's value is escaped and bounded",
        arguments: [
            ("plain", "plain"), (#"a"b\c"#, #"a\"b\\c"#), ("two\nlines", #"two\nlines"#),
            ("Gerät 7", "Gerät 7"), (String(repeating: "x", count: 200), String(repeating: "x", count: 128)),
            // Cut in front of the character that does not fit.
            (String(repeating: "x", count: 127) + "é", String(repeating: "x", count: 127)),
        ])
    func labels(_ value: String, _ expected: String) {
        #expect(String(decoding: (["name": value] as MetricLabels).bytes, as: UTF8.self) == "name=\"\(expected)\"")
    }

    @Test("what ends a text or a line for some readers is no part of a label's value")
    func controls() {
        let labels: MetricLabels = ["name": "\0\r\u{7F}\u{85}\u{2028}"]
        #expect(String(decoding: labels.bytes, as: UTF8.self) == "name=\"?????\"")
    }

    @Test("labels follow each other")
    func moreLabels() {
        let labels = (["a": "1"] as MetricLabels).with("b", "2")
        #expect(String(decoding: labels.bytes, as: UTF8.self) == #"a="1",b="2""#)
        #expect(([:] as MetricLabels).bytes.isEmpty)
    }

    @Test("a counter's family has no _total in OpenMetrics, but a unit, and the text an end")
    func counter() {
        let rows = [Labelled(1_500_000 as UInt64, ["a": "x"]), Labelled(0, ["a": "y"])]
        #expect(
            text(.prometheus) { $0.write(.peerConnectTime, of: rows) { .milliseconds($0) } } == """
                # HELP weir_peer_connect_seconds_total \(Metric.peerConnectTime.help)
                # TYPE weir_peer_connect_seconds_total counter
                weir_peer_connect_seconds_total{a="x"} 1500.000
                weir_peer_connect_seconds_total{a="y"} 0.000

                """)
        #expect(
            text(.openMetrics) { $0.write(.peerConnectTime, of: rows) { .milliseconds($0) } } == """
                # HELP weir_peer_connect_seconds \(Metric.peerConnectTime.help)
                # TYPE weir_peer_connect_seconds counter
                # UNIT weir_peer_connect_seconds seconds
                weir_peer_connect_seconds_total{a="x"} 1500.000
                weir_peer_connect_seconds_total{a="y"} 0.000
                # EOF

                """)
    }

    @Test("info is a gauge in Prometheus's text and a type of its own in OpenMetrics")
    func info() {
        let rows = [Labelled((), ["version": "1"])]
        #expect(text(.prometheus) { $0.write(.buildInfo, of: rows) { .count(1) } }.contains("# TYPE weir_build_info gauge\n"))
        let openMetrics = text(.openMetrics) { $0.write(.buildInfo, of: rows) { .count(1) } }
        #expect(openMetrics.contains("# TYPE weir_build info\nweir_build_info{version=\"1\"} 1\n"))
    }

    @Test("rows without a value have no sample, the family keeps its head")
    func absent() {
        let text = text(.prometheus) { $0.write(.processDescriptors, of: [Labelled(1, [:])]) { _ in nil } }
        #expect(text.split(separator: "\n").count == 2)
    }

    @Test(
        "numbers are told whole", arguments: [(.count(.max), "18446744073709551615"), (.signed(-3), "-3"), (.flag(true), "1")]
            as [(MetricValue, String)])
    func numbers(_ value: MetricValue, _ expected: String) {
        #expect(text(.prometheus) { $0.write(.generation, value) }.hasSuffix("weir_configuration_generation \(expected)\n"))
    }

    private func text(_ format: MetricFormat, _ body: (inout MetricWriter) -> Void) -> String {
        var writer = MetricWriter(format)
        body(&writer)
        return String(decoding: writer.finish(), as: UTF8.self)
    }
}
