// SPDX-License-Identifier: Apache-2.0
//
// Configurations with TLS: a port for each way in which it can be met. What a port means stays over reloads, so that a
// client knows how to speak there; certificates, caches, protocols and brokers change.

import Vocabulary

/// The ports of a TLS configuration.
enum Door: UInt16, CaseIterable {
    /// TLS ends here; brokers speak plaintext, or TLS of their own.
    case ends = 8880
    case endsAnew
    /// As `ends`, and a client shows a certificate.
    case mutual
    case optional
    /// The name in the ClientHello chooses a server.
    case named
    /// `ssl_preread`: the client's TLS goes to a broker.
    case tunnel
    /// `ssl_preread`, and names that `pass` to the doors above.
    case sorting
    /// Plaintext comes in, TLS goes out.
    case sealing
    /// Plaintext on both sides.
    case plain

    /// TLS ends in the worker for whoever comes in here, but for `sorting`, where the name decides.
    var isEnd: Bool { (Door.ends.rawValue...Door.named.rawValue).contains(rawValue) }
    var speaksTLS: Bool { isEnd || self == .tunnel || self == .sorting }
}

/// All responders of a run say the same of the clients' certificate, where they say anything.
enum ResponderKnowledge: Int, CaseIterable { case good, revoked, unknown }

struct TLSConfigurationText {
    /// Who listens there speaks TLS.
    static let brokerPort: UInt16 = 8883
    /// OCSP responders.
    static let responderPort: UInt16 = 8080

    let world: World
    /// For a whole run: whether the certificates of clients are asked about, and what the responders know.
    let clientStatus: ResponderKnowledge?
    /// For a whole run: no impostor may be spoken to.
    let verifiesBrokers: Bool

    func make() -> String {
        var text = ConfigurationText.makeHead(world, last: " $ssl_session_reused")
        text += "    " + pair("default.test") + "\n"
        text += "    ssl_handshake_timeout \(world.draw(4...9))s;\n    ssl_client_certificate tls/ca.pem;\n"
        text += cache() + protocols("ssl_protocols")
        if world.chance(25) { text += "    ssl_session_tickets off;\n" }
        if world.chance(20) { text += "    ssl_alpn mqtt;\n" }
        if clientStatus != nil { text += status() }
        text += proxy()
        text += """
                map $ssl_server_name $chain { default "\(pem("default.test-1.pem"))"; }
                map $ssl_server_name $key { default "\(pem("default.test-1.key"))"; }
                map $ssl_preread_server_name $door { default 8880; b.test 8882; c.test 8884; }

            """
        for group in 0...1 { text += makeGroup("g\(group)", network: 1, port: 1883, group) }
        for group in 0...1 { text += makeGroup("s\(group)", network: 2, port: Int(Self.brokerPort), group) }
        for door in Door.allCases { text += servers(at: door) }
        return text + "}\n"
    }

    /// Where a client comes in: mostly where it is asked about, in a run that asks.
    func drawDoor() -> Door {
        if clientStatus != nil, world.chance(60) { return world.chance(50) ? .mutual : .optional }
        return Door.allCases[world.draw(0...Door.allCases.count - 1)]
    }

    /// One of the two that there are for a name.
    private func pair(_ name: String) -> String {
        let file = "tls/\(name)-\(world.draw(1...2))"
        return "ssl_certificate \(file).pem; ssl_certificate_key \(file).key;"
    }

    private func makeGroup(_ name: String, network: Int, port: Int, _ group: Int) -> String {
        let methods = ["", "least_conn; ", "random; ", "hash $remote_addr consistent; "]
        var text = "    upstream \(name) { \(methods[world.draw(0...methods.count - 1)])"
        for index in 1...world.draw(1...4) {
            text += "server 10.\(network).\(group).\(index):\(port) max_fails=\(world.draw(0...2)) "
            text += "fail_timeout=\(world.draw(1...5))s; "
        }
        return text + "}\n"
    }

    private func cache() -> String {
        let caches = [
            "", "off", "none", "builtin:100", "shared:one:\(world.draw(1...2))m", "builtin:10 shared:two:1m",
        ]
        let cache = caches[world.draw(0...caches.count - 1)]
        return cache.isEmpty ? "" : "    ssl_session_cache \(cache);\n"
    }

    /// A name has addresses to fail over to.
    private func status() -> String {
        let host = world.chance(50) ? MasterSide.responderName : "10.3.0.\(world.draw(1...4))"
        var text = "    ssl_ocsp \(world.chance(50) ? "on" : "leaf");\n"
        text += "    ssl_ocsp_responder http://\(host):\(Self.responderPort)/;\n"
        if world.chance(40) { text += "    ssl_ocsp_cache shared:status:1m;\n" }
        return text
    }

