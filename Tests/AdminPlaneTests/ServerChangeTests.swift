// SPDX-License-Identifier: Apache-2.0
//
// Servers that are added, changed and removed over the API: what is asked of the master, and what is refused before.

import ControlLink
import Foundation
import ProxyConfig
import SharedState
import TestSupport
import Testing
import Vocabulary

@testable import AdminPlane

@Suite("API: changes of servers") struct ServerChangeTests {
    private static let path = "/api/9/stream/upstreams/brokers/servers"

    private func withAPI(_ body: (AdminStage) async throws -> Void) async throws {
        try await AdminStage.run([.api(write: true)], upstreams: [APITests.upstream], body: body)
    }

    private func code(_ answer: HTTPTestAnswer) throws -> String? {
        let object = try JSONSerialization.jsonObject(with: Data(answer.body)) as? [String: Any]
        return (object?["error"] as? [String: Any])?["code"] as? String
    }

    @Test("servers are listed as they are set, and one alone by its id")
    func list() async throws {
        try await withAPI { stage in
            let id = try #require(stage.peer("brokers", "10.0.0.1:1883")).index
            let one = try await stage.get("\(Self.path)/\(id)")
            #expect(
                one.text
                    == #"{"backup":false,"down":false,"drain":false,"fail_timeout":"10s","host":"b1.example:1883","#
                    + #""id":\#(id),"max_conns":0,"max_fails":1,"server":"10.0.0.1:1883","slow_start":"0s","weight":1}"#)
            #expect(try await stage.get(Self.path).text.hasPrefix("[" + one.text + ","))
        }
    }

    @Test("a new server is 201 with its place, once the master has it")
    func add() async throws {
        try await withAPI { stage in
            stage.control.perform { _ in
                var peer = APITests.broker
                peer.serverText = "10.0.0.3:1883"
                peer.endpoint = .ip(IPEndpoint(address: IPAddress(ipv4: 0x0A00_0003), port: 1883))
                let made = peer
                do {
                    try await stage.reload { $0.upstreams[0].peers.append(made) }
                } catch {
                    return .failure(AdminRefusal(.failed, "\(error)"))
                }
                return .success([stage.peer("brokers", "10.0.0.3:1883")?.index ?? -1])
            }
            let body = #"{"server":"10.0.0.3:1883","weight":2,"max_conns":5,"max_fails":3,"fail_timeout":"7s","# +
                #""slow_start":30,"backup":true,"down":false,"drain":true}"#
            let answer = try await stage.send("POST", Self.path, body)
            let id = try #require(stage.peer("brokers", "10.0.0.3:1883")).index
            #expect(answer.status == 201 && answer.field("location") == "\(Self.path)/\(id)", "\(answer.text)")
            #expect(answer.text.contains(#""server":"10.0.0.3:1883""#))
            var parameters = ServerParameters()
            parameters.weight = 2
            parameters.maxConnections = 5
            parameters.maxFails = 3
            parameters.failTimeout = "7s"
            parameters.slowStart = "30"
            parameters.isBackup = true
            parameters.isDown = false
            parameters.isDraining = true
            let expected = MembershipChange(
                .add(server: "10.0.0.3:1883"), upstream: "brokers", parameters: parameters, requester: "127.0.0.1")
            #expect(stage.control.changes == [expected])
        }
    }

    @Test("a change says only what it changes, and a removal leaves the others")
    func setAndRemove() async throws {
        try await withAPI { stage in
            let id = try #require(stage.peer("brokers", "10.0.0.2:1883")).index
            stage.control.perform { change in
                do {
                    try await stage.reload { configuration in
                        switch change.operation {
                        case .set: configuration.upstreams[0].peers[1].isDraining = true
                        case .remove: configuration.upstreams[0].peers.remove(at: 1)
                        case .add: break
                        }
                    }
                } catch {
                    return .failure(AdminRefusal(.failed, "\(error)"))
                }
                return .success([id])
            }
            let changed = try await stage.send("PATCH", "\(Self.path)/\(id)", #"{"drain":true}"#)
            #expect(changed.status == 200 && changed.text.contains(#""drain":true"#), "\(changed.text)")
            let removed = try await stage.ask("DELETE", "\(Self.path)/\(id)")
            #expect(removed.status == 200 && !removed.text.contains("10.0.0.2") && removed.text.contains("10.0.0.1"))
            var drain = ServerParameters()
            drain.isDraining = true
            #expect(
                stage.control.changes == [
                    MembershipChange(.set(id: id), upstream: "brokers", parameters: drain, requester: "127.0.0.1"),
                    MembershipChange(.remove(id: id), upstream: "brokers", requester: "127.0.0.1"),
                ])
        }
    }

    @Test("a body that is not meant so is refused before anybody is asked", arguments: [
        (#"{"server":"#, 415, "JsonError"), ("", 415, "JsonError"), ("[]", 415, "JsonError"),
        (#"{"weight":1}"#, 400, "UpstreamConfFormatError"),
        (#"{"server":"10.0.0.3:1","wieght":1}"#, 400, "UpstreamConfFormatError"),
        (#"{"server":"10.0.0.3:1","weight":"heavy"}"#, 400, "UpstreamConfFormatError"),
        (#"{"server":1}"#, 400, "UpstreamConfFormatError"),
        (#"{"server":"10.0.0.3:1","id":7}"#, 400, "UpstreamServerImmutable"),
        (#"{"server":"10.0.0.3:1","service":"x"}"#, 400, "UpstreamServerImmutable"),
    ])
    func badBodies(body: String, status: Int, expected: String) async throws {
        try await withAPI { stage in
            let answer = try await stage.send("POST", Self.path, body)
            #expect(answer.status == status, "\(answer.status) \(answer.text)")
            #expect(try code(answer) == expected)
            #expect(stage.control.changes.isEmpty)
        }
    }

    @Test("a body that does not say that it is JSON is 415: a page of another site could have sent it")
    func contentType() async throws {
        try await withAPI { stage in
            for type in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
                let answer = try await stage.ask(
                    "POST", Self.path, fields: ["Content-Type": type], body: #"{"server":"10.0.0.3:1883"}"#)
                #expect(answer.status == 415, "\(type)")
                #expect(try code(answer) == "JsonError")
            }
            #expect(stage.control.changes.isEmpty)
        }
    }

    @Test("backup of a server that is there cannot be changed")
    func immutable() async throws {
        try await withAPI { stage in
            let id = try #require(stage.peer("brokers", "10.0.0.1:1883")).index
            let answer = try await stage.send("PATCH", "\(Self.path)/\(id)", #"{"backup":true}"#)
            #expect(answer.status == 400)
            #expect(try code(answer) == "UpstreamServerImmutable")
        }
    }

    @Test("the master's refusal is the API's error", arguments: AdminRefusal.Code.allCases)
    func refusals(refusal: AdminRefusal.Code) async throws {
        try await withAPI { stage in
            stage.control.perform { _ in .failure(AdminRefusal(refusal, "because of a test")) }
            let answer = try await stage.send("POST", Self.path, #"{"server":"10.0.0.3:1883"}"#)
            let status =
                switch refusal {
                case .upstreamNotFound, .serverNotFound: 404
                case .upstreamStatic, .serverImmutable, .badAddress, .badWeight, .format: 400
                case .entryExists: 409
                case .failed: 500
                case .busy, .unreachable: 503
                }
            #expect(answer.status == status && answer.text.contains("because of a test"))
            #expect(try code(answer) == refusal.rawValue)
        }
    }
}
