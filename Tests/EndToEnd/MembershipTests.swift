// SPDX-License-Identifier: Apache-2.0
//
// Servers that are added, drained, set and removed while Weir runs: in all workers when the API has answered, felt by
// no session, and kept by a state file.

import Foundation
import Glibc
import TestSupport
import Testing

@Suite("membership at run time")
struct MembershipTests {
    /// So many connections, spread over all workers by the kernel, closed again.
    private static func knock(_ port: UInt16, _ count: Int = 24) throws {
        for number in 0..<count {
            try MQTTTestClient.connected(to: .ipv4(port), id: "knock-\(number)").disconnect()
        }
    }

    @Test("add, drain, remove: in every worker when it is answered, and sessions go on")
    func changes() async throws {
        let first = try NullBroker()
        let second = try NullBroker()
        let ports = try PortRegistry.take(count: 2)
        let stream = """
            upstream brokers { zone brokers 64k; server \(first.endpoint.text); }
            server { listen 127.0.0.1:\(ports[0]); proxy_pass brokers; }
            """
        try await withWeir(main: ServersAPI.main(ports[1]), stream: stream, workers: 3) { weir in
            let api = ServersAPI(endpoint: .ipv4(ports[1]), upstream: "brokers")
            let standing = try (0..<4).map { try MQTTTestClient.connected(to: .ipv4(ports[0]), id: "standing-\($0)") }
            let processes = weir.children.map(\.id)

            let added = try api.add(second, ",\"weight\":3")
            #expect(added.status == 201, "\(added.text)")
            #expect(try api.servers().map(\.weight) == [1, 3])
            let ids = try api.servers().map(\.id)
            // Whatever worker meets it, no new session comes to a drained server.
            #expect(try api.call("PATCH", ids[0], "{\"drain\":true}").status == 200)
            let before = first.connectionCount
            try Self.knock(ports[0])
            #expect(first.connectionCount == before)
            #expect(second.connectionCount == 24)
            for client in standing { try client.ping() }

            // In service again.
            #expect(try api.call("PATCH", ids[0], "{\"drain\":false}").status == 200)
            try Self.knock(ports[0])
            #expect(first.connectionCount > before)

            // Removed: its sessions go on to their end, and no new one comes.
            #expect(try api.call("DELETE", ids[0]).status == 200)
            let last = first.connectionCount
            try Self.knock(ports[0])
            #expect(first.connectionCount == last)
            for client in standing { try client.ping() }
            #expect(try api.servers().map(\.id) == [ids[1]])

            #expect(weir.children.map(\.id) == processes, "no process was replaced")
            try await weir.errorLine(with: "[notice]", "added to upstream \"brokers\", asked for by ", "127.0.0.1")
            try await weir.errorLine(with: "removed from upstream \"brokers\"")

            // What the configuration file says counts again after a HUP: there is no state file.
            try await weir.reload()
            #expect(try api.servers().map(\.server) == [first.endpoint.text])
            try Self.knock(ports[0], 6)
            #expect(first.connectionCount == last + 6)
        }
    }

