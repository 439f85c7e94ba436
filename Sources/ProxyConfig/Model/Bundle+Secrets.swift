// SPDX-License-Identifier: Apache-2.0
//
// A bundle for a child that has no business with most secrets: as much of each as it uses, and in place of the others
// something that has their shape, so that the same builder builds the same configuration of it. Which secrets are
// whose is the configuration's to say.

/// As much of a secret as its reader uses.
package enum SecretShare: Int, Comparable, Sendable {
    /// What a PEM file has beside private keys: certificates, revocations.
    case withoutKeys
    case whole

    package static func < (left: SecretShare, right: SecretShare) -> Bool { left.rawValue < right.rawValue }
}

/// By path.
package typealias SecretShares = [String: SecretShare]

extension Bundle {
    /// Whatever a secret has to look like to the builder: a user with a password, a passphrase, a ticket key of 80
    /// bytes.
    package static let secretPlaceholder = Array(("none:" + String(repeating: "-", count: 75)).utf8)

    /// The same with no more of the secrets than `shares` says; nil where that is this bundle.
    package func withSecrets(_ shares: SecretShares) -> Bundle? {
        var copy = self
        var isOther = false
        for key in order where key.kind == .secret {
            guard let whole = entries[key] else { continue }
            let part =
                switch shares[String(decoding: key.name, as: UTF8.self)] {
                case .whole: whole
                case .withoutKeys: PEM.withoutSecrets(whole)
                case nil: Bundle.secretPlaceholder
                }
            guard part != whole else { continue }
            isOther = true
            copy.record(.secret, String(decoding: key.name, as: UTF8.self), part)
        }
        return isOther ? copy : nil
    }
}

extension Configuration {
    /// The certificates and users of `http` itself.
    package var adminSecrets: SecretShares {
        var shares: SecretShares = [:]
        for server in admin?.servers ?? [] {
            if let tls = server.tls?.value {
                shares.add(pairs: tls.common)
                shares.add([tls.clientCertificates, tls.common.trustedCertificates], .withoutKeys)
            }
            for auth in server.locations.compactMap(\.basicAuth) { shares[auth.usersPath] = .whole }
        }
        return shares
    }

    /// What checks show to brokers, and the certificates whose status is asked for.
    package var proberSecrets: SecretShares {
        var shares: SecretShares = [:]
        for server in servers {
            if let tls = server.tls?.value, tls.isStapling {
                shares.add(tls.common.certificates.map(\.chain), .withoutKeys)
                shares.add(
                    [tls.clientCertificates, tls.common.trustedCertificates, tls.common.revocations], .withoutKeys)
            }
            for tls in server.healthChecks.compactMap(\.tls?.value) {
                shares.add(pairs: tls.common)
                shares.add([tls.common.trustedCertificates, tls.common.revocations], .withoutKeys)
            }
        }
        return shares
    }
}

extension SecretShares {
    fileprivate mutating func add(_ files: [TLSFile?], _ share: SecretShare) {
        for file in files.compactMap(\.self) { self[file.path] = Swift.max(self[file.path] ?? share, share) }
    }

    /// Certificates, their keys, and what opens these.
    fileprivate mutating func add(pairs settings: TLSCommonSettings) {
        add(settings.certificates.flatMap { [$0.chain, $0.key] }, .whole)
        if let path = settings.passphrasePath { self[path] = .whole }
    }
}
