// SPDX-License-Identifier: Apache-2.0
//
// Who is measured: Weir, its peers, and nobody (the devices straight at the broker, which shows what the load itself
// costs). How each is configured for one worker in front of eight brokers.
//
// nginx spreads connections in turn and reads none of their bytes; Weir and HAProxy read CONNECT and hash its client
// id.

import Vocabulary

enum Peer: String, CaseIterable {
    case weir, nginx, haproxy, direct
}

/// Addresses of all runs. Ports stay outside of 32768-60999, from which outgoing connections take theirs.
enum Place {
    /// The proxy's own, so that it meets nobody who listens at 127.0.0.1.
    static let address = IPAddress(ipv4: 0x7F00_000A)
    static let port: UInt16 = 18_830
    static let securePort: UInt16 = 18_831
    /// The admin process's.
    static let adminPort: UInt16 = 18_832
    static let brokerPort: UInt16 = 18_840
    static let brokerAddresses: [UInt32] = (11...18).map { 0x7F00_0000 | $0 }
    static let sourceAddresses: [UInt32] = (1...64).map { 0x7F00_0100 | $0 }
    /// Further listeners of the reload scenario.
    static let blockPort: UInt16 = 20_000
    /// One listener for each generation, by which it is seen that a reload took effect.
    static let generationPort: UInt16 = 22_000
}

/// What a configuration file says.
struct PeerConfiguration {
    var peer: Peer
    var folder: String
    /// PEM, certificate and key: there is a listener with TLS too.
    var certificate: String? = nil
    /// Server blocks and groups beside the one that is measured.
    var furtherBlocks = 0
    var furtherGroups = 0
    /// Weir has an admin process.
    var hasAdmin = false
    /// Counts reloads; every block differs between two generations.
    var generation = 0

    var path: String { folder + "/\(peer.rawValue).conf" }

    var text: String {
        switch peer {
        case .weir, .nginx: streamText
        case .haproxy: haproxyText
        case .direct: ""
        }
    }

    private var servers: [String] { (11...18).map { "127.0.0.\($0):\(Place.brokerPort)" } }

    private var streamText: String {
        let isWeir = peer == .weir
        var lines: [String] = []
        if !isWeir { lines.append("load_module /usr/lib/nginx/modules/ngx_stream_module.so;") }
        lines += [
            "daemon off;", "worker_processes 1;", "worker_rlimit_nofile 20000;",
            "pid \(folder)/\(peer.rawValue).pid;", "error_log \(folder)/error.log warn;",
            "events { worker_connections 19900; }",
        ]
        if hasAdmin {
            lines.append(
                "http { server { listen \(Place.address.text):\(Place.adminPort); location = /metrics { prometheus; } "
                    + "location /api { api; } } }")
        }
        lines += ["stream {", "    access_log off;"]

        if isWeir { lines.append("    mqtt_preread on;") }
        for group in 0...furtherGroups {
            lines.append("    upstream brokers\(group) {")
            if isWeir { lines.append("        hash $mqtt_preread_clientid consistent;") }
            lines += servers.map { "        server \($0);" }
            lines.append("    }")
        }
        lines.append(block(Place.port, group: 0, parameters: " backlog=4096"))
        if let certificate {
            let tls = "; ssl_certificate \(certificate); ssl_certificate_key \(certificate); ssl_protocols TLSv1.3"
            lines.append(block(Place.securePort, group: 0, parameters: " ssl backlog=4096" + tls))
        }
        if generation > 0 { lines.append(block(Place.generationPort + UInt16(generation), group: 0)) }
        for index in 0..<furtherBlocks {
            let group = furtherGroups == 0 ? 0 : 1 + index % furtherGroups
            lines.append(block(Place.blockPort + UInt16(index), group: group))
        }
        lines.append("}\n")
        return lines.joined(separator: "\n")
    }

    private func block(_ port: UInt16, group: Int, parameters: String = "") -> String {
        "    server { listen 127.0.0.10:\(port)\(parameters); proxy_timeout \(600 + generation)s; "
            + "proxy_pass brokers\(group); }"
    }

    private var haproxyText: String {
        let servers = servers.enumerated().map { "    server broker\($0.offset) \($0.element)" }
        return """
            global
                nbthread 1
                maxconn 9900
            defaults
                mode tcp
                timeout connect 60s
                timeout client 600s
                timeout server 600s
            frontend devices
                bind 127.0.0.10:\(Place.port) backlog 4096
            \(certificate.map { "    bind 127.0.0.10:\(Place.securePort) backlog 4096 ssl crt \($0)" } ?? "")
                tcp-request inspect-delay 10s
                tcp-request content accept if { req.payload(0,0),mqtt_is_valid }
                default_backend brokers
            backend brokers
                hash-type consistent
                balance hash req.payload(0,0),mqtt_field_value(connect,client_identifier)
            \(servers.joined(separator: "\n"))

            """
    }
}
