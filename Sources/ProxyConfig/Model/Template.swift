// SPDX-License-Identifier: Apache-2.0
//
// A string with variables in it, compiled once: what nginx calls a complex value. DataPlane evaluates it against a
// session; a template without variables is a literal and costs nothing to evaluate.

/// Literal bytes and variables in the order of the text.
package struct Template: Sendable, Hashable {
    package enum Part: Sendable, Hashable {
        case literal([UInt8])
        case variable(VariableReference)
    }
    package var parts: [Part]

    package init(parts: [Part]) { self.parts = parts }

    /// The bytes when there is no variable in it, else nil. An empty template is the empty literal.
    package var literal: [UInt8]? {
        if parts.isEmpty { return [] }
        guard parts.count == 1, case .literal(let bytes) = parts[0] else { return nil }
        return bytes
    }
}

package enum VariableReference: Sendable, Hashable {
    case builtin(BuiltinVariable)
    /// Index into `Configuration.maps`.
    case map(Int)
    /// Index into `Configuration.assignedVariables`.
    case assigned(Int)
    /// `$1` … `$9` in a value of a `map` whose source matched a regular expression; 0-based group 0 is never used.
    case capture(Int)
}

/// Every variable that Weir knows by itself. The raw value is the name without `$`.
package enum BuiltinVariable: String, Sendable, CaseIterable, Equatable {
    // ngx_stream_core_module
    case binaryRemoteAddress = "binary_remote_addr"
    case bytesReceived = "bytes_received"
    case bytesSent = "bytes_sent"
    case connection = "connection"
    case hostname = "hostname"
    case msec = "msec"
    case nginxVersion = "nginx_version"
    case pid = "pid"
    case protocolName = "protocol"
    case remoteAddress = "remote_addr"
    case remotePort = "remote_port"
    case serverAddress = "server_addr"
    case serverName = "server_name"
    case serverPort = "server_port"
    case sessionTime = "session_time"
    case status = "status"
    case timeISO8601 = "time_iso8601"
    case timeISO8601Milliseconds = "time_iso8601_ms"
    case timeLocal = "time_local"
    case proxyProtocolAddress = "proxy_protocol_addr"
    case proxyProtocolPort = "proxy_protocol_port"
    case proxyProtocolServerAddress = "proxy_protocol_server_addr"
    case proxyProtocolServerPort = "proxy_protocol_server_port"
    // ngx_stream_upstream_module
    case upstreamAddress = "upstream_addr"
    case upstreamBytesReceived = "upstream_bytes_received"
    case upstreamBytesSent = "upstream_bytes_sent"
    case upstreamConnectTime = "upstream_connect_time"
    case upstreamFirstByteTime = "upstream_first_byte_time"
    case upstreamSessionTime = "upstream_session_time"
    case upstreamLastAddress = "upstream_last_addr"
    // ngx_stream_mqtt_preread_module, and the names that scripts used before it
    case mqttPrereadClientID = "mqtt_preread_clientid"
    case mqttPrereadUserName = "mqtt_preread_username"
    case mqttClientID = "mqtt_client_id"
    case mqttClientIDShort = "mqtt_clientid"
    // ngx_stream_ssl_module
    case tlsALPNProtocol = "ssl_alpn_protocol"
    case tlsCipher = "ssl_cipher"
    case tlsCiphers = "ssl_ciphers"
    case tlsClientCertificate = "ssl_client_cert"
    case tlsClientRawCertificate = "ssl_client_raw_cert"
    case tlsClientEscapedCertificate = "ssl_client_escaped_cert"
    case tlsClientFingerprint = "ssl_client_fingerprint"
    case tlsClientIssuer = "ssl_client_i_dn"
    case tlsClientSubject = "ssl_client_s_dn"
    case tlsClientSerial = "ssl_client_serial"
    case tlsClientSignatureAlgorithm = "ssl_client_sigalg"
    case tlsClientValidFrom = "ssl_client_v_start"
    case tlsClientValidTo = "ssl_client_v_end"
    case tlsClientValidDays = "ssl_client_v_remain"
    case tlsClientVerification = "ssl_client_verify"
    case tlsCurve = "ssl_curve"
    case tlsCurves = "ssl_curves"
    case tlsECHStatus = "ssl_ech_status"
    case tlsECHOuterServerName = "ssl_ech_outer_server_name"
    case tlsProtocol = "ssl_protocol"
    case tlsServerName = "ssl_server_name"
    case tlsSessionID = "ssl_session_id"
    case tlsSessionReused = "ssl_session_reused"
    case tlsSignatureAlgorithm = "ssl_sigalg"
    case tlsSignatureAlgorithms = "ssl_sigalgs"
    // ngx_stream_ssl_preread_module
    case tlsPrereadProtocol = "ssl_preread_protocol"
    case tlsPrereadServerName = "ssl_preread_server_name"
    case tlsPrereadALPNProtocols = "ssl_preread_alpn_protocols"
    // Weir's own
    case tlsClientCommonName = "ssl_client_cn"
    case tlsClientAlternativeNames = "ssl_client_san"
    case mqttVersion = "mqtt_version"
    case mqttKeepAlive = "mqtt_keepalive"
    case mqttCleanStart = "mqtt_clean_start"
    case closeReason = "close_reason"
    case sessionID = "session_id"
    case sessionEvent = "session_event"
}
