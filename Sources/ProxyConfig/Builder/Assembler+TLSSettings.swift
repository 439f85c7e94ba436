// SPDX-License-Identifier: Apache-2.0
//
// Drafts of TLS become settings: files are there, defaults filled in, and what nginx asks of one directive for the sake
// of another is checked. Whether OpenSSL takes the bytes is proved by the master, who builds contexts of them.

import TLSWire
import Vocabulary

extension TLSCommonDraft {
    /// nginx decides for all of them together: one variable makes all of them known at the session only.
    var hasVariables: Bool {
        (certificates + keys).contains { $0.value.contains(UInt8(ascii: "$")) }
    }

    /// Certificates with the keys that are there, without those that were switched off.
    fileprivate var pairs: [(chain: Said<[UInt8]>, key: Said<[UInt8]>)] {
        zip(certificates, keys).filter { !$0.0.value.isEmpty }.map { (chain: $0, key: $1) }
    }

    fileprivate var ownFiles: [Said<[UInt8]>] {
        (hasVariables ? [] : pairs.flatMap { [$0.chain, $0.key] }) + [passwordFile].compactMap(\.self)
    }
}

extension TLSServerDraft {
    /// The files that these settings are made of.
    var files: [Said<[UInt8]>] {
        var files = common.ownFiles + ticketKeys + [dhParameters].compactMap(\.self)
        if verifiesClients { files += [clientCertificates].compactMap(\.self) }
        if usesAuthorities { files += [common.trustedCertificates, common.revocations].compactMap(\.self) }
        if isStapling == true { files += [staplingFile].compactMap(\.self) }
        return files
    }
}

extension TLSClientDraft {
    var files: [Said<[UInt8]>] {
        guard verifies?.value == true else { return common.ownFiles }
        return common.ownFiles + [common.trustedCertificates, common.revocations].compactMap(\.self)
    }
}

extension Assembler {
    /// nginx's bound of a line in a password file.
    private static let passphraseBytesMax = 4096
    private static let passphrasesMax = 1024

    mutating func serverSettings(
        _ draft: TLSServerDraft, _ source: inout some ConfigurationSource
    ) -> TLSServerSettings {
        var settings = TLSServerSettings()
        setCommon(&settings.common, draft.common, .client)
        settings.curves = draft.curves ?? settings.curves
        settings.dhParameters = draft.dhParameters.flatMap { secret($0, .openFile) }
        settings.prefersServerCiphers = draft.prefersServerCiphers ?? false
        settings.sessionCache = draft.sessionCache ?? settings.sessionCache
        settings.sessionTimeoutSeconds = draft.sessionTimeoutSeconds ?? settings.sessionTimeoutSeconds
        settings.usesTickets = draft.usesTickets ?? true
        settings.ticketKeys = draft.ticketKeys.compactMap { ticketKey($0) }
        settings.rejectsHandshakes = draft.rejectsHandshakes ?? false
        setVerification(&settings, draft)
        setOCSP(&settings, draft, &source)
        setStapling(&settings, draft)
        return settings
    }

    private mutating func setVerification(_ settings: inout TLSServerSettings, _ draft: TLSServerDraft) {
        if draft.usesAuthorities { setAuthorities(&settings.common, draft.common) }
        guard draft.verifiesClients, let verification = draft.clientVerification else { return }
        settings.clientVerification = verification.value
        settings.clientCertificates = draft.clientCertificates.flatMap { secret($0, .authority) }
        if verification.value != .optionalWithoutCA, draft.clientCertificates == nil,
            draft.common.trustedCertificates == nil
        {
            error(
                "no ssl_client_certificate for ssl_verify_client", at: verification.word,
                hint: "write whose certificates are good: ssl_client_certificate FILE;")
        }
    }

    private mutating func setOCSP(
        _ settings: inout TLSServerSettings, _ draft: TLSServerDraft, _ source: inout some ConfigurationSource
    ) {
        guard let asked = draft.clientOCSP, draft.asksResponders else { return }
        guard settings.clientVerification != .optionalWithoutCA else {
            error(
                "\"ssl_ocsp\" is incompatible with \"ssl_verify_client optional_no_ca\"", at: asked.word,
                hint: "who signed a certificate is who answers for it: write ssl_verify_client on; or optional;")
            return
        }
        settings.clientOCSP = asked.value
        if case .kept(let cache) = draft.clientOCSPCache { settings.clientOCSPCache = cache }
        settings.clientOCSPResponder = draft.clientOCSPResponder.flatMap { responder($0.word, &source) }
    }

