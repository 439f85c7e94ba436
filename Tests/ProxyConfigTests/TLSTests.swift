// SPDX-License-Identifier: Apache-2.0
//
// What a configuration says of TLS comes to the settings that the engine builds contexts of: defaults, inheritance,
// files as bytes, one object for what is equal, and the table of names of a shared address.

import Patterns
import TLSWire
import Testing
import Vocabulary

@testable import ProxyConfig

/// Files of the tests below.
let tlsFiles: [String: String] = [
    "/etc/weir/c.pem": "certificate", "/etc/weir/k.pem": "key", "/etc/weir/c2.pem": "certificate 2",
    "/etc/weir/k2.pem": "key 2", "/abs/ca.pem": "authority", "/etc/weir/crl.pem": "revoked",
    "/etc/weir/pass": "one\r\n\ntwo words\nthree", "/etc/weir/t48": String(repeating: "a", count: 48),
    "/etc/weir/t80": String(repeating: "b", count: 80), "/etc/weir/dh.pem": "dh", "/etc/weir/ocsp.der": "ocsp",
    "/etc/weir/empty": "",
]
let tlsPair = "ssl_certificate c.pem; ssl_certificate_key k.pem;"

@Suite("TLS")
struct TLSTests {
    private func server(_ directives: String, outer: String = "") throws -> Server {
        try valid("stream { \(outer) server { listen 1 ssl; return a; \(directives) } }", files: tlsFiles).servers[0]
    }

    private func tls(_ directives: String, outer: String = "") throws -> TLSServerSettings {
        try #require(try server(directives, outer: outer).tls).value
    }

    private func proxyTLS(_ directives: String, outer: String = "") throws -> TLSClientSettings {
        let text = "stream { \(outer) server { listen 1; proxy_pass b1.example:1; proxy_ssl on; \(directives) } }"
        return try #require(try valid(text, files: tlsFiles).servers[0].proxyTLS).value
    }

    @Test("defaults are nginx's")
    func defaults() throws {
        var expected = TLSServerSettings()
        expected.common.certificates = [
            TLSCertificate(
                chain: TLSFile(path: "/etc/weir/c.pem", bytes: Array("certificate".utf8)),
                key: TLSFile(path: "/etc/weir/k.pem", bytes: Array("key".utf8)))
        ]
        #expect(try tls(tlsPair) == expected)
        #expect(expected.common.ciphers == "HIGH:!aNULL:!MD5")
        #expect(expected.common.protocols == [.tls12, .tls13])
        #expect(try server(tlsPair).handshakeTimeoutMilliseconds == 60_000)
        #expect(try server(tlsPair).readsClientHello == false)
        var broker = TLSClientSettings()
        broker.defaultName = "b1.example"
        #expect(try proxyTLS("") == broker)
        #expect(broker.common.ciphers == "DEFAULT")
    }

