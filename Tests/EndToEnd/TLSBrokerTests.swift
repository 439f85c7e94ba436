// SPDX-License-Identifier: Apache-2.0
//
// `proxy_ssl`: brokers over TLS. Whom Weir trusts, what it shows and asks for, sessions that are resumed, and what
// becomes of a session whose broker fails in its handshake.

import MQTTWire
import TestSupport
import Testing

@Suite("TLS: brokers")
struct TLSBrokerTests {
    private static let verifying = """
        proxy_ssl on;
        proxy_ssl_verify on;
        proxy_ssl_trusted_certificate ca.pem;
        proxy_ssl_name broker.test;
        """

    /// A TLS broker that echoes, with the certificate of this name.
    private static func echo(_ stage: TLSStage, _ certificate: String) throws -> (NullBroker, TLSTestServer) {
        let server = try TLSTestServer(stage.pair(certificate))
        return (try NullBroker(server.behaviour()), server)
    }

    private static func text(_ client: TCPConnection, says text: String) throws -> String {
        try client.send(text)
        return String(decoding: try client.receive(exactly: text.utf8.count), as: UTF8.self)
    }

    // MARK: - Bad brokers

    /// What the first broker is, the setting that makes it bad, and nginx's words for it.
    private static let badBrokers: [(what: String, settings: String, words: String)] = [
        ("foreign", "", "upstream SSL certificate verify error: (21:unable to verify the first certificate)"),
        ("old", "", "upstream SSL certificate verify error: (10:certificate has expired)"),
        ("second", "", "upstream SSL certificate does not match \"broker.test\""),
        ("HTTP", "", "SSL_do_handshake() failed (SSL: error:0A00010B:SSL routines::wrong version number)"),
        ("gone", "", "peer closed connection in SSL handshake"),
        ("silent", "proxy_connect_timeout 400ms;", "upstream timed out (110: Connection timed out)"),
    ]

    @Test("a broker whose handshake fails or whose certificate is not good has failed, and the next one serves")
    func nextBroker() async throws {
        let stage = try await TLSStage()
        let (good, _) = try Self.echo(stage, "broker")
        var bad: [NullBroker] = []
        var text = weirEndingLog
        let ports = try PortRegistry.take(count: Self.badBrokers.count)
        for (index, (what, settings, _)) in Self.badBrokers.enumerated() {
            switch what {
            case "HTTP": bad.append(try NullBroker(NullBroker.answer(Array("HTTP/1.1 400 Bad Request\r\n\r\n".utf8))))
            case "gone": bad.append(try NullBroker { _ = try $0.receive() })
            case "silent": bad.append(try NullBroker(NullBroker.silent))
            default: bad.append(try Self.echo(stage, what).0)
            }
            text += """

                upstream both\(index) { server \(bad[index].endpoint.text); server \(good.endpoint.text); }
                server { listen 127.0.0.1:\(ports[index]); \(Self.verifying) \(settings) proxy_pass both\(index); }
                """
        }
        try await stage.withWeir(stream: text) { weir in
            for (index, (what, _, words)) in Self.badBrokers.enumerated() {
                let client = try TCPConnection(to: .ipv4(ports[index]))
                let name = client.localName
                #expect(try Self.text(client, says: "hello, \(what)") == "hello, \(what)")
                client.close()
                let end = try await weir.sessionEnd(of: name)
                #expect(end.outcome == "200 client_closed", "\(what)")
                let server = "server: 127.0.0.1:\(ports[index]), upstream: \"\(bad[index].endpoint.text)\""
                let place = ", client: 127.0.0.1, \(server)"
                let expected = [
                    "[error]", "\(words) while SSL handshaking to upstream\(place)",
                    "[warn]", "upstream server temporarily disabled while SSL handshaking to upstream\(place)",
                    "[info]", "client disconnected",
                ]
                try #require(end.lines.count == 3, "\(what): \(end.lines)")
                for (line, part) in zip(end.lines.flatMap { [$0, $0] }, expected) {
                    #expect(line.contains(part), "\(what): \(part) in \(line)")
                }
                #expect(bad[index].connectionCount == 1)
                // Out for a while: the next session goes straight to the good one.
                let second = try TCPConnection(to: .ipv4(ports[index]))
                #expect(try Self.text(second, says: "again") == "again")
                second.close()
                #expect(bad[index].connectionCount == 1)
            }
            let log = try await weir.accessLines(atLeast: 2 * Self.badBrokers.count)
            for broker in bad {
                #expect(log.contains { $0.contains(" \(broker.endpoint.text), \(good.endpoint.text) ") })
            }
        }
    }