    private mutating func responder(
        _ word: Word, _ source: inout some ConfigurationSource
    ) -> TLSServerSettings.Responder? {
        guard let url = responderURL(word) else { return nil }
        let host = String(decoding: url.address, as: UTF8.self)
        if let address = IPAddress(text: host) {
            return .init(url: url, endpoints: [IPEndpoint(address: address, port: url.port)])
        }
        switch addresses(of: host, &source) {
        case .success(let addresses):
            return .init(url: url, endpoints: addresses.map { IPEndpoint(address: $0, port: url.port) })
        case .failure(let fault):
            error(
                "host not found in OCSP responder \"\(shown(word.bytes))\" in \"ssl_ocsp_responder\"", at: word,
                hint: Assembler.hostHint(host, fault))
            return nil
        }
    }

    private mutating func setStapling(_ settings: inout TLSServerSettings, _ draft: TLSServerDraft) {
        settings.staplingResponder = draft.staplingResponder
        settings.verifiesStapling = draft.verifiesStapling ?? false
        settings.isStapling = draft.isStapling ?? false
        if settings.isStapling { settings.staplingFile = draft.staplingFile.flatMap { secret($0, .openFile) } }
    }

    mutating func brokerSettings(_ draft: TLSClientDraft) -> TLSClientSettings {
        var settings = TLSClientSettings()
        setCommon(&settings.common, draft.common, .broker)
        settings.sendsServerName = draft.sendsServerName ?? false
        settings.reusesSessions = draft.reusesSessions ?? true
        settings.name = draft.name.map { template($0.word) }
        settings.defaultName = draft.defaultName
        if let verifies = draft.verifies, verifies.value {
            settings.verifies = true
            if draft.common.trustedCertificates == nil {
                error(
                    "no proxy_ssl_trusted_certificate for proxy_ssl_verify", at: verifies.word,
                    hint: "write whose certificates are good: proxy_ssl_trusted_certificate FILE;")
            }
            setAuthorities(&settings.common, draft.common)
        }
        return settings
    }

    // MARK: - Both sides

    private mutating func setCommon(_ settings: inout TLSCommonSettings, _ draft: TLSCommonDraft, _ side: TLSSide) {
        setCertificates(&settings, draft, side)
        settings.passphrases = draft.passwordFile.map { passphrases($0) } ?? []
        settings.passphrasePath = draft.passwordFile.map { secretPath($0.word) }
        settings.protocols = draft.protocols ?? settings.protocols
        settings.ciphers = draft.ciphers ?? settings.ciphers
        settings.commands = draft.commands
        settings.alpn = draft.alpn
        settings.verifyDepth = draft.verifyDepth ?? settings.verifyDepth
        settings.keyLog = draft.keyLog
        if case .kept(let cache) = draft.cache { settings.certificateCache = cache }
    }

    private mutating func setAuthorities(_ settings: inout TLSCommonSettings, _ draft: TLSCommonDraft) {
        settings.trustedCertificates = draft.trustedCertificates.flatMap { secret($0, .authority) }
        settings.revocations = draft.revocations.flatMap { secret($0, .revocations) }
    }

    private mutating func setCertificates(
        _ settings: inout TLSCommonSettings, _ draft: TLSCommonDraft, _ side: TLSSide
    ) {
        for certificate in draft.certificates.dropFirst(draft.keys.count) where !certificate.value.isEmpty {
            error(
                "no \"\(side.prefix)certificate_key\" is defined for certificate \"\(shown(certificate.value))\"",
                at: certificate.word,
                hint: "each certificate has its key, in the same order; it may be the same file: "
                    + "\(side.prefix)certificate_key FILE;")
        }
        for (chain, key) in draft.pairs {
            if draft.hasVariables {
                settings.certificateTemplates.append(certificateTemplate(chain.word, key.word))
            } else if let chain = secret(chain, .certificate), let key = secret(key, .key) {
                settings.certificates.append(TLSCertificate(chain: chain, key: key))
            }
        }
    }

