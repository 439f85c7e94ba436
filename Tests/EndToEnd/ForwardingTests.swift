// SPDX-License-Identifier: Apache-2.0
//
// Bytes through a session: all of them, in order, in both directions, at any pace, and how each end is passed on.

import Foundation
import Synchronization
import TestSupport
import Testing

@Suite("forwarding")
struct ForwardingTests {
    @Test("large transfers in both directions at once arrive byte for byte, past slow readers, over many sessions")
    func bulk() async throws {
        let up = pattern(24 << 20, seed: 1)
        let down = pattern(24 << 20, seed: 2)
        let broker = try NullBroker { session in
            let sender = Thread { try? session.connection.send(down, within: .seconds(60)) }
            sender.start()
            var received: [UInt8] = []
            received.reserveCapacity(up.count)
            while received.count < up.count {
                // A reader that stops now and then, so that the other side has to wait.
                if received.count % 7 == 0 { Thread.sleep(forTimeInterval: 0.001) }
                guard let more = try session.connection.receive(upTo: 300_000, within: .seconds(60)) else { break }
                received += more
            }
            try session.connection.send(received == up ? [1] : [0], within: .seconds(60))
        }
        let port = try PortRegistry.take()
        let stream = "server { listen 127.0.0.1:\(port); proxy_pass \(broker.endpoint.text); }"
        try await withWeir(stream: stream, workers: 2) { weir in
            for _ in 0..<2 {
                let client = try TCPConnection(to: .ipv4(port))
                let sender = Thread { try? client.send(up, within: .seconds(60)) }
                sender.start()
                #expect(try client.receive(exactly: down.count, within: .seconds(60)) == down)
                // The broker's verdict on what it got comes behind its own bytes.
                #expect(try client.receive(exactly: 1, within: .seconds(60)) == [1])
                client.close()
            }
            let log = try await weir.accessLines(atLeast: 2)
            #expect(log.allSatisfy { $0.contains(" \(up.count) \(down.count + 1) ") })
        }
    }

    @Test("a client that does not read stops its broker and nobody else, and gets everything when it reads")
    func slowReader() async throws {
        let bytes = pattern(8 << 20, seed: 3)
        let bulk = try NullBroker(NullBroker.send(bytes))
        let other = try NullBroker()
        let ports = try PortRegistry.take(count: 2)
        let stream = """
            server { listen 127.0.0.1:\(ports[0]); proxy_pass \(bulk.endpoint.text); }
            server { listen 127.0.0.1:\(ports[1]); mqtt_preread on; proxy_pass \(other.endpoint.text); }
            """
        try await withWeir(stream: stream) { weir in
            let sleepers = try (0..<20).map { _ in try TCPConnection(to: .ipv4(ports[0]), receiveBuffer: 4096) }
            try await eventually("all are connected") { bulk.connectionCount == 20 }
            let worker = weir.workers[0]
            for number in 0..<50 {
                try MQTTTestClient.connected(to: .ipv4(ports[1]), id: "brisk-\(number)").disconnect()
            }
            // Waiting costs no processor time: nothing spins at a full socket.
            let before = ProcessTable.processorTicks(of: worker)
            try await Task.sleep(for: .milliseconds(500))
            #expect(ProcessTable.processorTicks(of: worker) - before < 15)
            #expect(try sleepers[3].receiveToEnd(within: .seconds(30)) == bytes)
            for sleeper in sleepers { sleeper.close() }
        }
    }

