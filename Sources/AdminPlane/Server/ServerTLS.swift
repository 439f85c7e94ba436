// SPDX-License-Identifier: Apache-2.0
//
// TLS of http's listening sockets: from the bundle's bytes to a context of NIOSSL. It is another library than the
// workers', because no session comes through here; what it cannot do is refused and not left out.

import NIOSSL
import ProxyConfig

enum ServerTLS {
    static func context(for settings: TLSServerSettings, origin: String) throws(AdminFault) -> NIOSSLContext {
        let common = settings.common
        guard common.certificates.count == 1, let certificate = common.certificates.first else {
            throw AdminFault("one ssl_certificate is needed, and no more, in the http server in \(origin)")
        }
        guard common.revocations == nil, settings.clientOCSP == .off else {
            throw AdminFault("no revocation of certificates is known to the http server in \(origin)")
        }
        // NIOSSL ends the process where BoringSSL finds no cipher in a list.
        guard common.ciphers == TLSCommonSettings().ciphers else {
            throw AdminFault("no ciphers can be chosen for the http server in \(origin)")
        }
        do {
            let key = try privateKey(certificate.key.bytes, passphrases: common.passphrases)
            var configuration = TLSConfiguration.makeServerConfiguration(
                certificateChain: try NIOSSLCertificate.fromPEMBytes(certificate.chain.bytes).map { .certificate($0) },
                privateKey: .privateKey(key))
            configuration.minimumTLSVersion = common.protocols.isDisjoint(with: [.tls1, .tls11]) ? .tlsv12 : .tlsv1
            if common.protocols.isDisjoint(with: [.tls1, .tls11, .tls12]) { configuration.minimumTLSVersion = .tlsv13 }
            if !common.protocols.contains(.tls13) { configuration.maximumTLSVersion = .tlsv12 }
            configuration.applicationProtocols = ["http/1.1"]
            switch settings.clientVerification {
            case .off: break
            case .on: configuration.certificateVerification = .noHostnameVerification
            case .optional, .optionalWithoutCA: configuration.certificateVerification = .optionalVerification
            }
            if settings.clientVerification != .off {
                // Always given: in place of none NIOSSL takes the system's authorities.
                let authorities = [settings.clientCertificates, common.trustedCertificates].compactMap(\.self)
                let certificates = try authorities.flatMap { try NIOSSLCertificate.fromPEMBytes($0.bytes) }
                configuration.trustRoots = .certificates(Array(Set(certificates)))
                configuration.sendCANameList = settings.clientCertificates != nil
            }
            return try NIOSSLContext(configuration: configuration)
        } catch {
            throw AdminFault("no TLS with \(certificate.chain.path) in the http server in \(origin): \(error)")
        }
    }

    private static func privateKey(_ bytes: [UInt8], passphrases: [[UInt8]]) throws -> NIOSSLPrivateKey {
        for passphrase in passphrases {
            let key = try? NIOSSLPrivateKey(bytes: bytes, format: .pem) { setter in setter(passphrase) }
            if let key { return key }
        }
        return try NIOSSLPrivateKey(bytes: bytes, format: .pem)
    }
}
