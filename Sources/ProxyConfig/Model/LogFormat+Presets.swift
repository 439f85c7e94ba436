// SPDX-License-Identifier: Apache-2.0
//
// The formats that exist without a `log_format`: a session as one object of JSON a line. A field has the name of its
// variable, and the same type in every line: a number, or a text; `null` where there is nothing to say. What lists the
// tries of a session is a text, as nginx writes it.

extension LogFormat {
    /// `json` has what every session has, `mqtt` the device, too.
    package static let presets = [preset("json", network), preset("mqtt", device + network)]

    private static let network: [BuiltinVariable] = [
        .remoteAddress, .remotePort, .serverAddress, .serverPort, .protocolName, .tlsProtocol, .tlsCipher,
        .tlsServerName, .tlsClientCommonName, .upstreamAddress, .upstreamConnectTime, .upstreamFirstByteTime,
        .upstreamBytesSent, .upstreamBytesReceived, .bytesReceived, .bytesSent, .sessionTime, .status, .closeReason,
    ]

    private static let device: [BuiltinVariable] = [
        .mqttPrereadClientID, .mqttPrereadUserName, .mqttVersion, .mqttKeepAlive, .mqttCleanStart,
    ]

    private static func preset(_ name: String, _ variables: [BuiltinVariable]) -> LogFormat {
        var parts: [Template.Part] = [
            .literal(Array(#"{"time":"#.utf8)), .variable(.builtin(.timeISO8601Milliseconds)),
        ]
        for variable in [.sessionEvent, .sessionID] + variables {
            parts += [.literal(Array(#","\#(variable.rawValue)":"#.utf8)), .variable(.builtin(variable))]
        }
        parts.append(.literal([UInt8(ascii: "}")]))
        return LogFormat(name: name, escape: .jsonValues, template: Template(parts: parts))
    }
}

extension VariableReference {
    /// Its values are numbers of JSON as they stand.
    package var isNumber: Bool {
        guard case .builtin(let variable) = self else { return false }
        switch variable {
        case .remotePort, .serverPort, .bytesReceived, .bytesSent, .sessionTime, .status, .mqttKeepAlive,
            .mqttCleanStart:
            return true
        default:
            return false
        }
    }
}
