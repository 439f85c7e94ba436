// SPDX-License-Identifier: Apache-2.0
//
// All directives, found by name; and the families that nginx has and Weir has not yet, each with what to say.

package enum DirectiveTable {
    static let all: [Directive] =
        mainDirectives + streamDirectives + tlsDirectives + proxyDirectives + proxyTLSDirectives + upstreamDirectives
        + healthDirectives + logDirectives + adminDirectives

    /// Positions in `all` by name: one name may mean two things in two contexts (`server`).
    static let byName: [[UInt8]: [Int]] = {
        var table: [[UInt8]: [Int]] = [:]
        for (index, directive) in all.enumerated() { table[Array(directive.name.utf8), default: []].append(index) }
        return table
    }()

    /// For documentation: each name with every context it may stand in.
    package static var names: [String: Contexts] {
        all.reduce(into: [:]) { $0[$1.name, default: []].formUnion($1.contexts) }
    }

    /// The names that may stand in a context, nearest first choice for "did you mean".
    static func names(in contexts: Contexts) -> [String] {
        all.filter { !$0.contexts.isDisjoint(with: contexts) }.map(\.name)
    }

    /// What nginx has and Weir has not; nil where nobody knows the name.
    static func missing(_ name: Word) -> Missing? {
        missing.first { entry in
            entry.isPrefix ? name.hasPrefix(entry.name) : name.equals(entry.name)
        }
    }

    struct Missing: Sendable {
        var name: StaticString
        var isPrefix = false
        /// True for what is no business of a stream balancer.
        var isForeign = false
        var remedy: String

        func message(for directive: String) -> String {
            isForeign
                ? "\"\(directive)\" directive is not supported"
                : "Weir does not have the \"\(directive)\" directive yet"
        }
    }

    private static let script = "Weir runs no scripts; \"mqtt_preread on\" reads the client id without one"

    private static let missing: [Missing] = [
        Missing(
            name: "ssl_ech_file",
            remedy: "OpenSSL 3.0 has no Encrypted ClientHello; take the line out; names go in the clear until then"),
        Missing(name: "js_", isPrefix: true, remedy: script),
        Missing(name: "limit_conn", isPrefix: true, remedy: "use max_conns of upstream servers until then"),
        Missing(name: "geo", remedy: "use map with expressions, or allow and deny, until then"),
        Missing(name: "geoip_", isPrefix: true, remedy: "use allow and deny until then"),
        Missing(name: "split_clients", remedy: "use weight of upstream servers until then"),
        Missing(name: "num_map", remedy: "use map with expressions until then"),
        Missing(name: "proxy_protocol", remedy: "take the line out; the broker sees the address of Weir until then"),
        Missing(
            name: "set_real_ip_from", remedy: "take the line out; addresses are those of the connection until then"),
        Missing(name: "mqtt_set_connect", remedy: "take the line out; CONNECT is passed on as it came until then"),
        Missing(name: "mqtt", remedy: "\"mqtt_preread on\" reads the client id without it"),
        Missing(name: "mqtt_buffers", remedy: "take the line out; it belongs to \"mqtt\""),
        Missing(name: "mqtt_rewrite_buffer_size", remedy: "take the line out; it belongs to \"mqtt\""),
        Missing(
            name: "zone_sync", isPrefix: true, remedy: "\"hash $mqtt_preread_clientid consistent\" needs no syncing"),
        Missing(name: "keyval", isPrefix: true, remedy: "use map until then"),
        Missing(name: "least_time", remedy: "use least_conn until then"),
        Missing(name: "open_log_file_cache", remedy: "take the line out; log files stay open without it"),
        Missing(name: "stall_threshold", remedy: "take the line out until then"),
        Missing(name: "mail", isForeign: true, remedy: "Weir balances streams only; keep mail with nginx"),
    ]
}
