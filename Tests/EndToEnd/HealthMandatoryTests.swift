// SPDX-License-Identifier: Apache-2.0
//
// Checks that must have passed before a server gets its first client (`mandatory`), and what a reload keeps of them
// (`persistent`).

import TestSupport
import Testing

@Suite("mandatory health checks")
struct HealthMandatoryTests {
    /// Lets a broker that kept silent answer from now on, also to who waits already: that check fails, the next passes.
    private func wake(_ broker: NullBroker) {
        broker.behave(NullBroker.mqtt)
        for session in broker.sessions where !session.isOver { session.connection.reset() }
    }

    /// How many clients came to a broker; checks have an empty client id.
    private func clients(at broker: NullBroker) -> Int {
        broker.sessions.count { session in session.received.count > 14 && session.received[13] != 0 }
    }

    /// A check that is not answered does not end within a test.
    private func stream(_ servers: String, _ port: UInt16, check: String = "") -> String {
        """
        upstream brokers { zone brokers 64k; \(servers) }
        \(talkMatch)
        server {
            listen 127.0.0.1:\(port);
            proxy_pass brokers;
            health_check interval=200ms match=mqtt mandatory \(check);
            health_check_timeout 100s;
        }
        """
    }

    @Test("under mandatory a broker gets no client before its first check has passed")
    func start() async throws {
        let broker = try NullBroker(NullBroker.silent)
        let port = try PortRegistry.take()
        try await withWeir(stream: stream("server \(broker.endpoint.text);", port)) { weir in
            let early = try TCPConnection(to: .ipv4(port))
            #expect(try early.receiveToEnd() == [])
            wake(broker)
            try await weir.errorLine(with: "peer is healthy", within: .seconds(15))
            let client = try MQTTTestClient.connected(to: .ipv4(port), id: "valve")
            try client.ping()
        }
    }

    @Test("a server that a reload adds waits for its first check, while those that were there go on")
    func newcomer() async throws {
        let group = try NullGroup(2)
        let (old, new) = (group.brokers[0], group.brokers[1])
        new.behave(NullBroker.silent)
        let port = try PortRegistry.take()
        try await withWeir(stream: stream("server \(old.endpoint.text);", port), workers: 2) { weir in
            try await weir.errorLine(with: "peer is healthy", old.endpoint.text)
            try await weir.reload(stream: stream(group.servers(), port), workers: 2)
            for number in 0..<20 { try MQTTTestClient.connected(to: .ipv4(port), id: "early-\(number)").disconnect() }
            #expect(clients(at: old) == 20)
            #expect(clients(at: new) == 0)
            try await eventually("the newcomer is being checked") { new.connectionCount > 0 }

            wake(new)
            try await weir.errorLine(with: "peer is healthy", new.endpoint.text)
            for number in 0..<20 { try MQTTTestClient.connected(to: .ipv4(port), id: "late-\(number)").disconnect() }
            #expect(clients(at: new) == 10)
        }
    }

    @Test(
        "a reload that asks for another check: persistent lets a healthy server go on, mandatory alone has it wait",
        arguments: ["persistent", ""])
    func otherCheck(persistent: String) async throws {
        let group = try NullGroup(2)
        let (healthy, refusing) = (group.brokers[0], group.brokers[1])
        refusing.behave(NullBroker.reset)
        // The new check asks here, and gets no answer for now.
        let side = try NullBroker(NullBroker.silent)
        guard case .ipv4(let sidePort, _) = side.endpoint else { return }
        let port = try PortRegistry.take()
        try await withWeir(stream: stream(group.servers(), port, check: persistent), workers: 2) { weir in
            try await weir.errorLine(with: "peer is healthy", healthy.endpoint.text)
            try await weir.errorLine(with: "peer is unhealthy", refusing.endpoint.text)
            try await weir.reload(
                stream: stream(group.servers(), port, check: "port=\(sidePort) \(persistent)"), workers: 2)
            if persistent.isEmpty {
                try await weir.errorLine(with: "peer is checking while reconfiguring", healthy.endpoint.text)
                #expect(try TCPConnection(to: .ipv4(port)).receiveToEnd() == [])
            } else {
                // The other one was unhealthy, and stays that.
                for number in 0..<20 {
                    try MQTTTestClient.connected(to: .ipv4(port), id: "early-\(number)").disconnect()
                }
                #expect(clients(at: healthy) == 20)
                #expect(!weir.errorLines.contains { $0.contains("peer is checking") })
            }
            #expect(clients(at: refusing) == 0)

            try await eventually("both are being checked") { side.connectionCount >= 2 }
            refusing.behave(NullBroker.mqtt)
            wake(side)
            try await eventually("both get clients\n\(weir.report)") {
                if let client = try? MQTTTestClient(to: .ipv4(port), id: "late") {
                    _ = try? client.connack()
                    client.disconnect()
                }
                return clients(at: refusing) > 0 && clients(at: healthy) > 0
            }
        }
    }
}
