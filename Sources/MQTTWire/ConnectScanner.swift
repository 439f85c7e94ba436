// SPDX-License-Identifier: Apache-2.0
//
// Reads CONNECT of MQTT 3.1, 3.1.1 and 5 out of the first bytes of a connection, at any cut of the stream, and needs
// no more of it than the client id and the user name: a password is never waited for, a will is passed over. Keeps no
// state, allocates nothing, never traps. The number of bytes looked at is bounded by the limit.
// Whether a string is well-formed UTF-8, and what the properties say, is left to the broker: neither is used here.
// Invariant: with `limit` bytes or more at hand the answer is never `needsMore`.

package enum ConnectScanner {
    /// `bytes` are the connection's first; `limit` is how many of them the caller is ready to hold.
    package static func scan(_ bytes: Span<UInt8>, limit: Int) -> ConnectScan {
        var walk = ConnectWalk(limit: limit)
        do throws(ConnectWalk.Stop) {
            return .complete(try walk.connect(in: bytes))
        } catch {
            switch error {
            case .needsMore: return .needsMore
            case .notConnect: return .notConnect
            case .tooLarge: return .tooLarge(version: walk.version)
            case .malformed(let fault): return .malformed(fault, version: walk.version)
            }
        }
    }
}

/// One pass from the first byte to the last field used.
private struct ConnectWalk {
    enum Stop: Error, BitwiseCopyable {
        case needsMore, tooLarge, notConnect
        case malformed(MQTTFault)
    }

    let limit: Int
    var offset = 0
    /// Where the packet ends; unbounded until the remaining length is read.
    var packetEnd = Int.max
    /// Known once name and level are read.
    var version: MQTTVersion? = nil

    init(limit: Int) { self.limit = limit }

    mutating func connect(in bytes: Span<UInt8>) throws(Stop) -> Connect {
        // The whole byte decides: TLS begins with 0x16, which a look at the type alone would take for a bad CONNECT.
        guard try byte(of: bytes) == MQTTPacketType.connect.rawValue << 4 else { throw .notConnect }
        let remainingLength = try variableInteger(of: bytes)
        packetEnd = offset + remainingLength

        let (version, isBridge) = try protocolVersion(of: bytes)
        self.version = version
        let flags = ConnectFlags(bits: try byte(of: bytes))
        guard flags.areValid(for: version) else { throw .malformed(.connectFlags) }
        let keepAliveSeconds = try word(of: bytes)
        if version == .v5 { try skipProperties(of: bytes) }
        let clientID = try field(of: bytes)
        if flags.hasWill {
            if version == .v5 { try skipProperties(of: bytes) }
            _ = try field(of: bytes)  // topic
            _ = try field(of: bytes)  // payload
        }
        let userName = flags.hasUserName ? try field(of: bytes) : nil
        return Connect(
            version: version, isBridge: isBridge, isCleanStart: flags.isCleanStart, hasWill: flags.hasWill,
            hasPassword: flags.hasPassword, keepAliveSeconds: keepAliveSeconds, clientID: clientID,
            userName: userName, remainingLength: UInt32(remainingLength), packetLength: UInt32(packetEnd))
    }

    /// The name's length says which of the two names it has to be, so that other bytes are refused before they are
    /// waited for.
    private mutating func protocolVersion(of bytes: Span<UInt8>) throws(Stop) -> (MQTTVersion, isBridge: Bool) {
        let isOld: Bool
        switch try word(of: bytes) {
        case 4:
            guard try take(4, of: bytes, equals: "MQTT") else { throw .malformed(.protocolName) }
            isOld = false
        case 6:
            guard try take(6, of: bytes, equals: "MQIsdp") else { throw .malformed(.protocolName) }
            isOld = true
        default:
            throw .malformed(.protocolName)
        }
        let level = try byte(of: bytes)
        guard let version = MQTTVersion(rawValue: level & 0x7F), (version == .v31) == isOld else {
            // The client is told in the nearest version that its protocol name has.
            self.version = isOld ? .v31 : level & 0x7F > MQTTVersion.v5.level ? .v5 : .v311
            throw .malformed(.protocolLevel)
        }
        return (version, level & 0x80 != 0)
    }

    private mutating func skipProperties(of bytes: Span<UInt8>) throws(Stop) {
        let count = try variableInteger(of: bytes)
        _ = try take(count, of: bytes)
    }

    /// Two bytes of length, then that many.
    private mutating func field(of bytes: Span<UInt8>) throws(Stop) -> FieldRange {
        let count = Int(try word(of: bytes))
        return FieldRange(offset: try take(count, of: bytes), count: count)
    }

    private mutating func byte(of bytes: Span<UInt8>) throws(Stop) -> UInt8 {
        bytes[try take(1, of: bytes)]
    }

    private mutating func word(of bytes: Span<UInt8>) throws(Stop) -> UInt16 {
        let start = try take(2, of: bytes)
        return UInt16(bytes[start]) << 8 | UInt16(bytes[start + 1])
    }

    /// At most 268,435,455; longer forms than needed are taken, as 3.1.1 allows them.
    private mutating func variableInteger(of bytes: Span<UInt8>) throws(Stop) -> Int {
        var value = 0
        var shift = 0
        while shift < 28 {
            let next = try byte(of: bytes)
            value |= Int(next & 0x7F) << shift
            if next & 0x80 == 0 { return value }
            shift += 7
        }
        throw .malformed(.lengthTooLong)
    }

    private mutating func take(_ count: Int, of bytes: Span<UInt8>, equals text: StaticString) throws(Stop) -> Bool {
        let start = try take(count, of: bytes)
        return text.withUTF8Buffer { name in
            for index in 0..<count where bytes[start + index] != (unsafe name[index]) { return false }
            return true
        }
    }

    /// Moves over `count` bytes and says where they start. The order of the checks is the order of certainty: what
    /// breaks the packet is malformed whether or not it fits; what will never fit is not waited for.
    private mutating func take(_ count: Int, of bytes: Span<UInt8>) throws(Stop) -> Int {
        let start = offset
        let end = start + count
        guard end <= packetEnd else { throw .malformed(.fieldBeyondPacket) }
        guard end <= limit else { throw .tooLarge }
        guard end <= bytes.count else { throw .needsMore }
        offset = end
        return start
    }
}

/// The connect flags byte (3.1.1 section 3.1.2.3, 5.0 section 3.1.2.3).
private struct ConnectFlags {
    let bits: UInt8

    var isCleanStart: Bool { bits & 0x02 != 0 }
    var hasWill: Bool { bits & 0x04 != 0 }
    var willQuality: UInt8 { bits >> 3 & 3 }
    var isWillRetained: Bool { bits & 0x20 != 0 }
    var hasPassword: Bool { bits & 0x40 != 0 }
    var hasUserName: Bool { bits & 0x80 != 0 }

    /// MQTT 3.1 leaves the reserved bit and the will's bits without a will unused, so its clients may send anything
    /// there. A password without a user name is forbidden by 3.1.1 alone.
    func areValid(for version: MQTTVersion) -> Bool {
        guard !hasWill || willQuality < 3 else { return false }
        guard version != .v31 else { return true }
        guard bits & 0x01 == 0 else { return false }
        guard hasWill || willQuality == 0 && !isWillRetained else { return false }
        return version == .v5 || hasUserName || !hasPassword
    }
}
