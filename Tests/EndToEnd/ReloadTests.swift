// SPDX-License-Identifier: Apache-2.0
//
// Reload in place, with live traffic: sessions that stand through all of it, and clients that connect in a closed
// loop and count every connection that was refused, reset or not answered. One test at a time: load matters here.

import Foundation
import Synchronization
import TestSupport
import Testing

/// Clients that connect, send CONNECT, wait for CONNACK and close, again and again, each in a thread of its own.
final class ClosedLoop: Sendable {
    private let isOver = Atomic(false)
    private let done = Atomic(0)
    private let faults = Mutex<[String]>([])
    private let threads: DispatchGroup

    init(clients: Int, to port: UInt16) {
        threads = DispatchGroup()
        for index in 0..<clients {
            threads.enter()
            let thread = Thread { [self] in
                var turn = 0
                while !isOver.load(ordering: .relaxed) {
                    turn += 1
                    do {
                        let client = try MQTTTestClient.connected(to: .ipv4(port), id: "loop-\(index)-\(turn % 50)")
                        client.disconnect()
                        done.wrappingAdd(1, ordering: .relaxed)
                    } catch {
                        faults.withLock { $0.append("client \(index), turn \(turn): \(error)") }
                    }
                }
                threads.leave()
            }
            thread.start()
        }
    }

    var count: Int { done.load(ordering: .relaxed) }

    /// Stops and returns what went wrong.
    func end() -> [String] {
        isOver.store(true, ordering: .relaxed)
        threads.wait()
        return faults.withLock { $0 }
    }

    /// Waits for `more` connections from now on.
    func progress(_ more: Int) async throws {
        let goal = count + more
        try await eventually("the loop goes on: \(faults.withLock { $0 })", within: .seconds(20)) { count >= goal }
    }
}

@Suite("reload", .serialized)
struct ReloadTests {
    @Test("upstream, weight, log format, timeout and listeners change under traffic, and nobody notices")
    func everythingChanges() async throws {
        let group = try NullGroup(3)
        let ports = try PortRegistry.take(count: 2)
        let brokers = group.brokers
        func stream(_ servers: String, extra: String = "", listen: String = "", server: String = "") -> String {
            """
            \(extra)
            upstream brokers { \(servers) }
            server { listen 127.0.0.1:\(ports[0]); \(listen) mqtt_preread on; proxy_pass brokers; \(server) }
            """
        }
        let first = stream("server \(brokers[0].endpoint.text);")
        try await withWeir(stream: first, workers: 2, level: "notice") { weir in
            let workers = weir.workers
            let standing = try (0..<20).map { try MQTTTestClient.connected(to: .ipv4(ports[0]), id: "standing-\($0)") }
            let loop = ClosedLoop(clients: 4, to: ports[0])
            try await loop.progress(20)
            #expect(brokers[1].connectionCount == 0)

            // Another upstream.
            try await weir.reload(stream: stream("server \(brokers[1].endpoint.text);"), workers: 2, level: "notice")
            let count = brokers[0].connectionCount
            try await loop.progress(20)
            #expect(brokers[0].connectionCount == count)
            #expect(brokers[1].connectionCount > 0)

            // Weights.
            let weights = "server \(brokers[1].endpoint.text) weight=3; server \(brokers[2].endpoint.text);"
            try await weir.reload(stream: stream(weights), workers: 2, level: "notice")
            let before = group.counts
            try await loop.progress(200)
            let share = Double(brokers[1].connectionCount - before[1]) / Double(brokers[2].connectionCount - before[2])
            #expect(share > 2.5 && share < 3.5, "3:1 came out as \(share)")

            // A log format; a standing session ends with the format that it began with.
            let format = "log_format other 'NEW $mqtt_preread_clientid';"
            try await weir.reload(
                stream: stream(weights, extra: format, server: "access_log logs/other.log other;"), workers: 2,
                level: "notice")
            standing[0].disconnect()
            try MQTTTestClient.connected(to: .ipv4(ports[0]), id: "modern").disconnect()
            try await eventually("the new format is used") {
                lines(of: weir.directory.path("logs/other.log")).contains("NEW modern")
            }
            try await eventually("the old format is used") {
                weir.accessLines.contains { $0.hasPrefix("standing-0 200 ") }
            }
            #expect(!lines(of: weir.directory.path("logs/other.log")).contains { $0.contains("standing") })

            // A timeout: short for a new session, long for the standing ones.
            try await weir.reload(stream: stream(weights, server: "proxy_timeout 300ms;"), workers: 2, level: "notice")
            let brief = try MQTTTestClient.connected(to: .ipv4(ports[0]), id: "brief")
            #expect(try brief.connection.waitForEnd(within: .seconds(5)) == .closed)

            // A listener comes and goes.
            try await weir.reload(
                stream: stream(weights, listen: "listen 127.0.0.1:\(ports[1]);"), workers: 2, level: "notice")
            let second = try MQTTTestClient.connected(to: .ipv4(ports[1]), id: "second")
            try second.ping()
            try await weir.reload(stream: stream(weights), workers: 2, level: "notice")
            try await eventually("the listener is gone") { !ListeningPorts.contains(ports[1]) }
            try second.ping()

            for client in standing.dropFirst() { try client.ping() }
            let faults = loop.end()
            #expect(faults == [], "\(weir.report)")
            #expect(weir.workers == workers)
        }
    }

