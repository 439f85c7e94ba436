// SPDX-License-Identifier: Apache-2.0
//
// `listen … ssl` in http: the admin process's own TLS, seen by OpenSSL's client and by curl. Certificates change by a
// reload, and what does not build refuses one.

import Foundation
import Glibc
import TestSupport
import Testing

@Suite("admin process: TLS")
struct AdminTLSTests {
    private static func server(_ port: UInt16, _ lines: String) -> String {
        "server { listen 127.0.0.1:\(port) ssl; \(lines) location /api { api; } }"
    }

    private static func stream(_ port: UInt16) -> String { "server { listen 127.0.0.1:\(port); return hello; }" }

    private static func request(_ connection: String) -> String {
        "GET /api/9/nginx HTTP/1.1\r\nHost: localhost\r\nConnection: \(connection)\r\n\r\n"
    }

    /// The status of one request, on a connection of its own.
    private static func status(_ port: UInt16, _ options: TLSClientOptions) throws -> String {
        let client = try TLSTestStream(to: .ipv4(port), options)
        defer { client.close() }
        try client.send(request("close"))
        return String(try client.textToEnd().prefix(15))
    }

    private static func serial(_ port: UInt16, _ options: TLSClientOptions) throws -> String {
        let client = try TLSTestStream(to: .ipv4(port), options)
        defer { client.close() }
        return client.fact(.serverSerial)
    }

    @Test("TLS 1.2 and 1.3, the chain, encrypted keys, and nothing but HTTP/1.1; plaintext gets no answer")
    func serves() async throws {
        let stage = try await TLSStage()
        let ports = try PortRegistry.take(count: 4)
        try stage.directory.write("wrong\ncorrect horse\n", to: "phrases")
        let main = """
            http {
                \(Self.server(ports[1], TLSStage.lines()))
                \(Self.server(ports[2], "ssl_certificate deep-chain.pem; ssl_certificate_key deep.key; "
                    + "ssl_protocols TLSv1.3;"))
                \(Self.server(ports[3], "ssl_certificate server.pem; ssl_certificate_key encrypted.key; "
                    + "ssl_password_file phrases;"))
            }
            """
        try await stage.withWeir(main: main, stream: Self.stream(ports[0])) { weir in
            let options = stage.client().with { $0.applicationProtocols = ["h2", "http/1.1"] }
            for version in [TLSClientOptions.Version.v12, .v13] {
                let client = try TLSTestStream(to: .ipv4(ports[1]), options.only(version))
                #expect(client.fact(.version) == (version == .v12 ? "TLSv1.2" : "TLSv1.3"))
                #expect(client.fact(.applicationProtocol) == "http/1.1")
                try client.send(Self.request("close"))
                #expect(try client.textToEnd().hasPrefix("HTTP/1.1 200 OK\r\n"))
                client.close()
            }
            let deep = stage.client(name: "deep.test")
            #expect(try Self.status(ports[2], deep) == "HTTP/1.1 200 OK")
            #expect(throws: TestFault.self) { try Self.status(ports[2], deep.only(.v12)) }
            #expect(try Self.status(ports[3], stage.client()) == "HTTP/1.1 200 OK")
            #expect(throws: TestFault.self) { try HTTPTestClient.get("/api/9/nginx", at: .ipv4(ports[1])) }

            let url = "https://localhost:\(ports[1])/api/9/nginx"
            let trusting = try await ManagedProcess.run("curl", ["-sS", "--cacert", stage.path("ca.pem"), url])
            #expect(trusting.ending == .exited(0) && trusting.output.contains("\"ppid\""), "\(trusting.output)")
            #expect(try await ManagedProcess.run("curl", ["-sS", url]).ending == .exited(60))
        }
    }

