// SPDX-License-Identifier: Apache-2.0
//
// What a variable is worth for a session. Values are appended to bytes that the caller keeps, in nginx's forms; a
// variable that has no value is told apart from an empty one, as access logs write `-` for the first only.

import EventLoop
import LinuxIO
import MQTTWire
import Patterns
import ProxyConfig
import SessionCore
import SharedState
import TLSEngine
import Vocabulary

extension Worker where K: ~Copyable {
    /// A template's bytes: what nginx calls evaluating a complex value. Variables without a value are empty.
    func append(_ template: Template, of slot: Int, captures: [[UInt8]] = [], to output: inout [UInt8]) {
        for part in template.parts {
            switch part {
            case .literal(let bytes): output.append(contentsOf: bytes)
            case .variable(let variable): _ = append(variable, of: slot, captures: captures, to: &output)
            }
        }
    }

    /// A template's bytes as a value of its own; for the rare paths.
    func value(of template: Template, for slot: Int) -> [UInt8] {
        if let literal = template.literal { return literal }
        var bytes: [UInt8] = []
        append(template, of: slot, to: &bytes)
        return bytes
    }

    /// False when the variable has no value; then nothing was appended.
    func append(
        _ variable: VariableReference, of slot: Int, captures: [[UInt8]] = [], to output: inout [UInt8]
    ) -> Bool {
        switch variable {
        case .builtin(let builtin):
            return append(builtin, of: slot, to: &output)
        case .map(let index):
            append(mapTable(index, of: slot), of: slot, to: &output)
            return true
        case .assigned(let index):
            return appendAssigned(index, of: slot, to: &output)
        case .capture(let group):
            guard group < captures.count else { return false }
            output.append(contentsOf: captures[group])
            return true
        }
    }

    // MARK: - Maps

    private func mapTable(_ index: Int, of slot: Int) -> MapTable {
        if let table = settingsTable[sessions[slot].settings].maps[index] { return table }
        guard let held = sessions[slot].routing else { preconditionFailure("map \(index) is out of reach") }
        return generations[held].configuration.maps[index]
    }

    private func append(_ map: MapTable, of slot: Int, to output: inout [UInt8]) {
        var source: [UInt8] = []
        append(map.source, of: slot, to: &source)
        if let value = map.value(named: source) { return append(value, of: slot, to: &output) }
        for expression in map.expressions {
            guard let groups = matching.groups(of: expression.pattern, in: source) else { continue }
            return append(expression.value, of: slot, captures: groups, to: &output)
        }
        append(map.defaultValue, of: slot, to: &output)
    }

    // MARK: - Built-in variables

