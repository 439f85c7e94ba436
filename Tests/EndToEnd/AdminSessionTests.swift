// SPDX-License-Identifier: Apache-2.0
//
// Questions about sessions, asked of running workers: each session is told once, whichever worker has it, ends when it is
// told to, and a worker that does not answer is named.

import Foundation
import Glibc
import TestSupport
import Testing

@Suite("API: sessions of running workers")
struct AdminSessionTests {
    private struct Session: Decodable, Hashable {
        var id: String
        var worker: Int
        var client_id: String?
        var client: String?
        var peer: String?
        var phase: String
    }
    private struct Fault: Decodable {
        var worker: Int
        var text: String
    }
    private struct Page: Decodable {
        var sessions: [Session]
        var next: String?
        var faults: [Fault]
    }
    private struct Top: Decodable {
        struct Client: Decodable {
            var client_id: String
            var connects: Int
        }
        var sessions: [Session]?
        var clients: [Client]?
        var faults: [Fault]
    }

    /// Four workers, two brokers by client id, and an API.
    private struct Stage {
        let brokers: [NullBroker]
        let ports: [UInt16]

        init() throws {
            brokers = try (0..<2).map { _ in try NullBroker() }
            ports = try PortRegistry.take(count: 2)
        }

        func run(_ body: (WeirInstance) async throws -> Void) async throws {
            let stream = """
                upstream brokers {
                    hash $mqtt_preread_clientid consistent;
                    \(brokers.map { "server \($0.endpoint.text);" }.joined(separator: " "))
                }
                server { listen 127.0.0.1:\(ports[0]); mqtt_preread on; proxy_pass brokers; }
                """
            let main = "http { server { listen 127.0.0.1:\(ports[1]); location /api { api write=on; } } }"
            try await withWeir(main: main, stream: stream, workers: 4, body)
        }

        func connect(_ id: String) throws -> MQTTTestClient { try .connected(to: .ipv4(ports[0]), id: id) }

        func get<Value: Decodable>(_ type: Value.Type, _ path: String) throws -> Value {
            let answer = try HTTPTestClient.get("/api/weir/" + path, at: .ipv4(ports[1]))
            guard answer.status == 200 else { throw TestFault("\(path): \(answer.status) \(answer.text)") }
            return try JSONDecoder().decode(type, from: Data(answer.body))
        }

        func delete(_ id: String) throws -> Int {
            try HTTPTestClient.request("DELETE", "/api/weir/sessions/\(id)", at: .ipv4(ports[1])).status
        }

        /// All pages, one after the other.
        func sessions(limit: Int, _ filter: String = "") throws -> [Session] {
            var sessions: [Session] = []
            var cursor = ""
            while true {
                let page = try get(Page.self, "sessions?limit=\(limit)\(filter)\(cursor)")
                #expect(page.faults.isEmpty && page.sessions.count <= limit)
                sessions += page.sessions
                guard let next = page.next else { return sessions }
                cursor = "&cursor=\(next)"
            }
        }

        /// Clients until every worker has one at least, which the kernel decides.
        func fill() throws -> [MQTTTestClient] {
            var clients: [MQTTTestClient] = []
            while true {
                for _ in 0..<20 { clients.append(try connect("device-\(clients.count)")) }
                if Set(try sessions(limit: 1000).map(\.worker)) == [0, 1, 2, 3] { return clients }
                guard clients.count < 400 else { throw TestFault("some worker gets nobody") }
            }
        }
    }

