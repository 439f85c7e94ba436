// SPDX-License-Identifier: Apache-2.0
//
// Keys behind passphrases, their renewal in a reload, the parameters of Diffie-Hellman, and key logs, which are compared
// with those that the `openssl` program writes of the same handshakes.

import Foundation
import TestSupport
import Testing

@Suite("tls: keys")
struct TLSKeyTests {
    // MARK: - Diffie-Hellman

    @Test("ssl_dhparam: DHE is agreed on with these parameters, with others after a reload, and without them refused")
    func parameters() async throws {
        let stage = try await TLSStage()
        let ports = try PortRegistry.take(count: 2)
        for bits in [2048, 3072] {
            let words = ["genpkey", "-genparam", "-algorithm", "DH", "-pkeyopt", "group:ffdhe\(bits)"]
            let path = stage.path("dh-\(bits).pem")
            #expect(try await ManagedProcess.run("openssl", words + ["-out", path]).ending == .exited(0))
        }
        try stage.replace("dh.pem", with: "dh-3072.pem")
        let stream = """
            \(TLSStage.lines("rsa")) ssl_ciphers ALL;
            server { listen 127.0.0.1:\(ports[0]) ssl; ssl_dhparam dh.pem; return $ssl_cipher; }
            server { listen 127.0.0.1:\(ports[1]) ssl; return $ssl_cipher; }
            """
        try await stage.withWeir(stream: stream) { weir in
            let cipher = "DHE-RSA-AES256-GCM-SHA384"
            func temporaryKey() async throws -> String {
                let (ending, output) = try await ManagedProcess.run(
                    "openssl", ["s_client", "-connect", "127.0.0.1:\(ports[0])", "-tls1_2", "-cipher", cipher])
                #expect(ending == .exited(0), "\(output)")
                let line = output.split(separator: "\n").first { $0.hasPrefix("Server Temp Key: ") }
                return line.map(String.init) ?? output
            }
            #expect(try await temporaryKey() == "Server Temp Key: DH, 3072 bits")
            let client = stage.client().only(.v12).with { $0.ciphers = cipher }
            #expect(try TLSTestStream(to: .ipv4(ports[0]), client).textToEnd() == cipher)
            #expect(throws: TestFault.self) { try TLSTestStream(to: .ipv4(ports[1]), client) }
            try await weir.errorLine(with: "[info]", ":no shared cipher) while SSL handshaking")

            try stage.replace("dh.pem", with: "dh-2048.pem")
            try await weir.reload()
            #expect(try await temporaryKey() == "Server Temp Key: DH, 2048 bits")
        }
    }

    // MARK: - Passphrases

    /// A pair of a certificate authority of this test, whose key only the passphrase opens: LOCKED.pem, LOCKED.key.
    private static func lock(
        _ pair: CertificateAuthority.Pair, of authority: CertificateAuthority, as name: String, passphrase: String
    ) async throws {
        let locked = try await authority.encrypt(pair, to: name, passphrase: passphrase)
        let certificate = try Data(contentsOf: URL(fileURLWithPath: locked.certificate))
        try certificate.write(to: URL(fileURLWithPath: authority.directory.path("\(name).pem")), options: .atomic)
    }

