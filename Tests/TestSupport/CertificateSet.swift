// SPDX-License-Identifier: Apache-2.0
//
// The certificates that most tests need, made once a run and kept in memory, so that each test has files of its own to
// change.

import Foundation

package enum CertificateSet {
    /// Names of files and what they hold:
    /// - authorities `ca` and `other`; `middle`, which `ca` issued; `ca.crl`, which revokes `revoked`;
    /// - servers `server` (server.test, localhost, 127.0.0.1), its like in RSA `rsa`, `renewed` (another key and
    ///   number), `second` (second.test), `wild` (*.wild.test), `broker` (broker.test, 127.0.0.1), `old` (expired),
    ///   `foreign` (server.test, of `other`), `deep` (deep.test, of `middle`; `deep-chain.pem` has both);
    /// - clients `client` (with a name that needs UTF-8, and alternative names), `app` (CN=app), `expired`, `future`,
    ///   `revoked`, `purpose` (a server's), `stranger` (of `other`), `below` (of `middle`; `below-chain.pem` has both);
    /// - `encrypted.key`, the key of `server` under the passphrase "correct horse".
    package static func write(to directory: TemporaryDirectory) async throws {
        for (name, bytes) in try await made.value {
            try bytes.write(to: URL(fileURLWithPath: directory.path(name)))
        }
    }

    /// As `clients` shows it: subject of `client`.
    package static let clientSubject = "/O=Weir/CN=first/CN=Gerät 7"

    private static let made = Task<[String: Data], any Error> {
        let directory = try TemporaryDirectory()
        let ca = try await CertificateAuthority("ca", in: directory)
        async let others: Void = makeOthers(in: directory)
        let middle = try await CertificateAuthority("middle", in: directory, below: ca)
        try await makeServers(ca, middle)
        try await makeClients(ca, middle)
        try await others
        var files: [String: Data] = [:]
        for name in try FileManager.default.contentsOfDirectory(atPath: directory.path) {
            guard [".pem", ".key", ".crl"].contains(where: name.hasSuffix) else { continue }
            files[name] = FileManager.default.contents(atPath: directory.path(name))
        }
        return files
    }

    private static func makeServers(_ ca: CertificateAuthority, _ middle: CertificateAuthority) async throws {
        let names = "DNS:server.test,DNS:localhost,IP:127.0.0.1"
        let server = try await ca.issue("server", subject: "/CN=server.test", names: names, for: .server)
        _ = try await ca.encrypt(server, to: "encrypted", passphrase: "correct horse")
        try await ca.issue("rsa", subject: "/CN=server.test", names: names, for: .server, key: .rsa)
        try await ca.issue("renewed", subject: "/CN=server.test", names: names, for: .server)
        try await ca.issue("second", subject: "/CN=second.test", names: "DNS:second.test", for: .server)
        try await ca.issue("wild", subject: "/CN=wild.test", names: "DNS:*.wild.test", for: .server)
        try await ca.issue("broker", subject: "/CN=broker.test", names: "DNS:broker.test,IP:127.0.0.1", for: .server)
        try await ca.issue("old", subject: "/CN=server.test", names: names, for: .server, validity: .expired)
        let deep = try await middle.issue("deep", subject: "/CN=deep.test", names: "DNS:deep.test", for: .server)
        _ = try await ca.join([deep.certificate, middle.path], to: "deep-chain.pem")
    }

    private static func makeClients(_ ca: CertificateAuthority, _ middle: CertificateAuthority) async throws {
        let names = "DNS:a.test,IP:10.0.0.1,URI:urn:device:7,email:me@x.test"
        try await ca.issue("client", subject: clientSubject, names: names, for: .client)
        try await ca.issue("app", subject: "/O=Weir/CN=app", for: .client)
        try await ca.issue("expired", subject: "/CN=expired", for: .client, validity: .expired)
        try await ca.issue("future", subject: "/CN=future", for: .client, validity: .future)
        try await ca.issue("purpose", subject: "/CN=purpose", for: .server)
        try await ca.revoke(try await ca.issue("revoked", subject: "/CN=revoked", for: .client))
        try await ca.writeList()
        let below = try await middle.issue("below", subject: "/CN=below", for: .client)
        _ = try await ca.join([below.certificate, middle.path], to: "below-chain.pem")
    }

    private static func makeOthers(in directory: TemporaryDirectory) async throws {
        let other = try await CertificateAuthority("other", in: directory)
        try await other.issue("stranger", subject: "/CN=stranger", for: .client)
        try await other.issue("foreign", subject: "/CN=server.test", names: "DNS:server.test", for: .server)
    }
}