    @Test("worker_processes up and down under traffic: no connection is refused or reset, no session ends")
    func workerCount() async throws {
        let broker = try NullBroker()
        let port = try PortRegistry.take()
        let stream = """
            upstream brokers { server \(broker.endpoint.text); }
            server { listen 127.0.0.1:\(port); mqtt_preread on; proxy_pass brokers; }
            """
        try await withWeir(stream: stream, workers: 2, level: "notice") { weir in
            let standing = try (0..<40).map { try MQTTTestClient.connected(to: .ipv4(port), id: "standing-\($0)") }
            let loop = ClosedLoop(clients: 6, to: port)
            for count in [4, 1, 3, 2, 5, 1, 2] {
                try await weir.reload(stream: stream, workers: count, level: "notice")
                try await loop.progress(60)
                for client in standing { try client.ping() }
            }
            let faults = loop.end()
            #expect(faults == [], "\(weir.report)")
            // Workers that leave stay for their sessions, and go with them.
            for client in standing { client.disconnect() }
            try await eventually("two workers are left: \(weir.children)", within: .seconds(15)) {
                weir.workers.count == 2
            }
        }
    }

    @Test("a broken file changes nothing and says so")
    func brokenFile() async throws {
        let broker = try NullBroker()
        let ports = try PortRegistry.take(count: 2)
        let stream = "server { listen 127.0.0.1:\(ports[0]); mqtt_preread on; proxy_pass \(broker.endpoint.text); }"
        try await withWeir(stream: stream, expecting: ["unknown directive", "host not found", "failed", "bind()"]) {
            weir in
            let client = try MQTTTestClient.connected(to: .ipv4(ports[0]), id: "standing")
            let children = weir.children
            try weir.rewrite(stream: stream + "\nserver { lissten 127.0.0.1:\(ports[1]); proxy_pass nowhere:1; }")
            weir.send(SIGHUP)
            let line = try await weir.errorLine(with: "[emerg]", "unknown directive \"lissten\"")
            #expect(line.contains("weir.conf:"))
            try client.ping()
            try MQTTTestClient.connected(to: .ipv4(ports[0]), id: "new").disconnect()

            // A port that somebody else holds fails as a whole, too.
            let holder = try NullBroker(at: .ipv4(ports[1]))
            try weir.rewrite(stream: stream + "\nserver { listen \(holder.endpoint.text); proxy_pass 127.0.0.1:1; }")
            weir.send(SIGHUP)
            try await weir.errorLine(
                with: "[emerg]", "bind() to \(holder.endpoint.text) failed (98: Address already in use)")
            try client.ping()
            #expect(weir.children == children)
            #expect(weir.appliedCount == 0)

            // And after that a good one is taken.
            try await weir.reload(stream: stream)
            try client.ping()
        }
    }

    @Test("a hundred reloads in a row under traffic: none refused, none lost, one generation of processes, memory back")
    func hundredReloads() async throws {
        let trio = try await MosquittoTrio()
        let port = try PortRegistry.take()
        func stream(_ round: Int) -> String {
            """
            upstream brokers {
                hash $mqtt_preread_clientid consistent;
                \(trio.servers(weights: [1 + round % 3, 1, 1]))
            }
            \(talkMatch)
            server {
                listen 127.0.0.1:\(port);
                mqtt_preread on;
                proxy_pass brokers;
                proxy_timeout \(100 + round)s;
            }
            """
        }
        try await withWeir(stream: stream(0), workers: 2, level: "notice") { weir in
            let children = weir.children
            let loop = ClosedLoop(clients: 3, to: port)
            var standing: [MQTTTestClient] = []
            // The first rounds fill what stays filled: pools, buffers, the allocator's caches.
            var before = 0
            for round in 1...110 {
                if round == 11 { before = weir.proportionalKilobytes }
                try await weir.reload(stream: stream(round), workers: 2, level: "notice")
                let client = try MQTTTestClient.connected(to: .ipv4(port), id: "standing-\(round)")
                standing.append(client)
                if round % 10 == 0 { for client in standing { try client.ping() } }
            }
            let faults = loop.end()
            #expect(faults == [], "\(weir.report)")
            // The generation before the last is freed in slices.
            var after = 0
            try await eventually("memory is back: from \(before) to \(after) KiB over a hundred reloads") {
                after = weir.proportionalKilobytes
                return after - before < 2048
            }
            #expect(weir.children == children)
            for client in standing { try client.ping() }
            for client in standing { client.disconnect() }
            let ended = try await eventually(
                "the ends are logged",
                value: { () -> [String]? in
                    let lines = weir.accessLines.filter { $0.hasPrefix("standing-") }
                    return lines.count == 110 ? lines : nil
                })
            #expect(ended.allSatisfy { $0.contains(" 200 ") })
        }
    }
}