    @Test("pages go through four workers and tell each session once; filters and one device's place agree with them")
    func pages() async throws {
        let stage = try Stage()
        try await stage.run { _ in
            let clients = try stage.fill()
            let all = try stage.sessions(limit: 7)
            #expect(all.count == clients.count && Set(all.map(\.id)).count == all.count)
            #expect(Set(all.compactMap(\.client_id)) == Set(clients.map(\.id)))
            #expect(all.allSatisfy { $0.phase == "forwarding" })
            #expect(Set(all) == Set(try stage.sessions(limit: 1000)))

            for broker in stage.brokers {
                let here = all.filter { $0.peer == broker.endpoint.text }
                #expect(here.count == broker.openCount)
                #expect(Set(try stage.sessions(limit: 5, "&peer=\(broker.endpoint.text)")) == Set(here))
            }
            let one = try #require(all.last)
            #expect(try stage.sessions(limit: 5, "&client_id=\(try #require(one.client_id))") == [one])
            #expect(try stage.sessions(limit: 5, "&client=\(try #require(one.client))") == [one])
            #expect(try stage.sessions(limit: 5, "&client_id=nobody") == [])
            struct Place: Decodable { var sessions: [Session] }
            #expect(try stage.get(Place.self, "clients/\(try #require(one.client_id))").sessions == [one])
            for client in clients { client.disconnect() }
            try await eventually("no session is told any more") { try stage.sessions(limit: 1000).isEmpty }
        }
    }

    @Test("a session ends when it is told to, at whichever worker it is, and nobody else's does")
    func ends() async throws {
        let stage = try Stage()
        try await stage.run { weir in
            let clients = try stage.fill()
            let all = try stage.sessions(limit: 1000)
            for worker in 0..<4 {
                let session = try #require(all.first { $0.worker == worker })
                let client = try #require(clients.first { $0.id == session.client_id })
                #expect(try stage.delete(session.id) == 204)
                #expect(throws: TestFault.self) { try client.packet() }
                #expect(try stage.delete(session.id) == 404)
                try await eventually("its end is logged\n\(weir.report)") {
                    weir.accessLines.contains { $0.hasPrefix("\(client.id) 200 administrator ") }
                }
            }
            let left = Set(try stage.sessions(limit: 1000).map(\.id))
            #expect(left.count == all.count - 4)
            for client in clients {
                let session = try #require(all.first { $0.client_id == client.id })
                if left.contains(session.id) { try client.ping() }
            }
            // Of a worker that never was, and what is no id.
            #expect(try stage.delete("00000001-127") == 404)
            #expect(try stage.delete("nonsense") == 404)
        }
    }

    @Test("top: who moves most and who connects most, over all workers")
    func top() async throws {
        let stage = try Stage()
        try await stage.run { _ in
            let clients = try stage.fill()
            try clients[3].publish("bulk", String(repeating: "x", count: 20_000))
            try clients[11].publish("bulk", String(repeating: "x", count: 10_000))
            for _ in 0..<12 { try stage.connect("flapping").disconnect() }
            let bytes = try stage.get(Top.self, "top?by=bytes&count=2")
            #expect(bytes.sessions?.map(\.client_id) == [clients[3].id, clients[11].id] && bytes.faults.isEmpty)
            let connects = try stage.get(Top.self, "top?by=reconnects&count=1")
            #expect(connects.clients?.map(\.client_id) == ["flapping"] && connects.faults.isEmpty)
            // A worker that saw it once does not tell of it, and the kernel spreads connections as it likes.
            let count = try #require(connects.clients?.first).connects
            #expect(count <= 12 && count >= 12 - 3, "the workers' counts are summed")
        }
    }

    @Test("a worker that stands still is named, the others answer, and it answers when it goes on")
    func silentWorker() async throws {
        let stage = try Stage()
        try await stage.run { weir in
            let clients = try stage.fill()
            let all = try stage.sessions(limit: 1000)
            let stopped = try #require(weir.workers.first)
            kill(stopped, SIGSTOP)
            defer { kill(stopped, SIGCONT) }
            let page = try stage.get(Page.self, "sessions?limit=1000")
            let fault = try #require(page.faults.first)
            #expect(page.faults.count == 1)
            #expect(Set(page.sessions) == Set(all.filter { $0.worker != fault.worker }))
            kill(stopped, SIGCONT)
            try await eventually("it answers again") {
                let page = try stage.get(Page.self, "sessions?limit=1000")
                return page.faults.isEmpty && page.sessions.count == all.count
            }
            for client in clients { try client.ping() }
        }
    }
}
