// SPDX-License-Identifier: Apache-2.0
//
// Active health checks against real brokers: what makes one unhealthy, how fast workers hear of it, where sessions go.

import TestSupport
import Testing

@Suite("health checks")
struct HealthTests {
    private func stream(_ trio: MosquittoTrio, _ port: UInt16, check: String) -> String {
        """
        upstream brokers { zone brokers 64k; hash $mqtt_preread_clientid consistent; \(trio.servers("max_fails=0")) }
        \(talkMatch)
        server {
            listen 127.0.0.1:\(port);
            mqtt_preread on;
            proxy_pass brokers;
            proxy_connect_timeout 2s;
            health_check \(check) match=mqtt;
            health_check_timeout 300ms;
        }
        """
    }

    /// An id whose home is `broker`.
    private func id(at broker: Int, _ trio: MosquittoTrio, _ port: UInt16) throws -> String {
        for number in 0..<200 {
            let id = "lamp-\(number)"
            let client = try MQTTTestClient.connected(to: .ipv4(port), id: id)
            try client.ping()
            client.disconnect()
            if trio.place(of: id) == broker { return id }
        }
        throw TestFault("no id goes to broker \(broker)")
    }

    @Test("a frozen broker is unhealthy within an interval, its ids go around it, and come home when it thaws")
    func frozenBroker() async throws {
        let trio = try await MosquittoTrio()
        let port = try PortRegistry.take()
        try await withWeir(stream: stream(trio, port, check: "interval=300ms"), workers: 2) { weir in
            let id = try id(at: 1, trio, port)
            let frozen = trio.brokers[1]
            frozen.freeze()
            let line = try await weir.errorLine(
                with: "peer is unhealthy", frozen.endpoint.text, "no answer in time", within: .seconds(3))
            #expect(line.contains("[warn]"))

            let others = [0, 2].map { trio.brokers[$0].connectedIDs.count { $0 == id } }.reduce(0, +)
            let client = try MQTTTestClient.connected(to: .ipv4(port), id: id)
            try client.ping()
            try await eventually("\(id) is at another broker") {
                [0, 2].map { trio.brokers[$0].connectedIDs.count { $0 == id } }.reduce(0, +) == others + 1
            }
            client.disconnect()

            frozen.thaw()
            try await weir.errorLine(with: "[notice]", "peer is healthy", frozen.endpoint.text, within: .seconds(3))
            let atHome = frozen.connectedIDs.count { $0 == id }
            let back = try MQTTTestClient.connected(to: .ipv4(port), id: id)
            try back.ping()
            try await eventually("\(id) is at home") { frozen.connectedIDs.count { $0 == id } == atHome + 1 }
            back.disconnect()
        }
    }

    @Test("a broker that answers CONNACK 5 is unhealthy although it listens")
    func refusingBroker() async throws {
        let trio = try await MosquittoTrio()
        // Before Weir starts: a check that met it in between would find it gone, and only a change of state is logged.
        try await trio.brokers[2].restart(allowAnonymous: false)
        let port = try PortRegistry.take()
        try await withWeir(stream: stream(trio, port, check: "interval=200ms")) { weir in
            let line = try await weir.errorLine(with: "peer is unhealthy", "unexpected answer", "05")
            #expect(line.contains(trio.brokers[2].endpoint.text))
            for number in 0..<20 {
                let client = try MQTTTestClient.connected(to: .ipv4(port), id: "pump-\(number)")
                client.disconnect()
            }
            try await trio.brokers[2].restart()
            try await weir.errorLine(with: "peer is healthy", trio.brokers[2].endpoint.text)
        }
    }

