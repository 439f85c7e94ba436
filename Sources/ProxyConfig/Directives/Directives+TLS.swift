// SPDX-License-Identifier: Apache-2.0
//
// ngx_stream_ssl_module and ngx_stream_ssl_preread_module: TLS with clients. What both sides share is in
// Directives+TLSCommon.

import TLSWire

extension DirectiveTable {
    static let tlsDirectives: [Directive] =
        tlsCommonDirectives(.client) + [
            .repeatable("ssl_certificate", .secureLevels, 1...1) { assembler, statement in
                guard assembler.isFileOrVariable(statement.first) else { return }
                assembler.settings[.client].certificates.append(Said(statement.first))
            },
            .repeatable("ssl_certificate_key", .secureLevels, 1...1) { assembler, statement in
                guard assembler.isFileOrVariable(statement.first) else { return }
                assembler.settings[.client].keys.append(Said(statement.first))
            },
            .simple("ssl_client_certificate", .secureLevels, 1...1) { assembler, statement in
                assembler.settings.client.clientCertificates = assembler.filePath(statement)
            },
            .simple("ssl_dhparam", .levels, 1...1) { assembler, statement in
                assembler.settings.client.dhParameters = assembler.filePath(statement)
            },
            .simple("ssl_ecdh_curve", .levels, 1...1) { $0.settings.client.curves = $1.first.text },
            .flag("ssl_prefer_server_ciphers", .levels) { $0.settings.client.prefersServerCiphers = $1 },
            .simple("ssl_verify_client", .secureLevels, 1...1) { $0.setClientVerification($1) },
            .simple("ssl_session_cache", .levels, 1...2) { $0.setSessionCache($1) },
            .seconds("ssl_session_timeout", .levels) { $0.settings.client.sessionTimeoutSeconds = $1 },
            .flag("ssl_session_tickets", .levels) { $0.settings.client.usesTickets = $1 },
            .repeatable("ssl_session_ticket_key", .levels, 1...1) { assembler, statement in
                guard let path = assembler.filePath(statement) else { return }
                assembler.settings.client.ticketKeys.append(path)
            },
            .flag("ssl_reject_handshake", .levels) { $0.settings.client.rejectsHandshakes = $1 },
            .time("ssl_handshake_timeout", .levels) { $0.settings.handshakeTimeoutMilliseconds = $1 },
            .flag("ssl_stapling", .levels) { $0.settings.client.isStapling = $1 },
            .simple("ssl_stapling_file", .levels, 1...1) { assembler, statement in
                assembler.settings.client.staplingFile = assembler.filePath(statement)
            },
            .simple("ssl_stapling_responder", .levels, 1...1) { assembler, statement in
                if assembler.isURL(statement) { assembler.settings.client.staplingResponder = statement.first.text }
            },
            .flag("ssl_stapling_verify", .levels) { $0.settings.client.verifiesStapling = $1 },
            .simple("ssl_ocsp", .levels, 1...1) { $0.setOCSP($1) },
            .simple("ssl_ocsp_cache", .levels, 1...1) { $0.setOCSPCache($1) },
            .simple("ssl_ocsp_responder", .levels, 1...1) { assembler, statement in
                guard assembler.responderURL(statement.first) != nil else { return }
                assembler.settings.client.clientOCSPResponder = Said(statement.first)
            },
            .simple("ssl_certificate_compression", .levels, 1...1) { assembler, statement in
                guard assembler.flag(statement) == true else { return }
                assembler.error(
                    "certificates cannot be compressed", at: statement.first,
                    hint: "OpenSSL 3.0 cannot do it (3.2 can): write off, or take the line out")
            },
            .flag("ssl_preread", .levels) { $0.settings.readsClientHello = $1 },
        ]
}

extension Contexts {
    /// Where a listener with `ssl` gets its settings from.
    static let secureLevels: Contexts = .levels.union([.http, .httpServer])
}

extension Assembler {
    mutating func setClientVerification(_ statement: Statement) {
        let kinds: [(StaticString, TLSServerSettings.ClientVerification)] = [
            ("off", .off), ("on", .on), ("optional", .optional), ("optional_no_ca", .optionalWithoutCA),
        ]
        guard let kind = kinds.first(where: { statement.first.equals($0.0) })?.1 else {
            refuseValue(statement.first, known: kinds.map { "\($0.0)" })
            return
        }
        if context.isSubset(of: .adminLevels), kind == .optionalWithoutCA {
            error(
                "\"ssl_verify_client\" is on, optional or off in http", at: statement.first,
                hint: "nobody there asks afterwards whose certificate was shown; write one of these")
            return
        }
        settings.client.clientVerification = Said(value: kind, word: statement.first)
    }

    // MARK: - Caches

    /// What a cache in shared memory needs at least, as nginx has it: eight pages.
    private static let sharedCacheBytes = (8 * 4096)...(1 << 40)
    /// OpenSSL's own number of sessions (SSL_SESSION_CACHE_MAX_SIZE_DEFAULT).
    private static let builtinSessionsDefault = 20_480

