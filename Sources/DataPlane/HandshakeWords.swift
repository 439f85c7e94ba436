// SPDX-License-Identifier: Apache-2.0
//
// From OpenSSL's words to the kinds of failures that are counted. The words are those that a log line has anyway; they
// are looked at once, when a handshake has failed.

import SharedState
import TLSEngine

extension TLSConnection {
    /// Why the last call failed.
    var failure: HandshakeFailure? { fault.map { HandshakeFailure(words: $0.message) } }
}

extension HandshakeFailure {
    private static let kinds: [(String, HandshakeFailure)] = [
        ("no shared cipher", .noCommonCipher), ("no ciphers available", .noCommonCipher),
        ("unsupported protocol", .noCommonProtocol), ("no protocols available", .noCommonProtocol),
        ("version too low", .noCommonProtocol), ("alert protocol version", .noCommonProtocol),
        ("alert bad certificate", .peerRejectedCertificate),
        ("alert unsupported certificate", .peerRejectedCertificate),
        ("alert certificate revoked", .peerRejectedCertificate),
        ("alert certificate expired", .peerRejectedCertificate),
        ("alert certificate unknown", .peerRejectedCertificate), ("alert unknown ca", .peerRejectedCertificate),
        ("peer did not return a certificate", .verify(.noCertificate)),
    ]

    init(words: String) {
        if words.contains("certificate verify") || words.contains("certificate does not match") {
            self = .verify(VerifyFailure(words: words))
        } else {
            self = Self.kinds.first { words.contains($0.0) }?.1 ?? .other
        }
    }
}

extension VerifyFailure {
    /// nginx's words: `client SSL certificate verify error: (10:certificate has expired)`. The numbers are X509_V_ERR_*
    /// of openssl/x509_vfy.h.
    init(words: String) {
        if words.contains("no required SSL certificate") {
            self = .noCertificate
        } else if words.contains("(10:") || words.contains("certificate has expired") {
            self = .expired
        } else if words.contains("(23:") || words.contains("revoked") {
            self = .revoked
        } else if words.contains("(62:") || words.contains("(64:") || words.contains("does not match") {
            self = .hostnameMismatch
        } else {
            self = .other
        }
    }
}
