// SPDX-License-Identifier: Apache-2.0
//
// What became of a TLS handshake, in the kinds that are counted.

import CShared

package enum HandshakeOutcome: Sendable, Equatable, BitwiseCopyable {
    case succeeded(isReused: Bool)
    case failed(HandshakeFailure)
    /// The handshake was well, but the other side's certificate is not what is asked for.
    case refused(VerifyFailure)
}

/// The failures that nginx tells apart, and all others.
package enum HandshakeFailure: Sendable, Equatable, BitwiseCopyable {
    case noCommonProtocol
    case noCommonCipher
    case timeout
    /// The other side did not like our certificate.
    case peerRejectedCertificate
    /// The other side's certificate did not verify, and that ended the handshake.
    case verify(VerifyFailure)
    case other
}

package enum VerifyFailure: Sendable, Equatable, CaseIterable, BitwiseCopyable {
    case noCertificate
    case expired
    case revoked
    case hostnameMismatch
    case other
}

extension HandshakeFailure {
    /// The word that counts the kind; nil: the sum of failures says it all.
    var field: cs_tls_field? {
        switch self {
        case .noCommonProtocol: CS_TLS_NO_PROTOCOL
        case .noCommonCipher: CS_TLS_NO_CIPHER
        case .timeout: CS_TLS_TIMEOUTS
        case .peerRejectedCertificate: CS_TLS_PEER_REJECTED
        case .verify(let failure): failure.field
        case .other: nil
        }
    }
}

extension VerifyFailure {
    var field: cs_tls_field {
        switch self {
        case .noCertificate: CS_TLS_VERIFY_NONE
        case .expired: CS_TLS_VERIFY_EXPIRED
        case .revoked: CS_TLS_VERIFY_REVOKED
        case .hostnameMismatch: CS_TLS_VERIFY_NAME
        case .other: CS_TLS_VERIFY_OTHER
        }
    }
}

/// Counts of handshakes, as readers get them.
package struct TLSReport: Sendable, Equatable {
    package var handshakes: UInt64 = 0
    package var failed: UInt64 = 0
    package var reuses: UInt64 = 0
    package var noCommonProtocol: UInt64 = 0
    /// Only towards clients; likewise `noCertificate`.
    package var noCommonCipher: UInt64 = 0
    package var timeouts: UInt64 = 0
    package var peerRejectedCertificate: UInt64 = 0
    package var noCertificate: UInt64 = 0
    package var expired: UInt64 = 0
    package var revoked: UInt64 = 0
    package var hostnameMismatch: UInt64 = 0
    package var otherVerifyFailures: UInt64 = 0

    package init() {}

    package static func + (left: TLSReport, right: TLSReport) -> TLSReport {
        var sum = left
        sum.handshakes &+= right.handshakes
        sum.failed &+= right.failed
        sum.reuses &+= right.reuses
        sum.noCommonProtocol &+= right.noCommonProtocol
        sum.noCommonCipher &+= right.noCommonCipher
        sum.timeouts &+= right.timeouts
        sum.peerRejectedCertificate &+= right.peerRejectedCertificate
        sum.noCertificate &+= right.noCertificate
        sum.expired &+= right.expired
        sum.revoked &+= right.revoked
        sum.hostnameMismatch &+= right.hostnameMismatch
        sum.otherVerifyFailures &+= right.otherVerifyFailures
        return sum
    }

    /// `isServer`: the place has words for what only a server sees.
    init(isServer: Bool, word: (cs_tls_field) -> UInt64) {
        handshakes = word(CS_TLS_HANDSHAKES)
        failed = word(CS_TLS_FAILED)
        reuses = word(CS_TLS_REUSES)
        noCommonProtocol = word(CS_TLS_NO_PROTOCOL)
        timeouts = word(CS_TLS_TIMEOUTS)
        peerRejectedCertificate = word(CS_TLS_PEER_REJECTED)
        expired = word(CS_TLS_VERIFY_EXPIRED)
        revoked = word(CS_TLS_VERIFY_REVOKED)
        hostnameMismatch = word(CS_TLS_VERIFY_NAME)
        otherVerifyFailures = word(CS_TLS_VERIFY_OTHER)
        if isServer {
            noCommonCipher = word(CS_TLS_NO_CIPHER)
            noCertificate = word(CS_TLS_VERIFY_NONE)
        }
    }
}