    mutating func setSessionCache(_ statement: Statement) {
        var cache = TLSServerSettings.SessionCache()
        for word in statement.arguments {
            if word.equals("off") {
                cache.kind = .off
            } else if word.equals("none") {
                cache.kind = .none
            } else if word.equals("builtin") {
                cache.kind = .kept
                cache.builtinSessions = Assembler.builtinSessionsDefault
            } else if word.hasPrefix("builtin:") {
                guard let count = Quantity.number(word.bytes.dropFirst(8)), (2...Int(Int32.max)).contains(count) else {
                    refuseSessionCache(word)
                    return
                }
                cache.kind = .kept
                cache.builtinSessions = count
            } else if let (name, size) = sharedCache(word, "session cache") {
                cache.kind = .kept
                cache.sharedName = name
                cache.sharedBytes = size
            } else {
                return
            }
        }
        settings.client.sessionCache = cache
    }

    private mutating func refuseSessionCache(_ word: Word) {
        error(
            "invalid session cache \"\(shown(word.bytes))\"", at: word,
            hint: "write off, none, builtin, builtin:SESSIONS or shared:NAME:SIZE, like shared:tls:10m")
    }

    mutating func setOCSPCache(_ statement: Statement) {
        if statement.first.equals("off") {
            settings.client.clientOCSPCache = .off
        } else if let (name, size) = sharedCache(statement.first, "OCSP cache") {
            settings.client.clientOCSPCache = .kept(.init(sharedName: name, sharedBytes: size))
        }
    }

    /// `shared:NAME:SIZE`, nil where it is not, which has been reported. A name has one size everywhere.
    private mutating func sharedCache(_ word: Word, _ what: String) -> (name: String, size: Int)? {
        let fields = word.bytes.split(separator: UInt8(ascii: ":"), maxSplits: 2, omittingEmptySubsequences: false)
        guard word.hasPrefix("shared:"), fields.count == 3, !fields[1].isEmpty, let size = Quantity.size(fields[2]),
            size <= Assembler.sharedCacheBytes.upperBound
        else {
            if what == "session cache" {
                refuseSessionCache(word)
            } else {
                error(
                    "invalid \(what) \"\(shown(word.bytes))\"", at: word,
                    hint: "write off or shared:NAME:SIZE, like shared:ocsp:1m")
            }
            return nil
        }
        guard size >= Assembler.sharedCacheBytes.lowerBound else {
            error(
                "\(what) \"\(shown(word.bytes))\" is too small", at: word,
                hint: "\(Assembler.sharedCacheBytes.lowerBound >> 10)k is the least; 1m holds some 4000 sessions")
            return nil
        }
        let name = Array(fields[1])
        if let first = sharedCaches[name] {
            let place = placeText(first.position)
            guard first.what == what else {
                error(
                    "the shared memory zone \"\(shown(name))\" is already declared for a different use", at: word,
                    hint: "the other one is in \(place); give one of them another name")
                return nil
            }
            guard first.size == size else {
                error(
                    "the size \(size) of shared memory zone \"\(shown(name))\" conflicts with already declared size "
                        + "\(first.size)", at: word,
                    hint: "the other one is in \(place); one name is one cache: write one size, or another name")
                return nil
            }
        } else {
            sharedCaches[name] = SharedCache(what: what, size: size, position: word.position)
        }
        return (String(decoding: name, as: UTF8.self), size)
    }

    // MARK: - OCSP

    mutating func setOCSP(_ statement: Statement) {
        let values: [(StaticString, TLSServerSettings.OCSP)] = [("off", .off), ("on", .on), ("leaf", .leaf)]
        guard let value = values.first(where: { statement.first.equals($0.0) }) else {
            refuseValue(statement.first, known: values.map { "\($0.0)" })
            return
        }
        settings.client.clientOCSP = Said(value: value.1, word: statement.first)
    }

    /// Nil after a diagnostic.
    mutating func responderURL(_ word: Word) -> ResponderURL? {
        do throws(ResponderURLFault) {
            return try ResponderURL(word.bytes)
        } catch {
            self.error(
                "\(error.words) in OCSP responder \"\(shown(word.bytes))\" in \"ssl_ocsp_responder\"", at: word,
                hint: "write where the responder is: http://ocsp.example.com/")
            return nil
        }
    }

    mutating func isURL(_ statement: Statement) -> Bool {
        if statement.first.hasPrefix("http://"), statement.first.bytes.count > 7 { return true }
        error(
            "\"\(statement.name.text)\" directive invalid value", at: statement.first,
            hint: "write where the responder is: http://ocsp.example.com/")
        return false
    }
}

/// A name that `shared:` gave.
struct SharedCache {
    var what: String
    var size: Int
    var position: SourcePosition
}
