// SPDX-License-Identifier: Apache-2.0
//
// The steps that contexts of both sides share. Each names the OpenSSL function that said no, as nginx does.

import CTLS
import ProxyConfig

/// A context of CTLS and its one owner.
@safe final class ContextHandle {
    let pointer: OpaquePointer

    init(isServer: Bool, protocols: TLSProtocols) throws(TLSFault) {
        ctls_clear_errors()
        guard let pointer = unsafe ctls_context_new(isServer ? 1 : 0, protocols.bits) else {
            throw TLSFault.taken("SSL_CTX_new() failed")
        }
        unsafe self.pointer = unsafe pointer
    }

    deinit { unsafe ctls_context_free(pointer) }
}

/// Throws what OpenSSL says when `code`, the answer of a step, is not 0.
func check(_ code: Int32, _ words: @autoclosure () -> String, file: String? = nil) throws(TLSFault) {
    if code != 0 { throw TLSFault.taken(words(), file: file) }
}

extension TLSProtocols {
    /// CTLS's bits. SSLv2 is in no OpenSSL that we know, and is passed over as nginx does.
    var bits: UInt32 {
        var bits = 0
        if contains(.ssl3) { bits |= CTLS_SSL3 }
        if contains(.tls1) { bits |= CTLS_TLS1 }
        if contains(.tls11) { bits |= CTLS_TLS1_1 }
        if contains(.tls12) { bits |= CTLS_TLS1_2 }
        if contains(.tls13) { bits |= CTLS_TLS1_3 }
        return UInt32(bits)
    }
}

extension TLSCommonSettings {
    func addCiphers(to context: ContextHandle) throws(TLSFault) {
        try check(
            unsafe ctls_context_set_ciphers(context.pointer, ciphers), "SSL_CTX_set_cipher_list(\"\(ciphers)\") failed")
    }

    func addCertificates(to context: ContextHandle, _ keys: TLSServerContext.Keys = .present) throws(TLSFault) {
        for certificate in certificates {
            let (chain, key) = (certificate.chain, certificate.key)
            let pair =
                switch keys {
                case .missing: try TLSKeyPair(chain: chain)
                case .present:
                    try TLSKeyPair(
                        chain: chain.bytes, key: key.bytes, passphrases: passphrases, chainName: chain.path,
                        keyName: key.path)
                }
            try check(
                unsafe ctls_context_use_pair_certificate(context.pointer, pair.handle),
                "SSL_CTX_use_certificate(\"\(chain.path)\") failed", file: chain.path)
            guard keys == .present else { continue }
            try check(
                unsafe ctls_context_use_pair_key(context.pointer, pair.handle),
                "SSL_CTX_use_PrivateKey(\"\(key.path)\") failed", file: key.path)
        }
    }

    func addTrust(to context: ContextHandle) throws(TLSFault) {
        if let file = trustedCertificates {
            try check(
                unsafe ctls_context_trust(context.pointer, file.bytes, file.bytes.count, 0),
                "cannot load certificate \"\(file.path)\": PEM_read_bio_X509() failed", file: file.path)
        }
        if let file = revocations {
            try check(
                unsafe ctls_context_revoke(context.pointer, file.bytes, file.bytes.count),
                "cannot load CRL \"\(file.path)\": PEM_read_bio_X509_CRL() failed", file: file.path)
        }
    }

    /// Names of a protocol have at most 255 bytes; an empty one has no meaning on the wire.
    func addProtocols(to context: ContextHandle) throws(TLSFault) {
        var wire: [UInt8] = []
        for name in alpn {
            guard (1...255).contains(name.utf8.count) else {
                throw TLSFault(message: "ALPN protocol \"\(name)\" has no byte or more than 255")
            }
            wire.append(UInt8(name.utf8.count))
            wire.append(contentsOf: name.utf8)
        }
        if !wire.isEmpty {
            try check(
                unsafe ctls_context_set_alpn(context.pointer, wire, wire.count), "SSL_CTX_set_alpn_protos() failed")
        }
    }

    func addCommands(to context: ContextHandle) throws(TLSFault) {
        for command in commands {
            let words = "SSL_CONF_cmd(\"\(command.name)\", \"\(command.value)\") failed"
            if unsafe ctls_command_names_file(command.name) == 1 {
                throw TLSFault(message: "\(words): it reads files, for which there are directives")
            }
            try check(unsafe ctls_context_command(context.pointer, command.name, command.value), words)
        }
    }
}
