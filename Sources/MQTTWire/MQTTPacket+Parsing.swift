// SPDX-License-Identifier: Apache-2.0
//
// What a client reads out of the packets that a broker sends it. Properties of MQTT 5 are passed over.

/// SUBACK: one code for each filter asked for; 0x80 and above is a refusal.
package struct Suback: Sendable, Equatable {
    package var packetID: UInt16
    package var codes: [UInt8]
}

/// PUBACK: reason 0 before MQTT 5, and where MQTT 5 leaves it out.
package struct Puback: Sendable, Equatable {
    package var packetID: UInt16
    package var code: UInt8
}

extension MQTTPacket {
    package func connack() throws(MQTTFault) -> Connack {
        guard type == .connack else { throw .packetType }
        var cursor = BodyCursor(body)
        let flags = try cursor.byte()
        guard flags & 0xFE == 0 else { throw .connackFlags }
        return Connack(isSessionPresent: flags == 1, code: try cursor.byte(), packetLength: packetLength)
    }

    package func publish(version: MQTTVersion) throws(MQTTFault) -> PublishPacket {
        guard type == .publish else { throw .packetType }
        let quality = flags >> 1 & 3
        guard quality < 3 else { throw .qualityOfService }
        var cursor = BodyCursor(body)
        let topic = try cursor.field()
        let packetID = quality > 0 ? try cursor.word() : nil
        if version == .v5 { try cursor.skipProperties() }
        var publish = PublishPacket(topic: topic, payload: cursor.rest(), packetID: packetID)
        publish.isRetained = flags & 0x01 != 0
        publish.isDuplicate = flags & 0x08 != 0
        return publish
    }

    package func suback(version: MQTTVersion) throws(MQTTFault) -> Suback {
        guard type == .suback else { throw .packetType }
        var cursor = BodyCursor(body)
        let packetID = try cursor.word()
        if version == .v5 { try cursor.skipProperties() }
        return Suback(packetID: packetID, codes: cursor.rest())
    }

    package func puback() throws(MQTTFault) -> Puback {
        guard type == .puback else { throw .packetType }
        var cursor = BodyCursor(body)
        let packetID = try cursor.word()
        return Puback(packetID: packetID, code: cursor.isAtEnd ? 0 : try cursor.byte())
    }

    /// With the fixed header in its shortest form.
    private var packetLength: Int {
        switch body.count {
        case ..<128: body.count + 2
        case ..<16_384: body.count + 3
        case ..<2_097_152: body.count + 4
        default: body.count + 5
        }
    }
}

/// A position in a packet's body; every step that leaves the body is a fault.
private struct BodyCursor {
    let body: [UInt8]
    var offset = 0

    init(_ body: [UInt8]) { self.body = body }

    var isAtEnd: Bool { offset == body.count }

    mutating func byte() throws(MQTTFault) -> UInt8 {
        body[try take(1)]
    }

    mutating func word() throws(MQTTFault) -> UInt16 {
        let start = try take(2)
        return UInt16(body[start]) << 8 | UInt16(body[start + 1])
    }

    mutating func field() throws(MQTTFault) -> [UInt8] {
        let count = Int(try word())
        let start = try take(count)
        return Array(body[start..<start + count])
    }

    mutating func skipProperties() throws(MQTTFault) {
        var count = 0
        var shift = 0
        while true {
            let next = try byte()
            count |= Int(next & 0x7F) << shift
            if next & 0x80 == 0 { break }
            shift += 7
            guard shift < 28 else { throw .lengthTooLong }
        }
        _ = try take(count)
    }

    mutating func rest() -> [UInt8] {
        defer { offset = body.count }
        return Array(body[offset...])
    }

    private mutating func take(_ count: Int) throws(MQTTFault) -> Int {
        guard count <= body.count - offset else { throw .fieldBeyondPacket }
        defer { offset += count }
        return offset
    }
}
