// SPDX-License-Identifier: Apache-2.0
//
// Clients that are slow, silent, wrong, rude or many. Each gets the end that is its own, and costs the others nothing.

import Foundation
import Glibc
import Synchronization
import TestSupport
import Testing

extension Faults {
    @Suite("of clients")
    struct Clients {
        // MARK: - The first packet

        @Test("a CONNECT byte by byte is read like any other, unless it takes longer than preread_timeout in all")
        func slowBytes() async throws {
            let broker = try NullBroker()
            let port = try PortRegistry.take()
            let stream = """
                server {
                    listen 127.0.0.1:\(port);
                    mqtt_preread on;
                    preread_timeout 1s;
                    proxy_pass \(broker.endpoint.text);
                }
                """
            try await withHurtWeir(stream: stream) { weir in
                let patient = try TCPConnection(to: .ipv4(port))
                for byte in connect("byte-by-byte") { try patient.send([byte]) }
                #expect(try patient.receive(exactly: 4) == [0x20, 2, 0, 0])
                patient.close()
                try await weir.ended("client_closed", 1)
                #expect(weir.accessLines[0].hasPrefix("byte-by-byte 200 "))

                // Each byte is activity, but the deadline is one for all of them.
                let start = ContinuousClock.now
                let slow = try TCPConnection(to: .ipv4(port))
                for byte in connect("slower-than-the-deadline") {
                    guard (try? slow.send([byte])) != nil else { break }
                    if (try? slow.waitForEnd(within: .milliseconds(100))) != nil { break }
                }
                #expect(ContinuousClock.now - start > .milliseconds(900))
                #expect(ContinuousClock.now - start < .seconds(4))
                let silent = try TCPConnection(to: .ipv4(port))
                #expect(try silent.waitForEnd() == .closed)
                try await weir.ended("preread_timeout", 2)
                #expect(broker.connectionCount == 1)
            }
        }

        /// What looks like a CONNECT but is none: lengths that promise more than there is, or less.
        private static let lies: [[UInt8]] = {
            let honest = connect("liar")
            var cases: [[UInt8]] = []
            // The client id is longer than the packet that holds it.
            var longID = honest
            longID[12] = 0xFF
            longID[13] = 0xFF
            cases.append(longID)
            // The packet is shorter than its protocol name.
            cases.append([0x10, 3] + honest[2...])
            // A remaining length of five bytes.
            cases.append([0x10, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F] + honest[2...])
            // A protocol name of 65,535 bytes.
            cases.append([0x10, honest[1], 0xFF, 0xFF] + honest[4...])
            return cases
        }()

        @Test("garbage and lengths that lie: passed on with `on`, refused with `required`, and never the worker's end")
        func garbage() async throws {
            let broker = try NullBroker(NullBroker.echo)
            let ports = try PortRegistry.take(count: 2)
            let stream = """
                preread_timeout 1s;
                server { listen 127.0.0.1:\(ports[0]); mqtt_preread on; proxy_pass \(broker.endpoint.text); }
                server { listen 127.0.0.1:\(ports[1]); mqtt_preread required; proxy_pass \(broker.endpoint.text); }
                """
            try await withHurtWeir(stream: stream) { weir in
                let worker = weir.workers
                let nonsense = (0..<20).map { [0x16] + pattern(1 + $0 * 37, seed: UInt64($0)) }
                for bytes in Self.lies + nonsense {
                    let client = try TCPConnection(to: .ipv4(ports[0])).sent(bytes)
                    #expect(try client.receive(exactly: bytes.count) == bytes)
                }
                let passed = Self.lies.count + nonsense.count
                #expect(broker.connectionCount == passed)
                try await weir.ended("client_closed", passed)
                #expect(weir.accessLines.allSatisfy { $0.hasPrefix("- 200 ") })

                for bytes in Self.lies + nonsense {
                    _ = try TCPConnection(to: .ipv4(ports[1])).sent(bytes).waitForEnd()
                }
                try await weir.ended("bad_connect", passed)
                #expect(weir.accessLines.count { $0.contains(" 400 bad_connect ") } == passed)

                // The largest packet that MQTT knows: only the fields are waited for, not the rest of it.
                var huge = connect("huge")
                huge.replaceSubrange(1...1, with: [0xFF, 0xFF, 0xFF, 0x7F])
                let client = try TCPConnection(to: .ipv4(ports[1])).sent(huge)
                #expect(try client.receive(exactly: huge.count) == huge)
                client.close()
                #expect(broker.connectionCount == passed + 1)
                #expect(weir.workers == worker)
            }
        }

