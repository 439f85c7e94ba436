// SPDX-License-Identifier: Apache-2.0
//
// The server's side of TLS: which certificate answers whom, and which versions, ciphers and protocols are agreed on.
// Most servers here answer with `return`, so that a client reads the variables of its own handshake.

import TestSupport
import Testing

@Suite("tls: the server's side")
struct TLSServerTests {
    // MARK: - Certificates

    @Test("RSA and ECDSA side by side: each client gets the kind that it can verify, in both versions")
    func twoKinds() async throws {
        let stage = try await TLSStage()
        let port = try PortRegistry.take()
        let stream = """
            server {
                listen 127.0.0.1:\(port) ssl;
                \(TLSStage.lines("server")) \(TLSStage.lines("rsa"))
                return "$ssl_protocol $ssl_cipher";
            }
            """
        try await stage.withWeir(stream: stream) { _ async throws in
            func answer(_ change: (inout TLSClientOptions) -> Void) throws -> [String] {
                let client = try TLSTestStream(to: .ipv4(port), stage.client().with(change))
                let answer = try client.textToEnd()
                #expect(answer.split(separator: " ").map(String.init) == [client.fact(.version), client.fact(.cipher)])
                return [client.fact(.serverKeyType), answer]
            }
            let modern = "TLSv1.3 TLS_AES_128_GCM_SHA256"
            #expect(
                try answer {
                    $0.suites = "TLS_AES_128_GCM_SHA256"
                    $0.signatureAlgorithms = "ECDSA+SHA256"
                } == ["id-ecPublicKey", modern])
            #expect(
                try answer {
                    $0.suites = "TLS_AES_128_GCM_SHA256"
                    $0.signatureAlgorithms = "RSA-PSS+SHA256:ECDSA+SHA384"
                } == ["rsaEncryption", modern])
            for (cipher, kind) in [
                ("ECDHE-ECDSA-AES256-GCM-SHA384", "id-ecPublicKey"), ("ECDHE-RSA-AES256-GCM-SHA384", "rsaEncryption"),
            ] {
                #expect(
                    try answer {
                        $0 = $0.only(.v12)
                        $0.ciphers = cipher
                    } == [kind, "TLSv1.2 \(cipher)"])
            }
        }
    }

    @Test("an encrypted key opens with a passphrase of the file; without, the start is refused with the file's name")
    func encryptedKey() async throws {
        let stage = try await TLSStage()
        let port = try PortRegistry.take()
        let server = "listen 127.0.0.1:\(port) ssl; ssl_certificate server.pem; ssl_certificate_key encrypted.key;"
        try stage.directory.write("wrong\ncorrect horse\n", to: "passwords")
        try await stage.withWeir(stream: "server { \(server) ssl_password_file passwords; return hello; }") { weir in
            let client = try TLSTestStream(to: .ipv4(port), stage.client())
            #expect(try client.textToEnd() == "hello")
            #expect(!weir.errorLines.contains { $0.contains("horse") })
        }

        try stage.directory.write("wrong\n", to: "passwords")
        for words in ["ssl_password_file passwords;", ""] {
            let text = WeirInstance.configuration(stream: "server { \(server) \(words) return hello; }")
            try stage.directory.write(text, to: "weir.conf")
            let (ending, output) = try await ManagedProcess.run(
                try WeirBinary.path, ["-t", "-p", stage.directory.path, "-c", "weir.conf"])
            #expect(ending == .exited(1))
            #expect(output.contains("[emerg]") && output.contains("encrypted.key\""), "\(output)")
            #expect(output.contains("test failed"), "\(output)")
        }
    }

    @Test("the whole chain is sent, and a client that knows only the root verifies it")
    func chain() async throws {
        let stage = try await TLSStage()
        let ports = try PortRegistry.take(count: 2)
        let stream = """
            server {
                listen 127.0.0.1:\(ports[0]) ssl;
                ssl_certificate deep-chain.pem; ssl_certificate_key deep.key;
                return hello;
            }
            server { listen 127.0.0.1:\(ports[1]) ssl; \(TLSStage.lines("deep")) return hello; }
            """
        try await stage.withWeir(stream: stream) { weir in
            let client = try TLSTestStream(to: .ipv4(ports[0]), stage.client(name: "deep.test"))
            #expect(client.fact(.serverChain) == "CN=deep.test\nCN=middle,O=Weir")
            #expect(try client.textToEnd() == "hello")
            // The leaf alone is not enough, which shows that the client does verify; its alert is in the log.
            #expect(throws: TestFault.self) {
                try TLSTestStream(to: .ipv4(ports[1]), stage.client(name: "deep.test"))
            }
            try await weir.errorLine(
                with: "[info]", "SSL_do_handshake() failed (SSL: error:", "alert unknown ca", "while SSL handshaking",
                ", server: 127.0.0.1:\(ports[1])")
            try await weir.ended("tls_handshake_failed", 1)
        }
    }

    @Test("certificates by variable: a file for each name, data in a map, and a cache that stands until it is stale")
    func byVariable() async throws {
        let stage = try await TLSStage()
        let ports = try PortRegistry.take(count: 4)
        // The text of a PEM file as a value of a map: quoted, over several lines.
        let pem = contents(of: stage.path("second.pem"))
        let key = contents(of: stage.path("second.key"))
        let stream = """
            map $ssl_server_name $file { server.test server; second.test second; }
            map $ssl_server_name $pem { second.test "\(pem)"; }
            map $ssl_server_name $key { second.test "\(key)"; }
            server {
                listen 127.0.0.1:\(ports[0]) ssl;
                ssl_certificate $file.pem; ssl_certificate_key $file.key;
                return "$ssl_server_name";
            }
            server {
                listen 127.0.0.1:\(ports[1]) ssl;
                ssl_certificate $file.pem; ssl_certificate_key $file.key;
                ssl_certificate_cache max=10 inactive=1h valid=1h;
                return "$ssl_server_name";
            }
            server {
                listen 127.0.0.1:\(ports[3]) ssl;
                ssl_certificate $file.pem; ssl_certificate_key $file.key;
                ssl_certificate_cache max=10 inactive=1h valid=1s;
                return "$ssl_server_name";
            }
            server {
                listen 127.0.0.1:\(ports[2]) ssl;
                ssl_certificate data:$pem; ssl_certificate_key data:$key;
                return "$ssl_server_name";
            }
            """
        try await stage.withWeir(stream: stream) { weir in
            func serial(_ port: UInt16, _ name: String) throws -> String {
                let client = try TLSTestStream(to: .ipv4(port), stage.client(name: name))
                #expect(try client.textToEnd() == name)
                return client.fact(.serverSerial)
            }
            let first = try serial(ports[0], "server.test")
            let second = try serial(ports[0], "second.test")
            #expect(first != second)
            #expect(try serial(ports[1], "server.test") == first)
            #expect(try serial(ports[2], "second.test") == second)
            #expect(try serial(ports[3], "server.test") == first)

            // A file is read at each handshake, unless a cache has it.
            try stage.replacePair("server", with: "renewed")
            let renewed = try serial(ports[0], "server.test")
            #expect(renewed != first)
            #expect(try serial(ports[1], "server.test") == first)
            try await eventually("what the cache holds grows stale") {
                try serial(ports[3], "server.test") == renewed
            }

            // No file of that name: this handshake fails, with the path in the log, and no other.
            #expect(throws: TestFault.self) {
                try TLSTestStream(to: .ipv4(ports[0]), stage.client(name: "third.test"))
            }
            try await weir.errorLine(
                with: "[error]", "cannot load certificate \"\(stage.path(".pem"))\"", "No such file", "SSL handshaking")
            #expect(try serial(ports[0], "server.test") == renewed)
        }
    }

    // MARK: - Choosing a server

    @Test("SNI leads to a server: exact, wildcards, expression, default; each with its own certificate and settings")
    func names() async throws {
        let stage = try await TLSStage()
        let port = try PortRegistry.take()
        func server(_ names: String, _ pair: String, _ word: String, _ more: String = "") -> String {
            """
            server {
                listen 127.0.0.1:\(port) ssl; server_name \(names);
                \(TLSStage.lines(pair)) \(more) return "\(word) $ssl_server_name";
            }
            """
        }
        let stream = [
            server("other.test", "server", "default"),
            server("second.test", "second", "exact"),
            server("*.wild.test", "wild", "wildcard"),
            server("narrow.*", "server", "trailing"),
            server("~^device-\\d+\\.test$", "server", "expression"),
            server("strict.wild.test", "wild", "strict", TLSStage.mutualLines),
        ].joined(separator: "\n")
        try await stage.withWeir(stream: stream) { weir in
            func answer(_ name: String?, _ certificate: String? = nil) throws -> [String] {
                // The names are not all in the certificates: who answers is the question here.
                let options = TLSClientOptions(serverName: name, pair: certificate.map(stage.pair))
                let client = try TLSTestStream(to: .ipv4(port), options)
                return [try client.textToEnd(), client.fact(.serverSubject)]
            }
            #expect(try answer("second.test") == ["exact second.test", "CN=second.test"])
            #expect(try answer("SECOND.test") == ["exact SECOND.test", "CN=second.test"])
            #expect(try answer("a.b.wild.test") == ["wildcard a.b.wild.test", "CN=wild.test"])
            #expect(try answer("narrow.example") == ["trailing narrow.example", "CN=server.test"])
            #expect(try answer("device-12.test") == ["expression device-12.test", "CN=server.test"])
            #expect(try answer("device-x.test") == ["default device-x.test", "CN=server.test"])
            #expect(try answer("unknown") == ["default unknown", "CN=server.test"])
            #expect(try answer(nil) == ["default ", "CN=server.test"])
            // Whether a certificate is wanted is the chosen server's to say.
            #expect(try answer("strict.wild.test", "app") == ["strict strict.wild.test", "CN=wild.test"])
            #expect(try answer("strict.wild.test")[0] == "")
            try await weir.errorLine(with: "client sent no required SSL certificate while SSL handshaking")
        }
    }

    @Test("ssl_reject_handshake turns away who asks for no name or an unknown one, in both versions")
    func rejected() async throws {
        let stage = try await TLSStage()
        let port = try PortRegistry.take()
        let stream = """
            server { listen 127.0.0.1:\(port) ssl default_server; ssl_reject_handshake on; return never; }
            server {
                listen 127.0.0.1:\(port) ssl; server_name server.test;
                \(TLSStage.lines()) return hello;
            }
            """
        try await stage.withWeir(stream: stream) { weir in
            for version in [TLSClientOptions.Version.v12, .v13] {
                for name in ["unknown.test", nil] {
                    let fault = #expect(throws: TestFault.self) {
                        try TLSTestStream(to: .ipv4(port), TLSClientOptions(serverName: name).only(version))
                    }
                    #expect(fault?.description.contains("unrecognized name") == true, "\(fault as Any)")
                }
                let client = try TLSTestStream(to: .ipv4(port), stage.client().only(version))
                #expect(try client.textToEnd() == "hello")
            }
            try await weir.ended("tls_handshake_failed", 4)
            #expect(weir.errorLines.count { $0.contains("handshake rejected while SSL handshaking") } == 4)
        }
    }

    // MARK: - What is agreed on

    @Test("ssl_protocols: a version that is not listed is refused, and each end is one line of the log")
    func versions() async throws {
        let stage = try await TLSStage()
        let ports = try PortRegistry.take(count: 2)
        let stream = """
            server {
                listen 127.0.0.1:\(ports[0]) ssl; ssl_protocols TLSv1.2; \(TLSStage.lines()) return $ssl_protocol;
            }
            server {
                listen 127.0.0.1:\(ports[1]) ssl; ssl_protocols TLSv1.3; \(TLSStage.lines()) return $ssl_protocol;
            }
            """
        try await stage.withWeir(stream: stream) { weir in
            for (port, version, name, refused) in [
                (ports[0], TLSClientOptions.Version.v12, "TLSv1.2", TLSClientOptions.Version.v13),
                (ports[1], .v13, "TLSv1.3", .v12),
            ] {
                let client = try TLSTestStream(to: .ipv4(port), stage.client())
                #expect(try client.textToEnd() == name)
                #expect(try TLSTestStream(to: .ipv4(port), stage.client().only(version)).textToEnd() == name)
                #expect(throws: TestFault.self) {
                    try TLSTestStream(to: .ipv4(port), stage.client().only(refused))
                }
            }
            try await weir.ended("tls_handshake_failed", 2)
            let lines = weir.errorLines.filter { $0.contains("SSL_do_handshake() failed (SSL: error:") }
            #expect(lines.count == 2 && lines.allSatisfy { $0.contains("[info]") }, "\(weir.report)")
            #expect(lines.allSatisfy { $0.contains("unsupported protocol") }, "\(lines)")
        }
    }

    @Test("ssl_ciphers, ssl_prefer_server_ciphers, ssl_ecdh_curve and ssl_conf_command decide, as OpenSSL reads them")
    func ciphers() async throws {
        let stage = try await TLSStage()
        let ports = try PortRegistry.take(count: 3)
        let (strong, light) = ("ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305")
        let stream = """
            \(TLSStage.lines())
            server {
                listen 127.0.0.1:\(ports[0]) ssl; ssl_ciphers \(strong):\(light);
                ssl_prefer_server_ciphers on; ssl_ecdh_curve secp384r1;
                return "$ssl_cipher $ssl_curve";
            }
            server {
                listen 127.0.0.1:\(ports[1]) ssl; ssl_ciphers \(strong):\(light);
                return "$ssl_cipher $ssl_curve $ssl_ciphers $ssl_curves";
            }
            server {
                listen 127.0.0.1:\(ports[2]) ssl;
                ssl_conf_command Ciphersuites TLS_CHACHA20_POLY1305_SHA256;
                ssl_conf_command Options -SessionTicket;
                return "$ssl_cipher";
            }
            """
        try await stage.withWeir(stream: stream) { weir in
            let client = stage.client().only(.v12).with {
                $0.ciphers = "\(light):\(strong)"
                $0.groups = "P-256:P-384"
            }
            #expect(try TLSTestStream(to: .ipv4(ports[0]), client).textToEnd() == "\(strong) secp384r1")
            #expect(
                try TLSTestStream(to: .ipv4(ports[1]), client).textToEnd()
                    == "\(light) prime256v1 \(light):\(strong):TLS_EMPTY_RENEGOTIATION_INFO_SCSV prime256v1:secp384r1")
            let modern = try TLSTestStream(to: .ipv4(ports[2]), stage.client())
            #expect(try modern.textToEnd() == "TLS_CHACHA20_POLY1305_SHA256")

            // Nothing in common: one line, at level info, for it is the client's doing.
            #expect(throws: TestFault.self) {
                try TLSTestStream(
                    to: .ipv4(ports[0]), client.with { $0.ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256" })
            }
            try await weir.errorLine(
                with: "[info]", "SSL_do_handshake() failed (SSL: error:", ":no shared cipher) while SSL handshaking")
        }
    }

    @Test("ssl_alpn: the server's order decides, no overlap is refused, and a client without ALPN comes in")
    func applicationProtocols() async throws {
        let stage = try await TLSStage()
        let port = try PortRegistry.take()
        let stream = """
            server {
                listen 127.0.0.1:\(port) ssl; \(TLSStage.lines()) ssl_alpn mqtt x-amzn-mqtt-ca;
                return "[$ssl_alpn_protocol]";
            }
            """
        try await stage.withWeir(stream: stream) { weir in
            func answer(_ protocols: [String]) throws -> [String] {
                let client = try TLSTestStream(
                    to: .ipv4(port), stage.client().with { $0.applicationProtocols = protocols })
                return [try client.textToEnd(), client.fact(.applicationProtocol)]
            }
            #expect(try answer(["x-amzn-mqtt-ca", "mqtt"]) == ["[mqtt]", "mqtt"])
            #expect(try answer(["h2", "x-amzn-mqtt-ca"]) == ["[x-amzn-mqtt-ca]", "x-amzn-mqtt-ca"])
            #expect(try answer([]) == ["[]", ""])
            let fault = #expect(throws: TestFault.self) { try answer(["h2", "http/1.1"]) }
            #expect(fault?.description.contains("alert no application protocol") == true, "\(fault as Any)")
            try await weir.errorLine(
                with: "[info]", "SSL_do_handshake() failed (SSL: error:",
                ":no application protocol) while SSL handshaking")
            try await weir.ended("tls_handshake_failed", 1)
        }
    }

    @Test("the names of signature algorithms are those of the standard")
    func signatureAlgorithms() async throws {
        let stage = try await TLSStage()
        let port = try PortRegistry.take()
        let stream = """
            server {
                listen 127.0.0.1:\(port) ssl; \(TLSStage.lines("server")) \(TLSStage.lines("rsa"))
                ssl_verify_client optional; ssl_client_certificate ca.pem;
                return "$ssl_sigalg $ssl_sigalgs [$ssl_client_sigalg]";
            }
            """
        try await stage.withWeir(stream: stream) { _ async throws in
            func answer(_ algorithms: String, _ certificate: String? = nil, _ version: TLSClientOptions.Version) throws
                -> String
            {
                let options = stage.client(certificate).only(version).with { $0.signatureAlgorithms = algorithms }
                return try TLSTestStream(to: .ipv4(port), options).textToEnd()
            }
            let ec = "ecdsa_secp256r1_sha256"
            for version in [TLSClientOptions.Version.v12, .v13] {
                #expect(try answer("ECDSA+SHA256", nil, version) == "\(ec) \(ec) []")
                #expect(try answer("ECDSA+SHA256", "app", version) == "\(ec) \(ec) [\(ec)]")
                #expect(
                    try answer("rsa_pss_rsae_sha384:ed25519", nil, version)
                        == "rsa_pss_rsae_sha384 rsa_pss_rsae_sha384:ed25519 []")
            }
            #expect(try answer("RSA+SHA256", nil, .v12) == "rsa_pkcs1_sha256 rsa_pkcs1_sha256 []")
        }
    }
}
