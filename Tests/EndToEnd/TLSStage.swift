// SPDX-License-Identifier: Apache-2.0
//
// What a test of TLS stands on: a folder with all certificates of CertificateSet, which is Weir's own folder too, so
// that a configuration names them by their file names, and a test that renews one writes over it.

import Foundation
import TestSupport

struct TLSStage {
    let directory: TemporaryDirectory

    init() async throws {
        directory = try TemporaryDirectory()
        try await CertificateSet.write(to: directory)
    }

    func path(_ file: String) -> String { directory.path(file) }

    func pair(_ name: String) -> CertificateAuthority.Pair {
        CertificateAuthority.Pair(certificate: path("\(name).pem"), key: path("\(name).key"))
    }

    /// The two lines of a server block.
    static func lines(_ name: String = "server") -> String {
        "ssl_certificate \(name).pem; ssl_certificate_key \(name).key;"
    }

    /// The two lines of a server block that lets only clients of `ca` in.
    static let mutualLines = "ssl_verify_client on; ssl_client_certificate ca.pem;"

    /// A client that trusts `ca`, asks for `name`, and shows a certificate where it has one.
    func client(_ certificate: String? = nil, name: String? = "server.test") -> TLSClientOptions {
        TLSClientOptions(authority: path("ca.pem"), serverName: name, pair: certificate.map(pair))
    }

    /// Puts one file's bytes into another's place in one step, as a renewal does.
    func replace(_ file: String, with other: String) throws {
        let bytes = try Data(contentsOf: URL(fileURLWithPath: path(other)))
        try bytes.write(to: URL(fileURLWithPath: path(file)), options: .atomic)
    }

    func replacePair(_ name: String, with other: String) throws {
        try replace("\(name).pem", with: "\(other).pem")
        try replace("\(name).key", with: "\(other).key")
    }

    /// A Weir in the folder.
    func withWeir(
        main: String = "", stream: String, workers: Int = 1, expecting: [String] = [],
        _ body: (WeirInstance) async throws -> Void
    ) async throws {
        try await TestSupport.withWeir(
            in: directory, main: main, stream: stream, workers: workers, expecting: expecting, body)
    }

    /// What Mosquitto's own clients want to be told, for a server at a port of 127.0.0.1.
    func mosquittoWords(_ port: UInt16, _ certificate: String? = nil) -> [String] {
        let own = certificate.map { ["--cert", path("\($0).pem"), "--key", path("\($0).key")] } ?? []
        return ["-h", "127.0.0.1", "-p", "\(port)", "--cafile", path("ca.pem")] + own
    }
}

extension TLSTestStream {
    /// True when the server speaks MQTT behind TLS, as a client with this id hears it.
    func isServed(as id: String) throws -> Bool {
        try send(connect(id))
        return try receive(exactly: 4) == [0x20, 0x02, 0x00, 0x00]
    }
}