        @Test("64 KiB of client id are refused by a small preread buffer, and arrive whole through a large one")
        func hugeID() async throws {
            let broker = try NullBroker()
            let ports = try PortRegistry.take(count: 2)
            let stream = """
                mqtt_preread on;
                log_format length '$status $close_reason';
                server {
                    listen 127.0.0.1:\(ports[0]);
                    preread_buffer_size 16k;
                    proxy_pass \(broker.endpoint.text);
                }
                server {
                    listen 127.0.0.1:\(ports[1]);
                    preread_buffer_size 128k;
                    proxy_pass \(broker.endpoint.text);
                }
                """
            let id = String(repeating: "0123456789abcdef", count: 4096).dropLast()
            try await withHurtWeir(stream: stream) { weir in
                let refused = try TCPConnection(to: .ipv4(ports[0]))
                // It may be closed before all is sent.
                try? refused.send(connect(String(id)))
                _ = try refused.waitForEnd()
                try await weir.ended("preread_buffer_full", 1)
                #expect(weir.accessLines[0].hasPrefix("- 400 "))
                #expect(broker.connectionCount == 0)

                let client = try MQTTTestClient.connected(to: .ipv4(ports[1]), id: String(id))
                try client.ping()
                client.disconnect()
                try await weir.ended("client_closed", 1)
                #expect(weir.accessLines[1].hasPrefix(id + " 200 "))
                let came = try #require(broker.sessions.first?.received)
                #expect(Array(came.prefix(connect(String(id)).count)) == connect(String(id)))
            }
        }

        // MARK: - Readers that do not read

        @Test(
            "two hundred clients that never read while brokers flood: others go on, memory stays, proxy_timeout ends it"
        )
        func stoppedReaders() async throws {
            let flood = pattern(256 * 1024, seed: 7)
            let flooding = try NullBroker { session in
                _ = try session.receive()
                for _ in 0..<4 { try session.connection.send(flood, within: .seconds(60)) }
                while try session.receive() != nil {}
            }
            let well = try NullBroker()
            let ports = try PortRegistry.take(count: 2)
            let stream = """
                mqtt_preread on;
                server {
                    listen 127.0.0.1:\(ports[0]);
                    proxy_pass \(flooding.endpoint.text);
                    proxy_timeout 3s;
                }
                server { listen 127.0.0.1:\(ports[1]); proxy_pass \(well.endpoint.text); }
                """
            try await withHurtWeir(stream: stream) { weir in
                let worker = try #require(weir.workers.first)
                let other = try MQTTTestClient.connected(to: .ipv4(ports[1]), id: "well")
                try other.ping()
                let before = ProcessTable.proportionalKilobytes(of: worker)
                let stopped = try (0..<200).map { number in
                    try TCPConnection(to: .ipv4(ports[0]), receiveBuffer: 4096).sent(connect("stopped-\(number)"))
                }
                try await eventually("all brokers are connected") { flooding.connectionCount == 200 }
                var slowest = Duration.zero
                var most = 0
                repeat {
                    let start = ContinuousClock.now
                    try other.ping(within: .seconds(5))
                    try MQTTTestClient.connected(to: .ipv4(ports[1]), id: "next").disconnect()
                    slowest = max(slowest, ContinuousClock.now - start)
                    most = max(most, ProcessTable.proportionalKilobytes(of: worker))
                    try await Task.sleep(for: .milliseconds(20))
                } while weir.ends("idle_timeout") < 200 && slowest < .seconds(5)
                #expect(slowest < .seconds(1))
                // Each holds at most its 16 KiB, and a pipe is the kernel's.
                #expect(most - before < 16 * 1024)
                try await weir.ended("idle_timeout", 200)
                for client in stopped { client.close() }
                try other.ping()
            }
        }

