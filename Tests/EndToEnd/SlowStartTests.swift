// SPDX-License-Identifier: Apache-2.0
//
// slow_start in the built binary: a broker that is there again is not met by its whole share at once.
//
// How fast a share grows is a matter of unit tests. Here it grows so slowly that the first sessions come at its begin
// however busy the machine is; a reload that takes slow_start away is its end.

import TestSupport
import Testing

@Suite("slow_start")
struct SlowStartTests {
    /// Two brokers behind two workers, the second of which starts slowly.
    private final class Stage {
        let group: NullGroup
        let method: String
        let check: String
        let main: String
        let port: UInt16
        private(set) var sessions: [MQTTTestClient] = []

        init(method: String, check: String = "", main: String = "") throws {
            group = try NullGroup(2)
            self.method = method
            self.check = check
            self.main = main
            port = try PortRegistry.take()
        }

        var starting: NullBroker { group.brokers[1] }

        func stream(slowStart: String) -> String {
            """
            upstream brokers { zone brokers 64k; \(method) \(group.servers(["", "slow_start=\(slowStart)"])) }
            \(talkMatch)
            server { listen 127.0.0.1:\(port); mqtt_preread on; proxy_pass brokers; \(check) }
            """
        }

        func run(_ body: (WeirInstance) async throws -> Void) async throws {
            try await withWeir(main: main, stream: stream(slowStart: "1h"), workers: 2, level: "notice", body)
        }

        /// The share of so many new sessions, which stay, that the second broker gets.
        func connect(_ count: Int) throws -> Double {
            let names = (0..<count).map { "device-\(sessions.count + $0)" }
            for name in names { sessions.append(try MQTTTestClient.connected(to: .ipv4(port), id: name)) }
            return Double(SlowStartTests.ids(at: starting).intersection(names).count) / Double(count)
        }

        /// The second broker is there again: it gets few sessions now, and its share as soon as nothing is slow.
        func checkStart(_ weir: WeirInstance) async throws {
            let first = try connect(40)
            #expect(first < 0.3, "\(first) of the first sessions")
            try await weir.reload(main: main, stream: stream(slowStart: "0"), workers: 2, level: "notice")
            let last = try connect(60)
            // least_conn makes up for what the broker has less; round robin goes on by turns.
            #expect(method.isEmpty ? abs(last - 0.5) < 0.1 : last > 0.5, "\(last) of the last sessions")
        }
    }

    @Test(
        "a broker that is healthy again gets few sessions first and its share in the end", arguments: ["", "least_conn;"])
    func recovers(method: String) async throws {
        let stage = try Stage(
            method: method, check: "health_check interval=200ms match=mqtt; health_check_timeout 2s;")
        stage.starting.behave(NullBroker.answer([0x20, 2, 0, 5]))
        try await stage.run { weir in
            try await weir.errorLine(with: "peer is unhealthy", stage.starting.endpoint.text)
            #expect(try stage.connect(40) == 0)
            stage.starting.behave(NullBroker.mqtt)
            try await weir.errorLine(with: "peer is healthy", stage.starting.endpoint.text)
            try await stage.checkStart(weir)
        }
    }

    @Test("and so does one that an administrator lets back", arguments: ["down", "drain"])
    func comesBack(from state: String) async throws {
        let port = try PortRegistry.take()
        let api = ServersAPI(endpoint: .ipv4(port), upstream: "brokers")
        let stage = try Stage(method: "", main: ServersAPI.main(port))
        try await stage.run { weir in
            #expect(try stage.connect(20) == 0.5, "at the start of Weir nobody comes back from anywhere")
            let id = try api.servers()[1].id
            #expect(try api.call("PATCH", id, "{\"\(state)\":true}").status == 200)
            #expect(try stage.connect(20) == 0)
            #expect(try api.call("PATCH", id, "{\"\(state)\":false}").status == 200)
            try await stage.checkStart(weir)
        }
    }

    @Test("checks that find all well for the first time are no return")
    func firstChecks() async throws {
        let stage = try Stage(method: "", check: "health_check interval=200ms match=mqtt; health_check_timeout 2s;")
        try await stage.run { _ in
            let starting = stage.starting
            try await eventually("checks have passed") { starting.connectionCount > 1 }
            #expect(try stage.connect(20) == 0.5)
        }
    }

    /// Client ids of all CONNECTs that the broker has had.
    private static func ids(at broker: NullBroker) -> Set<String> {
        Set(broker.sessions.compactMap { session in
            let bytes = session.received
            guard bytes.count > 14, bytes[0] == 0x10 else { return nil }
            let count = Int(bytes[12]) << 8 | Int(bytes[13])
            guard bytes.count >= 14 + count else { return nil }
            return String(decoding: bytes[14..<14 + count], as: UTF8.self)
        })
    }
}