    /// A path is made absolute here where its beginning is known.
    private mutating func certificateTemplate(_ chain: Word, _ key: Word) -> TLSCertificateTemplate {
        let isChainData = chain.hasPrefix("data:")
        let isKeyData = key.hasPrefix("data:")
        var certificate = TLSCertificateTemplate(
            chain: template(isChainData ? chain.dropFirst(5) : chain),
            key: template(isKeyData ? key.dropFirst(5) : key))
        if !isChainData { certificate.chain = absolute(certificate.chain) }
        if !isKeyData { certificate.key = absolute(certificate.key) }
        certificate.isChainData = isChainData
        certificate.isKeyData = isKeyData
        return certificate
    }

    /// A template that begins with a variable stays: its value may be an absolute path.
    private func absolute(_ path: Template) -> Template {
        guard case .literal(let head)? = path.parts.first else { return path }
        let absolute = options.pathBesideFile(String(decoding: head, as: UTF8.self))
        return Template(parts: [.literal(Array(absolute.utf8))] + path.parts.dropFirst())
    }

    // MARK: - Files

    enum SecretKind {
        case certificate, key, authority, revocations, openFile

        /// nginx's words before the reason.
        fileprivate func failure(_ path: String, _ fault: SourceFault) -> String {
            switch self {
            case .certificate: "cannot load certificate \"\(path)\": \(fault.reason)"
            case .key: "cannot load certificate key \"\(path)\": \(fault.reason)"
            case .authority: "cannot load CA certificate \"\(path)\": \(fault.reason)"
            case .revocations: "cannot load CRL \"\(path)\": \(fault.reason)"
            case .openFile: "open() \"\(path)\" failed (\(fault.code): \(fault.reason))"
            }
        }
    }

    /// A file that was read, or nil, which is reported.
    mutating func secret(_ file: Said<[UInt8]>, _ kind: SecretKind) -> TLSFile? {
        let path = secretPath(file.word)
        switch secrets[path] {
        case .success(let bytes): return TLSFile(path: path, bytes: bytes)
        case .failure(let fault):
            error(
                kind.failure(shown(Array(path.utf8)), fault), at: file.word,
                hint: "check the path and who may read it; it is relative to the directory of the main file")
        case nil: break
        }
        return nil
    }

    private mutating func ticketKey(_ file: Said<[UInt8]>) -> TLSFile? {
        guard let key = secret(file, .openFile) else { return nil }
        guard key.bytes.count == 48 || key.bytes.count == 80 else {
            error(
                "\"\(shown(Array(key.path.utf8)))\" must be 48 or 80 bytes", at: file.word,
                hint: "it has \(key.bytes.count); make one with: openssl rand 80")
            return nil
        }
        return key
    }

    /// One a line; empty lines are none.
    private mutating func passphrases(_ file: Said<[UInt8]>) -> [[UInt8]] {
        guard let secret = secret(file, .openFile) else { return [] }
        let bytesMax = Assembler.passphraseBytesMax * Assembler.passphrasesMax
        var phrases: [[UInt8]] = []
        var rest = secret.bytes[...]
        while !rest.isEmpty {
            let end = rest.firstIndex(of: UInt8(ascii: "\n")) ?? rest.endIndex
            var line = rest[..<end]
            rest = rest[min(end + 1, rest.endIndex)...]
            if line.last == UInt8(ascii: "\r") { line.removeLast() }
            guard line.count <= Assembler.passphraseBytesMax, phrases.count < Assembler.passphrasesMax,
                secret.bytes.count <= bytesMax
            else {
                let fault = line.count > Assembler.passphraseBytesMax ? "too long line" : "too many lines"
                error(
                    "\(fault) in \"\(shown(Array(secret.path.utf8)))\"", at: file.word,
                    hint: "each line is one passphrase, of \(Assembler.passphraseBytesMax) bytes at most, and there "
                        + "are \(Assembler.passphrasesMax) of them at most")
                return []
            }
            if !line.isEmpty { phrases.append(Array(line)) }
        }
        return phrases
    }
}