    @Test("every directive of the server side reaches its field")
    func serverSide() throws {
        let settings = try tls(
            """
            ssl_certificate c.pem; ssl_certificate_key k.pem; ssl_certificate c2.pem; ssl_certificate_key k2.pem;
            ssl_password_file pass; ssl_protocols TLSv1 TLSv1.3; ssl_ciphers A:B; ssl_ecdh_curve X25519:P-256;
            ssl_dhparam dh.pem; ssl_prefer_server_ciphers on;
            ssl_conf_command Options a; ssl_conf_command MinProtocol b;
            ssl_alpn mqtt h2; ssl_verify_client optional; ssl_client_certificate /abs/ca.pem;
            ssl_trusted_certificate /abs/ca.pem; ssl_crl crl.pem; ssl_verify_depth 3;
            ssl_session_cache builtin:1000 shared:tls:10m; ssl_session_timeout 1h; ssl_session_tickets off;
            ssl_session_ticket_key t80; ssl_session_ticket_key t48; ssl_reject_handshake on; ssl_stapling on;
            ssl_stapling_file ocsp.der; ssl_stapling_responder http://a/; ssl_stapling_verify on; ssl_ocsp leaf;
            ssl_ocsp_cache shared:ocsp:1m; ssl_ocsp_responder http://b1.example:81/x; ssl_certificate_compression off;
            ssl_certificate_cache max=5 valid=1h;
            """)
        let common = settings.common
        #expect(common.certificates.map(\.chain.path) == ["/etc/weir/c.pem", "/etc/weir/c2.pem"])
        #expect(common.certificates.map(\.key.bytes) == [Array("key".utf8), Array("key 2".utf8)])
        #expect(common.passphrases == ["one", "two words", "three"].map { Array($0.utf8) })
        #expect(common.protocols == [.tls1, .tls13])
        #expect(common.ciphers == "A:B")
        #expect(common.commands.map(\.name) == ["Options", "MinProtocol"])
        #expect(common.commands.map(\.value) == ["a", "b"])
        #expect(common.alpn == ["mqtt", "h2"])
        #expect(common.trustedCertificates?.path == "/abs/ca.pem")
        #expect(common.revocations?.bytes == Array("revoked".utf8))
        #expect(common.verifyDepth == 3)
        #expect(common.certificateCache?.entriesMax == 5)
        #expect(common.certificateCache?.inactiveSeconds == 10)
        #expect(common.certificateCache?.validSeconds == 3600)
        #expect(settings.curves == "X25519:P-256")
        #expect(settings.dhParameters?.bytes == Array("dh".utf8))
        #expect(settings.prefersServerCiphers)
        #expect(settings.clientVerification == .optional)
        #expect(settings.clientCertificates?.bytes == Array("authority".utf8))
        #expect(settings.sessionCache.kind == .kept)
        #expect(settings.sessionCache.builtinSessions == 1000)
        #expect(settings.sessionCache.sharedName == "tls")
        #expect(settings.sessionCache.sharedBytes == 10 << 20)
        #expect(settings.sessionTimeoutSeconds == 3600)
        #expect(!settings.usesTickets)
        #expect(settings.ticketKeys.map(\.bytes.count) == [80, 48])
        #expect(settings.rejectsHandshakes)
        #expect(settings.isStapling && settings.verifiesStapling)
        #expect(settings.staplingFile?.bytes == Array("ocsp".utf8))
        #expect(settings.staplingResponder == "http://a/")
        #expect(settings.clientOCSP == .leaf)
        #expect(settings.clientOCSPCache?.sharedName == "ocsp")
        #expect(settings.clientOCSPCache?.sharedBytes == 1 << 20)
        let responder = try #require(settings.clientOCSPResponder)
        #expect(responder.url == (try ResponderURL(Array("http://b1.example:81/x".utf8))))
        #expect(responder.endpoints.map(\.port) == [81, 81])
    }

    @Test("responders are asked about certificates that are verified, and only then resolved")
    func ocsp() throws {
        let client = "ssl_client_certificate /abs/ca.pem;"
        #expect(try tls("\(tlsPair) \(client) ssl_verify_client on; ssl_ocsp on;").clientOCSP == .on)
        #expect(try tls("\(tlsPair) ssl_ocsp leaf;", outer: "\(client) ssl_verify_client on;").clientOCSP == .leaf)
        #expect(try tls("\(tlsPair) ssl_ocsp off;", outer: "ssl_ocsp on;").clientOCSP == .off)
        let unused = try tls("\(tlsPair) ssl_ocsp on; ssl_ocsp_cache shared:a:1m; ssl_ocsp_responder http://nosuch.example/;")
        #expect(unused.clientOCSP == .off && unused.clientOCSPResponder == nil && unused.clientOCSPCache == nil)
        let literal = try tls(
            "\(tlsPair) \(client) ssl_verify_client on; ssl_ocsp on; ssl_ocsp_responder http://[::1]:8080;")
        #expect(literal.clientOCSPResponder?.endpoints.map(\.text) == ["[::1]:8080"])
    }

