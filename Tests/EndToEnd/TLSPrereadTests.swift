// SPDX-License-Identifier: Apache-2.0
//
// `ssl_preread`: a ClientHello chooses the broker, in any pieces and whatever it says of its own lengths, and goes on
// as it came; and `pass`: the session goes on at another listener of the same Weir, with TLS or without.

import MQTTWire
import TestSupport
import Testing

@Suite("TLS: preread and pass")
struct TLSPrereadTests {
    private static let helloLog = """
        \(weirEndingLog)
        log_format hello '$ssl_preread_server_name|$ssl_preread_protocol|$ssl_preread_alpn_protocols|$upstream_addr';
        access_log logs/hello.log hello;
        """

    private static func hellos(_ weir: WeirInstance, _ count: Int) async throws -> [String] {
        try await eventually("\(count) lines\n\(weir.report)") {
            let all = lines(of: weir.directory.path("logs/hello.log"))
            return all.count >= count ? all : nil
        }
    }

    @Test("name, version and protocols of a ClientHello choose the broker, which gets the handshake as it came")
    func threeVariables() async throws {
        let stage = try await TLSStage()
        let servers = try ["server", "second", "wild", "broker"].map {
            try TLSTestServer(stage.pair($0), applicationProtocols: ["mqtt"])
        }
        let brokers = try servers.map { try NullBroker($0.behaviour()) }
        let plain = try NullBroker()
        let port = try PortRegistry.take()
        let stream = """
            \(Self.helloLog)
            map $ssl_preread_server_name $by_name { second.test \(brokers[1].endpoint.text); default $by_protocol; }
            map $ssl_preread_alpn_protocols $by_protocol {
                ~\\bmqtt\\b \(brokers[2].endpoint.text);
                default     $by_version;
            }
            map $ssl_preread_protocol $by_version {
                TLSv1.2 \(brokers[3].endpoint.text);
                ""      \(plain.endpoint.text);
                default \(brokers[0].endpoint.text);
            }
            server { listen 127.0.0.1:\(port); ssl_preread on; proxy_pass $by_name; }
            """
        try await stage.withWeir(stream: stream) { weir in
            let cases: [(TLSClientOptions, Int, String)] = [
                (stage.client(name: "second.test"), 1, "second.test|TLSv1.3|"),
                (stage.client(name: "a.wild.test").with { $0.applicationProtocols = ["http/1.1", "mqtt"] }, 2,
                    "a.wild.test|TLSv1.3|http/1.1,mqtt"),
                (stage.client(name: "broker.test").only(.v12), 3, "broker.test|TLSv1.2|"),
                (stage.client(), 0, "server.test|TLSv1.3|"),
            ]
            for (number, (options, index, words)) in cases.enumerated() {
                let client = try TLSTestStream(over: TCPConnection(to: .ipv4(port)), options)
                // The second one in single bytes.
                if number == 1 { for byte in client.firstFlight() { try client.connection.send([byte]) } }
                try client.handshake()
                try client.send("hello")
                #expect(try client.receive(exactly: 5) == Array("hello".utf8))
                client.close()
                let log = try await Self.hellos(weir, number + 1)
                #expect(log.last == "\(words)|\(brokers[index].endpoint.text)")
                #expect(servers[index].streams.count == 1)
            }
            // No TLS at all: empty variables.
            let device = try MQTTTestClient.connected(to: .ipv4(port), id: "plain")
            device.disconnect()
            #expect(try await Self.hellos(weir, 5).last == "-|-|-|\(plain.endpoint.text)")
        }
    }

    /// ClientHellos whose lengths do not fit, each made of an honest one.
    private static func liars(_ hello: [UInt8]) -> [(String, [UInt8])] {
        // 5 bytes of record, 4 of message, 2 of version, 32 of random; then session, ciphers, compression, extensions.
        let session = 43
        let ciphers = session + 1 + Int(hello[session])
        let compression = ciphers + 2 + (Int(hello[ciphers]) << 8 | Int(hello[ciphers + 1]))
        let extensions = compression + 1 + Int(hello[compression])
        func with(_ offset: Int, _ bytes: [UInt8]) -> [UInt8] {
            var copy = hello
            copy.replaceSubrange(offset..<offset + bytes.count, with: bytes)
            return copy
        }
        return [
            ("a record of no bytes", with(3, [0, 0])),
            ("a record shorter than the message's head", with(3, [0, 3])),
            ("a message shorter than its fields", with(6, [0, 0, 10])),
            ("another message", with(5, [2])),
            ("a session id of 255 bytes", with(session, [255])),
            ("ciphers of 65,535 bytes", with(ciphers, [255, 255])),
            ("ciphers of an odd length", with(ciphers, [0, 3])),
            ("compression of 255 bytes", with(compression, [255])),
            ("extensions of 65,535 bytes", with(extensions, [255, 255])),
            ("an extension longer than all", with(extensions + 4, [255, 255])),
        ]
    }

