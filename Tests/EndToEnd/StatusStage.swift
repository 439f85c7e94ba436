// SPDX-License-Identifier: Apache-2.0
//
// Certificates that can be asked about, responders that `openssl ocsp` plays or that say what a test gives them, and
// clients that `openssl s_client` plays: they print what Weir returns to them.

import Foundation
import TestSupport
import Testing

/// One authority, `ca`; below it clients that are `good`, `revoked`, of an authority in between (`deep`, of `sub`), or
/// say nothing, a name or an https URL of their responder. Answers that are made in advance: `good`, `revoked`,
/// `unknown`.
final class StatusStage: Sendable {
    let directory: TemporaryDirectory
    /// Where the certificates of `ca` say that their responder is, and where those of `sub` do.
    let ports: [UInt16]

    private static let recipe = #"""
        set -e
        ec="ec -pkeyopt ec_paramgen_curve:P-256"
        signed() { # NAME AUTHORITY EXTENSIONS
          openssl req -new -newkey $ec -nodes -subj "/CN=$1" -keyout $1.key -out $1.csr
          mkdir -p db-$2; touch db-$2/index.txt; [ -f db-$2/serial ] || echo 1A00 > db-$2/serial
          printf '[ca]\ndefault_ca=c\n[c]\ndatabase=db-%s/index.txt\nserial=db-%s/serial\nnew_certs_dir=db-%s\n' \
            $2 $2 $2 > $1.cnf
          printf 'default_md=sha256\npolicy=p\ndefault_days=30\n[p]\ncommonName=supplied\n[x]\n%b\n' "$3" >> $1.cnf
          openssl ca -batch -config $1.cnf -extensions x -cert $2.pem -keyfile $2.key -in $1.csr -out $1.pem -notext
        }
        openssl req -x509 -newkey $ec -nodes -days 30 -subj /CN=ca -keyout ca.key -out ca.pem
        ask="authorityInfoAccess=OCSP;URI:http://127.0.0.1:$1"
        signed server ca 'subjectAltName=DNS:server.test'
        signed responder ca 'extendedKeyUsage=OCSPSigning'
        signed good ca "$ask"
        signed revoked ca "$ask"
        signed mute ca 'extendedKeyUsage=clientAuth'
        signed named ca 'authorityInfoAccess=OCSP;URI:http://ocsp.test/'
        signed secret ca 'authorityInfoAccess=OCSP;URI:https://127.0.0.1/'
        signed sub ca "basicConstraints=critical,CA:TRUE\n$ask"
        signed deep sub "authorityInfoAccess=OCSP;URI:http://127.0.0.1:$2/"
        cat sub.pem >> deep.pem
        openssl ca -config revoked.cnf -cert ca.pem -keyfile ca.key -revoke revoked.pem
        touch empty.txt
        answer() { # NAME CERTIFICATE INDEX
          openssl ocsp -index $3 -CA ca.pem -issuer ca.pem -cert $2.pem -rsigner responder.pem -rkey responder.key \
            -respout $1.der -ndays 1
        }
        answer good good db-ca/index.txt
        answer revoked revoked db-ca/index.txt
        answer unknown good empty.txt
        """#

    init() async throws {
        directory = try TemporaryDirectory()
        ports = try PortRegistry.take(count: 2)
        let shell = try ManagedProcess(
            "bash", ["-c", StatusStage.recipe, "recipe"] + ports.map(String.init), workingDirectory: directory.path)
        let ending = try await shell.wait(within: .seconds(60))
        guard ending == .exited(0) else { throw TestFault("the recipe failed: \(shell.output)") }
    }

    // MARK: Responders

    /// `openssl ocsp` for the certificates of an authority, where they say that it is.
    func respond(for authority: String = "ca", signer: String = "responder") async throws -> ManagedProcess {
        let port = authority == "ca" ? ports[0] : ports[1]
        let responder = try ManagedProcess(
            "openssl",
            [
                "ocsp", "-port", "\(port)", "-index", "db-\(authority)/index.txt", "-CA", "\(authority).pem",
                "-rsigner", "\(signer).pem", "-rkey", "\(signer).key", "-ndays", "1",
            ], workingDirectory: directory.path)
        try await eventually("a responder listens: \(responder.output)") {
            guard responder.isRunning else { throw TestFault("the responder ended: \(responder.output)") }
            return responder.output.contains("waiting for OCSP client connections")
        }
        return responder
    }

    /// A responder that does `behaviour` with each connection, where certificates of `ca` say that it is.
    func respond(_ behaviour: @escaping NullBroker.Behaviour) throws -> NullBroker {
        try NullBroker(at: .ipv4(ports[0]), behaviour)
    }

    /// An HTTP answer with what was made in advance. `length`: it says how long it is, and leaves the end to Weir.
    func answer(_ name: String, hasLength: Bool = true) throws -> [UInt8] {
        let body = try #require(FileManager.default.contents(atPath: directory.path("\(name).der")))
        let length = hasLength ? "Content-Length: \(body.count)\r\n" : ""
        return Array("HTTP/1.0 200 OK\r\nContent-Type: application/ocsp-response\r\n\(length)\r\n".utf8) + Array(body)
    }

    // MARK: Weir and its clients

    /// A Weir that returns `$ssl_client_verify` at `port`, for the length of `body`.
    func withWeir(
        _ directives: String, verification: String = "on", workers: Int = 1, main: String = "",
        expecting: [String] = [], _ body: (WeirInstance, UInt16) async throws -> Void
    ) async throws {
        let port = try PortRegistry.take()
        let folder = directory.path
        let stream = """
            log_format status '$ssl_client_verify $status $close_reason "$upstream_addr" $ssl_session_reused';
            server {
                listen 127.0.0.1:\(port) ssl;
                access_log logs/status.log status;
                ssl_certificate \(folder)/server.pem;
                ssl_certificate_key \(folder)/server.key;
                ssl_client_certificate \(folder)/ca.pem;
                ssl_verify_client \(verification);
                ssl_verify_depth 2;
                \(directives)
                return "<$ssl_client_verify $ssl_client_s_dn>";
            }
            """
        try await TestSupport.withWeir(main: main, stream: stream, workers: workers, expecting: expecting) { weir in
            try await body(weir, port)
        }
    }

    /// What a client with this certificate reads, up to the end of its connection.
    func ask(_ port: UInt16, as name: String?, arguments: [String] = []) async throws -> String {
        let client = try start(port, as: name, arguments: arguments)
        _ = try await client.wait(within: .seconds(30))
        return client.output
    }

    /// A client that is still under way, and leaves when Weir closes.
    func start(_ port: UInt16, as name: String?, arguments: [String] = []) throws -> ManagedProcess {
        var words = ["s_client", "-connect", "127.0.0.1:\(port)", "-quiet", "-ign_eof", "-servername", "server.test"]
        if let name {
            words += ["-cert", directory.path("\(name).pem"), "-key", directory.path("\(name).key")]
            words += ["-cert_chain", directory.path("\(name).pem")]
        }
        return try ManagedProcess("openssl", words + arguments)
    }

    func statusLines(_ weir: WeirInstance, atLeast count: Int) async throws -> [String] {
        try await eventually("\(count) lines of status\n\(weir.report)") {
            let all = lines(of: weir.directory.path("logs/status.log"))
            return all.count >= count ? all : nil
        }
    }
}