        // MARK: - Resets

        @Test("a reset at any phase ends one session with one line, and nothing of it stays")
        func resets() async throws {
            let hole = try BlackHole()
            let broker = try NullBroker()
            let ports = try PortRegistry.take(count: 2)
            let stream = """
                mqtt_preread on;
                proxy_connect_timeout 300ms;
                server { listen 127.0.0.1:\(ports[0]); proxy_pass \(broker.endpoint.text); }
                server { listen 127.0.0.1:\(ports[1]); proxy_pass \(hole.endpoint.text); }
                """
            try await withHurtWeir(stream: stream, workers: 2) { weir in
                for _ in 0..<20 { try TCPConnection(to: .ipv4(ports[0])).reset() }
                _ = try await weir.accessLines(atLeast: 20)
                for _ in 0..<20 {
                    try TCPConnection(to: .ipv4(ports[0])).sent(Array(connect("preread").dropLast(3))).reset()
                }
                _ = try await weir.accessLines(atLeast: 40)
                #expect(broker.connectionCount == 0)
                for _ in 0..<20 { try TCPConnection(to: .ipv4(ports[1])).sent(connect("connecting")).reset() }
                _ = try await weir.accessLines(atLeast: 60)
                #expect(weir.ends("client_reset") + weir.ends("client_closed") + weir.ends("connect_timeout") == 60)

                let resets = weir.ends("client_reset")
                for number in 0..<20 {
                    try MQTTTestClient.connected(to: .ipv4(ports[0]), id: "client-\(number)").connection.reset()
                }
                try await weir.ended("client_reset", resets + 20)
                try await eventually("the broker has none left") { broker.openCount == 0 }

                let clients = try (0..<20).map { try MQTTTestClient.connected(to: .ipv4(ports[0]), id: "broker-\($0)") }
                for session in broker.sessions { session.connection.reset() }
                for client in clients { _ = try client.connection.waitForEnd() }
                try await weir.ended("broker_reset", 20)
                #expect(weir.accessLines.count == 100)
            }
        }

        @Test("a client that resets before it is accepted is known by its address, and rules hold for what it has sent")
        func resetBeforeAccept() async throws {
            let broker = try NullBroker(NullBroker.silent)
            let port = try PortRegistry.take()
            let stream = """
                mqtt_preread on;
                server { listen 127.0.0.1:\(port); deny 127.0.0.9; proxy_pass \(broker.endpoint.text); }
                """
            try await withHurtWeir(stream: stream) { weir in
                // While the worker stands still, nothing is accepted.
                let worker = try #require(weir.workers.first)
                kill(worker, SIGSTOP)
                defer { kill(worker, SIGCONT) }
                for source in ["127.0.0.8", "127.0.0.9"] {
                    for _ in 0..<10 { try TCPConnection(to: .ipv4(port), from: source).sent(connect("gone")).reset() }
                }
                kill(worker, SIGCONT)
                let lines = try await weir.accessLines(atLeast: 20)
                #expect(lines.count { $0.hasSuffix(" 127.0.0.8") } == 10)
                #expect(lines.count { $0.hasSuffix(" 127.0.0.9") && $0.contains(" 403 access_denied ") } == 10)
                #expect(broker.connectionCount <= 10)
            }
        }

