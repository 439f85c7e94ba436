// SPDX-License-Identifier: Apache-2.0
//
// Renewal in place: what a reload reads anew holds from the next handshake on, live sessions stand through it, and
// what is broken or does not belong together changes nothing.

import Foundation
import Glibc
import TestSupport
import Testing

@Suite("tls: reload")
struct TLSReloadTests {
    private static func serial(_ port: UInt16, _ options: TLSClientOptions) throws -> String {
        let client = try TLSTestStream(to: .ipv4(port), options)
        defer { client.close() }
        return client.fact(.serverSerial)
    }

    @Test("a new certificate and key take effect at the next handshake of every worker, and live sessions stay")
    func renewedCertificate() async throws {
        let stage = try await TLSStage()
        let broker = try NullBroker()
        let port = try PortRegistry.take()
        let stream = """
            server {
                listen 127.0.0.1:\(port) ssl; \(TLSStage.lines()) mqtt_preread on;
                proxy_pass \(broker.endpoint.text);
            }
            """
        try await stage.withWeir(stream: stream, workers: 2) { weir in
            let workers = weir.workers
            let standing = try (0..<10).map { index in
                let version: TLSClientOptions.Version = index % 2 == 0 ? .v12 : .v13
                return try MQTTTestClient.connected(
                    to: .ipv4(port), id: "standing-\(index)", tls: stage.client().only(version))
            }
            let first = try Self.serial(port, stage.client())
            // New files change nothing by themselves.
            try stage.replacePair("server", with: "renewed")
            #expect(try Self.serial(port, stage.client()) == first)
            try await weir.reload()
            let second = try Self.serial(port, stage.client())
            #expect(second != first)
            for _ in 0..<20 { #expect(try Self.serial(port, stage.client()) == second) }

            // From ECDSA to RSA.
            try stage.replacePair("server", with: "rsa")
            try await weir.reload()
            let client = try TLSTestStream(to: .ipv4(port), stage.client())
            #expect(client.fact(.serverKeyType) == "rsaEncryption")
            client.close()
            for client in standing { try client.ping() }
            for client in standing { client.disconnect() }
            try await eventually("the standing sessions end\n\(weir.report)") {
                weir.accessLines.count { $0.hasPrefix("standing-") && $0.contains(" 200 client_closed ") } == 10
            }
            #expect(weir.workers == workers)
        }
    }

    @Test("a new list of revoked certificates and a new authority hold from the next handshake on")
    func renewedTrust() async throws {
        let stage = try await TLSStage()
        let broker = try NullBroker()
        let port = try PortRegistry.take()
        let authority = try await CertificateAuthority("fresh", in: stage.directory)
        let pair = try await authority.issue("mobile", subject: "/CN=mobile", for: .client)
        try await authority.writeList()
        try stage.replace("trust.pem", with: "fresh.pem")
        let stream = """
            server {
                listen 127.0.0.1:\(port) ssl; \(TLSStage.lines()) mqtt_preread on;
                ssl_verify_client on; ssl_client_certificate trust.pem; ssl_crl fresh.crl;
                proxy_pass \(broker.endpoint.text);
            }
            """
        let withoutList = stream.replacingOccurrences(of: "ssl_crl fresh.crl;", with: "")
        try await stage.withWeir(stream: stream, workers: 2) { weir in
            let mobile = stage.client().with { $0.pair = pair }
            let standing = try MQTTTestClient.connected(to: .ipv4(port), id: "standing", tls: mobile)
            func refused(_ id: String, _ options: TLSClientOptions) throws {
                let client = try MQTTTestClient(to: .ipv4(port), id: id, tls: options.only(.v13))
                #expect(throws: TestFault.self) { try client.connack() }
                client.connection.close()
            }
            try refused("app", stage.client("app"))
            try await weir.errorLine(with: "client SSL certificate verify error: (")

            try await authority.revoke(pair)
            try await authority.writeList()
            try await weir.reload()
            try refused("mobile", mobile)
            try await weir.errorLine(with: "client SSL certificate verify error: (23:certificate revoked)")
            try standing.ping()

            try stage.replace("trust.pem", with: "ca.pem")
            try await weir.reload(stream: withoutList, workers: 2)
            let application = try MQTTTestClient.connected(to: .ipv4(port), id: "app", tls: stage.client("app"))
            try application.ping()
            try refused("mobile", mobile)
            try standing.ping()
            standing.disconnect()
            application.disconnect()
        }
    }

    @Test(
        "keys are read by the master alone: workers that may not read them use them, and a renewed one too",
        .enabled("only root may give workers another user") { geteuid() == 0 })
    func masterReadsKeys() async throws {
        let stage = try await TLSStage()
        let port = try PortRegistry.take()
        func close(_ file: String) throws {
            try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: stage.path(file))
        }
        try close("server.key")
        let stream = "server { listen 127.0.0.1:\(port) ssl; \(TLSStage.lines()) return hello; }"
        try await stage.withWeir(main: "user nobody nogroup;", stream: stream) { weir in
            func visit() throws -> String {
                let client = try TLSTestStream(to: .ipv4(port), stage.client())
                #expect(try client.textToEnd() == "hello")
                return client.fact(.serverSerial)
            }
            let first = try visit()
            let owner = try FileManager.default.attributesOfItem(atPath: "/proc/\(try #require(weir.workers.first))")
            #expect(owner[.ownerAccountName] as? String == "nobody")
            try stage.replacePair("server", with: "renewed")
            try close("server.key")
            try await weir.reload()
            #expect(try visit() != first)
        }
    }