    @Test("a killed broker is unhealthy, and healthy again after as many passes as asked for")
    func killedBroker() async throws {
        let trio = try await MosquittoTrio()
        let port = try PortRegistry.take()
        try await withWeir(stream: stream(trio, port, check: "interval=200ms fails=2 passes=3"), workers: 2) { weir in
            let id = try id(at: 0, trio, port)
            trio.brokers[0].kill()
            try await weir.errorLine(
                with: "peer is unhealthy while connecting to upstream", "111: Connection refused",
                trio.brokers[0].endpoint.text)
            for _ in 0..<4 { try MQTTTestClient.connected(to: .ipv4(port), id: id).disconnect() }
            // No try goes to it any more, so none fails.
            #expect(
                !weir.errorLines.contains {
                    $0.contains("connect() failed") && $0.contains("[error]") && $0.contains("client:")
                })
            try await trio.brokers[0].start()
            try await weir.errorLine(with: "peer is healthy", "3 checks in a row passed")
            try await eventually("\(id) is at home") {
                try MQTTTestClient.connected(to: .ipv4(port), id: id).disconnect()
                return trio.brokers[0].connectedIDs.contains(id)
            }
        }
    }

    @Test("with every broker unhealthy a client is closed at once and the log says why")
    func noneLeft() async throws {
        let group = try NullGroup(2, NullBroker.answer([0x20, 2, 0, 3]))
        let port = try PortRegistry.take()
        let stream = """
            upstream brokers { zone brokers 64k; \(group.servers()) }
            \(talkMatch)
            server { listen 127.0.0.1:\(port); proxy_pass brokers; health_check interval=200ms match=mqtt; }
            """
        try await withWeir(stream: stream) { weir in
            for broker in group.brokers { try await weir.errorLine(with: "peer is unhealthy", broker.endpoint.text) }
            let client = try TCPConnection(to: .ipv4(port))
            #expect(try client.receiveToEnd() == [])
            #expect(try await weir.accessLines(atLeast: 1)[0].contains(" 502 no_broker brokers "))
            try await weir.errorLine(with: "[error]", "no live upstreams while connecting to upstream")
        }
    }

    @Test("expect as a regular expression, a check on another port, and a plain TCP check")
    func kindsOfChecks() async throws {
        let brokers = try NullGroup(3)
        let side = try NullBroker(NullBroker.send(Array("status: GREEN (3 nodes)".utf8)))
        let ports = try PortRegistry.take(count: 3)
        guard case .ipv4(let sidePort, _) = side.endpoint else { return }
        let stream = """
            upstream a { zone a 64k; server \(brokers.brokers[0].endpoint.text); }
            upstream b { zone b 64k; server \(brokers.brokers[1].endpoint.text); }
            upstream c { zone c 64k; server \(brokers.brokers[2].endpoint.text); }
            match green { expect ~* "status: green [(][0-9]+ nodes[)]"; }
            match blue { expect ~ "status: blue"; }
            server {
                listen 127.0.0.1:\(ports[0]);
                proxy_pass a;
                health_check interval=200ms match=green port=\(sidePort);
            }
            server {
                listen 127.0.0.1:\(ports[1]);
                proxy_pass b;
                health_check interval=200ms match=blue port=\(sidePort);
            }
            server { listen 127.0.0.1:\(ports[2]); proxy_pass c; health_check interval=200ms; }
            """
        try await withWeir(stream: stream) { weir in
            try await weir.errorLine(with: "peer is unhealthy", "upstream \"b\"", "unexpected answer")
            brokers.brokers[2].stop()
            try await weir.errorLine(with: "peer is unhealthy", "upstream \"c\"", "111: Connection refused")
            try MQTTTestClient.connected(to: .ipv4(ports[0]), id: "a").disconnect()
            #expect(!weir.errorLines.contains { $0.contains("upstream \"a\"") })
            try brokers.brokers[2].start()
            try await weir.errorLine(with: "peer is healthy", "upstream \"c\"")
        }
    }

    @Test("health survives a reload: an unhealthy broker gets no client after it either")
    func healthOverReload() async throws {
        let trio = try await MosquittoTrio()
        let port = try PortRegistry.take()
        let text = stream(trio, port, check: "interval=200ms")
        try await withWeir(stream: text, workers: 2) { weir in
            trio.brokers[1].freeze()
            try await weir.errorLine(with: "peer is unhealthy", trio.brokers[1].endpoint.text)
            let changes = weir.errorLines.count { $0.contains("peer is ") }
            try await weir.reload(stream: text + "\n# changed", workers: 2)
            for number in 0..<30 { try MQTTTestClient.connected(to: .ipv4(port), id: "fan-\(number)").disconnect() }
            #expect(weir.errorLines.count { $0.contains("peer is ") } == changes)
            trio.brokers[1].thaw()
            try await weir.errorLine(with: "peer is healthy", trio.brokers[1].endpoint.text)
        }
    }
}