    @Test("a cache of answers is shared memory as one of sessions is, where answers are asked for")
    func ocspCaches() throws {
        let verified = "ssl_client_certificate /abs/ca.pem; ssl_verify_client on; ssl_session_cache shared:s:1m;"
        let text = { (ocsp: String) in
            "stream { \(tlsPair) \(verified) ssl_ocsp_cache shared:o:2m; server { listen 1 ssl; return a; \(ocsp) } }"
        }
        #expect(
            try valid(text("ssl_ocsp on;"), files: tlsFiles).sharedSessionCaches
                == [SharedSessionCache(name: "s", byteCount: 1 << 20), SharedSessionCache(name: "o", byteCount: 2 << 20)])
        #expect(
            try valid(text(""), files: tlsFiles).sharedSessionCaches
                == [SharedSessionCache(name: "s", byteCount: 1 << 20)])
    }

    @Test("whom to trust is read for responses that are asked for, and not for one from a file")
    func staplingTrust() throws {
        let pair = "ssl_certificate c.pem; ssl_certificate_key k.pem; ssl_stapling on;"
        let trust = "ssl_trusted_certificate /abs/ca.pem; ssl_crl crl.pem;"
        let asked = try tls("\(pair) \(trust)")
        #expect(asked.isStapling && asked.staplingFile == nil && asked.clientVerification == .off)
        #expect(asked.common.trustedCertificates?.path == "/abs/ca.pem")
        #expect(asked.common.revocations?.bytes == Array("revoked".utf8))
        #expect(try tls("\(pair) \(trust) ssl_stapling_file ocsp.der;").common.trustedCertificates == nil)
        #expect(try tls("\(pair) \(trust) ssl_stapling off;".replacing("ssl_stapling on;", with: ""))
            .common.trustedCertificates == nil)
    }

    @Test("every directive of the broker side reaches its field, and health checks have the same object")
    func brokerSide() throws {
        let configuration = try valid(
            """
            stream { map $remote_addr $n { default x; } upstream Brokers { server 192.0.2.1:1; }
            server { listen 1; proxy_pass brokers; health_check; proxy_ssl on; proxy_ssl_certificate c.pem;
            proxy_ssl_certificate_key k.pem; proxy_ssl_password_file pass; proxy_ssl_protocols TLSv1.3;
            proxy_ssl_ciphers A; proxy_ssl_conf_command Options b; proxy_ssl_alpn mqtt; proxy_ssl_verify on;
            proxy_ssl_trusted_certificate /abs/ca.pem; proxy_ssl_crl crl.pem; proxy_ssl_verify_depth 2;
            proxy_ssl_name b-$n; proxy_ssl_server_name on; proxy_ssl_session_reuse off; proxy_ssl_key_log keys;
            proxy_ssl_certificate_cache max=1; } }
            """, files: tlsFiles)
        let server = configuration.servers[0]
        let shared = try #require(server.proxyTLS)
        #expect(server.healthChecks[0].tls === shared)
        #expect(server.tls == nil)
        let settings = shared.value
        #expect(settings.common.certificates.map(\.chain.path) == ["/etc/weir/c.pem"])
        #expect(settings.common.passphrases.count == 3)
        #expect(settings.common.protocols == .tls13)
        #expect(settings.common.ciphers == "A")
        #expect(settings.common.commands == [TLSCommand(name: "Options", value: "b")])
        #expect(settings.common.alpn == ["mqtt"])
        #expect(settings.common.trustedCertificates?.bytes == Array("authority".utf8))
        #expect(settings.common.revocations?.path == "/etc/weir/crl.pem")
        #expect(settings.common.verifyDepth == 2)
        #expect(settings.common.certificateCache?.entriesMax == 1)
        #expect(settings.verifies && settings.sendsServerName && !settings.reusesSessions)
        #expect(settings.name?.text(in: configuration) == "b-<map n>")
        #expect(settings.defaultName == "Brokers")
        let log = try #require(settings.common.keyLog)
        #expect(configuration.logDestinations[log] == .keyLog("/srv/weir/keys"))
    }

    @Test(
        "the name of a broker is the host of proxy_pass",
        arguments: [
            ("b1.example:1", "b1.example"), ("192.0.2.1:1", "192.0.2.1"), ("[::1]:1", "[::1]"), ("$remote_addr:1", ""),
        ])
    func defaultName(_ address: String, _ name: String) throws {
        let text = "stream { proxy_ssl on; server { listen 1; proxy_pass \(address); } }"
        #expect(try valid(text).servers[0].proxyTLS?.value.defaultName == name)
    }

    @Test("lists are inherited as a whole, single directives one by one, below as above the block")
    func inheritance() throws {
        let outer = """
            \(tlsPair) ssl_conf_command A b; ssl_session_ticket_key t80; ssl_alpn x; ssl_ciphers outer;
            ssl_verify_depth 7; ssl_handshake_timeout 5s; ssl_preread on; ssl_session_cache shared:a:1m;
            """
        let inherited = try tls("", outer: outer)
        #expect(inherited.common.ciphers == "outer")
        #expect(inherited.common.verifyDepth == 7)
        #expect(inherited.common.commands.count == 1)
        #expect(inherited.ticketKeys.count == 1)
        #expect(inherited.sessionCache.sharedName == "a")
        let changed = try tls(
            "ssl_certificate c2.pem; ssl_conf_command C d; ssl_conf_command E f; ssl_ciphers inner;"
                + "ssl_session_ticket_key t48; ssl_session_cache off;", outer: outer)
        // Certificates and keys are two lists.
        #expect(changed.common.certificates.map(\.chain.path) == ["/etc/weir/c2.pem"])
        #expect(changed.common.certificates.map(\.key.path) == ["/etc/weir/k.pem"])
        #expect(changed.common.commands.map(\.name) == ["C", "E"])
        #expect(changed.common.ciphers == "inner")
        #expect(changed.common.alpn == ["x"])
        #expect(changed.common.verifyDepth == 7)
        #expect(changed.ticketKeys.map(\.bytes.count) == [48])
        #expect(changed.sessionCache.kind == .off)
        #expect(changed.sessionCache.sharedName == nil)
        let server = try server("", outer: outer)
        #expect(server.handshakeTimeoutMilliseconds == 5000)
        #expect(server.readsClientHello)
        let below = try valid("stream { server { listen 1 ssl; return a; } \(tlsPair) }", files: tlsFiles)
        #expect(below.servers[0].tls?.value.common.certificates.count == 1)
    }

    @Test("an empty certificate towards brokers ends what stream said")
    func noCertificate() throws {
        let outer = "proxy_ssl_certificate c.pem; proxy_ssl_certificate_key k.pem;"
        #expect(try proxyTLS("", outer: outer).common.certificates.count == 1)
        #expect(try proxyTLS("proxy_ssl_certificate '';", outer: outer).common.certificates.isEmpty)
        #expect(try proxyTLS("proxy_ssl_certificate '';").common.certificates.isEmpty)
    }

    @Test("servers that say the same share one object, a thousand as two")
    func sharing() throws {
        let inheriting = (1...1000).map { "server { listen \($0) ssl; proxy_pass b1.example:1; }\n" }.joined()
        let repeating = (1001...1100).map { "server { listen \($0) ssl; return a; ssl_ciphers X; }\n" }.joined()
        let configuration = try valid(
            "stream { \(tlsPair) proxy_ssl on; \(inheriting) \(repeating) }", files: tlsFiles)
        #expect(Set(configuration.servers.compactMap(\.tls).map(ObjectIdentifier.init)).count == 2)
        #expect(Set(configuration.servers.compactMap(\.proxyTLS).map(ObjectIdentifier.init)).count == 1)
        #expect(configuration.servers.allSatisfy { $0.tls != nil })
    }

    @Test("one variable makes templates of all certificates; paths are absolute where they begin with text")
    func templates() throws {
        let configuration = try valid(
            """
            stream { map $ssl_server_name $c { default x; }
            server { listen 1 ssl; return a; ssl_certificate c.pem; ssl_certificate_key k.pem;
            ssl_certificate tls/$c.pem; ssl_certificate_key $c; ssl_certificate data:$c; ssl_certificate_key data:$c; } }
            """)
        let common = try #require(configuration.servers[0].tls).value.common
        #expect(common.certificates.isEmpty)
        let templates = common.certificateTemplates
        #expect(
            templates.map { $0.chain.text(in: configuration) } == [
                "/etc/weir/c.pem", "/etc/weir/tls/<map c>.pem", "<map c>",
            ])
        #expect(templates.map { $0.key.text(in: configuration) } == ["/etc/weir/k.pem", "<map c>", "<map c>"])
        #expect(templates.map(\.isChainData) == [false, false, true])
        #expect(templates.map(\.isKeyData) == [false, false, true])
    }

    @Test("what nobody uses is not read: a block without ssl, an authority without verification")
    func unused() throws {
        let configuration = try valid(
            "stream { ssl_certificate nosuch; ssl_certificate_key nosuch; server { listen 1; return a; } }")
        #expect(configuration.servers[0].tls == nil)
        #expect(try tls(tlsPair + "ssl_trusted_certificate nosuch; ssl_crl nosuch;").common.revocations == nil)
    }

    // MARK: - Names

    private func names(_ servers: String...) throws -> (Configuration, [String]) {
        let text = "stream { \(tlsPair)\n\(servers.map { "server { return a; \($0) }" }.joined(separator: "\n")) }"
        let outcome = build(text, files: tlsFiles)
        guard let configuration = outcome.configuration else { throw Invalid(report: outcome.render()) }
        return (configuration, outcome.diagnostics.map(\.message))
    }

    @Test("names of a shared address lead to their servers, each kind in its table")
    func nameTables() throws {
        let (configuration, findings) = try names(
            "listen 1 ssl; server_name A.example;",
            "listen 1; server_name *.b.example .c.example mail.* ~^x\\d $hostname '~Y';",
            "listen 1 default_server; server_name '';", "listen 2 ssl; server_name alone;")
        #expect(findings.isEmpty)
        let listener = configuration.listeners[0]
        #expect(listener.isTLS)
        #expect(listener.server == 2)
        func key(_ text: String) -> [UInt8] { Array(text.utf8) }
        #expect(listener.names.exact == [key("a.example"): 0, key("c.example"): 1, key("edge-1"): 1])
        #expect(listener.names.leadingMasks == [key(".b.example"): 1, key(".c.example"): 1])
        #expect(listener.names.trailingMasks == [key("mail."): 1])
        #expect(listener.names.expressions.map(\.server) == [1, 1])
        #expect(listener.names.expressions[0].pattern.matches(key("x7")))
        #expect(configuration.listeners[1].names.isEmpty)
        #expect(configuration.servers.map(\.name) == ["A.example", "*.b.example", "", "alone"])
    }

    @Test("whoever has a name first keeps it, and that is said")
    func conflicts() throws {
        let (configuration, findings) = try names(
            "listen 1 ssl; server_name a b;", "listen 1; server_name B .a c *.d;", "listen 1; server_name c .d;")
        #expect(
            findings == [
                "conflicting server name \"B\" on 0.0.0.0:1, ignored",
                "conflicting server name \"c\" on 0.0.0.0:1, ignored",
                "conflicting server name \".d\" on 0.0.0.0:1, ignored",
            ])
        let names = configuration.listeners[0].names
        #expect(names.exact[Array("a".utf8)] == 0)
        #expect(names.exact[Array("b".utf8)] == 0)
        #expect(names.exact[Array("c".utf8)] == 1)
        #expect(names.exact[Array("d".utf8)] == 2)
        #expect(names.leadingMasks == [Array(".a".utf8): 1, Array(".d".utf8): 1])
    }

    @Test("without TLS names matter where the default server reads the ClientHello")
    func prereadNames() throws {
        let (reading, quiet) = try names("listen 1; server_name a; ssl_preread on;", "listen 1; server_name b;")
        #expect(quiet.isEmpty)
        #expect(reading.listeners[0].names.exact.count == 2)
        let (plain, findings) = try names("listen 1; server_name a;", "listen 1; server_name b; ssl_preread on;")
        #expect(findings == ["servers share \"0.0.0.0:1\""])
        #expect(plain.listeners[0].names.isEmpty)
    }

    @Test("socket options that come later keep what earlier servers said of the address")
    func laterOptions() throws {
        let (configuration, _) = try names("listen 1 ssl; server_name a;", "listen 1 backlog=7; server_name b;")
        #expect(configuration.listeners[0].isTLS)
        #expect(configuration.listeners[0].backlog == 7)
        #expect(configuration.listeners[0].names.exact.count == 2)
    }

    @Test("a server without a certificate of its own leaves the default server's in place")
    func borrowed() throws {
        let configuration = try valid(
            """
            stream { server { listen 1 ssl; server_name a; return a; \(tlsPair) }
            server { listen 1; server_name b; return b; ssl_ciphers X; } }
            """, files: tlsFiles)
        #expect(configuration.servers[0].tls != nil)
        #expect(configuration.servers[1].tls == nil)
    }

    // MARK: - pass

    @Test(
        "pass leads to a listener, and says so where there is none",
        arguments: [
            ("127.0.0.1:2", "127.0.0.1:2", 0), ("localhost:2", "127.0.0.1:2", 0), ("[::1]:2", "[::1]:2", 1),
            ("unix:/s", "unix:/s", 0), ("unix:/t", "unix:/t", 1), ("10.0.0.1:3", "10.0.0.1:3", 1),
            ("$remote_addr:3", "<remote_addr>:3", 0),
        ])
    func pass(_ address: String, _ text: String, _ warnings: Int) throws {
        let outcome = build(
            """
            stream { server { listen 1; pass \(address); }
            server { listen 2; listen unix:/s; listen 127.0.0.1:3; return a; } }
            """)
        #expect(outcome.warningCount == warnings, "\(outcome.render())")
        let configuration = try #require(outcome.configuration)
        guard case .pass(let template) = configuration.servers[0].content else {
            Issue.record("no pass")
            return
        }
        #expect(template.text(in: configuration) == text)
    }

    // MARK: - Secrets

    @Test("certificates, keys and passphrases travel in the bundle, and are no text of the configuration")
    func secrets() throws {
        var inner = DictionarySource(files: tlsFiles)
        inner.files[testOptions.file] = Array(
            """
            stream { server { listen 1 ssl; return a; \(tlsPair) ssl_password_file pass; ssl_session_ticket_key t80;
            ssl_verify_client on; ssl_client_certificate /abs/ca.pem; } }
            """.utf8)
        var source = RecordingSource(inner)
        testOptions.record(into: &source.bundle)
        let first = ConfigurationBuilder.buildAll(&source, options: testOptions)
        #expect(first.files.map(\.path) == ["/etc/weir/weir.conf"])
        let secrets = source.bundle.order.filter { $0.kind == .secret }.map { String(decoding: $0.name, as: UTF8.self) }
        #expect(
            secrets == ["/etc/weir/c.pem", "/etc/weir/k.pem", "/etc/weir/pass", "/etc/weir/t80", "/abs/ca.pem"])
        var child = BundleSource(try #require(Bundle(encoded: source.bundle.encoded())))
        let second = ConfigurationBuilder.buildAll(&child, options: testOptions)
        let tls = try #require(second.configuration?.servers[0].tls)
        #expect(tls == first.configuration?.servers[0].tls)
        let text = "\(tls.value) \(tls.value.common) \(tls.value.common.certificates)"
        #expect(!text.contains("two words") && !text.contains("116, 119, 111") && !text.contains("107, 101, 121"))
    }

    @Test("a file is read once, a slice each, and settings are made in a slice of their own")
    func slices() {
        var source = DictionarySource(files: tlsFiles)
        let servers = (1...300).map { "server { listen \($0) ssl; return a; ssl_ciphers X\($0); }\n" }.joined()
        source.files[testOptions.file] = Array("stream { \(tlsPair) ssl_dhparam dh.pem; \(servers) }".utf8)
        var builder = ConfigurationBuilder(source: source, options: testOptions)
        var asked = 0
        var steps = 0
        while builder.step() == .more {
            #expect(builder.source.questionCount - asked <= 1)
            asked = builder.source.questionCount
            steps += 1
        }
        #expect(asked == 4)
        #expect(steps > 900)
        #expect(builder.finish().configuration != nil)
    }
}