    @Test("a renewed key under a renewed passphrase is taken in a reload; a passphrase that does not fit refuses it")
    func rotation() async throws {
        let stage = try await TLSStage()
        let authority = try await CertificateAuthority("fresh", in: stage.directory)
        for name in ["one", "two"] {
            let pair = try await authority.issue(
                name, subject: "/CN=server.test", names: "DNS:server.test", for: .server)
            try await Self.lock(pair, of: authority, as: "locked-\(name)", passphrase: "phrase \(name)")
        }
        try stage.replacePair("live", with: "locked-one")
        try stage.directory.write("phrase one\n", to: "passwords")
        let port = try PortRegistry.take()
        let stream = """
            server {
                listen 127.0.0.1:\(port) ssl; \(TLSStage.lines("live")) ssl_password_file passwords;
                return hello;
            }
            """
        try await stage.withWeir(stream: stream, workers: 2, expecting: ["live.key"]) { weir in
            func serial() throws -> String {
                let options = TLSClientOptions(authority: authority.path, serverName: "server.test")
                let client = try TLSTestStream(to: .ipv4(port), options)
                #expect(try client.textToEnd() == "hello")
                return client.fact(.serverSerial)
            }
            let first = try serial()
            try stage.replacePair("live", with: "locked-two")
            weir.send(SIGHUP)
            let line = try await weir.errorLine(with: "[emerg]", "\"\(stage.path("live.key"))\"")
            #expect(line.contains("SSL: error:") && !line.contains("phrase"), "\(line)")
            #expect(try serial() == first)

            try stage.directory.write("phrase two\n", to: "passwords")
            try await weir.reload()
            let second = try serial()
            #expect(second != first)
            // The same key under another passphrase is no other key: sessions of before are resumed.
            let options = TLSClientOptions(authority: authority.path, serverName: "server.test").only(.v12)
            let visit = try TLSTestStream(to: .ipv4(port), options)
            #expect(try visit.textToEnd() == "hello")
            let again = CertificateAuthority.Pair(certificate: stage.path("two.pem"), key: stage.path("two.key"))
            try await Self.lock(again, of: authority, as: "live", passphrase: "phrase three")
            try stage.directory.write("phrase three\n", to: "passwords")
            try await weir.reload()
            #expect(try serial() == second)
            let back = try TLSTestStream(to: .ipv4(port), options.with { $0.session = visit.session })
            #expect(back.isReused)
            #expect(!weir.errorLines.contains { $0.contains("phrase") })
        }
    }

    @Test("proxy_ssl_password_file opens the key that is shown to brokers; without it the start is refused")
    func proxyPassword() async throws {
        let stage = try await TLSStage()
        let authority = try await CertificateAuthority("fresh", in: stage.directory)
        let pair = try await authority.issue("mobile", subject: "/O=Weir/CN=mobile", for: .client)
        try await Self.lock(pair, of: authority, as: "locked", passphrase: "correct horse")
        let server = try TLSTestServer(stage.pair("broker"), clientAuthority: authority.path)
        let broker = try NullBroker(server.behaviour())
        let port = try PortRegistry.take()
        func stream(_ words: String) -> String {
            """
            proxy_ssl on; proxy_ssl_certificate locked.pem; proxy_ssl_certificate_key locked.key; \(words)
            server { listen 127.0.0.1:\(port); proxy_pass \(broker.endpoint.text); }
            """
        }
        try stage.directory.write("wrong\ncorrect horse\n", to: "passwords")
        try await stage.withWeir(stream: stream("proxy_ssl_password_file passwords;")) { weir in
            let client = try TCPConnection(to: .ipv4(port))
            try client.send("who am I?")
            #expect(try client.receive(exactly: 9) == Array("who am I?".utf8))
            client.close()
            #expect(server.streams.map { $0.fact(.serverSubject) } == ["CN=mobile,O=Weir"])
            #expect(!weir.errorLines.contains { $0.contains("horse") })
        }

        try stage.directory.write("wrong\n", to: "passwords")
        for words in ["proxy_ssl_password_file passwords;", ""] {
            try stage.directory.write(WeirInstance.configuration(stream: stream(words)), to: "weir.conf")
            let (ending, output) = try await ManagedProcess.run(
                try WeirBinary.path, ["-t", "-p", stage.directory.path, "-c", "weir.conf"])
            #expect(ending == .exited(1))
            #expect(output.contains("[emerg]") && output.contains("locked.key\""), "\(output)")
        }
    }

    // MARK: - Key logs