    @Test("four workers: each of them does what was answered, for every kind of change")
    func everyWorker() async throws {
        let brokers = try (0..<3).map { _ in try NullBroker() }
        let ports = try PortRegistry.take(count: 2)
        let stream = """
            upstream brokers { zone brokers; server \(brokers[0].endpoint.text); server \(brokers[1].endpoint.text); }
            server { listen 127.0.0.1:\(ports[0]); mqtt_preread on; proxy_pass brokers; }
            """
        try await withWeir(main: ServersAPI.main(ports[1]), stream: stream, workers: 4) { weir in
            let api = ServersAPI(endpoint: .ipv4(ports[1]), upstream: "brokers")
            let ids = try api.servers().map(\.id)
            /// New sessions until every worker has had one; how many each broker got.
            func spread() throws -> [Int] {
                struct Worker: Decodable {
                    struct Connections: Decodable { var accepted: Int }
                    var connections: Connections
                }
                func accepted() throws -> [Int] {
                    let answer = try HTTPTestClient.get("/api/9/workers/", at: .ipv4(ports[1]))
                    return try JSONDecoder().decode([Worker].self, from: Data(answer.body)).map(\.connections.accepted)
                }
                let (before, counts) = (try accepted(), brokers.map(\.connectionCount))
                #expect(before.count == 4)
                repeat { try Self.knock(ports[0], 12) } while zip(before, try accepted()).contains { $0 == $1 }
                return zip(counts, brokers.map(\.connectionCount)).map { $1 - $0 }
            }
            for (on, off) in [("{\"drain\":true}", "{\"drain\":false}"), ("{\"down\":true}", "{\"down\":false}")] {
                #expect(try api.call("PATCH", ids[0], on).status == 200)
                let without = try spread()
                #expect(without[0] == 0 && without[1] > 0, "\(on)")
                #expect(try api.call("PATCH", ids[0], off).status == 200)
                let with = try spread()
                #expect(with[0] == with[1], "\(off)")
            }
            #expect(try api.call("PATCH", ids[0], "{\"weight\":5}").status == 200)
            let weighed = try spread()
            #expect(weighed[0] == weighed[1] * 5)
            #expect(try api.add(brokers[2]).status == 201)
            #expect(try spread()[2] > 0)
            #expect(try api.call("DELETE", ids[0]).status == 200)
            let removed = try spread()
            // Not equal: the turns that the weight of 5 was owed are still being paid back.
            #expect(removed[0] == 0 && removed[1] > 0 && removed[2] > 0)
        }
    }

    @Test("what a configuration would be refused for is refused, with nginx's codes, and changes nothing")
    func refused() async throws {
        let broker = try NullBroker()
        let ports = try PortRegistry.take(count: 2)
        let stream = """
            upstream brokers { zone brokers; server \(broker.endpoint.text); }
            upstream fixed { server \(broker.endpoint.text); }
            server { listen 127.0.0.1:\(ports[0]); proxy_pass brokers; }
            """
        try await withWeir(main: ServersAPI.main(ports[1]), stream: stream, workers: 2) { weir in
            let api = ServersAPI(endpoint: .ipv4(ports[1]), upstream: "brokers")
            let before = try api.servers()
            let bodies = [
                ("{\"server\":\"127.0.0.1\"}", 400, "UpstreamBadAddress"),
                ("{\"server\":\"no such host:1\"}", 400, "UpstreamBadAddress"),
                ("{\"server\":\"127.0.0.1:1\",\"weight\":0}", 400, "UpstreamBadWeight"),
                ("{\"server\":\"127.0.0.1:1\",\"fail_timeout\":\"soon\"}", 400, "UpstreamConfFormatError"),
                ("{\"server\":\"127.0.0.1:1; } server { listen 1\"}", 400, "UpstreamBadAddress"),
            ]
            for (body, status, code) in bodies {
                let answer = try api.call("POST", nil, body)
                #expect(answer.status == status && answer.text.contains(code), "\(body): \(answer.text)")
            }
            let fixed = ServersAPI(endpoint: .ipv4(ports[1]), upstream: "fixed")
            #expect(try fixed.add(broker).text.contains("UpstreamStatic"))
            // The last one of a group without state: such a configuration would not load.
            #expect(try api.call("DELETE", before[0].id).status == 400)
            #expect(try api.servers() == before)
            try Self.knock(ports[0], 4)
            #expect(broker.connectionCount == 4)
        }
    }

    @Test("a server that is added by its name has the name's addresses, and keeps them over the next changes")
    func byName() async throws {
        let first = try NullBroker()
        let second = try NullBroker()
        let ports = try PortRegistry.take(count: 2)
        let stream = """
            upstream brokers { zone brokers; server \(first.endpoint.text); }
            server { listen 127.0.0.1:\(ports[0]); proxy_pass brokers; }
            """
        try await withWeir(main: ServersAPI.main(ports[1]), stream: stream, workers: 2) { weir in
            let api = ServersAPI(endpoint: .ipv4(ports[1]), upstream: "brokers")
            let name = second.endpoint.text.replacing("127.0.0.1", with: "localhost")
            let answer = try api.call("POST", nil, "{\"server\":\"\(name)\"}")
            #expect(answer.status == 201 && answer.text.contains("\"host\":\"\(name)\""), "\(answer.text)")
            let id = try #require(api.servers().first { $0.server == second.endpoint.text }?.id)
            #expect(try api.call("PATCH", api.servers()[0].id, "{\"down\":true}").status == 200)
            try Self.knock(ports[0])
            #expect(first.connectionCount == 0 && second.connectionCount == 24)
            #expect(try api.call("PATCH", id, "{\"server\":\"\(first.endpoint.text)\"}").status == 200)
            try Self.knock(ports[0])
            #expect(first.connectionCount == 24 && second.connectionCount == 24)
        }
    }