    @Test("without another broker the session ends, with status 502 and whose fault it was")
    func noOtherBroker() async throws {
        let stage = try await TLSStage()
        let (broker, _) = try Self.echo(stage, "foreign")
        let silent = try NullBroker(NullBroker.silent)
        let ports = try PortRegistry.take(count: 2)
        let stream = """
            \(weirEndingLog)
            \(Self.verifying)
            server { listen 127.0.0.1:\(ports[0]); proxy_pass \(broker.endpoint.text); }
            server { listen 127.0.0.1:\(ports[1]); proxy_connect_timeout 300ms; proxy_pass \(silent.endpoint.text); }
            """
        try await stage.withWeir(stream: stream) { weir in
            for (port, outcome) in zip(ports, ["502 broker_handshake_failed", "502 connect_timeout"]) {
                let client = try TCPConnection(to: .ipv4(port))
                let name = client.localName
                _ = try client.waitForEnd()
                client.close()
                let end = try await weir.sessionEnd(of: name)
                #expect(end.outcome == outcome)
                #expect(end.lines.count == 1 && end.lines[0].contains("[error]"), "\(end.lines)")
            }
        }
    }

    @Test("proxy_ssl_verify_depth bounds the signers between a broker and who is trusted, proxy_ssl_crl revokes")
    func depthAndList() async throws {
        let stage = try await TLSStage()
        let root = try await CertificateAuthority("root", in: stage.directory)
        let upper = try await CertificateAuthority("upper", in: stage.directory, below: root)
        let lower = try await CertificateAuthority("lower", in: stage.directory, below: upper)
        let leaf = try await lower.issue("leaf", subject: "/CN=deep.test", names: "DNS:deep.test", for: .server)
        let chain = try await root.join([leaf.certificate, lower.path, upper.path], to: "leaf-chain.pem")
        let back = try await root.issue("back", subject: "/CN=deep.test", names: "DNS:deep.test", for: .server)
        try await root.revoke(back)
        try await root.writeList()
        let deep = try NullBroker(TLSTestServer(.init(certificate: chain, key: leaf.key)).behaviour())
        let (revoked, _) = try Self.echo(stage, "back")
        let ports = try PortRegistry.take(count: 3)
        let stream = """
            \(weirEndingLog)
            proxy_ssl on;
            proxy_ssl_verify on;
            proxy_ssl_trusted_certificate root.pem;
            proxy_ssl_name deep.test;
            server { listen 127.0.0.1:\(ports[0]); proxy_ssl_verify_depth 2; proxy_pass \(deep.endpoint.text); }
            server { listen 127.0.0.1:\(ports[1]); proxy_ssl_verify_depth 1; proxy_pass \(deep.endpoint.text); }
            server { listen 127.0.0.1:\(ports[2]); proxy_ssl_crl root.crl; proxy_pass \(revoked.endpoint.text); }
            """
        try await stage.withWeir(stream: stream) { weir in
            let client = try TCPConnection(to: .ipv4(ports[0]))
            #expect(try Self.text(client, says: "deep") == "deep")
            client.close()
            // OpenSSL does not look for more signers than there may be; nginx says the same of such a chain.
            let reasons = ["(20:unable to get local issuer certificate)", "(23:certificate revoked)"]
            for (port, words) in zip(ports[1...], reasons) {
                let client = try TCPConnection(to: .ipv4(port))
                let name = client.localName
                _ = try client.waitForEnd()
                client.close()
                let end = try await weir.sessionEnd(of: name)
                #expect(end.outcome == "502 broker_handshake_failed")
                #expect(
                    end.lines.first?.contains("upstream SSL certificate verify error: \(words) while") == true,
                    "\(end.lines)")
            }
        }
    }

    // MARK: - What Weir shows and asks for

    @Test("SNI with a name out of a variable, a client's certificate, ALPN and a command of OpenSSL reach the broker")
    func whatIsShown() async throws {
        let stage = try await TLSStage()
        let server = try TLSTestServer(
            stage.pair("broker"), clientAuthority: stage.path("ca.pem"), applicationProtocols: ["http/1.1", "mqtt"])
        let broker = try NullBroker(server.behaviour())
        let ports = try PortRegistry.take(count: 2)
        let stream = """
            proxy_ssl on;
            proxy_ssl_certificate app.pem;
            proxy_ssl_certificate_key app.key;
            map $server_port $name { \(ports[0]) one.test; default broker.test; }
            server {
                listen 127.0.0.1:\(ports[0]);
                proxy_ssl_server_name on;
                proxy_ssl_name $name;
                proxy_ssl_alpn mqtt;
                proxy_ssl_conf_command Groups X448;
                proxy_pass \(broker.endpoint.text);
            }
            server {
                listen 127.0.0.1:\(ports[1]);
                proxy_ssl_name $name;
                proxy_ssl_protocols TLSv1.2;
                proxy_ssl_ciphers ECDHE-ECDSA-CHACHA20-POLY1305;
                proxy_pass \(broker.endpoint.text);
            }
            """
        try await stage.withWeir(stream: stream) { _ in
            for port in ports {
                let client = try TCPConnection(to: .ipv4(port))
                #expect(try Self.text(client, says: "who am I?") == "who am I?")
                client.close()
            }
            try #require(server.streams.count == 2)
            let (first, second) = (server.streams[0], server.streams[1])
            #expect(first.fact(.requestedName) == "one.test")
            #expect(first.fact(.serverSubject) == "CN=app,O=Weir")
            #expect(first.fact(.applicationProtocol) == "mqtt")
            #expect(first.fact(.version) == "TLSv1.3")
            #expect(first.fact(.group) == "X448")
            // Not asked for, not sent.
            #expect(second.fact(.requestedName) == "")
            #expect(second.fact(.applicationProtocol) == "")
            #expect(second.fact(.version) == "TLSv1.2")
            #expect(second.fact(.cipher) == "ECDHE-ECDSA-CHACHA20-POLY1305")
        }
    }

    @Test("Mosquitto with require_certificate lets sessions in with proxy_ssl_certificate, and without it none")
    func mosquitto() async throws {
        let stage = try await TLSStage()
        let broker = try await MosquittoBroker(
            tls: MosquittoBroker.TLS(stage.pair("broker"), clientAuthority: stage.path("ca.pem")))
        let ports = try PortRegistry.take(count: 2)
        let stream = """
            \(Self.verifying)
            mqtt_preread on;
            server {
                listen 127.0.0.1:\(ports[0]);
                proxy_ssl_certificate app.pem;
                proxy_ssl_certificate_key app.key;
                proxy_pass \(broker.endpoint.text);
            }
            # Of TLS 1.3 the client's part is done before the broker has looked.
            server { listen 127.0.0.1:\(ports[1]); proxy_ssl_protocols TLSv1.2; proxy_pass \(broker.endpoint.text); }
            """
        try await stage.withWeir(stream: stream) { weir in
            let client = try MQTTTestClient.connected(to: .ipv4(ports[0]), id: "shown")
            try client.subscribe("room/+", quality: 1)
            let other = try MQTTTestClient.connected(to: .ipv4(ports[0]), id: "other")
            try other.publish("room/1", "through two kinds of TLS")
            #expect(try client.message().payload == "through two kinds of TLS")
            client.disconnect()
            other.disconnect()
            let refused = try MQTTTestClient(to: .ipv4(ports[1]), id: "not-shown")
            #expect(throws: TestFault.self) { try refused.connack() }
            refused.connection.close()
            let line = try await weir.errorLine(with: "alert handshake failure", broker.endpoint.text)
            #expect(line.contains(" [error] ") && line.contains(" SSL_do_handshake() failed (SSL: error:"))
            #expect(line.contains(") while SSL handshaking to upstream, "))
            #expect(broker.connectedIDs == ["shown", "other"])
            let log = try await weir.accessLines(atLeast: 3)
            #expect(log.contains { $0.hasPrefix("shown 200 ") })
            #expect(log.contains { $0.hasPrefix("not-shown 502 broker_handshake_failed ") })
        }
    }

    @Test("sessions with a broker are resumed, each with its own, unless proxy_ssl_session_reuse is off",
        arguments: [TLSClientOptions.Version.v12, .v13])
    func sessionReuse(version: TLSClientOptions.Version) async throws {
        let stage = try await TLSStage()
        let servers = try (0..<2).map { _ in try TLSTestServer(stage.pair("broker"), versionMax: version) }
        let brokers = try servers.map { try NullBroker($0.behaviour()) }
        let ports = try PortRegistry.take(count: 2)
        let stream = """
            \(Self.verifying)
            upstream two { server \(brokers[0].endpoint.text); server \(brokers[1].endpoint.text); }
            server { listen 127.0.0.1:\(ports[0]); proxy_pass two; }
            server { listen 127.0.0.1:\(ports[1]); proxy_ssl_session_reuse off; proxy_pass two; }
            """
        try await stage.withWeir(stream: stream) { _ in
            for (port, isReusing) in zip(ports, [true, false]) {
                let before = servers.map(\.streams.count)
                for round in 0..<6 {
                    let client = try TCPConnection(to: .ipv4(port))
                    // A ticket comes with the broker's first bytes.
                    #expect(try Self.text(client, says: "round \(round)") == "round \(round)")
                    client.close()
                }
                for (server, before) in zip(servers, before) {
                    let reused = server.streams[before...].map(\.isReused)
                    #expect(reused == [false, isReusing, isReusing])
                }
            }
        }
    }

    @Test("megabytes through TLS on both sides, both ways at once, arrive as they were sent")
    func bulk() async throws {
        let stage = try await TLSStage()
        let (broker, _) = try Self.echo(stage, "broker")
        let port = try PortRegistry.take()
        let stream = """
            \(weirEndingLog)
            \(Self.verifying)
            server { listen 127.0.0.1:\(port) ssl; \(TLSStage.lines()) proxy_pass \(broker.endpoint.text); }
            """
        let bytes = pattern(3_000_000, seed: 6)
        try await stage.withWeir(stream: stream) { weir in
            let client = try TLSTestStream(to: .ipv4(port), stage.client())
            let name = client.connection.localName
            // In pieces: this thread sends and receives.
            for start in stride(from: 0, to: bytes.count, by: 100_000) {
                let piece = Array(bytes[start..<start + 100_000])
                try client.send(piece)
                #expect(try client.receive(exactly: piece.count) == piece)
            }
            client.close()
            #expect(try await weir.sessionEnd(of: name).outcome == "200 client_closed")
            let sizes = try await weir.accessLines(atLeast: 1)[0]
            #expect(sizes.contains(" 3000000 3000000 "))
        }
    }
}
