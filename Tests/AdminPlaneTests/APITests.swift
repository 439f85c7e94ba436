// SPDX-License-Identifier: Apache-2.0
//
// nginx's API: what its clients read, which version has what, and the errors.

import Foundation
import LinuxIO
import ProxyConfig
import SharedState
import TestSupport
import Testing
import Vocabulary

@testable import AdminPlane

@Suite("API") struct APITests {
    static let broker = Peer(
        serverText: "b1.example:1883",
        endpoint: .ip(IPEndpoint(address: IPAddress(ipv4: 0x0A00_0001), port: 1883)), ringHost: "10.0.0.1",
        ringPort: "1883")

    static var upstream: Upstream {
        var upstream = Upstream(name: "brokers")
        var second = broker
        second.serverText = "10.0.0.2:1883"
        second.endpoint = .ip(IPEndpoint(address: IPAddress(ipv4: 0x0A00_0002), port: 1883))
        second.weight = 3
        second.isBackup = true
        second.maxConnections = 7
        upstream.peers = [broker, second]
        upstream.zone = "brokers_zone"
        return upstream
    }

    private func withAPI(_ body: (AdminStage) async throws -> Void) async throws {
        try await AdminStage.run(
            [.api(write: true)], upstreams: [Self.upstream], zones: ["mqtt"], body: body)
    }

