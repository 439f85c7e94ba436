// SPDX-License-Identifier: Apache-2.0
//
// Certificates that are known when the session is (`ssl_certificate $name`, `data:$pem`), and the key log: what TLS
// wants of a worker beside bytes. Files are read with the worker's own rights, as in nginx.

import EventLoop
import LinuxIO
import ProxyConfig
import TLSEngine
import Vocabulary

/// Certificates by what the variables said, for as long as `ssl_certificate_cache` keeps them.
struct CertificateCache {
    private struct Entry {
        var pair: TLSKeyPair
        var readAt: UInt64
        var usedAt: UInt64
    }
    private var entries: [CertificateSource: Entry] = [:]

    /// Milliseconds of the worker's clock.
    mutating func pair(_ source: CertificateSource, _ limits: TLSCertificateCache, now: UInt64) -> TLSKeyPair? {
        guard let entry = entries[source], now - entry.readAt < UInt64(limits.validSeconds) * 1000,
            now - entry.usedAt < UInt64(limits.inactiveSeconds) * 1000
        else { return nil }
        entries[source]?.usedAt = now
        return entry.pair
    }

    mutating func keep(_ pair: TLSKeyPair, of source: CertificateSource, _ limits: TLSCertificateCache, now: UInt64) {
        if entries[source] == nil, entries.count >= limits.entriesMax,
            let oldest = entries.min(by: { $0.value.usedAt < $1.value.usedAt })
        {
            entries[oldest.key] = nil
        }
        entries[source] = Entry(pair: pair, readAt: now, usedAt: now)
    }
}

/// What the templates of one certificate came to.
struct CertificateSource: Hashable {
    enum Part: Hashable {
        case file(String)
        case data([UInt8])

        /// Nil: there is no file.
        var path: String? { if case .file(let path) = self { path } else { nil } }
    }
    var chain: Part
    var key: Part
    var passphrases: [[UInt8]]
}

extension Worker where K: ~Copyable {
    /// A certificate file is no larger; whatever is, is none.
    private static var certificateBytesMax: Int { 1 << 20 }

    /// False when there is none for this session, which has been logged.
    mutating func provideCertificates(_ side: Side, _ slot: Int, to tls: TLSConnection) -> Bool {
        let settings = settingsTable[sessions[slot].settings]
        guard let common = side == .client ? settings.tls?.settings.common : settings.proxyTLS?.settings.common else {
            return false
        }
        for template in common.certificateTemplates {
            let chain = value(of: template.chain, for: slot)
            // nginx: an empty value is a session without this certificate.
            guard !chain.isEmpty else { continue }
            let source = CertificateSource(
                chain: settings.part(chain, isData: template.isChainData),
                key: settings.part(value(of: template.key, for: slot), isData: template.isKeyData),
                passphrases: common.passphrases)
            do throws(TLSFault) {
                try tls.provide(try pair(source, common.certificateCache))
            } catch {
                let target = side == .client ? "" : " to upstream"
                logSession(.error, slot, "\(error.message) while SSL handshaking\(target)")
                return false
            }
        }
        tls.provideNoMore()
        return true
    }

    private mutating func pair(
        _ source: CertificateSource, _ limits: TLSCertificateCache?
    ) throws(TLSFault) -> TLSKeyPair {
        let now = kernel.nowMilliseconds
        if let limits, let known = certificates.pair(source, limits, now: now) { return known }
        let pair = try TLSKeyPair(
            chain: bytes(of: source.chain, "certificate"), key: bytes(of: source.key, "certificate key"),
            passphrases: source.passphrases, chainName: source.chain.path, keyName: source.key.path)
        if let limits { certificates.keep(pair, of: source, limits, now: now) }
        return pair
    }

    private func bytes(of part: CertificateSource.Part, _ what: String) throws(TLSFault) -> [UInt8] {
        switch part {
        case .data(let bytes): return bytes
        case .file(let path):
            do throws(Errno) { return try Files.read(path, bytesMax: Self.certificateBytesMax) } catch {
                throw TLSFault(
                    message: "cannot load \(what) \"\(path)\": \(error.numberedText); the worker's user must be able "
                        + "to read it",
                    file: path)
            }
        }
    }

    /// `ssl_key_log`, `proxy_ssl_key_log`.
    mutating func logKeys(_ slot: Int) {
        let settings = settingsTable[sessions[slot].settings]
        if let sink = settings.keyLogSink, let lines = sessions[slot].clientTLS?.takeKeyLog() {
            sinks.appendNow(lines, to: sink, now: kernel.nowMilliseconds)
        }
        if let sink = settings.proxyKeyLogSink, let lines = sessions[slot].brokerTLS?.takeKeyLog() {
            sinks.appendNow(lines, to: sink, now: kernel.nowMilliseconds)
        }
    }
}

extension ServerSettings {
    /// A value may say by itself that it is data, as in nginx.
    fileprivate func part(_ value: [UInt8], isData: Bool) -> CertificateSource.Part {
        if isData { return .data(value) }
        let prefix = Array("data:".utf8)
        if value.starts(with: prefix) { return .data(Array(value.dropFirst(prefix.count))) }
        return .file(sharing.path(String(decoding: value, as: UTF8.self)))
    }
}