    @Test("lengths that lie are passed on with empty variables, or wait in vain for the rest, and are nobody's end")
    func hostileLengths() async throws {
        let stage = try await TLSStage()
        let echo = try NullBroker(NullBroker.echo)
        let port = try PortRegistry.take()
        let stream = """
            \(Self.helloLog)
            server {
                listen 127.0.0.1:\(port);
                ssl_preread on;
                preread_timeout 700ms;
                proxy_pass \(echo.endpoint.text);
            }
            """
        try await stage.withWeir(stream: stream) { weir in
            let worker = weir.workers
            let hello = try TLSTestStream(
                over: TCPConnection(to: .ipv4(port)), stage.client(name: "device.test")
            ).firstFlight()
            var passed = 0
            var waiting: [TCPConnection] = []
            for (what, bytes) in Self.liars(hello) {
                let client = try TCPConnection(to: .ipv4(port)).sent(bytes)
                let isPassed = (try? client.receive(exactly: bytes.count, within: .milliseconds(300))) == bytes
                if isPassed { passed += 1 } else { waiting.append(client) }
                #expect(isPassed || client.isQuiet, "\(what)")
                if isPassed { client.close() }
            }
            for client in waiting { #expect(try client.waitForEnd() == .closed) }
            let names = try await Self.hellos(weir, Self.liars(hello).count)
            #expect(names.allSatisfy { !$0.contains("\u{0}") })
            try await eventually("\(waiting.count) run out of time\n\(weir.report)") {
                weir.ends("preread_timeout") == waiting.count
            }
            #expect(passed > 5, "\(passed)")

            // Cut anywhere: it waits for more, and the client's end is an end.
            for count in stride(from: 1, to: hello.count, by: 37) {
                let client = try TCPConnection(to: .ipv4(port)).sent(Array(hello.prefix(count)))
                client.endSending()
                #expect(try client.waitForEnd() == .closed, "\(count) bytes")
            }
            // And an honest one still goes through.
            let client = try TCPConnection(to: .ipv4(port)).sent(hello)
            #expect(try client.receive(exactly: hello.count) == hello)
            client.close()
            try await eventually("it is in the log\n\(weir.report)") {
                lines(of: weir.directory.path("logs/hello.log")).last?.hasPrefix("device.test|TLSv1.3|") == true
            }
            #expect(weir.workers == worker)
        }
    }

    @Test("a ClientHello that needs more than preread_buffer_size is refused with status 400")
    func largeHello() async throws {
        let stage = try await TLSStage()
        let echo = try NullBroker(NullBroker.echo)
        let port = try PortRegistry.take()
        let stream = """
            \(Self.helloLog)
            server {
                listen 127.0.0.1:\(port);
                ssl_preread on;
                preread_buffer_size 1k;
                proxy_pass \(echo.endpoint.text);
            }
            """
        try await stage.withWeir(stream: stream) { weir in
            let client = try TLSTestStream(
                over: TCPConnection(to: .ipv4(port)), stage.client().with { $0.strangeExtensions = 400 })
            let name = client.connection.localName
            try client.connection.send(client.firstFlight())
            _ = try client.connection.waitForEnd()
            let end = try await weir.sessionEnd(of: name)
            #expect(end.outcome == "400 preread_buffer_full")
            #expect(end.lines.count == 1 && end.lines[0].contains("preread buffer full"), "\(end.lines)")
            #expect(echo.connectionCount == 0)
        }
    }

    // MARK: - pass

    @Test("one port for everything: TLS goes on at a listener with TLS, plain MQTT at one without, by `pass`")
    func passOnePort() async throws {
        let stage = try await TLSStage()
        let brokers = try NullGroup(3)
        let ports = try PortRegistry.take(count: 3)
        let stream = """
            \(weirEndingLog)
            map $ssl_preread_protocol $way { "" 127.0.0.1:\(ports[1]); default 127.0.0.1:\(ports[2]); }
            upstream brokers { hash $mqtt_preread_clientid consistent; \(brokers.servers()) }
            mqtt_preread on;
            server { listen 127.0.0.1:\(ports[0]); mqtt_preread off; ssl_preread on; pass $way; }
            server { listen 127.0.0.1:\(ports[1]); proxy_pass brokers; }
            server {
                listen 127.0.0.1:\(ports[2]) ssl;
                \(TLSStage.lines())
                \(TLSStage.mutualLines)
                proxy_pass brokers;
            }
            """
        try await stage.withWeir(stream: stream, workers: 2) { weir in
            for number in 0..<6 {
                let before = brokers.counts
                let plain = try MQTTTestClient.connected(to: .ipv4(ports[0]), id: "device-\(number)")
                try plain.ping()
                let secure = try MQTTTestClient.connected(
                    to: .ipv4(ports[0]), id: "device-\(number)", tls: stage.client("app"))
                try secure.ping()
                // The same id, the same broker.
                #expect(zip(brokers.counts, before).map { $0 - $1 }.sorted() == [0, 0, 2])
                plain.disconnect()
                secure.disconnect()
            }
            let log = try await weir.accessLines(atLeast: 12)
            #expect(log.count { $0.hasPrefix("device-") && $0.contains(" 200 client_closed ") } == 12)
            // The listener that it was passed to decides who may come in.
            let stranger = try TLSTestStream(to: .ipv4(ports[0]), stage.client())
            let name = stranger.connection.localName
            #expect(try stranger.waitForEnd() == .closed)
            stranger.connection.close()
            let end = try await weir.sessionEnd(of: name)
            #expect(end.outcome == "500 tls_client_refused")
            #expect(end.lines.first?.contains("server: 127.0.0.1:\(ports[2])") == true, "\(end.lines)")
        }
    }

    @Test("pass behind TLS goes on with what was decrypted; to nobody, or in a circle, it is an error and an end")
    func passBehindTLS() async throws {
        let stage = try await TLSStage()
        let broker = try NullBroker()
        let ports = try PortRegistry.take(count: 5)
        let stream = """
            \(weirEndingLog)
            map $server_port $nobody { default 127.0.0.1:\(ports[4]); }
            server { listen 127.0.0.1:\(ports[0]) ssl; \(TLSStage.lines()) pass 127.0.0.1:\(ports[1]); }
            server { listen 127.0.0.1:\(ports[1]); mqtt_preread required; proxy_pass \(broker.endpoint.text); }
            server { listen 127.0.0.1:\(ports[2]); pass 127.0.0.1:\(ports[2]); }
            server { listen 127.0.0.1:\(ports[3]); pass $nobody; }
            """
        try await stage.withWeir(stream: stream) { weir in
            let client = try MQTTTestClient.connected(to: .ipv4(ports[0]), id: "inside", tls: stage.client())
            try client.ping()
            client.disconnect()
            let log = try await weir.accessLines(atLeast: 1)
            #expect(log[0].hasPrefix("inside 200 client_closed \(broker.endpoint.text) "))
            let dead = [(ports[2], "\"pass\" leads in a circle"), (ports[3], "no listener \"127.0.0.1:\(ports[4])\"")]
            for (port, words) in dead {
                let lost = try TCPConnection(to: .ipv4(port))
                let name = lost.localName
                _ = try lost.waitForEnd()
                lost.close()
                let end = try await weir.sessionEnd(of: name)
                #expect(end.outcome == "500 internal_error")
                #expect(end.lines.count == 1 && end.lines[0].contains(words), "\(end.lines)")
            }
        }
    }

    @Test("pass from one TLS listener to another makes no second handshake, but its wishes for certificates count")
    func passToMutual() async throws {
        let stage = try await TLSStage()
        let broker = try NullBroker()
        let ports = try PortRegistry.take(count: 2)
        let stream = """
            \(weirEndingLog)
            ssl_client_certificate ca.pem;
            server {
                listen 127.0.0.1:\(ports[0]) ssl; \(TLSStage.lines()) ssl_verify_client optional;
                pass 127.0.0.1:\(ports[1]);
            }
            server {
                listen 127.0.0.1:\(ports[1]) ssl; \(TLSStage.lines()) ssl_verify_client on;
                mqtt_preread required; proxy_pass \(broker.endpoint.text);
            }
            """
        try await stage.withWeir(stream: stream) { weir in
            let known = try MQTTTestClient.connected(to: .ipv4(ports[0]), id: "known", tls: stage.client("client"))
            known.disconnect()
            _ = try await weir.accessLines(atLeast: 1)
            let stranger = try TLSTestStream(to: .ipv4(ports[0]), stage.client())
            let name = stranger.connection.localName
            _ = try? stranger.waitForEnd()
            let end = try await weir.sessionEnd(of: name)
            #expect(end.outcome == "500 tls_client_refused")
            #expect(end.lines.contains { $0.contains("client sent no required SSL certificate") }, "\(end.lines)")
        }
    }
}
