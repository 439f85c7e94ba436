// SPDX-License-Identifier: Apache-2.0
//
// Stapling with a real responder (`openssl ocsp`) and a real client (`openssl s_client -status`).

import Foundation
import Glibc
import TestSupport
import Testing

/// An authority with one certificate, which names a responder of this host.
private final class StaplingStage {
    let directory: TemporaryDirectory
    let responderPort: UInt16
    let port: UInt16
    private var responder: ManagedProcess? = nil
    private var responderCount = 0

    private static let recipe = #"""
        set -e
        ec="ec -pkeyopt ec_paramgen_curve:P-256"
        openssl req -x509 -newkey $ec -nodes -days 30 -subj /CN=authority -keyout ca.key -out ca.pem
        openssl req -new -newkey $ec -nodes -subj /CN=server.test -keyout server.key -out server.csr
        printf 'subjectAltName=DNS:server.test\nauthorityInfoAccess=OCSP;URI:http://localhost:%s/\n' $0 > server.cnf
        openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -set_serial 0x1A01 -days 20 -extfile server.cnf \
          -out server.pem
        openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -set_serial 0x1A02 -days 20 -out silent.pem
        cat server.pem ca.pem > chain.pem
        cat silent.pem ca.pem > silent-chain.pem
        printf 'V\t400101000000Z\t\t1A01\tunknown\t/CN=server.test\n' > good.txt
        printf 'R\t400101000000Z\t200101000000Z\t1A01\tunknown\t/CN=server.test\n' > revoked.txt
        """#

    init() async throws {
        directory = try TemporaryDirectory()
        let ports = try PortRegistry.take(count: 2)
        (port, responderPort) = (ports[0], ports[1])
        let made = try await ManagedProcess.run(
            "bash", ["-c", "cd \(directory.path); " + Self.recipe, "\(responderPort)"])
        guard made.ending == .exited(0) else { throw TestFault("the recipe failed\n\(made.output)") }
    }

    /// A server block at `port`.
    func stream(_ chain: String = "chain.pem", _ more: String = "") -> String {
        """
        server {
            listen 127.0.0.1:\(port) ssl;
            ssl_certificate \(chain);
            ssl_certificate_key server.key;
            ssl_stapling on;
            ssl_stapling_verify on;
            ssl_trusted_certificate ca.pem;
            \(more)
            return hello;
        }
        """
    }

    /// With what the index says of the certificate.
    func startResponder(_ index: String) async throws {
        responderCount += 1
        let process = try ManagedProcess(
            "openssl",
            [
                "ocsp", "-index", index, "-CA", "ca.pem", "-rsigner", "ca.pem", "-rkey", "ca.key", "-port",
                "\(responderPort)", "-ndays", "2", "-ignore_err",
            ], output: directory.path("responder-\(responderCount)"), workingDirectory: directory.path)
        responder = process
        try await eventually("the responder listens\n\(process.output)") {
            process.output.contains("waiting for OCSP client connections")
        }
    }

    func stopResponder() { responder = nil }

    /// What a responder with this index would answer now, as a file. `days` is how long it holds.
    func writeResponse(_ index: String, days: Int, to file: String) async throws {
        let signer = "-index \(index) -CA ca.pem -rsigner ca.pem -rkey ca.key -ndays \(days)"
        let made = try await ManagedProcess.run(
            "bash",
            [
                "-ec",
                """
                cd \(directory.path)
                openssl ocsp -issuer ca.pem -cert server.pem -reqout question.der
                openssl ocsp \(signer) -reqin question.der -respout \(file)
                """,
            ])
        guard made.ending == .exited(0) else { throw TestFault("no response\n\(made.output)") }
    }

    /// How often the responder that runs was asked.
    var questionCount: Int { (responder?.output ?? "").components(separatedBy: "Received request").count - 1 }

    /// What a new client is shown with the certificate: the response's text, or nil. The handshake is a good one.
    func staple(_ version: String = "-tls1_3") async throws -> String? {
        let client = try await ManagedProcess.run(
            "openssl",
            [
                "s_client", "-connect", "127.0.0.1:\(port)", "-status", version, "-servername", "server.test",
                "-CAfile", directory.path("ca.pem"), "-verify_return_error",
            ])
        guard client.output.contains("Verify return code: 0 (ok)") else {
            throw TestFault("no good handshake\n\(client.output)")
        }
        if client.output.contains("OCSP response: no response sent") { return nil }
        guard let start = client.output.range(of: "OCSP Response Data:"),
            let end = client.output.range(of: "\n---\n", range: start.upperBound..<client.output.endIndex)
        else { throw TestFault("no word of OCSP\n\(client.output)") }
        return String(client.output[start.lowerBound..<end.lowerBound])
    }

    func stapled() async throws -> String {
        try await eventually("a stapled response", value: { try await staple() })
    }

    /// Of enough clients to reach every worker, over both versions.
    func staples() async throws -> Set<String?> {
        var all: Set<String?> = []
        for version in ["-tls1_2", "-tls1_3"] {
            for _ in 0..<6 { all.insert(try await staple(version)) }
        }
        return all
    }
}

private func withStaplingWeir(
    _ stage: StaplingStage, stream: String? = nil, workers: Int = 1, expecting: [String] = [],
    _ body: (WeirInstance) async throws -> Void
) async throws {
    let weir = try await WeirInstance.start(
        in: stage.directory, stream: stream ?? stage.stream(), workers: workers)
    do { try await body(weir) } catch { throw TestFault("\(error)\n\(weir.report)") }
    try await weir.stop(expecting: expecting)
}

@Suite("stapling", .serialized)
struct StaplingTests {
    @Test("one response, asked for once, is stapled by all workers, over reloads and whoever dies")
    func sameEverywhere() async throws {
        let stage = try await StaplingStage()
        try await stage.startResponder("good.txt")
        try await withStaplingWeir(stage, workers: 2, expecting: ["exited on signal 9"]) { weir in
            let response = try await stage.stapled()
            #expect(response.contains("Cert Status: good") && response.contains("Serial Number: 1A01"))
            #expect(try await stage.staples() == [response])
            #expect(stage.questionCount == 1)

            try await weir.reload(stream: stage.stream() + "\n# changed", workers: 2)
            #expect(try await stage.staples() == [response])
            // Another context of the same certificate.
            try await weir.reload(stream: stage.stream("chain.pem", "ssl_alpn mqtt;"), workers: 2)
            #expect(try await stage.staples() == [response])

            let prober = try #require(weir.prober)
            kill(prober, SIGKILL)
            try await eventually("another prober") { weir.prober != nil && weir.prober != prober }
            let worker = weir.workers[0]
            kill(worker, SIGKILL)
            try await eventually("another worker") { weir.workers.count == 2 && !weir.workers.contains(worker) }
            #expect(try await stage.staples() == [response])
            #expect(stage.questionCount == 1)
            #expect(!weir.errorLines.contains { $0.contains("[error]") })
        }
    }

    @Test("the response of ssl_stapling_file is stapled as it is and nobody is asked; a reload reads the file anew")
    func fromFile() async throws {
        let stage = try await StaplingStage()
        // It would say something else.
        try await stage.startResponder("revoked.txt")
        try await stage.writeResponse("good.txt", days: 3, to: "response.der")
        let stream = stage.stream("chain.pem", "ssl_stapling_file response.der;")
        try await withStaplingWeir(stage, stream: stream, workers: 2) { weir in
            // Nothing is asked for first: the very first client has it.
            let former = try #require(try await stage.staple())
            #expect(former.contains("Cert Status: good") && former.contains("Serial Number: 1A01"))
            #expect(try await stage.staples() == [former])

            try await stage.writeResponse("good.txt", days: 9, to: "response.der")
            #expect(try await stage.staples() == [former])
            try await weir.reload()
            let latter = try #require(try await stage.staple())
            #expect(latter != former && latter.contains("Cert Status: good"))
            #expect(try await stage.staples() == [latter])
            #expect(stage.questionCount == 0)
            #expect(!weir.errorLines.contains { $0.contains("[error]") || $0.contains("[warn]") })
        }
    }

    @Test("while the responder is down there is no staple; a reload asks again; what is stapled then stays without it")
    func downAtFirst() async throws {
        let stage = try await StaplingStage()
        try await withStaplingWeir(stage) { weir in
            try await weir.errorLine(
                with: "[error]", "connect() to 127.0.0.1:\(stage.responderPort) failed (111: Connection refused)",
                "while requesting certificate status, responder: localhost, peer: 127.0.0.1:\(stage.responderPort)",
                "certificate: \"\(stage.directory.path("chain.pem"))\"")
            #expect(try await stage.staple() == nil)
            try await stage.startResponder("good.txt")
            try await weir.reload()
            let response = try await stage.stapled()
            stage.stopResponder()
            try await weir.reload()
            #expect(try await stage.staple() == response)
        }
    }

    @Test("a revoked certificate is served without a staple, as in nginx, and the log says so")
    func revoked() async throws {
        let stage = try await StaplingStage()
        try await stage.startResponder("revoked.txt")
        try await withStaplingWeir(stage) { weir in
            try await weir.errorLine(with: "[error]", "certificate status \"revoked\" in the OCSP response while req")
            #expect(try await stage.staples() == [nil])
        }
    }

    @Test("a responder that talks nonsense harms nobody")
    func nonsense() async throws {
        let stage = try await StaplingStage()
        let responder = try NullBroker(NullBroker.send(Array("220 mail.test ESMTP\r\n".utf8)))
        let stream = stage.stream("chain.pem", "ssl_stapling_responder http://\(responder.endpoint.text);")
        try await withStaplingWeir(stage, stream: stream) { weir in
            try await weir.errorLine(with: "[error]", "OCSP responder sent invalid response while requesting")
            #expect(try await stage.staple() == nil)
        }
    }

    @Test("a certificate that nobody can be asked about is warned of at -t, at the start and at a reload")
    func warned() async throws {
        let stage = try await StaplingStage()
        let chain = stage.directory.path("silent-chain.pem")
        let words = "\"ssl_stapling\" ignored, no OCSP responder URL in the certificate \"\(chain)\""
        try await withStaplingWeir(stage, stream: stage.stream("silent-chain.pem")) { weir in
            try await weir.errorLine(with: "[warn]", words)
            try await weir.reload()
            #expect(weir.errorLines.count { $0.contains(words) } == 2)
            #expect(try await stage.staple() == nil)
            let test = try await ManagedProcess.run(
                try WeirBinary.path, ["-t", "-p", stage.directory.path, "-c", "weir.conf"])
            #expect(test.ending == .exited(0))
            #expect(test.output.contains("weir: [warn] \(words)\n"))
        }
    }

    @Test("without a master nobody asks, which is said, and the server serves")
    func withoutMaster() async throws {
        let stage = try await StaplingStage()
        try await stage.startResponder("good.txt")
        try stage.directory.makeDirectory("logs")
        try stage.directory.write(
            WeirInstance.configuration(main: "master_process off;", stream: stage.stream()), to: "weir.conf")
        let weir = try ManagedProcess(
            try WeirBinary.path, ["-p", stage.directory.path, "-c", "weir.conf"], output: stage.directory.path("output"))
        try await eventually("it listens: \(weir.output)") { ListeningPorts.contains(stage.port) }
        #expect(try await stage.staple() == nil)
        #expect(stage.questionCount == 0)
        weir.send(SIGTERM)
        #expect(try await weir.wait() == .exited(0))
        #expect(
            contents(of: stage.directory.path("logs/error.log")).contains(
                "\"ssl_stapling\" ignored, without a master process no OCSP responder is asked"))
    }
}
