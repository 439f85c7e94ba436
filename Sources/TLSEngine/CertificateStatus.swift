// SPDX-License-Identifier: Apache-2.0
//
// OCSP without its transport: what to ask about a certificate, whom, and what the answer is worth (RFC 6960). For a
// client's certificate with those above it, and for one of a server's own, whose answer is stapled.

import CTLS

/// What a responder says of a certificate.
package enum CertificateStatus: Sendable, Equatable, BitwiseCopyable {
    case good, revoked
    /// The responder does not know the certificate.
    case unknown

    /// OpenSSL's word, which nginx logs.
    package var word: StaticString {
        switch self {
        case .good: "good"
        case .revoked: "revoked"
        case .unknown: "unknown"
        }
    }
}

/// What a client's certificates are worth when all was asked.
package enum ClientStatus: Sendable, Equatable, BitwiseCopyable {
    case answered(CertificateStatus)
    /// A responder was not found, did not answer, or not so that one could believe it.
    case unanswered
}

extension TLSConnection {
    /// Before `clientRefusal` is asked; `$ssl_client_verify` tells it, too.
    package func setClientStatus(_ status: ClientStatus) {
        let number =
            switch status {
            case .answered(.good): CTLS_STATUS_GOOD
            case .answered(.revoked): CTLS_STATUS_REVOKED
            case .answered(.unknown): CTLS_STATUS_UNKNOWN
            case .unanswered: CTLS_STATUS_UNANSWERED
            }
        unsafe ctls_set_client_status(handle, Int32(number))
    }
}

/// Who may sign an answer.
package enum ResponderTrust: Sendable, Equatable {
    /// The certificate's issuer or whom it delegates it to, with a chain to a certificate that is trusted. nginx: the
    /// status of clients.
    case verified
    /// As well whoever stands in the server's chain. nginx: `ssl_stapling_verify on`.
    case chainTrusted
    /// Anybody. nginx: `ssl_stapling_verify off`: it is the client who verifies what is stapled.
    case unverified

    fileprivate var number: Int32 {
        switch self {
        case .verified: Int32(CTLS_RESPONDER_VERIFIED)
        case .chainTrusted: Int32(CTLS_RESPONDER_CHAIN_TRUSTED)
        case .unverified: Int32(CTLS_RESPONDER_UNVERIFIED)
        }
    }
}

/// An answer that holds.
package struct StatusAnswer: Sendable, Equatable {
    package var status: CertificateStatus
    /// The answer's nextUpdate, in seconds since 1970; nil: it has none, and nginx believes it for an hour.
    package var validUntilSeconds: Int64?
}

/// Certificates, each before its issuer; the last one is not asked about. A plain handle, copied freely; the owner
/// calls `free` once. It needs neither the connection nor the context that it came from.
@safe package struct StatusChain: BitwiseCopyable {
    private let handle: OpaquePointer

    private init(_ handle: OpaquePointer) { unsafe self.handle = unsafe handle }

    /// After the handshake. Nil: there is no certificate, or it is not good whatever a responder says.
    package static func ofClient(_ connection: TLSConnection) throws(TLSFault) -> StatusChain? {
        var handle: OpaquePointer? = nil
        let result = unsafe withWords { words in
            unsafe ctls_client_chain(connection.handle, &handle, words.baseAddress, words.count)
        }
        try result.check()
        return unsafe handle.map { unsafe StatusChain($0) }
    }

    /// One of the certificates that a server has for good, in the order of their kinds of keys, and its issuer, which
    /// is looked for in its chain and among those that are trusted. Nil: there are not so many certificates.
    package static func ofServer(_ context: TLSServerContext, certificate index: Int) throws(TLSFault) -> StatusChain? {
        var handle: OpaquePointer? = nil
        let result = unsafe withWords { words in
            unsafe ctls_server_chain(context.handle.pointer, index, &handle, words.baseAddress, words.count)
        }
        try result.check()
        return unsafe handle.map { unsafe StatusChain($0) }
    }

    package func free() { unsafe ctls_chain_free(handle) }

    /// How many can be asked about: all but the last, which is the root.
    package var count: Int { unsafe ctls_chain_count(handle) }

    /// The URL of the responder that the certificate names first, as it stands there; nil: none.
    package func responder(of index: Int) -> [UInt8]? {
        precondition(index >= 0 && index < count)
        let capacity = 2048
        let url = unsafe [UInt8](unsafeUninitializedCapacity: capacity) { buffer, filled in
            unsafe buffer.withMemoryRebound(to: CChar.self) { text in
                let length = unsafe ctls_chain_responder(handle, index, text.baseAddress, capacity)
                filled = length <= capacity ? length : 0
            }
        }
        return url.isEmpty ? nil : url
    }

    /// The request in DER.
    package func request(about index: Int) throws(TLSFault) -> [UInt8] {
        precondition(index >= 0 && index < count)
        var result = Outcome(number: 0, words: "")
        let request = unsafe [UInt8](unsafeUninitializedCapacity: 1024) { buffer, filled in
            result = unsafe withWords { words in
                unsafe ctls_chain_request(
                    handle, index, buffer.baseAddress, buffer.count, words.baseAddress, words.count)
            }
            filled = Int(max(0, result.number))
        }
        try result.check()
        return request
    }

    /// What a cache knows the certificate by: 32 bytes of its issuer and its number.
    package func key(of index: Int) throws(TLSFault) -> [UInt8] {
        precondition(index >= 0 && index < count)
        var key = [UInt8](repeating: 0, count: 32)
        let result = unsafe ctls_chain_key(handle, index, &key)
        try TLSEngine.check(result, "OCSP_cert_to_id() failed")
        return key
    }

    /// What `response`, in DER, says; `nowSeconds` since 1970. The fault has nginx's words and OpenSSL's reasons.
    package func check(
        _ response: Span<UInt8>, about index: Int, trust: ResponderTrust, nowSeconds: Int64
    ) throws(TLSFault) -> StatusAnswer {
        precondition(index >= 0 && index < count)
        var until: Int64 = 0
        let result = unsafe response.withUnsafeBufferPointer { bytes in
            unsafe withWords { words in
                unsafe ctls_chain_check(
                    handle, index, bytes.baseAddress, bytes.count, trust.number, nowSeconds, &until, words.baseAddress,
                    words.count)
            }
        }
        try result.check()
        let status: CertificateStatus =
            switch Int(result.number) {
            case CTLS_STATUS_GOOD: .good
            case CTLS_STATUS_REVOKED: .revoked
            default: .unknown
            }
        return StatusAnswer(status: status, validUntilSeconds: until == .max ? nil : until)
    }
}

/// What a function of CTLS gave back, and its words.
private struct Outcome {
    var number: Int32
    var words: String

    func check() throws(TLSFault) {
        if number < 0 { throw TLSFault.taken(words) }
    }
}

private func withWords(_ call: (UnsafeMutableBufferPointer<CChar>) -> Int32) -> Outcome {
    var number: Int32 = 0
    let words = unsafe String(unsafeUninitializedCapacity: 128) { buffer in
        unsafe buffer.withMemoryRebound(to: CChar.self) { text in
            unsafe text[0] = 0
            number = unsafe call(text)
            var length = 0
            while unsafe length < text.count && text[length] != 0 { length += 1 }
            return number < 0 ? length : 0
        }
    }
    return Outcome(number: number, words: words)
}