    @Test("proxy_half_close on passes an end in one direction on and keeps the other, both ways")
    func halfClose() async throws {
        // Answers only after it has seen the end.
        let late = try NullBroker { session in
            var bytes: [UInt8] = []
            while let more = try session.receive() { bytes += more }
            try session.connection.send(Array(bytes.reversed()))
        }
        // Ends first and then reads on.
        let early = try NullBroker { session in
            try session.connection.send(Array("bye".utf8))
            session.connection.endSending()
            while try session.receive() != nil {}
        }
        let ports = try PortRegistry.take(count: 3)
        let stream = """
            server { listen 127.0.0.1:\(ports[0]); proxy_half_close on; proxy_pass \(late.endpoint.text); }
            server { listen 127.0.0.1:\(ports[1]); proxy_half_close on; proxy_pass \(early.endpoint.text); }
            server { listen 127.0.0.1:\(ports[2]); proxy_pass \(late.endpoint.text); }
            """
        try await withWeir(stream: stream) { weir in
            let first = try TCPConnection(to: .ipv4(ports[0]))
            try first.send("abc")
            first.endSending()
            #expect(try first.receiveToEnd() == Array("cba".utf8))
            let second = try TCPConnection(to: .ipv4(ports[1]))
            #expect(try second.receiveToEnd() == Array("bye".utf8))
            try second.send("still here")
            second.endSending()
            try await eventually("the broker has it") { early.sessions[0].received == Array("still here".utf8) }
            // Off: the client's end ends the session, but what it had sent is delivered.
            let third = try TCPConnection(to: .ipv4(ports[2]))
            try third.send("last words")
            third.endSending()
            _ = try third.waitForEnd()
            try await eventually("the broker has it") {
                late.sessions.contains { $0.received == Array("last words".utf8) }
            }
            first.close()
            second.close()
            let log = try await weir.accessLines(atLeast: 3)
            #expect(log.count { $0.contains(" client_closed ") } >= 2)
        }
    }

    @Test("proxy_timeout ends a session in which nothing moves, and only that one")
    func idleTimeout() async throws {
        let broker = try NullBroker()
        let port = try PortRegistry.take()
        let stream = """
            mqtt_preread on;
            server { listen 127.0.0.1:\(port); proxy_timeout 600ms; proxy_pass \(broker.endpoint.text); }
            """
        try await withWeir(stream: stream) { weir in
            let idle = try MQTTTestClient.connected(to: .ipv4(port), id: "idle")
            let busy = try MQTTTestClient.connected(to: .ipv4(port), id: "busy")
            // In a thread of its own: a test that waits for its turn may be late.
            let isOver = Atomic(false)
            let pings = Atomic(0)
            let pinger = Thread {
                while !isOver.load(ordering: .relaxed), (try? busy.ping()) != nil {
                    pings.wrappingAdd(1, ordering: .relaxed)
                    Thread.sleep(forTimeInterval: 0.05)
                }
            }
            pinger.start()
            #expect(try idle.connection.waitForEnd() == .closed)
            let count = pings.load(ordering: .relaxed)
            try await eventually("the busy one goes on") { pings.load(ordering: .relaxed) > count + 15 }
            isOver.store(true, ordering: .relaxed)
            #expect(try await weir.accessLines(atLeast: 1).contains { $0.hasPrefix("idle 200 idle_timeout ") })
        }
    }

    @Test("rates bound the bytes of a direction")
    func rates() async throws {
        let bytes = pattern(1 << 20, seed: 4)
        let sending = try NullBroker(NullBroker.send(bytes))
        let reading = try NullBroker(NullBroker.silent)
        let ports = try PortRegistry.take(count: 2)
        let stream = """
            server { listen 127.0.0.1:\(ports[0]); proxy_download_rate 64k; proxy_pass \(sending.endpoint.text); }
            server { listen 127.0.0.1:\(ports[1]); proxy_upload_rate 64k; proxy_pass \(reading.endpoint.text); }
            """
        try await withWeir(stream: stream) { weir in
            let down = try TCPConnection(to: .ipv4(ports[0]))
            let up = try TCPConnection(to: .ipv4(ports[1]))
            let uploader = Thread { try? up.send(bytes, within: .seconds(3)) }
            uploader.start()
            let start = ContinuousClock.now
            var received: [UInt8] = []
            while start.duration(to: .now) < .seconds(2) {
                if let more = try? down.receive(within: .milliseconds(200)) { received += more }
            }
            let seconds = Double(start.duration(to: .now).components.seconds + 1)
            #expect(received == Array(bytes.prefix(received.count)))
            // One second's worth may come at once at the start.
            #expect(received.count > 64 << 10 && Double(received.count) < 65_536 * (seconds + 1.5))
            let uploaded = reading.sessions[0].received.count
            #expect(uploaded > 64 << 10 && Double(uploaded) < 65_536 * (seconds + 1.5))
            down.reset()
            up.reset()
        }
    }

