// SPDX-License-Identifier: Apache-2.0
//
// Certificates that variables name, towards brokers and beside one that is always there: who is shown which, what a cache
// keeps of them, and that no session of one certificate is resumed under another.

import TestSupport
import Testing

@Suite("tls: certificates by variables, brokers")
struct TLSBrokerCertificateTests {
    /// What a broker has seen of one session.
    private struct Visit: Equatable {
        var subject: String
        var isReused: Bool
    }

    /// One session through a port, which the broker answers once: a ticket comes with its first bytes.
    private static func visit(_ port: UInt16, _ server: TLSTestServer) throws -> Visit {
        let client = try TCPConnection(to: .ipv4(port))
        try client.send("hello")
        #expect(try client.receive(exactly: 5) == Array("hello".utf8))
        client.close()
        let stream = try #require(server.streams.last)
        return Visit(subject: stream.fact(.serverSubject), isReused: stream.isReused)
    }

    @Test("each session shows the certificate of its variable, and none resumes a session of another one",
        arguments: [TLSClientOptions.Version.v12, .v13])
    func neverAcross(version: TLSClientOptions.Version) async throws {
        let stage = try await TLSStage()
        let server = try TLSTestServer(
            stage.pair("broker"), clientAuthority: stage.path("ca.pem"), versionMax: version)
        let broker = try NullBroker(server.behaviour())
        let ports = try PortRegistry.take(count: 3)
        // The same settings and the same broker for both: nothing but the certificate tells their sessions apart.
        let stream = """
            map $server_port $who { \(ports[0]) app; \(ports[1]) client; }
            proxy_ssl on;
            server {
                listen 127.0.0.1:\(ports[0]); listen 127.0.0.1:\(ports[1]);
                proxy_ssl_certificate $who.pem; proxy_ssl_certificate_key $who.key;
                proxy_pass \(broker.endpoint.text);
            }
            server {
                listen 127.0.0.1:\(ports[2]);
                proxy_ssl_certificate app.pem; proxy_ssl_certificate_key app.key;
                proxy_pass \(broker.endpoint.text);
            }
            """
        try await stage.withWeir(stream: stream) { _ in
            let app = "CN=app,O=Weir"
            for _ in 0..<3 {
                #expect(try Self.visit(ports[0], server) == Visit(subject: app, isReused: false))
                let other = try Self.visit(ports[1], server)
                #expect(!other.isReused && other.subject.contains("CN=first"), "\(other)")
            }
            // This broker does give sessions to resume: the one certificate's own come back.
            #expect(try Self.visit(ports[2], server) == Visit(subject: app, isReused: false))
            #expect(try Self.visit(ports[2], server) == Visit(subject: app, isReused: true))
        }
    }

    @Test("a file is read in each session, unless proxy_ssl_certificate_cache has it, until that is stale")
    func cache() async throws {
        let stage = try await TLSStage()
        let server = try TLSTestServer(stage.pair("broker"), clientAuthority: stage.path("ca.pem"))
        let broker = try NullBroker(server.behaviour())
        let ports = try PortRegistry.take(count: 4)
        let caches = ["", "proxy_ssl_certificate_cache max=2 inactive=1h valid=1h;",
                      "proxy_ssl_certificate_cache max=2 inactive=1h valid=1s;"]
        let servers = zip(ports, caches).map { port, cache in
            """
            server {
                listen 127.0.0.1:\(port); \(cache)
                proxy_ssl_certificate $file.pem; proxy_ssl_certificate_key $file.key;
                proxy_pass \(broker.endpoint.text);
            }
            """
        }
        let stream = """
            map $server_port $file { \(ports[3]) none; default live; }
            proxy_ssl on;
            \(servers.joined(separator: "\n"))
            server {
                listen 127.0.0.1:\(ports[3]);
                proxy_ssl_certificate $file.pem; proxy_ssl_certificate_key $file.key;
                proxy_pass \(broker.endpoint.text);
            }
            """
        try stage.replacePair("live", with: "app")
        try await stage.withWeir(stream: stream) { weir in
            let app = "CN=app,O=Weir"
            for port in ports[..<3] { #expect(try Self.visit(port, server).subject == app) }
            try stage.replacePair("live", with: "client")
            #expect(try Self.visit(ports[0], server).subject.contains("CN=first"))
            #expect(try Self.visit(ports[1], server).subject == app)
            try await eventually("what the cache holds grows stale") {
                try Self.visit(ports[2], server).subject.contains("CN=first")
            }

            // No file of that name: the session ends, with the path in the log.
            let client = try TCPConnection(to: .ipv4(ports[3]))
            _ = try client.waitForEnd()
            client.close()
            try await weir.errorLine(
                with: "[error]", "cannot load certificate \"\(stage.path("none.pem"))\"", "No such file",
                "SSL handshaking to upstream")
            try await weir.ended("broker_handshake_failed", 1)
        }
    }

    @Test("an empty variable leaves a client the certificate that stands beside it, and a broker none")
    func emptyVariable() async throws {
        let stage = try await TLSStage()
        let server = try TLSTestServer(stage.pair("broker"))
        let broker = try NullBroker(server.behaviour())
        let ports = try PortRegistry.take(count: 2)
        let stream = """
            map $ssl_server_name $rsa { server.test rsa.pem; }
            map $ssl_server_name $rsa_key { server.test rsa.key; }
            server {
                listen 127.0.0.1:\(ports[0]) ssl;
                \(TLSStage.lines()) ssl_certificate $rsa; ssl_certificate_key $rsa_key;
                return hello;
            }
            server {
                listen 127.0.0.1:\(ports[1]); proxy_ssl on;
                proxy_ssl_certificate $rsa; proxy_ssl_certificate_key $rsa_key;
                proxy_pass \(broker.endpoint.text);
            }
            """
        try await stage.withWeir(stream: stream) { _ in
            for version in [TLSClientOptions.Version.v12, .v13] {
                // Each client takes the kind that it can verify; the second name has the static one only.
                for (name, algorithms, kind) in [
                    ("server.test", "RSA-PSS+SHA256", "rsaEncryption"),
                    ("server.test", "ECDSA+SHA256", "id-ecPublicKey"),
                    ("localhost", "ECDSA+SHA256:RSA-PSS+SHA256", "id-ecPublicKey"),
                ] {
                    let options = stage.client(name: name).only(version).with { $0.signatureAlgorithms = algorithms }
                    let client = try TLSTestStream(to: .ipv4(ports[0]), options)
                    #expect(client.fact(.serverKeyType) == kind, "\(name) \(version)")
                    #expect(try client.textToEnd() == "hello")
                }
            }
            #expect(try Self.visit(ports[1], server).subject == "")
        }
    }
}
