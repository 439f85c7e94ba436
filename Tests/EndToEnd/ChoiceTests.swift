// SPDX-License-Identifier: Apache-2.0
//
// Which broker gets a session, by the other methods and parameters, and what happens when a try fails.

import Foundation
import TestSupport
import Testing

@Suite("choice of a server")
struct ChoiceTests {
    /// The broker of each of `count` sessions that are opened one after the other and stay open.
    private func open(_ count: Int, _ port: UInt16) throws -> [MQTTTestClient] {
        try (0..<count).map { try MQTTTestClient.connected(to: .ipv4(port), id: "client-\($0)") }
    }

    @Test("round robin follows the weights, backups and what is down stay out of it")
    func roundRobin() async throws {
        let group = try NullGroup(4)
        let port = try PortRegistry.take()
        let stream = """
            upstream brokers { \(group.servers(["weight=3", "", "backup", "down"])) }
            server { listen 127.0.0.1:\(port); proxy_pass brokers; }
            """
        // Two workers share one sequence, so the counts are exact whoever accepts.
        try await withWeir(stream: stream, workers: 2) { weir in
            let clients = try open(40, port)
            #expect(group.counts == [30, 10, 0, 0])
            // Both primaries die: the backup takes over.
            group.brokers[0].stop()
            group.brokers[1].stop()
            let late = try open(3, port)
            #expect(group.counts[2] == 3)
            for client in clients + late { client.disconnect() }
        }
    }

    @Test("least_conn fills the broker with the fewest sessions for its weight")
    func leastConnections() async throws {
        let group = try NullGroup(3)
        let port = try PortRegistry.take()
        let stream = """
            upstream brokers { least_conn; \(group.servers(["weight=2"])) }
            server { listen 127.0.0.1:\(port); proxy_pass brokers; }
            """
        try await withWeir(stream: stream, workers: 2) { weir in
            let clients = try open(40, port)
            #expect(group.counts == [20, 10, 10])
            // Ten sessions of one broker end, and the next ten go there.
            let before = group.counts
            for session in group.brokers[1].sessions { session.connection.reset() }
            _ = try await weir.accessLines(atLeast: 10)
            let more = try open(10, port)
            #expect(group.counts[1] == before[1] + 10)
            for client in clients + more { client.connection.close() }
        }
    }

    @Test("max_conns holds exactly over two workers, and ends of sessions make room")
    func maxConnections() async throws {
        let group = try NullGroup(2)
        let port = try PortRegistry.take()
        let stream = """
            upstream brokers { zone brokers 64k; \(group.servers(["max_conns=5", "max_conns=7"])) }
            server { listen 127.0.0.1:\(port); proxy_pass brokers; }
            """
        try await withWeir(stream: stream, workers: 2) { weir in
            let clients = try open(12, port)
            #expect(group.counts == [5, 7])
            for number in 0..<6 {
                let extra = try MQTTTestClient(to: .ipv4(port), id: "extra-\(number)")
                _ = try extra.connection.waitForEnd()
            }
            #expect(group.counts == [5, 7])
            try await weir.errorLine(with: "no live upstreams")
            clients[0].disconnect()
            clients[1].disconnect()
            _ = try await weir.accessLines(atLeast: 8)
            let next = try open(2, port)
            #expect(group.brokers.map(\.openCount).reduce(0, +) == 12)
            for client in clients.dropFirst(2) + next { client.disconnect() }
        }
    }

    @Test("a refused try goes on to the next server; tries and addresses stand in the log as comma lists")
    func nextUpstream() async throws {
        let group = try NullGroup(1)
        let dead = try PortRegistry.take(count: 2)
        let ports = try PortRegistry.take(count: 3)
        let servers = """
            server 127.0.0.1:\(dead[0]) max_fails=0; server 127.0.0.1:\(dead[1]) max_fails=0;
            server \(group.brokers[0].endpoint.text) max_fails=0;
            """
        let stream = """
            log_format tries '$mqtt_preread_clientid|$status|$upstream_addr|$upstream_connect_time|'
                             '$upstream_bytes_sent';
            access_log logs/access.log tries;
            mqtt_preread on;
            upstream brokers { \(servers) }
            upstream others { \(servers) }
            upstream third { \(servers) }
            server { listen 127.0.0.1:\(ports[0]); proxy_pass brokers; }
            server { listen 127.0.0.1:\(ports[1]); proxy_pass others; proxy_next_upstream_tries 2; }
            server { listen 127.0.0.1:\(ports[2]); proxy_pass third; proxy_next_upstream off; }
            """
        let configuration = WeirInstance.configuration(stream: stream).replacingOccurrences(
            of: "access_log logs/access.log end;", with: "")
        let directory = try TemporaryDirectory()
        let weir = try await WeirInstance.start(in: directory, configuration: configuration)
        try MQTTTestClient.connected(to: .ipv4(ports[0]), id: "whole").disconnect()
        for (index, id) in [(1, "two"), (2, "one")] {
            _ = try MQTTTestClient(to: .ipv4(ports[index]), id: id).connection.waitForEnd()
        }
        let log = try await weir.accessLines(atLeast: 3)
        func fields(_ id: String) throws -> [String] {
            let line = try #require(log.first { $0.hasPrefix(id + "|") })
            return line.split(separator: "|", omittingEmptySubsequences: false).map(String.init)
        }
        let first = "127.0.0.1:\(dead[0])"
        let second = "127.0.0.1:\(dead[1])"
        let whole = try fields("whole")
        #expect(whole[1] == "200")
        #expect(whole[2] == "\(first), \(second), \(group.brokers[0].endpoint.text)")
        #expect(whole[3].hasPrefix("-, -, 0."))
        #expect(whole[4].hasPrefix("0, 0, "))
        #expect(try fields("two")[1...2] == ["502", "\(first), \(second)"])
        #expect(try fields("one")[1...2] == ["502", first])
        try await weir.errorLine(
            with: "connect() failed (111: Connection refused) while connecting to upstream", "client: ")
        try await weir.stop()
    }

