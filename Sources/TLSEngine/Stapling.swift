// SPDX-License-Identifier: Apache-2.0
//
// Which certificates of a server are to be stapled with what a responder says, and by which key the response is found.

import CTLS
import ProxyConfig

extension TLSServerSettings {
    /// Certificates that are known only with a session are never stapled, as in nginx.
    package var fetchesStaples: Bool { isStapling && staplingFile == nil && !common.certificates.isEmpty }

    /// Nobody whose signature has to be good; nginx leaves that to the clients.
    package var stapleTrust: ResponderTrust { verifiesStapling ? .chainTrusted : .unverified }

    /// What a response is known by: the certificate, who is asked, and all that decides whether the answer is good. So
    /// a server that verifies never staples what one that does not has accepted.
    package func stapleKey(of chain: StatusChain) throws(TLSFault) -> [UInt8] {
        var bytes = try chain.key(of: 0)
        bytes.append(verifiesStapling ? 1 : 0)
        bytes += chain.staplingResponder(staplingResponder) ?? []
        if verifiesStapling {
            let helpers = common.certificates.map(\.chain)
            for file in helpers + [clientCertificates, common.trustedCertificates, common.revocations] {
                // The prober has no more of these files than this.
                bytes += PEM.withoutSecrets(file?.bytes ?? []) + [0]
            }
        }
        var key = [UInt8](repeating: 0, count: Int(CTLS_STAPLE_KEY_BYTES))
        try check(unsafe ctls_digest(bytes, bytes.count, &key), "EVP_Digest() failed")
        return key
    }
}

extension StatusChain {
    /// `ssl_stapling_responder`, or who the certificate says.
    package func staplingResponder(_ configured: String?) -> [UInt8]? {
        configured.map { Array($0.utf8) } ?? responder(of: 0)
    }
}

/// Why a certificate is not stapled.
package enum StapleFault: Error {
    /// The settings do not build.
    case noContext(TLSFault)
    /// nginx's words: mostly that there is no issuer.
    case noChain(String)
}

/// One certificate of a server that is to be stapled: what to ask, and what an answer is worth. It holds all that it
/// needs of OpenSSL's.
@safe package final class StapledCertificate {
    /// The file.
    package let name: String
    package let key: [UInt8]
    /// The URL as it is written; nil: there is none.
    package let responder: [UInt8]?
    private let trust: ResponderTrust
    private let chain: StatusChain

    /// The `index`-th certificate of the settings.
    package init(_ settings: TLSServerSettings, certificate index: Int) throws(StapleFault) {
        let certificate = settings.common.certificates[index]
        name = certificate.chain.path
        // A context of this certificate alone has it at a place that is known. Of secrets there is none in it: the
        // prober does not have them.
        var alone = settings
        alone.common.certificates = [certificate]
        alone.isStapling = false
        alone.dhParameters = nil
        alone.ticketKeys = []
        let context: TLSServerContext
        do throws(TLSFault) { context = try TLSServerContext(alone, keys: .missing, tickets: nil, cache: nil) } catch {
            throw .noContext(error)
        }
        var chain: StatusChain? = nil
        do throws(TLSFault) {
            chain = try StatusChain.ofServer(context, certificate: 0)
            key = try chain.map { chain throws(TLSFault) in try settings.stapleKey(of: chain) } ?? []
        } catch {
            chain?.free()
            throw .noChain("\(error.message) for certificate \"\(certificate.chain.path)\"")
        }
        guard let chain else { preconditionFailure("a context without the certificate that it was made of") }
        self.chain = chain
        trust = settings.stapleTrust
        responder = chain.staplingResponder(settings.staplingResponder)
    }

    deinit { chain.free() }

    /// In DER.
    package func request() throws(TLSFault) -> [UInt8] { try chain.request(about: 0) }

    package func check(_ response: Span<UInt8>, nowSeconds: Int64) throws(TLSFault) -> StatusAnswer {
        try chain.check(response, about: 0, trust: trust, nowSeconds: nowSeconds)
    }
}