    @Test("ssl_verify_client on: whoever has no good certificate gets no answer; optional lets those in who show none")
    func clientCertificates() async throws {
        let stage = try await TLSStage()
        let ports = try PortRegistry.take(count: 4)
        let optional = "ssl_verify_client optional; ssl_client_certificate ca.pem;"
        let trusted = "ssl_verify_client on; ssl_trusted_certificate ca.pem;"
        let main = """
            http {
                \(Self.server(ports[1], TLSStage.lines() + TLSStage.mutualLines))
                \(Self.server(ports[2], TLSStage.lines() + optional))
                \(Self.server(ports[3], TLSStage.lines() + trusted))
            }
            """
        try await stage.withWeir(main: main, stream: Self.stream(ports[0])) { weir in
            for version in [TLSClientOptions.Version.v12, .v13] {
                func answer(_ port: UInt16, _ certificate: String?) throws -> String {
                    // Under TLS 1.3 the client is done before the server has looked at its certificate.
                    (try? Self.status(port, stage.client(certificate).only(version))) ?? ""
                }
                for certificate in ["app", "client"] {
                    for port in ports[1...] { #expect(try answer(port, certificate) == "HTTP/1.1 200 OK") }
                }
                for certificate in ["stranger", "expired", "future", "purpose"] {
                    for port in ports[1...] { #expect(try answer(port, certificate) == "", "\(certificate)") }
                }
                #expect(try answer(ports[1], nil) == "")
                #expect(try answer(ports[2], nil) == "HTTP/1.1 200 OK")
                #expect(try answer(ports[3], nil) == "")
            }
            // Which certificates are good is told to clients where nginx tells it.
            let asked = try TLSTestStream(to: .ipv4(ports[1]), stage.client("app").only(.v12))
            #expect(asked.fact(.authorityNames).contains("CN=ca"))
            asked.close()
        }
    }

    @Test("a renewed certificate holds from the next connection on, and open connections go on")
    func renewed() async throws {
        let stage = try await TLSStage()
        let ports = try PortRegistry.take(count: 2)
        let main = "http { \(Self.server(ports[1], TLSStage.lines())) }"
        try await stage.withWeir(main: main, stream: Self.stream(ports[0])) { weir in
            let admin = weir.admin
            let standing = try TLSTestStream(to: .ipv4(ports[1]), stage.client())
            func ask() throws -> String {
                try standing.send(Self.request("keep-alive"))
                let bytes = try standing.receive(exactly: 15)
                var rest = bytes
                // The body is one object.
                while rest.last != UInt8(ascii: "}") { rest += try standing.receive() ?? [UInt8(ascii: "}")] }
                return String(decoding: bytes, as: UTF8.self)
            }
            #expect(try ask() == "HTTP/1.1 200 OK")
            let first = try Self.serial(ports[1], stage.client())
            try stage.replacePair("server", with: "renewed")
            #expect(try Self.serial(ports[1], stage.client()) == first, "new files change nothing by themselves")
            try await weir.reload()
            #expect(try Self.serial(ports[1], stage.client()) != first)
            #expect(try ask() == "HTTP/1.1 200 OK")
            // From ECDSA to RSA.
            try stage.replacePair("server", with: "rsa")
            try await weir.reload()
            let client = try TLSTestStream(to: .ipv4(ports[1]), stage.client())
            #expect(client.fact(.serverKeyType) == "rsaEncryption")
            client.close()
            #expect(try ask() == "HTTP/1.1 200 OK")
            standing.close()
            #expect(weir.admin == admin)
        }
    }

    @Test("a certificate that does not build refuses a reload with its file and reason, and the old one serves on")
    func broken() async throws {
        let stage = try await TLSStage()
        let ports = try PortRegistry.take(count: 2)
        let main = "http { \(Self.server(ports[1], TLSStage.lines())) }"
        try await stage.withWeir(
            main: main, stream: Self.stream(ports[0]), expecting: ["key values mismatch", "no start line"]
        ) { weir in
            let first = try Self.serial(ports[1], stage.client())
            func refuse(_ parts: String...) async throws {
                let before = weir.errorLines.count { $0.contains(" not applied; generation 1 goes on: ") }
                weir.send(SIGHUP)
                try await eventually("the reload is refused\n\(weir.report)") {
                    weir.errorLines.count { $0.contains(" not applied; generation 1 goes on: ") } > before
                }
                let line = try #require(weir.errorLines.last { $0.contains(" not applied; ") })
                for part in parts { #expect(line.contains(part), "\(line)") }
                #expect(try Self.serial(ports[1], stage.client()) == first)
                #expect(try Self.status(ports[1], stage.client()) == "HTTP/1.1 200 OK")
            }
            try stage.replace("server.key", with: "second.key")
            try await refuse("key values mismatch", "server.key")
            try stage.replacePair("server", with: "renewed")
            try stage.directory.write("no certificate\n", to: "server.pem")
            try await refuse("server.pem")
            // OpenSSL, which the master proves with, knows curves that the library of the admin process does not.
            let odd = try await ManagedProcess.run(
                "openssl",
                [
                    "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:brainpoolP256r1", "-noenc", "-subj",
                    "/CN=odd", "-keyout", stage.path("server.key"), "-out", stage.path("server.pem"),
                ])
            #expect(odd.ending == .exited(0), "\(odd.output)")
            try await refuse("admin process refused it: no TLS with ", "server.pem")

            try stage.replacePair("server", with: "second")
            try await weir.reload()
            #expect(try Self.status(ports[1], stage.client(name: "second.test")) == "HTTP/1.1 200 OK")
        }
    }
}
