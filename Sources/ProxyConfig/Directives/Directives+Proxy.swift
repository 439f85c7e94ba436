// SPDX-License-Identifier: Apache-2.0
//
// ngx_stream_proxy_module; TLS towards the broker is in Directives+ProxyTLS.

import Vocabulary

extension DirectiveTable {
    static let proxyDirectives: [Directive] = [
        .simple("proxy_pass", .server, 1...1) { $0.setContent(.proxy($1.first), $1) },
        .simple("proxy_bind", .levels, 1...2) { $0.setProxyBind($1) },
        .simple("proxy_bind_dynamic", .levels, 1...1) { assembler, statement in
            if assembler.flag(statement) == false {
                assembler.warn(
                    "\"proxy_bind_dynamic off\" is ignored", at: statement.name,
                    hint: "each connection is bound anew; take the line out")
            }
        },
        .size("proxy_buffer_size", .levels, in: bufferBytes) { $0.settings.proxyBufferBytes = $1 },
        .size("proxy_downstream_buffer", .levels, in: bufferBytes) { $0.settings.proxyBufferBytes = $1 },
        .size("proxy_upstream_buffer", .levels, in: bufferBytes) { $0.settings.proxyBufferBytes = $1 },
        .time("proxy_connect_timeout", .levels) { $0.settings.connectTimeoutMilliseconds = $1 },
        .time("proxy_timeout", .levels) { $0.settings.idleTimeoutMilliseconds = $1 },
        .simple("proxy_download_rate", .levels, 1...1) { assembler, statement in
            if assembler.isRate(statement) { assembler.settings.downloadRate = statement.first }
        },
        .simple("proxy_upload_rate", .levels, 1...1) { assembler, statement in
            if assembler.isRate(statement) { assembler.settings.uploadRate = statement.first }
        },
        .flag("proxy_half_close", .levels) { $0.settings.isHalfCloseAllowed = $1 },
        .flag("proxy_next_upstream", .levels) { $0.settings.nextUpstream = $1 },
        .time("proxy_next_upstream_timeout", .levels) { $0.settings.nextUpstreamTimeoutMilliseconds = $1 },
        .number("proxy_next_upstream_tries", .levels) { $0.settings.nextUpstreamTries = $1 },
        .flag("proxy_socket_keepalive", .levels) { $0.settings.isUpstreamKeepAlive = $1 },
        .size("proxy_socket_rcvbuf", .levels, in: socketBufferBytes) { $0.settings.upstreamReceiveBufferBytes = $1 },
        .size("proxy_socket_sndbuf", .levels, in: socketBufferBytes) { $0.settings.upstreamSendBufferBytes = $1 },
        // Of UDP sessions only, which need a listener that cannot be written yet.
        .number("proxy_requests", .levels) { _, _ in },
        .number("proxy_responses", .levels) { _, _ in },
        .simple("proxy_session_drop", .levels, 1...1) { assembler, statement in
            if assembler.flag(statement) == true {
                assembler.warn(
                    "\"proxy_session_drop on\" is ignored", at: statement.name,
                    hint: "sessions of a removed server go on until they end; take the line out")
            }
        },
    ]
}

extension Assembler {
    /// A constant rate is checked at once; one with variables shows its value with each session.
    fileprivate mutating func isRate(_ statement: Statement) -> Bool {
        let word = statement.first
        if word.bytes.contains(UInt8(ascii: "$")) || Quantity.size(word.bytes) != nil { return true }
        error(
            "\"\(statement.name.text)\" directive invalid value", at: word,
            hint: "write bytes a second, like 64k, or a variable; 0 is no limit")
        return false
    }

    mutating func setProxyBind(_ statement: Statement) {
        let isTransparent = statement.arguments.count > 1
        if isTransparent, !statement.words[2].equals("transparent") {
            invalidParameter(statement.words[2], hint: "after the address stands transparent, or nothing")
            return
        }
        let word = statement.first
        if word.equals("off"), !isTransparent {
            settings.proxyBind = .off
            return
        }
        guard word.bytes.contains(UInt8(ascii: "$")) || Assembler.isBindAddress(word.bytes) else {
            error(
                "invalid address \"\(shown(word.bytes))\"", at: word,
                hint: "write an address of this machine, a variable like $remote_addr, or off")
            return
        }
        settings.proxyBind = .address(word, isTransparent: isTransparent)
    }

    private static func isBindAddress(_ text: [UInt8]) -> Bool {
        if IPAddress(utf8: text[...]) != nil { return true }
        guard let parsed = try? AddressText.parse(text, isListen: false), case .address = parsed.host else {
            return false
        }
        return true
    }
}