    @Test("a state file keeps changes over reload, restart and a killed admin process")
    func state() async throws {
        let brokers = try (0..<2).map { _ in try NullBroker() }
        let ports = try PortRegistry.take(count: 2)
        let directory = try TemporaryDirectory()
        let state = directory.path("brokers.state")
        let stream = """
            upstream brokers { zone brokers; state \(state); hash $remote_port consistent; }
            server { listen 127.0.0.1:\(ports[0]); proxy_pass brokers; }
            """
        let api = ServersAPI(endpoint: .ipv4(ports[1]), upstream: "brokers")
        var kept: [ServersAPI.Server] = []
        try await withWeir(
            in: directory, main: ServersAPI.main(ports[1]), stream: stream, workers: 2, expecting: ["exited on signal 9"]
        ) { weir in
            #expect(try api.servers() == [], "there is no file yet, and that is no error")
            #expect(try api.add(brokers[0], ",\"weight\":5").status == 201)
            #expect(try api.add(brokers[1], ",\"drain\":true").status == 201)
            #expect(
                contents(of: state) == """
                    server \(brokers[0].endpoint.text) weight=5;
                    server \(brokers[1].endpoint.text) drain;

                    """)
            kept = try api.servers()
            #expect(kept.map(\.weight) == [5, 1] && kept.map(\.drain) == [false, true])
            try await weir.reload()
            #expect(try api.servers() == kept, "ids are kept, too")
            kill(try #require(weir.admin), SIGKILL)
            #expect(try api.servers() == kept)
            try Self.knock(ports[0], 8)
            #expect(brokers.map(\.connectionCount) == [8, 0])
        }
        // The log is the first run's, too.
        try await withWeir(
            in: directory, main: ServersAPI.main(ports[1]), stream: stream, workers: 2, expecting: ["exited on signal 9"]
        ) { weir in
            #expect(try api.servers().map(\.server) == kept.map(\.server))
            #expect(try api.servers().map(\.drain) == [false, true])
            try Self.knock(ports[0], 4)
            #expect(brokers.map(\.connectionCount) == [12, 0])
            let names = try FileManager.default.contentsOfDirectory(atPath: directory.path)
            #expect(!names.contains { $0.hasSuffix(".new") }, "\(names)")
        }
    }

    @Test("changes that come at once and a HUP among them are all done or refused, none is lost")
    func concurrent() async throws {
        let broker = try NullBroker()
        let ports = try PortRegistry.take(count: 2)
        let directory = try TemporaryDirectory()
        try directory.write("server \(broker.endpoint.text);\n", to: "brokers.state")
        let stream = """
            upstream brokers { zone brokers; state \(directory.path("brokers.state")); }
            server { listen 127.0.0.1:\(ports[0]); proxy_pass brokers; }
            """
        try await withWeir(in: directory, main: ServersAPI.main(ports[1]), stream: stream, workers: 2) { weir in
            let api = ServersAPI(endpoint: .ipv4(ports[1]), upstream: "brokers")
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for number in 1...12 {
                    group.addTask {
                        try api.call("POST", nil, "{\"server\":\"127.0.0.1:\(number)\",\"down\":true}").status
                    }
                }
                weir.send(SIGHUP)
                return try await group.reduce(into: [Int]()) { $0.append($1) }
            }
            #expect(statuses.allSatisfy { $0 == 201 }, "\(statuses)")
            try await weir.errorLine(with: "weir.conf applied; generation ")
            let names = try api.servers().map(\.server)
            #expect(Set(names) == Set([broker.endpoint.text] + (1...12).map { "127.0.0.1:\($0)" }))
            try Self.knock(ports[0], 6)
            #expect(broker.connectionCount == 6)
        }
    }
}
