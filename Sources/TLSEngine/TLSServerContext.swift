// SPDX-License-Identifier: Apache-2.0
//
// What a server block with TLS answers with: an SSL_CTX, built of bytes alone, in nginx's order. Connections hold what
// they need of it, so that a context of an old generation may go at the commit.

import CTLS
import ProxyConfig

@safe package final class TLSServerContext {
    package let settings: TLSServerSettings
    let handle: ContextHandle

    /// Whether certificates have their keys. Without, a context is good for questions about them and for no handshake.
    enum Keys { case present, missing }

    /// `tickets`, `cache` and `staples`: nil where nothing is shared.
    package convenience init(
        _ settings: TLSServerSettings, tickets: TicketKeySource?, cache: SessionCacheHandle?,
        staples: StapleSource? = nil
    ) throws(TLSFault) {
        try self.init(settings, keys: .present, tickets: tickets, cache: cache, staples: staples)
    }

    init(
        _ settings: TLSServerSettings, keys: Keys, tickets: TicketKeySource?, cache: SessionCacheHandle?,
        staples: StapleSource? = nil
    ) throws(TLSFault) {
        self.settings = settings
        handle = try ContextHandle(isServer: true, protocols: settings.common.protocols)
        try settings.common.addProtocols(to: handle)
        try settings.common.addCiphers(to: handle)
        if settings.prefersServerCiphers { unsafe ctls_context_prefer_server_ciphers(handle.pointer) }
        try settings.common.addCertificates(to: handle, keys)
        if !settings.common.certificateTemplates.isEmpty { unsafe ctls_context_ask_for_certificate(handle.pointer) }
        try addVerification()
        try addKeyExchange()
        try addSessions(cache: cache)
        try addTickets(from: tickets)
        try addStapling(from: staples)
        if settings.rejectsHandshakes { unsafe ctls_context_reject(handle.pointer) }
        if settings.common.keyLog != nil { unsafe ctls_context_log_keys(handle.pointer) }
        try settings.common.addCommands(to: handle)
    }

    private func addVerification() throws(TLSFault) {
        let how =
            switch settings.clientVerification {
            case .off: CTLS_VERIFY_OFF
            case .on: CTLS_VERIFY_ON
            case .optional: CTLS_VERIFY_OPTIONAL
            case .optionalWithoutCA: CTLS_VERIFY_OPTIONAL_NO_CA
            }
        unsafe ctls_context_verify_clients(handle.pointer, Int32(how), Int32(clamping: settings.common.verifyDepth))
        if settings.clientVerification != .off, let file = settings.clientCertificates {
            try check(
                unsafe ctls_context_trust(handle.pointer, file.bytes, file.bytes.count, 1),
                "cannot load certificate \"\(file.path)\": PEM_read_bio_X509() failed", file: file.path)
        }
        try settings.common.addTrust(to: handle)
    }

    private func addKeyExchange() throws(TLSFault) {
        if let file = settings.dhParameters {
            try check(
                unsafe ctls_context_set_dh_parameters(handle.pointer, file.bytes, file.bytes.count),
                "PEM_read_bio_Parameters(\"\(file.path)\") failed", file: file.path)
        }
        if settings.curves != "auto" {
            try check(
                unsafe ctls_context_set_curves(handle.pointer, settings.curves),
                "SSL_CTX_set1_curves_list(\"\(settings.curves)\") failed")
        }
    }

    private func addSessions(cache: SessionCacheHandle?) throws(TLSFault) {
        unsafe ctls_context_set_session_timeout(handle.pointer, settings.sessionTimeoutSeconds)
        try addIdentity()
        let kept = settings.sessionCache
        let how =
            switch kept.kind {
            case .off: CTLS_CACHE_OFF
            case .none: CTLS_CACHE_NONE
            case .kept: CTLS_CACHE_KEPT
            }
        let builtin = max(0, kept.builtinSessions ?? 0)
        if kept.sharedName != nil, let cache {
            var copy = unsafe cache.cache
            unsafe ctls_context_keep_sessions(handle.pointer, Int32(how), builtin, &copy)
        } else {
            unsafe ctls_context_keep_sessions(handle.pointer, Int32(how), builtin, nil)
        }
    }

    /// nginx makes the identity of the certificates and the names of the client CAs. Here it is all that decides
    /// whether a client may come in: a session that was made before a revocation list changed is not resumed after it.
    private func addIdentity() throws(TLSFault) {
        try identify(Array("STREAM".utf8))
        for template in settings.common.certificateTemplates { try identify(Array("\(template)".utf8)) }
        if settings.clientVerification != .off {
            try identify(Array("\(settings.clientVerification) \(settings.common.verifyDepth)".utf8))
            for file in [settings.clientCertificates, settings.common.trustedCertificates, settings.common.revocations]
            { try identify(file?.bytes ?? []) }
        }
        try check(unsafe ctls_context_finish_identity(handle.pointer), "SSL_CTX_set_session_id_context() failed")
    }

    private func identify(_ bytes: [UInt8]) throws(TLSFault) {
        try check(unsafe ctls_context_identify(handle.pointer, bytes, bytes.count), "EVP_DigestUpdate() failed")
    }

    private func addTickets(from source: TicketKeySource?) throws(TLSFault) {
        if !settings.usesTickets { unsafe ctls_context_refuse_tickets(handle.pointer) }
        for file in settings.ticketKeys {
            guard file.bytes.count == 48 || file.bytes.count == 80 else {
                throw TLSFault(message: "\"\(file.path)\" must be 48 or 80 bytes", file: file.path)
            }
            try check(
                unsafe ctls_context_add_ticket_key(handle.pointer, file.bytes, file.bytes.count),
                "SSL_CTX_set_tlsext_ticket_key_evp_cb() failed", file: file.path)
        }
        if settings.ticketKeys.isEmpty, let source {
            var copy = unsafe source.source
            try check(
                unsafe ctls_context_take_tickets_from(handle.pointer, &copy),
                "SSL_CTX_set_tlsext_ticket_key_evp_cb() failed")
        }
    }

    private func addStapling(from source: StapleSource?) throws(TLSFault) {
        if settings.isStapling, let file = settings.staplingFile {
            try check(
                unsafe ctls_context_staple(handle.pointer, file.bytes, file.bytes.count),
                "d2i_OCSP_RESPONSE_bio(\"\(file.path)\") failed", file: file.path)
        }
        guard settings.fetchesStaples, let source else { return }
        for index in settings.common.certificates.indices {
            // A certificate without an issuer is not stapled, of which the master warns.
            guard let chain = try? StatusChain.ofServer(self, certificate: index) else { continue }
            defer { chain.free() }
            let key = try settings.stapleKey(of: chain)
            var copy = unsafe source.source
            try check(
                unsafe ctls_context_staple_from(handle.pointer, index, &copy, key),
                "SSL_CTX_set_tlsext_status_cb() failed")
        }
    }
}
