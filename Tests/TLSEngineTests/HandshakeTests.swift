// SPDX-License-Identifier: Apache-2.0
//
// Handshakes of both versions with every kind of certificate, resumed ones, and those that must not succeed.

import ProxyConfig
import TLSEngine
import Testing

@Suite("handshakes")
struct HandshakeTests {
    static let versions: [(TLSProtocols, String)] = [(.tls12, "TLSv1.2"), (.tls13, "TLSv1.3")]

    @Test(
        "both versions and both kinds of key work, in pieces of any size", arguments: [1, 7, 100, .max],
        ["server", "rsa"])
    func full(pieceMax: Int, certificate: String) throws {
        for (version, word) in Self.versions {
            let server = TLSServerSettings.with(certificate) { $0.common.protocols = version }
            try withLink(.verifying(), server, pieceMax: pieceMax, seed: UInt64(pieceMax & 0xff)) { link in
                link.handshake()
                #expect(link.isDone, "\(link.client.connection.fault as Any) \(link.server.connection.fault as Any)")
                #expect(link.server.value(.tlsProtocol) == word)
                #expect(link.server.value(.tlsServerName) == "server.test")
                #expect(link.server.value(.tlsSessionReused) == ".")
                let message = Array("a message".utf8)
                #expect(link.send(message) == message)
                #expect(link.send(message, toServer: false) == message)
                let large = [UInt8](repeating: 7, count: 30_000)
                #expect(link.send(large) == large)
            }
        }
    }

    @Test("RSA and ECDSA stand side by side, and the client's ciphers choose")
    func sideBySide() throws {
        for (ciphers, expected) in [("ECDHE-RSA-AES128-GCM-SHA256", "rsa"), ("ECDHE-ECDSA-AES128-GCM-SHA256", "ec")] {
            let client = TLSClientSettings.verifying { $0.common.ciphers = ciphers }
            try withLink(client, .with("server", "rsa") { $0.common.protocols = .tls12 }) { link in
                link.handshake()
                #expect(link.isDone, "\(expected)")
                #expect(link.server.value(.tlsCipher) == ciphers)
            }
        }
    }

    @Test("a session is resumed in both versions, by tickets and by a cache", arguments: [true, false])
    func resumed(usesTickets: Bool) throws {
        for (version, word) in Self.versions {
            let server = try TLSServerContext(
                .with("server") { settings in
                    settings.common.protocols = version
                    settings.usesTickets = usesTickets
                    if !usesTickets {
                        settings.sessionCache.kind = .kept
                        settings.sessionCache.builtinSessions = 100
                    }
                }, tickets: nil, cache: nil)
            let client = try TLSClientContext(.verifying())
            let store = try #require(TLSSessionStore(capacity: 4))
            for round in 0..<4 {
                var link = Link(client, server, store: store)
                defer { link.free() }
                link.handshake()
                #expect(link.isDone)
                #expect(link.send([1, 2, 3], toServer: false) == [1, 2, 3])
                #expect(link.server.connection.isReused == (round > 0), "\(word), round \(round)")
                #expect(link.client.connection.isReused == (round > 0))
            }
            #expect(store.count == 1)
        }
    }

    @Test("a store holds as many sessions as it was made for, and one context's are not another's")
    func bounded() throws {
        let server = try TLSServerContext(.with("server"), tickets: nil, cache: nil)
        let clients = try (0..<2).map { _ in try TLSClientContext(.with()) }
        let store = try #require(TLSSessionStore(capacity: 3))
        for (client, name, isReused) in [
            (0, "a", false), (0, "a", true), (1, "a", false), (0, "b", false), (0, "c", false), (1, "a", true),
            (0, "a", false), (0, "c", true), (0, "b", false),
        ] {
            var link = Link(clients[client], server, name: name, store: store)
            defer { link.free() }
            link.handshake()
            #expect(link.isDone)
            #expect(link.server.connection.isReused == isReused, "\(client) \(name)")
        }
        #expect(store.count == 3)
    }