    private func protocols(_ directive: String) -> String {
        switch world.draw(0...9) {
        case 0...1: "    \(directive) TLSv1.2;\n"
        case 2: "    \(directive) TLSv1.3;\n"
        default: "    \(directive) TLSv1.2 TLSv1.3;\n"
        }
    }

    private func proxy() -> String {
        var text = "    proxy_ssl_name \(Credentials.brokerName);\n" + protocols("proxy_ssl_protocols")
        if verifiesBrokers { text += "    proxy_ssl_verify on;\n    proxy_ssl_trusted_certificate tls/ca.pem;\n" }
        if world.chance(30) { text += "    proxy_ssl_session_reuse off;\n" }
        if world.chance(50) { text += "    proxy_ssl_server_name on;\n" }
        if world.chance(30) {
            text += "    proxy_ssl_certificate tls/weir.pem;\n    proxy_ssl_certificate_key tls/weir.key;\n"
        }
        return text
    }

    private func servers(at door: Door) -> String {
        let listen = "listen \(door.rawValue)\(door.isEnd ? " ssl" : "")"
        switch door {
        case .ends, .endsAnew: return server("\(listen); \(certificate()) \(preread()) \(content())")
        case .mutual: return server("\(listen); ssl_verify_client on; \(preread()) \(content())")
        case .optional: return server("\(listen); ssl_verify_client optional; \(preread()) \(content())")
        case .named:
            var text = server("\(listen) default_server; \(preread()) \(content())")
            for name in Credentials.names where world.chance(80) {
                let pattern = name == "c.test" ? "~^c\\.te" : name
                text += server("\(listen); server_name \(pattern); \(pair(name)) \(preread()) \(content())")
            }
            return text
        case .tunnel: return server("\(listen); ssl_preread on; \(wire("s\(world.draw(0...1))", sealed: false))")
        case .sorting:
            return server("\(listen); ssl_preread on; \(wire("s0", sealed: false))")
                + server("\(listen); server_name a.test b.test; ssl_preread on; pass $door;")
                + server("\(listen); server_name c.test; ssl_preread on; pass 127.0.0.1:\(Door.named.rawValue);")
        case .sealing: return server("\(listen); \(preread()) \(wire("s\(world.draw(0...1))", sealed: true))")
        case .plain:
            var content = wire("g\(world.draw(0...1))", sealed: false)
            if world.chance(25) { content = "pass 127.0.0.1:\(Door.ends.rawValue);" }
            return server("\(listen); \(preread()) \(content)")
        }
    }

    private func server(_ body: String) -> String {
        var text = "    server { \(body) status_zone z\(world.draw(0...2)); "
        if world.chance(20) { text += "preread_buffer_size \(world.draw(800...3000)); " }
        if world.chance(15) { text += "proxy_upload_rate \(world.draw(20...200))k; " }
        if world.chance(15) { text += "proxy_download_rate \(world.draw(20...200))k; " }
        if world.chance(25) { text += "proxy_half_close on; " }
        if world.chance(10) { text += "proxy_socket_rcvbuf \(world.draw(2...64))k; " }
        return text + "}\n"
    }

    /// Mostly that of all servers.
    private func certificate() -> String {
        switch world.draw(0...19) {
        case 0: "ssl_reject_handshake on;"
        // The worker reads this one itself, and there is no such file.
        case 1: "ssl_certificate tls/$ssl_server_name.pem; ssl_certificate_key tls/$ssl_server_name.key;"
        case 2...4: "ssl_certificate data:$chain; ssl_certificate_key data:$key; ssl_certificate_cache max=2;"
        default: ""
        }
    }

    private func pem(_ file: String) -> String { String(decoding: Credentials.shared.files[file] ?? [], as: UTF8.self) }

    private func preread() -> String {
        switch world.draw(0...9) {
        case 0...3: "mqtt_preread on;"
        case 4...5: "mqtt_preread required;"
        default: ""
        }
    }

    private func content() -> String {
        switch world.draw(0...19) {
        case 0...1: "return \"hello $remote_addr at $server_port over $ssl_protocol\\n\";"
        case 2: "pass 127.0.0.1:\(world.chance(50) ? Door.plain.rawValue : Door.endsAnew.rawValue);"
        case 3...8: wire("s\(world.draw(0...1))", sealed: true)
        case 9: wire("s\(world.draw(0...1))", sealed: false)
        case 10: wire("g\(world.draw(0...1))", sealed: true)
        default: wire("g\(world.draw(0...1))", sealed: false)
        }
    }

    private func wire(_ group: String, sealed: Bool) -> String {
        "proxy_ssl \(sealed ? "on" : "off"); proxy_pass \(group);"
    }
}
