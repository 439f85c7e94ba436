// SPDX-License-Identifier: Apache-2.0
//
// proxy_ssl*: TLS with brokers. What both sides share is in Directives+TLSCommon.

extension DirectiveTable {
    static let proxyTLSDirectives: [Directive] =
        tlsCommonDirectives(.broker) + [
            .flag("proxy_ssl", .levels) { $0.settings.broker.isOn = $1 },
            .simple("proxy_ssl_certificate", .levels, 1...1) { assembler, statement in
                guard assembler.isNoneOrFileOrVariable(statement.first) else { return }
                assembler.settings[.broker].certificates = [Said(statement.first)]
            },
            .simple("proxy_ssl_certificate_key", .levels, 1...1) { assembler, statement in
                guard assembler.isNoneOrFileOrVariable(statement.first) else { return }
                assembler.settings[.broker].keys = [Said(statement.first)]
            },
            .flag("proxy_ssl_server_name", .levels) { $0.settings.broker.sendsServerName = $1 },
            .flag("proxy_ssl_session_reuse", .levels) { $0.settings.broker.reusesSessions = $1 },
            .simple("proxy_ssl_verify", .levels, 1...1) { assembler, statement in
                guard let isOn = assembler.flag(statement) else { return }
                assembler.settings.broker.verifies = Said(value: isOn, word: statement.first)
            },
            .simple("proxy_ssl_name", .levels, 1...1) { $0.settings.broker.name = Said($1.first) },
        ]
}

extension Assembler {
    /// An empty word ends what `stream` said: no certificate is sent.
    fileprivate mutating func isNoneOrFileOrVariable(_ word: Word) -> Bool {
        word.bytes.isEmpty || isFileOrVariable(word)
    }
}
