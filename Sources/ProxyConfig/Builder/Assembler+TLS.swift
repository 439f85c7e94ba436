// SPDX-License-Identifier: Apache-2.0
//
// The phase of TLS: which settings a server has towards clients and towards brokers. Drafts that say the same come to
// one object. Files are read here, one a slice, and only those that somebody uses; what is in them is the business of
// Assembler+TLSSettings.

extension Assembler {
    /// Servers a slice, where no file is read and no settings are made.
    private static let sliceServers = 64
    /// One file, and all of them together.
    private static let secretBytesMax = 32 << 20
    private static let secretsBytesMax = 256 << 20

    mutating func linkTLS(_ source: inout some ConfigurationSource) {
        let end = min(cursor.draft + Assembler.sliceServers, configuration.servers.count)
        while cursor.draft < end {
            guard linkClientSide(cursor.draft, &source), linkBrokerSide(cursor.draft, &source) else { return }
            warnOfEmptyTLSKey(cursor.draft)
            checkPass(cursor.draft)
            cursor.draft += 1
        }
    }

    /// False when a file was read or settings were made instead: one of these is a slice.
    private mutating func linkClientSide(_ server: Int, _ source: inout some ConfigurationSource) -> Bool {
        let link = serverLinks[server]
        guard link.listensTLS else { return true }
        if link.inheritsClient, let inherited = inheritedClientSettings {
            configuration.servers[server].tls = inherited
            return true
        }
        let draft = link.client.inheriting(streamSettings.client)
        guard draft.hasCertificates || draft.rejectsHandshakes == true else {
            refuseVerificationWithoutCertificate(draft)
            return true
        }
        guard let settings = sharedSettings(of: draft, &source) else { return false }
        configuration.servers[server].tls = settings
        if link.inheritsClient { inheritedClientSettings = settings }
        return true
    }

    /// Nil when a file was read or the settings were made just now: one of these is a slice.
    mutating func sharedSettings(
        of draft: TLSServerDraft, _ source: inout some ConfigurationSource
    ) -> Shared<TLSServerSettings>? {
        let key = DraftKey(draft)
        if let known = clientSettings[key] { return known }
        if !readNext(of: draft.files, &source) { clientSettings[key] = Shared(serverSettings(draft, &source)) }
        return nil
    }

    /// Whoever asks for such a server gets the default server's settings: what it says of clients would not hold.
    private mutating func refuseVerificationWithoutCertificate(_ draft: TLSServerDraft) {
        guard draft.verifiesClients, let word = draft.clientVerification?.word else { return }
        error(
            "no \"ssl_certificate\" is defined for \"ssl_verify_client\"", at: word,
            hint: "without a certificate of its own a server has the TLS settings of the default one: write one here")
    }

    /// As above.
    private mutating func linkBrokerSide(_ server: Int, _ source: inout some ConfigurationSource) -> Bool {
        var draft = serverLinks[server].broker.inheriting(streamSettings.broker)
        guard draft.isOn == true else { return true }
        switch configuration.servers[server].content {
        case .proxy(let upstream):
            let group = configuration.upstreams[upstream]
            draft.defaultName = group.isExplicit ? group.name : Assembler.hostName(group.name)
        case .proxyByName: break
        case .respond, .pass: return true
        }
        let key = DraftKey(draft)
        guard let settings = brokerSettings[key] else {
            if !readNext(of: draft.files, &source) { brokerSettings[key] = Shared(brokerSettings(draft)) }
            return false
        }
        configuration.servers[server].proxyTLS = settings
        for check in configuration.servers[server].healthChecks.indices {
            configuration.servers[server].healthChecks[check].tls = settings
        }
        return true
    }

    /// Of an address that was accepted.
    private static func hostName(_ address: String) -> String {
        (try? AddressText.parse(Array(address.utf8), isListen: false))?.hostText ?? ""
    }

    // MARK: - Files

    func secretPath(_ word: Word) -> String { options.pathBesideFile(word.text) }

    /// Reads the first of the files that is not known yet; false when all are.
    mutating func readNext(of files: [Said<[UInt8]>], _ source: inout some ConfigurationSource) -> Bool {
        for file in files {
            let path = secretPath(file.word)
            guard secrets[path] == nil else { continue }
            var answer = source.secret(path)
            if case .success(let bytes) = answer {
                secretBytes += bytes.count
                if bytes.count > Assembler.secretBytesMax || secretBytes > Assembler.secretsBytesMax {
                    answer = .failure(SourceFault(code: 27, reason: "File too large"))
                }
            }
            secrets[path] = answer
            return true
        }
        return false
    }

    // MARK: - Warnings

    /// As `warnOfEmptyKey`, for what only TLS knows: all clients would go to one broker, or anywhere.
    private mutating func warnOfEmptyTLSKey(_ server: Int) {
        let link = serverLinks[server]
        guard let word = link.proxyPass, case .proxy(let upstream) = configuration.servers[server].content,
            case .hash(let key, _) = configuration.upstreams[upstream].method
        else { return }
        for case .variable(.builtin(let variable)) in key.parts {
            let remedy: String
            if variable.isReadFromClientHello {
                // Another server of the address may have read it.
                guard !configuration.servers[server].readsClientHello, !link.isShared else { continue }
                remedy = "needs \"ssl_preread on;\" in this server or in stream"
            } else if variable.isOfTLS {
                guard !link.listensTLS else { continue }
                remedy = "needs \"listen … ssl\" in this server"
            } else {
                continue
            }
            warn(
                "the key of upstream \"\(shown(Array(configuration.upstreams[upstream].name.utf8)))\" is empty here",
                at: word, hint: "\"$\(variable.rawValue)\" \(remedy)")
            return
        }
    }
}

extension BuiltinVariable {
    /// True for what only `ssl_preread` knows.
    fileprivate var isReadFromClientHello: Bool { rawValue.hasPrefix("ssl_preread_") }
    /// True for what only a session knows that began with a handshake.
    fileprivate var isOfTLS: Bool { rawValue.hasPrefix("ssl_") && !isReadFromClientHello }
}