    @Test("what is broken or does not belong together refuses the reload with file and reason; the old one goes on")
    func brokenFiles() async throws {
        let stage = try await TLSStage()
        let broker = try NullBroker()
        let port = try PortRegistry.take()
        let stream = """
            server {
                listen 127.0.0.1:\(port) ssl; \(TLSStage.lines()) mqtt_preread on;
                ssl_verify_client optional; ssl_client_certificate trust.pem; ssl_crl list.pem;
                proxy_pass \(broker.endpoint.text);
            }
            """
        try stage.replace("trust.pem", with: "ca.pem")
        try stage.replace("list.pem", with: "ca.crl")
        try stage.directory.write("-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n", to: "junk.pem")
        try stage.directory.write("", to: "empty.pem")
        let key = contents(of: stage.path("server.key"))
        try stage.directory.write(String(key.prefix(key.count / 2)), to: "cut.key")
        try await stage.withWeir(stream: stream, workers: 2, expecting: [stage.directory.path]) { weir in
            let standing = try MQTTTestClient.connected(to: .ipv4(port), id: "standing", tls: stage.client())
            let first = try Self.serial(port, stage.client())
            let broken = [
                ("server.pem", "junk.pem", "server.pem", "PEM"),
                ("server.pem", "empty.pem", "server.pem", "no start line"),
                ("server.pem", "renewed.pem", "server.key", "key values mismatch"),
                ("server.key", "renewed.key", "server.key", "key values mismatch"),
                ("server.key", "rsa.key", "server.key", "key type mismatch"),
                ("server.key", "cut.key", "server.key", "SSL: error:"),
                ("server.key", "encrypted.key", "server.key", "SSL: error:"),
                ("trust.pem", "junk.pem", "trust.pem", "PEM"),
                ("list.pem", "empty.pem", "list.pem", "no start line"),
            ]
            for (file, content, blamed, reason) in broken {
                let good = try Data(contentsOf: URL(fileURLWithPath: stage.path(file)))
                let before = weir.errorLines.count
                try stage.replace(file, with: content)
                weir.send(SIGHUP)
                let line = try await eventually("\(content) as \(file) is refused\n\(weir.report)") {
                    weir.errorLines.dropFirst(before).first { $0.contains("[emerg]") }
                }
                #expect(line.contains("\"\(stage.path(blamed))\""), "\(content) as \(file): \(line)")
                #expect(line.contains(reason), "\(content) as \(file): \(line)")
                #expect(try Self.serial(port, stage.client()) == first)
                try standing.ping()
                try good.write(to: URL(fileURLWithPath: stage.path(file)), options: .atomic)
            }
            // One that is not there.
            try FileManager.default.removeItem(atPath: stage.path("list.pem"))
            weir.send(SIGHUP)
            try await weir.errorLine(with: "[emerg]", stage.path("list.pem"), "No such file or directory")
            #expect(weir.appliedCount == 0)

            // And after all that a good one is taken.
            try stage.replace("list.pem", with: "ca.crl")
            try stage.replacePair("server", with: "renewed")
            try await weir.reload()
            #expect(try Self.serial(port, stage.client()) != first)
            try standing.ping()
            standing.disconnect()

            // No line of a key, nor a passphrase, has come into a log or a command line.
            let secrets = ["server.key", "renewed.key", "rsa.key", "encrypted.key", "cut.key"].flatMap { name in
                contents(of: stage.path(name)).split(separator: "\n").filter { !$0.hasPrefix("-----") && $0.count > 20 }
            }
            #expect(secrets.count > 10)
            let said = weir.errorLines.joined() + weir.accessLines.joined() + weir.process.output
                + ([weir.masterID] + weir.children.map(\.id)).map { contents(of: "/proc/\($0)/cmdline") }.joined()
            for secret in secrets { #expect(!said.contains(secret)) }
        }
    }
}