    private func append(_ variable: BuiltinVariable, of slot: Int, to output: inout [UInt8]) -> Bool {
        switch variable {
        case .binaryRemoteAddress:
            guard let client = sessions[slot].clientEndpoint else { return false }
            for index in 0..<client.address.byteCount { output.append(client.address.byte(index)) }
        case .remoteAddress:
            guard let client = sessions[slot].clientEndpoint else {
                output.append(utf8: "unix:")
                break
            }
            client.address.write(to: &output)
        case .remotePort:
            guard let client = sessions[slot].clientEndpoint else { return false }
            output.appendDecimal(UInt64(client.port))
        case .serverAddress:
            guard let local = kernel.localAddress(of: sessions[slot].client) else {
                output.append(utf8: "unix:")
                break
            }
            local.address.write(to: &output)
        case .serverPort:
            guard let local = kernel.localAddress(of: sessions[slot].client) else { return false }
            output.appendDecimal(UInt64(local.port))
        case .serverName:
            output.append(text: settingsTable[sessions[slot].settings].server.name)
        case .bytesReceived:
            output.appendDecimal(sessions[slot].upload.received)
        case .bytesSent:
            output.appendDecimal(sessions[slot].download.sent)
        case .connection:
            output.appendDecimal(sessions[slot].number)
        case .sessionID:
            SessionID(run: identity.run, number: sessions[slot].number).write(to: &output)
        case .hostname:
            output.append(contentsOf: identity.hostname)
        case .nginxVersion:
            output.append(text: weirVersion)
        case .pid:
            output.appendDecimal(Int(identity.processID))
        case .protocolName:
            output.append(utf8: "TCP")
        case .sessionTime:
            output.appendSeconds(milliseconds: kernel.nowMilliseconds - sessions[slot].startedAt)
        case .status:
            // nginx writes 000 until the end, which is no number of JSON.
            let isOver = sessions[slot].machine.state == .closing
            output.appendDecimal(isOver ? UInt64(sessions[slot].machine.closeReason.status) : 0)
        case .sessionEvent:
            guard let lineEvent else { return false }
            output.append(text: lineEvent.name)
        case .closeReason:
            guard sessions[slot].machine.state == .closing else { return false }
            output.append(text: sessions[slot].machine.closeReason.name)
        case .msec:
            output.appendSeconds(milliseconds: kernel.wallMilliseconds)
        case .timeLocal, .timeISO8601, .timeISO8601Milliseconds:
            appendTime(variable, to: &output)
        case .proxyProtocolAddress, .proxyProtocolPort, .proxyProtocolServerAddress, .proxyProtocolServerPort:
            return false
        case .upstreamAddress, .upstreamBytesReceived, .upstreamBytesSent, .upstreamConnectTime,
            .upstreamFirstByteTime, .upstreamSessionTime, .upstreamLastAddress:
            return appendUpstream(variable, of: slot, to: &output)
        case .mqttPrereadClientID, .mqttClientID, .mqttClientIDShort, .mqttPrereadUserName, .mqttVersion,
            .mqttKeepAlive, .mqttCleanStart:
            return appendMQTT(variable, of: slot, to: &output)
        case .tlsALPNProtocol, .tlsCipher, .tlsCiphers, .tlsClientCertificate, .tlsClientRawCertificate,
            .tlsClientEscapedCertificate, .tlsClientFingerprint, .tlsClientIssuer, .tlsClientSubject,
            .tlsClientSerial, .tlsClientSignatureAlgorithm, .tlsClientValidFrom, .tlsClientValidTo,
            .tlsClientValidDays, .tlsClientVerification, .tlsCurve, .tlsCurves, .tlsECHStatus,
            .tlsECHOuterServerName, .tlsProtocol, .tlsServerName, .tlsSessionID, .tlsSessionReused,
            .tlsSignatureAlgorithm, .tlsSignatureAlgorithms, .tlsClientCommonName, .tlsClientAlternativeNames:
            return sessions[slot].clientTLS?.append(variable, to: &output) ?? false
        case .tlsPrereadProtocol, .tlsPrereadServerName, .tlsPrereadALPNProtocols:
            return appendHello(variable, of: slot, to: &output)
        }
        return true
    }

    private func appendTime(_ variable: BuiltinVariable, to output: inout [UInt8]) {
        let wall = kernel.wallMilliseconds
        let time = LocalTime(secondsSince1970: Int64(wall / 1000))
        switch variable {
        case .timeLocal: time.writeCommonLog(to: &output)
        case .timeISO8601: time.writeISO8601(milliseconds: nil, to: &output)
        default: time.writeISO8601(milliseconds: Int(wall % 1000), to: &output)
        }
    }

    private func appendMQTT(_ variable: BuiltinVariable, of slot: Int, to output: inout [UInt8]) -> Bool {
        guard let connect = sessions[slot].connect else { return false }
        switch variable {
        case .mqttPrereadUserName:
            guard connect.hasUserName else { return false }
            appendPreread(sessions[slot].userName, of: slot, to: &output)
        case .mqttVersion:
            output.append(utf8: connect.version.name)
        case .mqttKeepAlive:
            output.appendDecimal(UInt64(connect.keepAliveSeconds))
        case .mqttCleanStart:
            output.append(connect.isCleanStart ? UInt8(ascii: "1") : UInt8(ascii: "0"))
        default:
            appendPreread(sessions[slot].clientID, of: slot, to: &output)
        }
        return true
    }

    private func appendPreread(_ range: ByteRange, of slot: Int, to output: inout [UInt8]) {
        let bytes = unsafe sessions[slot].preread.bytes
        unsafe output.append(contentsOf: bytes[range.range])
    }

    // MARK: - Variables of `set`

    /// Values stand one behind the other, each with its length in four bytes in front; 0xFFFFFFFF is "not set".
    private func appendAssigned(_ index: Int, of slot: Int, to output: inout [UInt8]) -> Bool {
        let bytes = unsafe sessions[slot].assigned.bytes
        var offset = 0
        var current = 0
        while offset + 4 <= bytes.count {
            let length = unsafe bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
            offset += 4
            let count = length == UInt32.max ? 0 : Int(length)
            if current == index {
                guard length != UInt32.max else { return false }
                unsafe output.append(contentsOf: bytes[offset..<offset + count])
                return true
            }
            offset += count
            current += 1
        }
        return false
    }