    private func object(_ answer: HTTPTestAnswer) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(answer.body)) as? [String: Any])
    }

    private func number(_ object: [String: Any], _ path: String...) -> Int? {
        var value: Any? = object
        for name in path { value = (value as? [String: Any])?[name] }
        return value as? Int
    }

    @Test("the root lists the versions, and each of them answers")
    func versions() async throws {
        try await withAPI { stage in
            #expect(try await stage.get("/api/").text == "[4,5,6,7,8,9]")
            for version in 4...9 {
                #expect(try await stage.get("/api/\(version)/nginx").status == 200)
                let groups = try await stage.get("/api/\(version)/").text
                #expect(groups.contains("workers") == (version >= 9))
                #expect(groups.contains("resolvers") == (version >= 5))
                #expect(try await stage.get("/api/\(version)/workers/").status == (version >= 9 ? 200 : 404))
                let limits = try await stage.get("/api/\(version)/stream/limit_conns/")
                #expect(limits.status == (version >= 6 ? 200 : 404))
            }
            for path in ["/api/3/nginx", "/api/10/nginx", "/api/09/nginx", "/api/x/nginx"] {
                let answer = try await stage.get(path)
                #expect(answer.status == 404 && answer.text.contains("UnknownVersion"), "\(path)")
            }
        }
    }

    @Test("what no configuration has is an empty collection, and what Weir is not is not listed")
    func empty() async throws {
        try await withAPI { stage in
            for path in ["slabs/", "resolvers/", "stream/keyvals/", "stream/limit_conns/", "http/upstreams/"] {
                let answer = try await stage.get("/api/9/\(path)")
                #expect(answer.text == "{}", "\(path)")
            }
            let lists = [try await stage.get("/api/9/").text, try await stage.get("/api/9/stream/").text]
            #expect(!lists[0].contains("license") && !lists[1].contains("zone_sync"))
        }
    }

    @Test("what there is not is an error object with nginx's code", arguments: [
        ("/api/9/nothing", 404, "PathNotFound"), ("/api/9/nginx/more", 404, "PathNotFound"),
        ("/api/9/license", 404, "PathNotFound"), ("/api/9/stream/zone_sync/", 404, "PathNotFound"),
        ("/api/9/workers/77", 404, "WorkerNotFound"), ("/api/9/stream/server_zones/x", 404, "ServerZoneNotFound"),
        ("/api/9/stream/upstreams/x", 404, "UpstreamNotFound"),
        ("/api/9/stream/upstreams/x/servers", 404, "UpstreamNotFound"),
        ("/api/9/stream/upstreams/brokers/servers/99", 404, "UpstreamServerNotFound"),
        ("/api/9/stream/upstreams/brokers/servers/x", 400, "UpstreamBadServerId"),
        ("/api/weir/events?count=0", 400, "QueryFormatError"), ("/api/weir/x", 404, "PathNotFound"),
    ])
    func errors(path: String, status: Int, code: String) async throws {
        try await withAPI { stage in
            let answer = try await stage.get(path)
            let body = try object(answer)
            let error = try #require(body["error"] as? [String: Any])
            #expect(answer.status == status && error["status"] as? Int == status)
            #expect(error["code"] as? String == code && error["text"] is String)
            #expect((body["request_id"] as? String)?.count == 32 && body["href"] is String)
        }
    }

    @Test("figures of the program, of workers and of handshakes are the region's")
    func program() async throws {
        try await withAPI { stage in
            let worker = try #require(WorkerSlot(index: 0))
            stage.region.beginWorker(worker, pid: 77, isRespawn: false, wallMilliseconds: 1_000_100)
            stage.region.beginWorker(worker, pid: 78, isRespawn: true, wallMilliseconds: 1_000_200)
            for _ in 0..<5 { _ = stage.region.countAccepted(worker) }
            stage.region.countRefused(worker)
            stage.region.setActiveSessions(worker, 4)
            stage.region.setWaitingSessions(worker, 1)
            stage.region.countHandshake(.succeeded(isReused: true), worker, zone: nil)
            stage.region.countHandshake(.failed(.timeout), worker, zone: nil)

            let nginx = try object(try await stage.get("/api/9/nginx"))
            #expect(nginx["version"] as? String == weirVersion && number(nginx, "ppid") == 4711)
            #expect(nginx["address"] as? String == "127.0.0.1" && number(nginx, "generation") == 1)
            #expect(try await stage.get("/api/9/processes").text == #"{"respawned":1}"#)
            let connections = try await stage.get("/api/9/connections").text
            #expect(connections == #"{"accepted":5,"active":3,"dropped":1,"idle":1}"#)
            let one = try object(try await stage.get("/api/9/workers/0"))
            #expect(number(one, "pid") == 78 && number(one, "connections", "accepted") == 5)
            let tls = try object(try await stage.get("/api/9/ssl"))
            #expect(number(tls, "handshakes") == 1 && number(tls, "session_reuses") == 1)
            #expect(number(tls, "handshakes_failed") == 1 && number(tls, "handshake_timeout") == 1)
            let old = try object(try await stage.get("/api/7/ssl"))
            #expect(number(old, "handshakes_failed") == 1 && old["handshake_timeout"] == nil)
        }
    }

    @Test("a zone's figures, and their reset, which is nobody else's matter")
    func zones() async throws {
        try await withAPI { stage in
            let worker = try #require(WorkerSlot(index: 0))
            stage.region.beginWorker(worker, pid: 77, isRespawn: false, wallMilliseconds: 1_000_100)
            let zone = try #require(stage.region.zoneSlot(named: "mqtt"))
            for status in [200, 200, 403, 502] as [UInt16] {
                stage.region.enterZone(worker, zone)
                stage.region.leaveZone(worker, zone, status: status)
            }
            stage.region.enterZone(worker, zone)
            stage.region.addBytes(worker, zone, received: 10, sent: 20)
            let path = "/api/9/stream/server_zones/mqtt"
            let before = try await stage.get(path).text
            #expect(
                before
                    == #"{"connections":5,"discarded":0,"processing":1,"received":10,"sent":20,"#
                    + #""sessions":{"2xx":2,"4xx":1,"5xx":1,"total":4}}"#)
            #expect(try await stage.get("/api/9/stream/server_zones/").text == #"{"mqtt":\#(before)}"#)
            #expect(try await stage.ask("DELETE", path).status == 204)
            let after = try object(try await stage.get(path))
            #expect(number(after, "connections") == 0 && number(after, "processing") == 1)
            #expect(number(after, "sessions", "total") == 0)
            #expect(stage.region.zoneReport(zone).connections == 5, "the region's own counter stands")
            stage.region.enterZone(worker, zone)
            #expect(number(try object(try await stage.get(path)), "connections") == 1)
        }
    }

    @Test("an upstream's servers as nginx shows them")
    func upstreams() async throws {
        try await withAPI { stage in
            let worker = try #require(WorkerSlot(index: 0))
            stage.region.beginWorker(worker, pid: 77, isRespawn: false, wallMilliseconds: 1_000_100)
            let peer = try #require(stage.peer("brokers", "10.0.0.1:1883"))
            for _ in 0..<2 {
                stage.region.addSession(worker, peer)
                stage.region.countConnected(worker, peer, milliseconds: 6)
            }
            stage.region.addBytes(worker, peer, toPeer: 100)
            stage.region.addBytes(worker, peer, fromPeer: 50)
            stage.region.countCheck(peer, hasPassed: false, wallMilliseconds: 1_000_300)
            stage.region.setHealth(.unhealthy, peer, wallMilliseconds: 1_000_300, reason: Array("refused".utf8))

            let all = try object(try await stage.get("/api/9/stream/upstreams"))
            let upstream = try #require(all["brokers"] as? [String: Any])
            #expect(upstream["zone"] as? String == "brokers_zone" && number(upstream, "zombies") == 0)
            let peers = try #require(upstream["peers"] as? [[String: Any]])
            #expect(peers.count == 2)
            let first = try #require(peers.first { $0["server"] as? String == "10.0.0.1:1883" })
            #expect(first["name"] as? String == "b1.example:1883" && number(first, "id") == peer.index)
            #expect(first["state"] as? String == "unhealthy" && number(first, "active") == 2)
            #expect(number(first, "connections") == 2 && number(first, "connect_time") == 6)
            #expect(number(first, "sent") == 100 && number(first, "received") == 50)
            #expect(number(first, "health_checks", "fails") == 1)
            #expect((first["downstart"] as? String)?.hasPrefix("1970-01-01T00:16:40.300Z") ?? false)
            #expect(first["response_time"] == nil && first["max_conns"] == nil)
            let second = try #require(peers.first { $0["server"] as? String == "10.0.0.2:1883" })
            #expect(second["backup"] as? Bool == true && number(second, "max_conns") == 7)
            #expect(number(second, "weight") == 3 && second["state"] as? String == "up")

            #expect(try await stage.ask("DELETE", "/api/9/stream/upstreams/brokers/").status == 204)
            let reset = try object(try await stage.get("/api/9/stream/upstreams/brokers"))
            let afterwards = try #require((reset["peers"] as? [[String: Any]])?.first { number($0, "id") == peer.index })
            #expect(number(afterwards, "connections") == 0 && number(afterwards, "sent") == 0)
            #expect(number(afterwards, "active") == 2, "what is there is not reset")
        }
    }

    @Test("fields chooses of an object, of each of a collection, and an empty one leaves the names")
    func fields() async throws {
        try await withAPI { stage in
            #expect(try await stage.get("/api/9/connections?fields=active,idle").text == #"{"active":0,"idle":0}"#)
            #expect(try await stage.get("/api/9/connections?fields=nothing").text == "{}")
            #expect(try await stage.get("/api/9/stream/server_zones/?fields=").text == #"["mqtt"]"#)
            let zones = try await stage.get("/api/9/stream/server_zones/?fields=received").text
            #expect(zones == #"{"mqtt":{"received":0}}"#)
            let servers = try await stage.get("/api/9/stream/upstreams/brokers/servers?fields=server").text
            #expect(servers == #"[{"server":"10.0.0.1:1883"},{"server":"10.0.0.2:1883"}]"#)
        }
    }

    @Test("an answer that the client has already is 304, and another tag stands for other figures")
    func entityTags() async throws {
        try await withAPI { stage in
            let path = "/api/9/processes"
            let tag = try #require(try await stage.get(path).field("etag"))
            for known in [tag, "W/\(tag)", "\"x\", \(tag)", "*"] {
                let answer = try await stage.get(path, fields: ["If-None-Match": known])
                #expect(answer.status == 304 && answer.body.isEmpty && answer.field("etag") == tag, "\(known)")
            }
            #expect(try await stage.get(path, fields: ["If-None-Match": "\"x\""]).status == 200)
            let worker = try #require(WorkerSlot(index: 0))
            stage.region.beginWorker(worker, pid: 77, isRespawn: true, wallMilliseconds: 1_000_100)
            let changed = try await stage.get(path, fields: ["If-None-Match": tag])
            #expect(changed.status == 200 && changed.field("etag") != tag)
        }
    }

    @Test("the last events are told, the oldest first")
    func events() async throws {
        try await withAPI { stage in
            stage.region.note(.started, wallMilliseconds: 1_000_000, text: "1 worker")
            stage.region.note(.peerUnhealthy, wallMilliseconds: 1_000_500, text: "10.0.0.1:1883 in brokers: refused")
            let events = try await stage.get("/api/weir/events?count=1&fields=kind,text,at").text
            #expect(
                events
                    == #"[{"at":"1970-01-01T00:16:40.500Z","kind":"peer_unhealthy","#
                    + #""text":"10.0.0.1:1883 in brokers: refused"}]"#)
            let all = try await stage.get("/api/weir/events?fields=kind").text
            #expect(all == #"[{"kind":"started"},{"kind":"peer_unhealthy"}]"#)
        }
    }
}