    @Test("proxy_bind takes the source from a variable; IPv4, IPv6, unix sockets and port ranges are listened at")
    func addresses() async throws {
        let directory = try TemporaryDirectory()
        let six = try NullBroker(at: .ipv6(PortRegistry.take()))
        let local = try NullBroker(at: .unix(directory.path("broker.sock")))
        let four = try NullBroker()
        let range = try PortRegistry.take(count: 3)
        let ports = try PortRegistry.take(count: 2)
        let path = directory.path("weir.sock")
        let stream = """
            map $mqtt_preread_clientid $source { default 127.0.0.9; ~^west 127.0.0.77; }
            mqtt_preread on;
            server { listen 127.0.0.1:\(range[0])-\(range[2]); proxy_pass \(four.endpoint.text); proxy_bind $source; }
            server { listen [::1]:\(ports[0]); proxy_pass \(six.endpoint.text); }
            server { listen unix:\(path); proxy_pass \(local.endpoint.text); }
            """
        let weir = try await WeirInstance.start(in: directory, stream: stream)
        for (index, port) in range.enumerated() {
            try MQTTTestClient.connected(to: .ipv4(port), id: index == 2 ? "west-1" : "east-\(index)").disconnect()
        }
        #expect(four.sessions.map { $0.peer.split(separator: ":")[0] } == ["127.0.0.9", "127.0.0.9", "127.0.0.77"])
        try MQTTTestClient.connected(to: .ipv6(ports[0]), id: "six").disconnect()
        #expect(six.connectionCount == 1)
        try MQTTTestClient.connected(to: .unix(path), id: "local").disconnect()
        #expect(local.connectionCount == 1)
        let log = try await weir.accessLines(atLeast: 5)
        #expect(log.contains { $0.hasPrefix("six 200 ") && $0.contains(six.endpoint.text) && $0.hasSuffix(" ::1") })
        #expect(
            log.contains { $0.hasPrefix("local 200 ") && $0.contains(local.endpoint.text) && $0.hasSuffix(" unix:") })
        try await weir.stop()
        #expect(!FileManager.default.fileExists(atPath: path))
    }

    @Test("return, map, set, allow and deny")
    func content() async throws {
        let ports = try PortRegistry.take(count: 3)
        let broker = try NullBroker()
        let stream = """
            map $remote_addr $zone { default far; 127.0.0.1 near; ~^127\\.0\\.1\\.(?<last>\\d+)$ "west-$last"; }
            server {
                listen 127.0.0.1:\(ports[0]);
                set $greeting "hello $zone";
                return "$greeting from ${server_port}\\n";
            }
            server {
                listen 127.0.0.1:\(ports[1]);
                allow 127.0.0.1; deny 127.0.0.0/8; allow all;
                mqtt_preread on;
                proxy_pass \(broker.endpoint.text);
            }
            server { listen 127.0.0.1:\(ports[2]); mqtt_preread on; proxy_pass $mqtt_preread_username; }
            upstream tenant { server \(broker.endpoint.text); }
            """
        try await withWeir(stream: stream) { weir in
            func greeting(from source: String) throws -> String {
                String(decoding: try TCPConnection(to: .ipv4(ports[0]), from: source).receiveToEnd(), as: UTF8.self)
            }
            #expect(try greeting(from: "127.0.0.1") == "hello near from \(ports[0])\n")
            #expect(try greeting(from: "127.0.0.2") == "hello far from \(ports[0])\n")
            #expect(try greeting(from: "127.0.1.42") == "hello west-42 from \(ports[0])\n")
            try MQTTTestClient.connected(to: .ipv4(ports[1]), id: "in", from: "127.0.0.1").disconnect()
            let denied = try MQTTTestClient(to: .ipv4(ports[1]), id: "out", from: "127.0.0.3")
            _ = try denied.connection.waitForEnd()
            try MQTTTestClient.connected(to: .ipv4(ports[2]), id: "by-name", userName: "tenant").disconnect()
            let lost = try MQTTTestClient(to: .ipv4(ports[2]), id: "by-no-name", userName: "nobody-home")
            _ = try lost.connection.waitForEnd()
            let log = try await weir.accessLines(atLeast: 7)
            #expect(log.contains { $0.contains(" 403 access_denied ") })
            #expect(log.contains { $0.hasPrefix("by-name 200 ") })
            #expect(log.contains { $0.hasPrefix("by-no-name 500 internal_error") })
            #expect(broker.connectionCount == 2)
            try await weir.errorLine(with: "[error]", "access forbidden by rule", "client: 127.0.0.3")
        }
    }
}
