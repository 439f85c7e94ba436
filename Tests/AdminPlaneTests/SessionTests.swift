// SPDX-License-Identifier: Apache-2.0
//
// Sessions over the API: pages that go through workers, filters, one session's end, the most of all, one device.

import ControlLink
import Foundation
import ProxyConfig
import SharedState
import TestSupport
import Testing
import Vocabulary

@testable import AdminPlane

@Suite("API: sessions") struct SessionTests {
    private static var upstream: Upstream {
        var upstream = APITests.upstream
        upstream.peers[1].isBackup = false
        upstream.method = .hash(
            key: Template(parts: [.variable(.builtin(.mqttPrereadClientID))]), isConsistent: true)
        return upstream
    }

    private func withAPI(_ workers: Int = 1, _ body: (AdminStage) async throws -> Void) async throws {
        try await AdminStage.run([.api(write: true)], upstreams: [Self.upstream], zones: ["mqtt"]) { stage in
            for index in 0..<workers {
                let worker = try #require(WorkerSlot(index: index))
                stage.region.beginWorker(worker, pid: 77, isRespawn: false, wallMilliseconds: 1_000_100)
            }
            try await body(stage)
        }
    }

    private static func facts(_ number: UInt64, _ clientID: String = "sensor") -> SessionFacts {
        var facts = SessionFacts(id: SessionID(run: 7, number: number), phase: .forwarding)
        facts.clientID = Array(clientID.utf8)
        facts.received = number
        return facts
    }

    private func object(_ answer: HTTPTestAnswer) throws -> [String: Any] {
        #expect(answer.status == 200, "\(answer.text)")
        return try #require(try JSONSerialization.jsonObject(with: Data(answer.body)) as? [String: Any])
    }

    private func ids(_ page: [String: Any]) -> [String] {
        (page["sessions"] as? [[String: Any]] ?? []).compactMap { $0["id"] as? String }
    }

    @Test("a session is told with names for its slots and times for its ages")
    func facts() async throws {
        try await withAPI { stage in
            let peer = try #require(stage.peer("brokers", "10.0.0.1:1883"))
            let zone = try #require(stage.region.zoneSlot(named: "mqtt"))
            stage.control.answer(workers: 1) { _, worker in
                var facts = Self.facts(129)
                facts.client = IPEndpoint(address: IPAddress(ipv4: 0x0A01_0203), port: 55_555)
                facts.listener = "0.0.0.0:1883"
                facts.zone = UInt32(zone.index)
                facts.peer = UInt32(peer.index)
                facts.broker = "10.0.0.1:1883"
                facts.keepAlive = 60
                facts.mqttLevel = 4
                facts.isTLS = true
                var answer = WorkerSessions(worker: worker)
                answer.sessions = [facts]
                return answer
            }
            let page = try object(try await stage.get("/api/weir/sessions"))
            let session = try #require((page["sessions"] as? [[String: Any]])?.first)
            #expect(session["id"] as? String == "00000007-129" && session["client_id"] as? String == "sensor")
            #expect(session["client"] as? String == "10.1.2.3:55555" && session["phase"] as? String == "forwarding")
            #expect(session["zone"] as? String == "mqtt" && session["upstream"] as? String == "brokers")
            #expect(session["peer"] as? String == "10.0.0.1:1883" && session["keep_alive"] as? Int == 60)
            #expect(session["mqtt_version"] as? String == "3.1.1" && session["tls"] as? Bool == true)
            #expect(page["next"] == nil && (page["faults"] as? [Any])?.isEmpty ?? false)
        }
    }

    @Test("pages go through the workers, none is longer than asked, and together they are all sessions once")
    func pages() async throws {
        try await withAPI(3) { stage in
            // Five sessions at each of three workers; places are indices.
            stage.control.answer(workers: 3) { query, worker in
                let rest = (0..<5).dropFirst(Int(query.cursor))
                var answer = WorkerSessions(worker: worker)
                answer.sessions = rest.prefix(query.limit).map { Self.facts(UInt64(worker * 10 + $0)) }
                answer.next = rest.count > query.limit ? query.cursor + UInt32(query.limit) : nil
                return answer
            }
            var found: [String] = []
            var cursor: String?
            repeat {
                let page = try object(
                    try await stage.get("/api/weir/sessions?limit=4" + (cursor.map { "&cursor=\($0)" } ?? "")))
                #expect(ids(page).count <= 4)
                found += ids(page)
                cursor = page["next"] as? String
            } while cursor != nil && found.count < 100
            #expect(found == (0..<3).flatMap { worker in (0..<5).map { "00000007-\(worker * 10 + $0)" } })
        }
    }

