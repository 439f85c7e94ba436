// SPDX-License-Identifier: Apache-2.0
//
// The document beside the API, held against real answers: every path that it describes answers, and as it says.

import ControlLink
import Foundation
import ProxyConfig
import SharedState
import TestSupport
import Testing
import Vocabulary

@testable import AdminPlane

@Suite("OpenAPI document") struct OpenAPITests {
    /// Something in every place that an answer can have something in.
    private func fill(_ stage: AdminStage) throws {
        let worker = try #require(WorkerSlot(index: 0))
        stage.region.beginWorker(worker, pid: 77, isRespawn: false, wallMilliseconds: 1_000_100)
        let zone = try #require(stage.region.zoneSlot(named: "mqtt"))
        let peer = try #require(stage.peer("brokers", "10.0.0.1:1883"))
        stage.region.enterZone(worker, zone)
        stage.region.countHandshake(.failed(.verify(.expired)), worker, zone: zone)
        stage.region.countHandshake(.failed(.verify(.hostnameMismatch)), worker, peer: peer)
        stage.region.addSession(worker, peer)
        stage.region.noteSelected(worker, peer, now: 1)
        stage.region.countConnected(worker, peer, milliseconds: 6)
        stage.region.countFirstByte(worker, peer, milliseconds: 7)
        stage.region.countEnded(worker, peer, milliseconds: 8)
        stage.region.countCheck(peer, hasPassed: false, wallMilliseconds: 1_000_300)
        stage.region.setHealth(.unhealthy, peer, wallMilliseconds: 1_000_300, reason: Array("refused".utf8))
        stage.region.note(.peerUnhealthy, wallMilliseconds: 1_000_300, text: "10.0.0.1:1883")
    }

    private func withAPI(_ body: (AdminStage) async throws -> Void) async throws {
        try await AdminStage.run(
            [.api()], upstreams: [APITests.upstream], zones: ["mqtt"]
        ) { stage in
            try fill(stage)
            stage.control.answer(workers: 1) { _, worker in
                var facts = SessionFacts(id: SessionID(run: 7, number: 128), phase: .forwarding)
                facts.clientID = Array("sensor".utf8)
                facts.client = IPEndpoint(address: IPAddress(ipv4: 0x0A01_0203), port: 55_555)
                facts.keepAlive = 60
                facts.mqttLevel = 5
                facts.peer = 0
                facts.broker = "10.0.0.1:1883"
                var answer = WorkerSessions(worker: worker)
                answer.sessions = [facts]
                return answer
            }
            try await body(stage)
        }
    }

    private func json(_ answer: HTTPTestAnswer) throws -> Any {
        try JSONSerialization.jsonObject(with: Data(answer.body), options: .fragmentsAllowed)
    }

    private func document(_ stage: AdminStage) async throws -> [String: Any] {
        try #require(try json(try await stage.get("/api/openapi.json")) as? [String: Any])
    }

    /// Of what the operation cannot do without.
    private func query(of operation: [String: Any]) -> String {
        let required = (operation["parameters"] as? [[String: Any]] ?? []).filter {
            $0["in"] as? String == "query" && $0["required"] as? Bool == true
        }
        return required.reduce("") { query, parameter in
            let words = (parameter["schema"] as? [String: Any])?["enum"] as? [String] ?? []
            return query + (query.isEmpty ? "?" : "&") + "\(parameter["name"] ?? "")=\(words.first ?? "")"
        }
    }

    @Test("every GET that is described answers 200 with what is described")
    func answers() async throws {
        try await withAPI { stage in
            let document = try await document(stage)
            let validator = SchemaValidator(document: document)
            let paths = try #require(document["paths"] as? [String: [String: Any]])
            let peer = try #require(stage.peer("brokers", "10.0.0.1:1883"))
            #expect(paths.count > 20)
            for (path, operations) in paths {
                guard let get = operations["get"] as? [String: Any] else { continue }
                let target = [
                    ("{version}", "9"), ("{worker}", "0"), ("{zone}", "mqtt"), ("{upstream}", "brokers"),
                    ("{server}", "\(peer.index)"), ("{client}", "sensor"),
                ].reduce("/api" + path + query(of: get)) { $0.replacingOccurrences(of: $1.0, with: $1.1) }
                let answer = try await stage.get(target)
                #expect(answer.status == 200, "\(target): \(answer.text)")
                let responses = get["responses"] as? [String: [String: Any]]
                let content = responses?["200"]?["content"] as? [String: [String: Any]]
                let schema = try #require(content?["application/json"]?["schema"], "\(path)")
                let faults = validator.faults(try json(answer), against: schema)
                #expect(faults.isEmpty, "\(target): \(faults)")
            }
        }
    }

    @Test("an error is as described, with a status that the operation names")
    func errors() async throws {
        try await withAPI { stage in
            let document = try await document(stage)
            let validator = SchemaValidator(document: document)
            let schema = try #require(validator.resolve("#/components/schemas/Error"))
            let paths = try #require(document["paths"] as? [String: [String: Any]])
            for (path, target, method) in [
                ("/{version}/stream/server_zones/{zone}", "/9/stream/server_zones/x", "GET"),
                ("/{version}/stream/upstreams/{upstream}/servers/{server}", "/9/stream/upstreams/brokers/servers/x", "GET"),
                ("/{version}/stream/upstreams/{upstream}/servers/", "/9/stream/upstreams/brokers/servers/", "POST"),
                ("/{version}/processes", "/9/processes", "DELETE"),
            ] {
                let answer = try await stage.ask(method, "/api" + target)
                let operation = paths[path]?[method.lowercased()] as? [String: Any]
                let responses = try #require(operation?["responses"] as? [String: Any])
                #expect(answer.status >= 400 && responses["\(answer.status)"] != nil, "\(target): \(answer.status)")
                let faults = validator.faults(try json(answer), against: schema)
                #expect(faults.isEmpty, "\(target): \(faults)")
            }
        }
    }

    @Test("the validator finds what is missing, too much, or of another kind")
    func validator() {
        let validator = SchemaValidator(document: ["components": ["x": ["type": "string"]]])
        let schema: [String: Any] = [
            "type": "object", "required": ["a"], "additionalProperties": false,
            "properties": ["a": ["type": "integer", "minimum": 1], "b": ["$ref": "#/components/x"]],
        ]
        #expect(validator.faults(["a": 1, "b": "x"] as [String: Any], against: schema).isEmpty)
        for wrong in [[:], ["a": 0], ["a": true], ["a": "1"], ["a": 1, "b": 2], ["a": 1, "c": 1]] as [[String: Any]] {
            #expect(validator.faults(wrong, against: schema).count == 1, "\(wrong)")
        }
        #expect(!validator.faults("x", against: ["type": "string", "minLength": 2]).isEmpty)
    }
}
