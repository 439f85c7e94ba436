// SPDX-License-Identifier: Apache-2.0
//
// Clients that are no TLS clients, bad ones, or ones that may not come in. Each ends with one line of the kind that
// nginx writes, with the status and the reason that are its own, and costs no other session anything.

import TestSupport
import Testing

@Suite("TLS: bad input")
struct TLSBadInputTests {
    // MARK: - No TLS

    /// Bytes that begin no handshake, and OpenSSL's word for each.
    private static let noTLS: [(what: String, bytes: [UInt8], reason: String)] = [
        ("HTTP", Array("GET / HTTP/1.1\r\nHost: x\r\n\r\n".utf8), "0A00009C:SSL routines::http request"),
        ("a proxy's HTTP", Array("CONNECT x:1 HTTP/1.1\r\n\r\n".utf8), "0A00009B:SSL routines::https proxy request"),
        ("MQTT", connect("plain"), "0A00010B:SSL routines::wrong version number"),
        ("an alert", [0x15, 3, 1, 0, 2, 2, 40], "0A0000F4:SSL routines::unexpected message"),
        ("records of nothing", Array([[UInt8]](repeating: [0x16, 3, 1, 0, 0], count: 40).joined()),
            "0A00012A:SSL routines::record too small"),
        ("a message of 16 MiB", [0x16, 3, 1, 0x40, 0, 1, 0xFF, 0xFF, 0xFF, 3, 3] + pattern(16_378, seed: 3),
            "0A000098:SSL routines::excessive message size"),
        ("a record of 64 KiB", [0x16, 3, 1, 0xFF, 0xFF, 1, 0, 0xFF, 0xFB, 3, 3] + pattern(65_529, seed: 4),
            "0A0000C6:SSL routines::packet length too long"),
    ]

    @Test("what is no TLS, or too large for it, is refused at once and with OpenSSL's reason")
    func noHandshake() async throws {
        let broker = try NullBroker()
        try await TLSHostileStage.run(broker: broker) { hostile in
            for (what, bytes, reason) in Self.noTLS {
                let client = try hostile.connect()
                let name = client.localName
                // It may be closed before all is sent.
                try? client.send(bytes)
                _ = try client.waitForEnd()
                try await hostile.expectEnd(
                    of: name, "500 tls_handshake_failed",
                    "SSL_do_handshake() failed (SSL: error:\(reason)) while SSL handshaking", what)
            }
            #expect(broker.connectionCount == 0)
        }
    }

    @Test("TLS at a plain port passes an mqtt_preread that is on, and is no CONNECT")
    func secureAtPlainPort() async throws {
        let broker = try NullBroker(NullBroker.echo)
        try await TLSHostileStage.run(broker: broker) { hostile in
            let hello = try hostile.hello()
            let client = try TCPConnection(to: hostile.plainEndpoint).sent(hello)
            let name = client.localName
            #expect(try client.receive(exactly: hello.count) == hello)
            client.close()
            try await hostile.expectEnd(of: name, "200 client_closed", "client disconnected")
        }
    }

    // MARK: - ClientHello

    @Test("a ClientHello in single bytes, or with 200 extensions that nobody knows, leads to a session like any other")
    func strangeHello() async throws {
        let broker = try NullBroker()
        try await TLSHostileStage.run(broker: broker) { hostile in
            let slow = try TLSTestStream(over: hostile.connect(), hostile.stage.client())
            for byte in slow.firstFlight() { try slow.connection.send([byte]) }
            try slow.handshake()
            let options = hostile.stage.client().with { $0.strangeExtensions = 200 }
            #expect(try hostile.hello(options).count > 4 * 200)
            let rich = try TLSTestStream(to: hostile.endpoint, options)
            for client in [slow, rich] {
                let name = client.connection.localName
                #expect(try client.isServed(as: "strange"))
                client.close()
                try await hostile.expectEnd(of: name, "200 client_closed", "client disconnected")
            }
        }
    }

    @Test("a client that goes away in its handshake, wherever it stands, is one that closed or reset the connection")
    func cutHandshake() async throws {
        let broker = try NullBroker()
        try await TLSHostileStage.run(broker: broker) { hostile in
            let hello = try hostile.hello()
            for count in [0, 1, 5, 60, hello.count - 1, hello.count] {
                let client = try hostile.connect()
                let name = client.localName
                try client.send(Array(hello.prefix(count)))
                // Not before Weir's answer: bytes that are not read would make it a reset.
                if count == hello.count { _ = try client.receive(exactly: 5) }
                client.endSending()
                _ = try client.receiveToEnd()
                try await hostile.expectEnd(
                    of: name, "500 tls_handshake_failed",
                    "peer closed connection in SSL handshake while SSL handshaking", "\(count) bytes")
            }
            let rude = try hostile.connect()
            let name = rude.localName
            try rude.send(hello)
            _ = try rude.receive(exactly: 5)
            rude.reset()
            try await hostile.expectEnd(
                of: name, "500 tls_handshake_failed",
                "peer closed connection in SSL handshake (104: Connection reset by peer) while SSL handshaking")
            #expect(broker.connectionCount == 0)
        }
    }

