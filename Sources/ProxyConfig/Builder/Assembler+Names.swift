// SPDX-License-Identifier: Apache-2.0
//
// `server_name`: what a name may be, and the table of names of an address that several servers share. A name reaches
// Weir in a ClientHello alone: at an address without TLS, whose default server does not read it either, the default
// server gets all connections.

import Patterns
import Vocabulary

extension Assembler {
    private static let sliceListeners = 256

    // MARK: - Reading

    mutating func addServerNames(_ statement: Statement) {
        for word in statement.arguments {
            guard !word.bytes.isEmpty else {
                if statement.arguments.count > 1 {
                    error("server name \"\" is invalid", at: word, hint: "an empty name stands alone, or not at all")
                }
                continue
            }
            if word.bytes.first == UInt8(ascii: "~") {
                guard readNamePattern(word) else { continue }
            } else if !isHostName(word) {
                continue
            }
            server.names.append(word)
        }
    }

    private mutating func isHostName(_ word: Word) -> Bool {
        let star = UInt8(ascii: "*")
        let dot = UInt8(ascii: ".")
        let hint = "\"*\" stands at one end, beside a dot: *.example.com, .example.com or mail.*"
        let name = word.bytes
        if name.first == star && (name.count < 3 || name[1] != dot) || name.first == dot && name.count < 2 {
            error("server name \"\(shown(name))\" is invalid", at: word, hint: hint)
            return false
        }
        guard HostMask.isPlain(name) || HostMask(name) != nil else {
            error("invalid server name or wildcard \"\(shown(name))\"", at: word, hint: hint)
            return false
        }
        if name.contains(UInt8(ascii: "/")) {
            warn(
                "server name \"\(shown(name))\" has suspicious symbols", at: word,
                hint: "a name has letters, digits, \"-\" and dots")
        }
        return true
    }

    private mutating func readNamePattern(_ word: Word) -> Bool {
        let expression = word.dropFirst(1)
        guard !expression.bytes.isEmpty else {
            error(
                "empty regex in server name \"~\"", at: word,
                hint: "an expression follows \"~\": ~^mqtt\\d+\\.example$")
            return false
        }
        guard let pattern = pattern(expression, ignoresCase: true) else { return false }
        if let name = pattern.captureNames.first?.name {
            error(
                "Weir does not make variables of groups in \"server_name\" yet", at: word,
                hint: "write (…) instead of (?<\(name)>…), and make $\(name) by a map of $ssl_server_name")
            return false
        }
        namePatterns[word.bytes] = pattern
        return true
    }

    /// The first name, for `$server_name`.
    func serverName(_ draft: ServerDraft) -> String {
        guard let first = draft.names.first else { return "" }
        return first.equals("$hostname") ? options.hostname : first.text
    }

    // MARK: - Linking

    /// Whoever has a name first keeps it.
    mutating func addNames(_ words: [Word], to listener: Int, server: Int) {
        for word in words {
            if let pattern = namePatterns[word.bytes] {
                configuration.listeners[listener].names.expressions.append(.init(pattern: pattern, server: server))
                continue
            }
            let name = (word.equals("$hostname") ? Array(options.hostname.utf8) : word.bytes).lowercasedASCII
            let owner = configuration.listeners[listener].names.add(name, server: server)
            if owner != server {
                warn(
                    "conflicting server name \"\(shown(word.bytes))\" on "
                        + "\(configuration.listeners[listener].endpoint.text), ignored", at: word,
                    hint: "it leads to the server in \(configuration.servers[owner].origin); take it out of one")
            }
        }
    }

    /// Once all servers are known: who is asked for by name where, and who needs a certificate.
    mutating func finishListeners() {
        let end = min(cursor.draft + Assembler.sliceListeners, configuration.listeners.count)
        for index in cursor.draft..<end {
            let use = listenerUses[index]
            let listener = configuration.listeners[index]
            for server in use.servers {
                serverLinks[server].listensTLS = serverLinks[server].listensTLS || listener.isTLS
                serverLinks[server].isShared = serverLinks[server].isShared || use.servers.count > 1
            }
            if listener.isTLS {
                checkCertificates(of: listener, use)
            } else if use.servers.count > 1, !configuration.servers[listener.server].readsClientHello {
                configuration.listeners[index].names = ServerNames()
                warn(
                    "servers share \"\(listener.endpoint.text)\"", at: use.sharedPlace,
                    hint: "without ssl or ssl_preread no name is known: the default server "
                        + "(\(configuration.servers[listener.server].origin)) gets all connections")
            }
        }
        cursor.draft = end
    }

    /// The default server has a certificate, or refuses whoever asks for nobody; then all others have one.
    private mutating func checkCertificates(of listener: Listener, _ use: ListenerUse) {
        if hasCertificates(listener.server) { return }
        let servers =
            rejectsHandshakes(listener.server)
            ? use.servers.filter { !hasCertificates($0) && !rejectsHandshakes($0) } : [listener.server]
        for server in servers {
            error(
                "no \"ssl_certificate\" is defined for the \"listen ... ssl\" directive",
                at: serverLinks[server].position,
                hint: "write ssl_certificate FILE; and ssl_certificate_key FILE; here or in stream")
        }
    }

    private func hasCertificates(_ server: Int) -> Bool {
        !serverLinks[server].client.common.certificates.isEmpty || !streamSettings[.client].certificates.isEmpty
    }

    private func rejectsHandshakes(_ server: Int) -> Bool {
        serverLinks[server].client.rejectsHandshakes ?? streamSettings.client.rejectsHandshakes ?? false
    }
}

extension ServerNames {
    /// A valid name in lower case. The server that it leads to, which is another one where the name was taken.
    fileprivate mutating func add(_ name: [UInt8], server: Int) -> Int {
        switch HostMask.isPlain(name) ? nil : HostMask(name) {
        case .prefix(let tail, let takesItself):
            if takesItself, exact[Array(tail.dropFirst())] == nil { exact[Array(tail.dropFirst())] = server }
            return leadingMasks.keep(server, for: tail)
        case .suffix(let head): return trailingMasks.keep(server, for: head)
        case nil: return exact.keep(server, for: name)
        }
    }
}

extension [[UInt8]: Int] {
    fileprivate mutating func keep(_ server: Int, for name: [UInt8]) -> Int {
        if let owner = self[name] { return owner }
        self[name] = server
        return server
    }
}