    @Test("filters are what the query says, and what they cannot be is refused")
    func filters() async throws {
        try await withAPI { stage in
            let peer = try #require(stage.peer("brokers", "10.0.0.1:1883"))
            for query in ["client_id=a%2Fb&client=10.1.2.3:5", "client=%5B::1%5D:7", "client=::1", "peer=10.0.0.1:1883",
                "peer=b1.example:1883", "peer=\(peer.index)"]
            {
                #expect(try await stage.get("/api/weir/sessions?\(query)").status == 200, "\(query)")
            }
            let filters = stage.control.queries.compactMap { query -> SessionFilter? in
                if case .list(let filter) = query.subject { filter } else { nil }
            }
            try #require(filters.count == 6)
            #expect(filters[0].clientID == Array("a/b".utf8) && filters[0].clientPort == 5)
            #expect(filters[0].client == IPAddress(ipv4: 0x0A01_0203))
            #expect(filters[1].client == IPAddress(text: "::1") && filters[1].clientPort == 7)
            #expect(filters[2].client == IPAddress(text: "::1") && filters[2].clientPort == nil)
            for filter in filters[3...] { #expect(filter.peers == [UInt32(peer.index)]) }
            for query in ["client=x", "client=10.1.2.3:x", "peer=nobody", "limit=0", "limit=1001", "cursor=x", "cursor=1"] {
                let answer = try await stage.get("/api/weir/sessions?\(query)")
                #expect(answer.status == 400 && answer.text.contains("QueryFormatError"), "\(query)")
            }
        }
    }

    @Test("one session is ended by its id, at its own worker, and only where writing is on")
    func end() async throws {
        try await withAPI(3) { stage in
            stage.control.answer(workers: 3) { query, worker in
                var answer = WorkerSessions(worker: worker)
                if query.subject == .close(SessionID(run: 7, number: 130)), worker == 2 {
                    answer.sessions = [Self.facts(130)]
                }
                return answer
            }
            for (method, id, status) in [
                ("DELETE", "00000007-130", 204), ("DELETE", "00000007-131", 404), ("DELETE", "nonsense", 404),
                ("GET", "00000007-130", 405),
            ] {
                let answer = try await stage.ask(method, "/api/weir/sessions/\(id)")
                #expect(answer.status == status, "\(method) \(id)")
            }
        }
    }

    @Test("the most of all workers is one list")
    func top() async throws {
        try await withAPI(2) { stage in
            stage.control.answer(workers: 2) { query, worker in
                var answer = WorkerSessions(worker: worker)
                answer.sessions = [Self.facts(UInt64(10 + worker)), Self.facts(UInt64(worker))]
                answer.reconnects = [
                    ReconnectFacts(clientID: Array("flapping".utf8), count: 5, doubt: 1),
                    ReconnectFacts(clientID: Array("worker \(worker)".utf8), count: UInt64(6 + worker), doubt: 0),
                ]
                if worker == 1 { answer.fault = "late" }
                return answer
            }
            let bytes = try object(try await stage.get("/api/weir/top?by=bytes&count=3"))
            #expect(ids(bytes) == ["00000007-11", "00000007-10", "00000007-1"])
            let text = try await stage.get("/api/weir/top?by=reconnects&count=2").text
            #expect(
                text
                    == #"{"by":"reconnects","clients":[{"client_id":"flapping","connects":10,"doubt":2},"#
                    + #"{"client_id":"worker 1","connects":7,"doubt":0}],"faults":[{"text":"late","worker":1}]}"#)
            #expect(try await stage.get("/api/weir/top").status == 400)
        }
    }

    @Test("a device: where it is, where the ring puts it, and where it would go now")
    func client() async throws {
        try await withAPI { stage in
            stage.control.answer(workers: 1) { _, worker in
                var answer = WorkerSessions(worker: worker)
                answer.sessions = [Self.facts(1, "floor/2")]
                return answer
            }
            let first = try object(try await stage.get("/api/weir/clients/floor%2F2"))
            #expect(first["client_id"] as? String == "floor/2" && ids(first) == ["00000007-1"])
            let home = try #require((first["homes"] as? [[String: Any]])?.first)
            let server = try #require(home["server"] as? String)
            #expect(home["upstream"] as? String == "brokers" && home["server_now"] as? String == server)

            let peer = try #require(stage.peer("brokers", server))
            stage.region.setHealth(.unhealthy, peer, wallMilliseconds: 1, reason: [])
            let second = try object(try await stage.get("/api/weir/clients/floor%2F2"))
            let moved = try #require((second["homes"] as? [[String: Any]])?.first)
            #expect(moved["server"] as? String == server)
            #expect(moved["server_now"] as? String != server && moved["server_now"] is String)
        }
    }
}