    @Test("a client that stops in its handshake is closed after ssl_handshake_timeout, whatever it trickles")
    func handshakeTimeout() async throws {
        let broker = try NullBroker()
        try await TLSHostileStage.run(settings: "ssl_handshake_timeout 1s;", broker: broker) { hostile in
            let hello = try hostile.hello()
            let start = ContinuousClock.now
            let stopped = try [0, 60, hello.count].map { try hostile.connect().sent(Array(hello.prefix($0))) }
            let trickling = try hostile.connect()
            let names = (stopped + [trickling]).map(\.localName)
            // A byte is activity, but the deadline is one for all of them.
            for byte in hello.dropLast() {
                guard (try? trickling.send([byte])) != nil else { break }
                if (try? trickling.waitForEnd(within: .milliseconds(50))) != nil { break }
            }
            #expect(ContinuousClock.now - start > .milliseconds(900))
            #expect(ContinuousClock.now - start < .seconds(4))
            for client in stopped { _ = try client.waitForEnd() }
            for name in names {
                try await hostile.expectEnd(
                    of: name, "500 tls_handshake_timeout",
                    "client timed out (110: Connection timed out) while SSL handshaking")
            }
            #expect(broker.connectionCount == 0)
        }
    }

    // MARK: - Nothing in common

    @Test("no version and no cipher in common: an alert for the client, and the reason in the log")
    func nothingInCommon() async throws {
        let broker = try NullBroker()
        let cases: [(String, (inout TLSClientOptions) -> Void, String, String)] = [
            ("ssl_protocols TLSv1.3;", { $0.versionMax = .v12 }, "protocol version",
                "0A000102:SSL routines::unsupported protocol"),
            ("ssl_protocols TLSv1.2;", { $0.versionMin = .v13 }, "protocol version",
                "0A000102:SSL routines::unsupported protocol"),
            ("ssl_protocols TLSv1.2; ssl_ciphers ECDHE-ECDSA-AES256-GCM-SHA384;",
                { $0.ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256"; $0.versionMax = .v12 }, "handshake failure",
                "0A0000C1:SSL routines::no shared cipher"),
            ("ssl_conf_command Ciphersuites TLS_AES_256_GCM_SHA384;",
                { $0.suites = "TLS_CHACHA20_POLY1305_SHA256"; $0.versionMin = .v13 }, "handshake failure",
                "0A0000C1:SSL routines::no shared cipher"),
        ]
        for (settings, change, alert, reason) in cases {
            try await TLSHostileStage.run(settings: settings, broker: broker) { hostile in
                let client = try TLSTestStream(over: hostile.connect(), hostile.stage.client().with(change))
                let name = client.connection.localName
                let fault = #expect(throws: TestFault.self) { try client.handshake() }
                #expect(fault?.description.contains(alert) == true, "\(settings) \(String(describing: fault))")
                client.connection.close()
                try await hostile.expectEnd(
                    of: name, "500 tls_handshake_failed",
                    "SSL_do_handshake() failed (SSL: error:\(reason)) while SSL handshaking", settings)
            }
        }
        #expect(broker.connectionCount == 0)
    }

    @Test("a client that does not trust Weir's certificate says so, and the log names its alert")
    func distrust() async throws {
        let broker = try NullBroker()
        try await TLSHostileStage.run(broker: broker) { hostile in
            for version in [TLSClientOptions.Version.v12, .v13] {
                let other = hostile.stage.path("other.pem")
                let options = hostile.stage.client().only(version).with { $0.authority = other }
                let client = try TLSTestStream(over: hostile.connect(), options)
                let name = client.connection.localName
                #expect(throws: TestFault.self) { try client.handshake() }
                client.connection.close()
                try await hostile.expectEnd(
                    of: name, "500 tls_handshake_failed",
                    "SSL_do_handshake() failed (SSL: error:0A000418:SSL routines::tlsv1 alert unknown ca:"
                        + "SSL alert number 48) while SSL handshaking")
            }
        }
    }

    // MARK: - Client certificates

    @Test("a client's certificate that is missing, expired, revoked, a stranger's or a server's lets nobody in")
    func badCertificates() async throws {
        let broker = try NullBroker()
        let reasons = [
            (nil, "client sent no required SSL certificate"),
            ("expired", "client SSL certificate verify error: (10:certificate has expired)"),
            ("future", "client SSL certificate verify error: (9:certificate is not yet valid)"),
            ("revoked", "client SSL certificate verify error: (23:certificate revoked)"),
            ("stranger", "client SSL certificate verify error: (21:unable to verify the first certificate)"),
            ("purpose", "client SSL certificate verify error: (26:unsuitable certificate purpose)"),
        ]
        try await TLSHostileStage.run(settings: TLSStage.mutualLines + " ssl_crl ca.crl;", broker: broker) { hostile in
            for (certificate, reason) in reasons {
                for version in [TLSClientOptions.Version.v12, .v13] {
                    let options = hostile.stage.client(certificate).only(version)
                    let client = try TLSTestStream(over: hostile.connect(), options)
                    let name = client.connection.localName
                    // Weir looks when the handshake is done, as nginx does, so that the log can name the certificate.
                    try client.handshake()
                    #expect(try client.waitForEnd() == .closed)
                    client.connection.close()
                    try await hostile.expectEnd(
                        of: name, "500 tls_client_refused", "\(reason) while SSL handshaking", "\(version)")
                }
            }
            #expect(broker.connectionCount == 0)
            let good = try TLSTestStream(to: hostile.endpoint, hostile.stage.client("client"))
            #expect(try good.isServed(as: "good"))
            good.close()
        }
    }
}