    /// The lines that stand in a file of the NSS key log format: comments are OpenSSL's own.
    private static func secrets(_ path: String) -> Set<String> {
        Set(lines(of: path).filter { !$0.hasPrefix("#") })
    }

    /// "LABEL CLIENT_RANDOM SECRET", with 32 random bytes and a secret of one of the two hashes, or TLS 1.2's.
    private static func isWellFormed(_ line: String) -> Bool {
        let fields = line.split(separator: " ", omittingEmptySubsequences: false)
        return fields.count == 3 && fields[1].count == 64 && [64, 96].contains(fields[2].count)
            && fields[1...].allSatisfy { $0.allSatisfy { $0.isHexDigit && !$0.isUppercase } }
            && fields[0].allSatisfy { $0.isUppercase || $0 == "_" || $0.isNumber }
    }

    private static func mode(of path: String) throws -> Int? {
        try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
    }

    @Test("ssl_key_log: the secrets are those that the client knows, in a file that only its owner reads")
    func keyLog() async throws {
        let stage = try await TLSStage()
        let port = try PortRegistry.take()
        let stream = """
            server { listen 127.0.0.1:\(port) ssl; \(TLSStage.lines()) ssl_key_log logs/keys; return hello; }
            """
        try await stage.withWeir(stream: stream) { _ in
            for version in ["-tls1_2", "-tls1_3"] {
                let (ending, output) = try await ManagedProcess.run(
                    "openssl",
                    ["s_client", "-connect", "127.0.0.1:\(port)", version, "-keylogfile", stage.path("theirs")])
                #expect(ending == .exited(0), "\(output)")
            }
            let theirs = Self.secrets(stage.path("theirs"))
            // One of TLS 1.2; of TLS 1.3 two of the handshake, two of the traffic, one to export from.
            #expect(theirs.count == 6)
            let ours = try await eventually("the log of both handshakes") {
                let ours = Self.secrets(stage.path("logs/keys"))
                return ours.count >= theirs.count ? ours : nil
            }
            #expect(ours == theirs)
            #expect(ours.allSatisfy(Self.isWellFormed))
            #expect(try Self.mode(of: stage.path("logs/keys")) == 0o600)
        }
    }

    @Test("proxy_ssl_key_log: the secrets are those that the broker knows, in a file that only its owner reads")
    func proxyKeyLog() async throws {
        let stage = try await TLSStage()
        let ports = try PortRegistry.take(count: 3)
        let broker = try ManagedProcess(
            "openssl",
            ["s_server", "-accept", "127.0.0.1:\(ports[0])", "-cert", stage.path("broker.pem"), "-key",
             stage.path("broker.key"), "-rev", "-keylogfile", stage.path("theirs")])
        try await eventually("s_server listens; \(broker.output)") { broker.output.contains("ACCEPT") }
        let stream = """
            proxy_ssl on; proxy_ssl_key_log logs/keys; proxy_pass 127.0.0.1:\(ports[0]);
            """
        let servers = zip(ports[1...], ["TLSv1.2", "TLSv1.3"]).map { port, version in
            "server { listen 127.0.0.1:\(port); proxy_ssl_protocols \(version); \(stream) }"
        }
        try await stage.withWeir(stream: servers.joined(separator: "\n")) { _ in
            for port in ports[1...] {
                let client = try TCPConnection(to: .ipv4(port))
                try client.send("abc\n")
                #expect(try client.receive(exactly: 4) == Array("cba\n".utf8))
                client.close()
            }
            let theirs = Self.secrets(stage.path("theirs"))
            #expect(theirs.count == 6)
            let ours = try await eventually("the log of both handshakes") {
                let ours = Self.secrets(stage.path("logs/keys"))
                return ours.count >= theirs.count ? ours : nil
            }
            #expect(ours == theirs)
            #expect(ours.allSatisfy(Self.isWellFormed))
            #expect(try Self.mode(of: stage.path("logs/keys")) == 0o600)
        }
        broker.kill()
    }
}