        @Test("a reset from either side in the middle of bulk ends the session and gives its pipe back")
        func resetsInBulk() async throws {
            let block = pattern(256 * 1024, seed: 11)
            let source = try NullBroker { session in
                _ = try session.receive()
                while true { try session.connection.send(block, within: .seconds(20)) }
            }
            let sink = try NullBroker(NullBroker.silent)
            let ports = try PortRegistry.take(count: 2)
            let stream = """
                server { listen 127.0.0.1:\(ports[0]); proxy_pass \(source.endpoint.text); }
                server { listen 127.0.0.1:\(ports[1]); proxy_pass \(sink.endpoint.text); }
                """
            try await withHurtWeir(stream: stream, workers: 2) { weir in
                // Download, the client resets; download, the broker resets; upload, each of them again.
                for round in 0..<5 {
                    let down = try (0..<2).map { _ in try TCPConnection(to: .ipv4(ports[0])).sent([1]) }
                    for client in down { _ = try client.receive(exactly: 8 * block.count) }
                    down[0].reset()
                    try await weir.ended("client_reset", round * 2 + 1)
                    for session in source.sessions where !session.isOver { session.connection.reset() }
                    _ = try? down[1].waitForEnd()

                    let up = try (0..<2).map { _ in try TCPConnection(to: .ipv4(ports[1])) }
                    for client in up { for _ in 0..<8 { try client.send(block) } }
                    try await eventually("both uploads arrive") {
                        let arrived = sink.sessions.suffix(2).map(\.received.count)
                        return sink.connectionCount == round * 2 + 2 && arrived == [8 * block.count, 8 * block.count]
                    }
                    up[0].reset()
                    try await weir.ended("client_reset", round * 2 + 2)
                    for session in sink.sessions where !session.isOver { session.connection.reset() }
                    _ = try? up[1].waitForEnd()
                    try await weir.ended("broker_reset", round * 2 + 2)
                }
                #expect(weir.accessLines.count == 20)
            }
        }

        // MARK: - Many at once

        @Test("ten thousand connections opened and closed at once: none refused, each in the log exactly once")
        func tenThousand() async throws {
            let broker = try NullBroker()
            let port = try PortRegistry.take()
            let stream = """
                log_format who '$remote_addr:$remote_port $status';
                server {
                    listen 127.0.0.1:\(port) backlog=4096;
                    mqtt_preread on;
                    proxy_pass \(broker.endpoint.text);
                    access_log logs/who.log who buffer=64k flush=100ms;
                }
                """
            try await withHurtWeir(stream: stream, workers: 2) { weir in
                let standing = try MQTTTestClient.connected(to: .ipv4(port), id: "standing")
                let crowds = try await withThrowingTaskGroup(of: [String].self) { tasks in
                    for crowd in 2...5 {
                        tasks.addTask {
                            try await onThread {
                                var names: [String] = []
                                // A source of its own, so that no port comes twice within a minute.
                                for _ in 0..<5 {
                                    let batch = try (0..<500).map { _ in
                                        try TCPConnection(
                                            to: .ipv4(port), from: "127.0.0.\(crowd)", within: .seconds(20))
                                    }
                                    names += batch.map(\.localName)
                                    for connection in batch { connection.close() }
                                }
                                return names
                            }
                        }
                    }
                    return try await tasks.reduce(into: []) { $0 += $1 }
                }
                #expect(crowds.count == 10_000)
                let log = weir.directory.path("logs/who.log")
                try await eventually("10,000 lines, not \(lines(of: log).count)", within: .seconds(20)) {
                    lines(of: log).count >= 10_000
                }
                try standing.ping(within: .seconds(2))
                standing.disconnect()
                let logged = lines(of: log).filter { $0.hasSuffix(" 200") && !$0.hasPrefix("127.0.0.1:") }
                #expect(logged.map { String($0.dropLast(4)) }.sorted() == crowds.sorted())
            }
        }
    }
}
