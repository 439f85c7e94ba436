// SPDX-License-Identifier: Apache-2.0
//
// The directives of TLS that exist twice, as `ssl_NAME` and as `proxy_ssl_NAME`, and the checks of their arguments.

extension DirectiveTable {
    static func tlsCommonDirectives(_ side: TLSSide) -> [Directive] {
        let prefix = side.prefix
        /// The admin process has a server side, too, with what its own library knows of TLS.
        let anywhere: Contexts = side == .client ? .secureLevels : .levels
        return [
            .simple(prefix + "certificate_cache", .levels, 1...3) { $0.setCertificateCache($1, side) },
            .simple(prefix + "password_file", anywhere, 1...1) { assembler, statement in
                assembler.settings[side].passwordFile = assembler.filePath(statement)
            },
            .simple(prefix + "protocols", anywhere, Directive.any) { $0.setProtocols($1, side) },
            .simple(prefix + "ciphers", .levels, 1...1) { $0.settings[side].ciphers = $1.first.text },
            .repeatable(prefix + "conf_command", .levels, 2...2) { assembler, statement in
                assembler.settings[side].commands.append(
                    TLSCommand(name: statement.first.text, value: statement.words[2].text))
            },
            .simple(prefix + "alpn", .levels, Directive.any) { $0.setALPN($1, side) },
            .simple(prefix + "trusted_certificate", anywhere, 1...1) { assembler, statement in
                assembler.settings[side].trustedCertificates = assembler.filePath(statement)
            },
            .simple(prefix + "crl", .levels, 1...1) { assembler, statement in
                assembler.settings[side].revocations = assembler.filePath(statement)
            },
            // OpenSSL takes an int.
            .number(prefix + "verify_depth", .levels, in: 0...Int(Int32.max)) {
                $0.settings[side].verifyDepth = $1
            },
            .simple(prefix + "key_log", .levels, 1...1) { assembler, statement in
                guard let path = assembler.filePath(statement) else { return }
                let text = assembler.logPath(path.word)
                assembler.settings[side].keyLog = assembler.destination(
                    .keyLog(text), key: Array(text.utf8), path.word)
            },
        ]
    }
}

extension Assembler {
    /// A path without variables, or nil, which has been reported.
    mutating func filePath(_ statement: Statement) -> Said<[UInt8]>? {
        let word = statement.first
        if word.bytes.isEmpty {
            error("\"\(statement.name.text)\" directive invalid value", at: word, hint: "write the path of a file")
            return nil
        }
        if word.bytes.contains(UInt8(ascii: "$")) {
            error(
                "\"\(statement.name.text)\" takes no variables", at: word,
                hint: "write the path of a file; only certificates and their keys may have variables")
            return nil
        }
        return Said(word)
    }

    /// A certificate or its key: a path, or a text with variables.
    mutating func isFileOrVariable(_ word: Word) -> Bool {
        let hasVariables = word.bytes.contains(UInt8(ascii: "$"))
        if word.bytes.isEmpty {
            error("invalid value \"\"", at: word, hint: "write the path of a PEM file")
        } else if word.hasPrefix("engine:") || word.hasPrefix("store:") {
            error(
                "keys of OpenSSL engines and stores are not supported", at: word,
                hint: "write the path of a PEM file; it may be encrypted, with its passphrase in a password file")
        } else if word.hasPrefix("data:"), !hasVariables {
            error(
                "\"data:\" needs a variable", at: word,
                hint: "write the path of a PEM file, or data:$variable; a key does not belong in a configuration")
        } else {
            return true
        }
        return false
    }

    mutating func refuseValue(_ word: Word, known: [String]) {
        error(
            "invalid value \"\(shown(word.bytes))\"", at: word,
            hint: meant(word.bytes, among: known).map { "did you mean \"\($0)\"?" }
                ?? "there are \(known.joined(separator: ", "))")
    }

    mutating func setProtocols(_ statement: Statement, _ side: TLSSide) {
        let kinds: [(StaticString, TLSProtocols)] = [
            ("SSLv2", .ssl2), ("SSLv3", .ssl3), ("TLSv1", .tls1), ("TLSv1.1", .tls11), ("TLSv1.2", .tls12),
            ("TLSv1.3", .tls13),
        ]
        var protocols: TLSProtocols = []
        for word in statement.arguments {
            guard let kind = kinds.first(where: { word.equals($0.0) })?.1 else {
                refuseValue(word, known: kinds.map { "\($0.0)" })
                return
            }
            if protocols.contains(kind) {
                warn("duplicate value \"\(word.text)\"", at: word, hint: "once is enough; take it out")
            }
            protocols.insert(kind)
        }
        if protocols.isSubset(of: [.ssl2, .ssl3]) {
            error(
                "no protocol of \"\(statement.name.text)\" is left", at: statement.first,
                hint: "OpenSSL 3.0 has neither SSLv2 nor SSLv3: write TLSv1.2 TLSv1.3")
            return
        }
        settings[side].protocols = protocols
    }

    /// Names are counted by one byte, and all of them by two (RFC 7301).
    mutating func setALPN(_ statement: Statement, _ side: TLSSide) {
        var bytes = 0
        for word in statement.arguments {
            guard (1...255).contains(word.bytes.count) else {
                let fault = word.bytes.isEmpty ? "empty protocol" : "protocol too long"
                error(
                    "\"\(statement.name.text)\" directive \(fault)", at: word,
                    hint: "the name of a protocol has 1 to 255 bytes, like mqtt")
                return
            }
            bytes += word.bytes.count + 1
        }
        guard bytes <= Int(UInt16.max) else {
            error(
                "\"\(statement.name.text)\" directive too many protocols", at: statement.name,
                hint: "all names together take \(UInt16.max) bytes at most")
            return
        }
        settings[side].alpn = statement.arguments.map(\.text)
    }

    mutating func setCertificateCache(_ statement: Statement, _ side: TLSSide) {
        if statement.first.equals("off"), statement.arguments.count == 1 {
            settings[side].cache = .off
            return
        }
        var cache = TLSCertificateCache(entriesMax: 0)
        for word in statement.arguments {
            if word.hasPrefix("max=") {
                guard let count = number(word, after: 4, in: 1...Int(Int32.max)) else { return }
                cache.entriesMax = count
            } else if word.hasPrefix("inactive=") {
                guard let time = seconds(word, after: 9) else { return }
                cache.inactiveSeconds = time
            } else if word.hasPrefix("valid=") {
                guard let time = seconds(word, after: 6) else { return }
                cache.validSeconds = time
            } else {
                let known = ["off", "max=", "inactive=", "valid="]
                invalidParameter(word, hint: Assembler.parameterHint(word, known: known))
                return
            }
        }
        guard cache.entriesMax > 0 else {
            error(
                "\"\(statement.name.text)\" must have the \"max\" parameter", at: statement.name,
                hint: "write off, or how many certificates it keeps: max=1000")
            return
        }
        settings[side].cache = .kept(cache)
    }
}