    /// Pre-access phase: evaluates every `set` of the server, in order.
    mutating func assignVariables(of slot: Int) -> Bool {
        let settings = settingsTable[sessions[slot].settings]
        guard !settings.server.assignments.isEmpty else { return true }
        var values: [[UInt8]?] = Array(repeating: nil, count: settings.assignedCount)
        for assignment in settings.server.assignments {
            values[assignment.variable] = value(of: assignment.value, for: slot)
            var memory: [UInt8] = []
            for value in values {
                let length = value.map { UInt32($0.count) } ?? UInt32.max
                unsafe withUnsafeBytes(of: length) { unsafe memory.append(contentsOf: $0) }
                memory.append(contentsOf: value ?? [])
            }
            sessions[slot].assigned.free()
            guard sessions[slot].assigned.append(memory) else { return false }
        }
        return true
    }

    // MARK: - Variables of the upstream, a comma list over the tries

    private func appendUpstream(_ variable: BuiltinVariable, of slot: Int, to output: inout [UInt8]) -> Bool {
        if variable == .upstreamLastAddress {
            return appendLastBrokerAddress(of: slot, to: &output)
        }
        let failed = unsafe sessions[slot].failedTries.bytes
        guard !sessions[slot].failedTries.isEmpty || sessions[slot].hasPresentTry else { return false }
        var offset = 0
        while let failure = unsafe FailedTry(reading: failed, at: &offset) {
            switch variable {
            case .upstreamAddress: unsafe output.append(contentsOf: failed[failure.address])
            case .upstreamBytesReceived, .upstreamBytesSent: output.append(UInt8(ascii: "0"))
            case .upstreamSessionTime: output.appendSeconds(milliseconds: UInt64(failure.milliseconds))
            default: output.append(UInt8(ascii: "-"))
            }
            if offset < failed.count || sessions[slot].hasPresentTry { output.append(utf8: ", ") }
        }
        guard sessions[slot].hasPresentTry else { return true }
        switch variable {
        case .upstreamAddress: appendBrokerAddress(of: slot, to: &output)
        case .upstreamBytesReceived: output.appendDecimal(sessions[slot].download.received)
        case .upstreamBytesSent: output.appendDecimal(sessions[slot].upload.sent)
        case .upstreamConnectTime: appendTime(sessions[slot].connectTime, to: &output)
        case .upstreamFirstByteTime: appendTime(sessions[slot].firstByteTime, to: &output)
        default: output.appendSeconds(milliseconds: kernel.nowMilliseconds - sessions[slot].connectStartedAt)
        }
        return true
    }

    /// Of the present try, else of the last one that failed. What stands behind the tries, when no server was left, is
    /// the group's name.
    private func appendLastBrokerAddress(of slot: Int, to output: inout [UInt8]) -> Bool {
        if sessions[slot].hasPresentTry {
            appendBrokerAddress(of: slot, to: &output)
            return true
        }
        let failed = unsafe sessions[slot].failedTries.bytes
        var last: FailedTry? = nil
        var offset = 0
        for _ in 0..<sessions[slot].tries {
            guard let failure = unsafe FailedTry(reading: failed, at: &offset) else { break }
            last = failure
        }
        guard let last else { return false }
        unsafe output.append(contentsOf: failed[last.address])
        return true
    }

    private func appendTime(_ milliseconds: UInt32?, to output: inout [UInt8]) {
        if let milliseconds {
            output.appendSeconds(milliseconds: UInt64(milliseconds))
        } else {
            output.append(UInt8(ascii: "-"))
        }
    }

    /// `1.2.3.4:5` or `unix:/path` of the broker of the present try.
    func appendBrokerAddress(of slot: Int, to output: inout [UInt8]) {
        if let endpoint = sessions[slot].brokerEndpoint {
            endpoint.write(to: &output)
        } else if let peer = sessions[slot].peer {
            region.appendEndpointText(of: peer, to: &output)
        }
    }
}

enum MapKey {
    /// ASCII only, as nginx compares.
    static func lowercased(_ byte: UInt8) -> UInt8 {
        byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte | 0x20 : byte
    }
}

/// A try that failed, as it stands in a session's memory: milliseconds (4 bytes), length (2 bytes), address in text.
struct FailedTry {
    let milliseconds: UInt32
    let address: Range<Int>

    /// Nil at the end; `offset` moves on.
    init?(reading bytes: UnsafeRawBufferPointer, at offset: inout Int) {
        guard offset + 6 <= bytes.count else { return nil }
        milliseconds = unsafe bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
        let count = unsafe Int(bytes.loadUnaligned(fromByteOffset: offset + 4, as: UInt16.self))
        address = offset + 6..<offset + 6 + count
        offset += 6 + count
    }

    static func record(milliseconds: UInt32, address: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        unsafe withUnsafeBytes(of: milliseconds) { unsafe bytes.append(contentsOf: $0) }
        unsafe withUnsafeBytes(of: UInt16(address.count)) { unsafe bytes.append(contentsOf: $0) }
        return bytes + address
    }
}