    @Test("the second server answers with its own certificate, protocol and wish for a certificate")
    func chosen() throws {
        let first = try TLSServerContext(.with("server") { $0.common.protocols = .tls13 }, tickets: nil, cache: nil)
        let second = try TLSServerContext(
            .with("second") { settings in
                settings.common.protocols = .tls12
                settings.clientVerification = .on
                settings.clientCertificates = Certificates.file("ca.pem")
            }, tickets: nil, cache: nil)
        let client = try TLSClientContext(
            .verifying { $0.common.certificates = [Certificates.pair("client")] })
        for (name, isSecond) in [("second.test", true), ("server.test", false)] {
            var link = Link(client, first, name: name, isChoosing: true, pieceMax: 40)
            defer { link.free() }
            var asked = 0
            link.handshake { server in
                asked += 1
                #expect(server.connection.requestedName == Array(name.utf8))
                if isSecond { #expect(server.connection.use(second)) }
            }
            #expect(asked == 1)
            #expect(link.isDone, "\(name): \(link.client.connection.fault as Any)")
            #expect(link.server.value(.tlsProtocol) == (isSecond ? "TLSv1.2" : "TLSv1.3"))
            #expect(link.server.value(.tlsClientVerification) == (isSecond ? "SUCCESS" : "NONE"))
        }
    }

    @Test("a client that names nobody gets the first server without a question")
    func unnamed() throws {
        let server = try TLSServerContext(.with("server"), tickets: nil, cache: nil)
        for name in ["127.0.0.1", "[::1]", ""] {
            var link = Link(
                try TLSClientContext(.with { $0.sendsServerName = true }), server, name: name, isChoosing: true)
            defer { link.free() }
            var asked = 0
            link.handshake { _ in asked += 1 }
            #expect(link.isDone)
            #expect(asked == 0)
            #expect(link.server.value(.tlsServerName) == nil)
        }
    }

    @Test("a server that rejects handshakes says so to both sides")
    func rejected() throws {
        let rejecting = TLSServerSettings.with { $0.rejectsHandshakes = true }
        try withLink(.verifying(), rejecting) { link in
            link.handshake()
            #expect(link.server.connection.fault?.message == "handshake rejected")
            #expect(link.server.connection.isClientFault)
            #expect(link.client.connection.fault?.message.contains("tlsv1 unrecognized name") == true)
        }
    }

    @Test("ALPN: the server's order decides, and without a common protocol there is no connection")
    func protocols() throws {
        let server = TLSServerSettings.with("server") { $0.common.alpn = ["mqtt", "x"] }
        for (offered, chosen) in [(["x", "mqtt"], "mqtt"), (["x"], "x"), ([], nil), (["y"], nil)] {
            try withLink(.with { $0.common.alpn = offered }, server) { link in
                link.handshake()
                #expect(link.isDone == (offered != ["y"]))
                if link.isDone { #expect(link.server.value(.tlsALPNProtocol) == chosen) }
                if offered == ["y"] {
                    #expect(link.server.connection.fault?.message.contains("no application protocol") == true)
                    #expect(link.server.connection.isClientFault)
                    #expect(link.client.connection.fault?.message.contains("no application protocol") == true)
                }
            }
        }
    }

    @Test("no common version or cipher is the client's fault, and both sides hear of it")
    func nothingInCommon() throws {
        try withLink(.with { $0.common.protocols = .tls12 }, .with("server") { $0.common.protocols = .tls13 }) { link in
            link.handshake()
            #expect(link.server.connection.fault?.message.contains("unsupported protocol") == true)
            #expect(link.server.connection.isClientFault)
            #expect(link.client.connection.fault?.message.contains("alert protocol version") == true)
        }
        let cipher = TLSClientSettings.with {
            $0.common.protocols = .tls12
            $0.common.ciphers = "ECDHE-RSA-AES128-GCM-SHA256"
        }
        try withLink(cipher, .with("server")) { link in
            link.handshake()
            #expect(
                link.server.connection.fault?.message
                    == "SSL_do_handshake() failed (SSL: error:0A0000C1:SSL routines::no shared cipher)")
            #expect(link.server.connection.isClientFault)
        }
    }

    @Test("certificates by variable are provided in the handshake")
    func provided() throws {
        let settings = TLSServerSettings.with {
            $0.common.certificateTemplates = [
                TLSCertificateTemplate(chain: Template(parts: []), key: Template(parts: []))
            ]
        }
        let pair = Certificates.pair("server")
        try withLink(.verifying(), settings) { link in
            try link.handshake { server in
                try server.connection.provide(chain: pair.chain.bytes, key: pair.key.bytes, passphrases: [])
            }
            #expect(link.isDone)
        }
        try withLink(.verifying(), settings) { link in
            let fault = #expect(throws: TLSFault.self) {
                try link.handshake { server in
                    let key = Certificates.file("second.key").bytes
                    try server.connection.provide(chain: pair.chain.bytes, key: key, passphrases: [])
                }
            }
            #expect(fault?.message.contains("key values mismatch") == true)
        }
        let client = try TLSClientContext(.verifying())
        var link = Link(client, try TLSServerContext(.mutual(), tickets: nil, cache: nil))
        defer { link.free() }
        let own = Certificates.pair("client")
        try link.client.connection.provide(chain: own.chain.bytes, key: own.key.bytes, passphrases: [])
        link.handshake()
        #expect(link.isDone)
        #expect(link.server.connection.clientRefusal == nil)
    }

    @Test("the server's certificate is verified by authority, name, address and depth")
    func serverVerified() throws {
        for (name, authority, expected) in [
            ("server.test", "ca.pem", nil), ("127.0.0.1", "ca.pem", nil),
            (
                "server.test", "other.pem",
                "upstream SSL certificate verify error: (21:unable to verify the first certificate)"
            ),
            ("wrong.test", "ca.pem", "upstream SSL certificate does not match \"wrong.test\""),
            ("127.0.0.2", "ca.pem", "upstream SSL certificate does not match \"127.0.0.2\""),
            ("", "ca.pem", "upstream SSL certificate does not match \"\""),
        ] as [(String, String, String?)] {
            let client = TLSClientSettings.verifying { $0.common.trustedCertificates = Certificates.file(authority) }
            try withLink(client, .with("server"), name: name) { link in
                link.handshake()
                #expect((link.client.progress == .done) == (expected == nil), "\(name)")
                #expect(link.client.connection.fault?.message == expected)
                if expected != nil && !name.isEmpty {
                    #expect(link.server.connection.fault?.message.contains("alert") == true)
                }
            }
        }
    }

    @Test("key log lines are there for whoever asks")
    func keyLog() throws {
        try withLink(.with(), .with("server") { $0.common.keyLog = 0 }) { link in
            link.handshake()
            let lines = String(decoding: try #require(link.server.connection.takeKeyLog()), as: UTF8.self)
            #expect(lines.contains("SERVER_HANDSHAKE_TRAFFIC_SECRET "))
            #expect(lines.hasSuffix("\n"))
            #expect(link.server.connection.takeKeyLog() == nil)
            #expect(link.client.connection.takeKeyLog() == nil)
        }
    }
}