    /// The first of two failures happens at one worker and the second at another: only together they are `max_fails`.
    @Test("failures at different workers count together to max_fails, and all of them leave the server alone then")
    func failuresOfAllWorkers() async throws {
        let group = try NullGroup(1)
        let ports = try PortRegistry.take(count: 2)
        let dead = "127.0.0.1:\(ports[1])"
        // A backup, so that each choice tries the dead one first as long as it is in.
        let good = group.brokers[0].endpoint.text
        let stream = """
            upstream brokers { server \(dead) max_fails=2 fail_timeout=60s; server \(good) backup; }
            server { listen 127.0.0.1:\(ports[0]); mqtt_preread on; proxy_pass brokers; }
            """
        try await withWeir(stream: stream, workers: 2) { weir in
            // A worker holds a connection from the accept on and chooses at its CONNECT.
            var waiting: [Int32: [TCPConnection]] = [:]
            try await eventually("both workers have two connections: \(waiting.mapValues(\.count))") {
                for connection in try (0..<8).map({ _ in try TCPConnection(to: .ipv4(ports[0])) }) {
                    waiting[try await weir.worker(of: connection), default: []].append(connection)
                }
                return waiting.count == 2 && waiting.values.allSatisfy { $0.count >= 2 }
            }
            let workers = weir.workers
            #expect(Set(workers) == Set(waiting.keys))

            /// The servers that a session at this worker tried, as the log lists them.
            func tried(_ id: String, at worker: Int32) async throws -> String {
                guard let connection = waiting[worker]?.popLast() else { throw TestFault("no connection is left") }
                try connection.send(connect(id))
                #expect(try connection.receive(exactly: 4) == [0x20, 2, 0, 0])
                connection.close()
                let line = try await eventually("the line of \(id)\n\(weir.report)") {
                    weir.accessLines.first { $0.hasPrefix("\(id) 200 client_closed ") }
                }
                // Three more fields stand behind the list, which may hold spaces.
                return line.split(separator: " ").dropFirst(3).dropLast(3).joined(separator: " ")
            }
            var disabled: [String] { weir.errorLines.filter { $0.contains("temporarily disabled") } }

            #expect(try await tried("first", at: workers[0]) == "\(dead), \(good)")
            #expect(disabled == [])
            #expect(try await tried("second", at: workers[1]) == "\(dead), \(good)")
            #expect(disabled.count == 1)
            #expect(disabled.first?.contains("[warn] \(workers[1])#\(workers[1]): ") == true, "\(disabled)")
            #expect(disabled.first?.contains("upstream: \"\(dead)\"") == true, "\(disabled)")

            #expect(try await tried("third", at: workers[0]) == good)
            #expect(try await tried("fourth", at: workers[1]) == good)
            #expect(disabled.count == 1)
        }
    }

    @Test("a broker that takes no connection runs into proxy_connect_timeout, and the next one is tried")
    func connectTimeout() async throws {
        // A listener whose queue is full drops SYNs: nobody answers.
        let port = try PortRegistry.take()
        let full = try FullListener(port: port)
        let group = try NullGroup(1)
        let listen = try PortRegistry.take()
        let stream = """
            upstream brokers { server 127.0.0.1:\(port); \(group.servers()) }
            server { listen 127.0.0.1:\(listen); mqtt_preread on; proxy_pass brokers; proxy_connect_timeout 300ms; }
            """
        try await withWeir(stream: stream) { weir in
            let client = try MQTTTestClient.connected(to: .ipv4(listen), id: "patient")
            client.disconnect()
            let line = try await weir.accessLines(atLeast: 1)[0]
            #expect(line.contains("127.0.0.1:\(port), \(group.brokers[0].endpoint.text)"))
            try await weir.errorLine(
                with: "upstream timed out (110: Connection timed out) while connecting to upstream")
        }
        full.close()
    }

    @Test("proxy_next_upstream_timeout ends the search, whatever number of tries is left")
    func nextUpstreamTimeout() async throws {
        let ports = try PortRegistry.take(count: 4)
        let full = try ports.dropFirst().map { try FullListener(port: $0) }
        let stream = """
            upstream brokers { \(ports.dropFirst().map { "server 127.0.0.1:\($0) max_fails=0;" }.joined()) }
            server {
                listen 127.0.0.1:\(ports[0]);
                mqtt_preread on;
                proxy_pass brokers;
                proxy_connect_timeout 300ms;
                proxy_next_upstream_timeout 400ms;
            }
            """
        try await withWeir(stream: stream) { weir in
            _ = try MQTTTestClient(to: .ipv4(ports[0]), id: "hopeful").connection.waitForEnd()
            let line = try await weir.accessLines(atLeast: 1)[0]
            #expect(line.hasPrefix("hopeful 502 connect_timeout 127.0.0.1:\(ports[1]), 127.0.0.1:\(ports[2]) "))
        }
        for listener in full { listener.close() }
    }
}
