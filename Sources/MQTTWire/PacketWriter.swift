// SPDX-License-Identifier: Apache-2.0
//
// Writes the packets that a client sends, for the demo's sensors, the load generator and the tests. The balancer itself
// writes none of them. A field of more than 65,535 bytes is the caller's mistake.

/// Everything a CONNECT can say.
package struct ConnectPacket: Sendable, Equatable {
    package struct Will: Sendable, Equatable {
        package var topic: [UInt8]
        package var payload: [UInt8]
        package var quality: UInt8 = 0
        package var isRetained = false
        /// MQTT 5 only: encoded properties without their length.
        package var properties: [UInt8] = []
        package init(topic: String, payload: [UInt8]) {
            self.topic = Array(topic.utf8)
            self.payload = payload
        }
    }

    package var version: MQTTVersion
    package var isBridge = false
    package var isCleanStart = true
    package var keepAliveSeconds: UInt16 = 60
    /// MQTT 5 only: encoded properties without their length.
    package var properties: [UInt8] = []
    package var clientID: [UInt8]
    package var will: Will? = nil
    package var userName: [UInt8]? = nil
    package var password: [UInt8]? = nil

    package init(version: MQTTVersion, clientID: String) {
        self.version = version
        self.clientID = Array(clientID.utf8)
    }

    package var bytes: [UInt8] {
        var body: [UInt8] = []
        body.appendField(Array((version == .v31 ? "MQIsdp" : "MQTT").utf8))
        body.append(version.level | (isBridge ? 0x80 : 0))
        body.append(flags)
        body.appendWord(keepAliveSeconds)
        if version == .v5 { body.appendProperties(properties) }
        body.appendField(clientID)
        if let will {
            if version == .v5 { body.appendProperties(will.properties) }
            body.appendField(will.topic)
            body.appendField(will.payload)
        }
        if let userName { body.appendField(userName) }
        if let password { body.appendField(password) }
        var packet: [UInt8] = []
        packet.appendPacket(.connect, flags: 0, body: body)
        return packet
    }

    private var flags: UInt8 {
        var flags: UInt8 = isCleanStart ? 0x02 : 0
        if let will { flags |= 0x04 | will.quality << 3 | (will.isRetained ? 0x20 : 0) }
        if password != nil { flags |= 0x40 }
        if userName != nil { flags |= 0x80 }
        return flags
    }
}

/// QoS 0 or 1; a packet id is written exactly when there is one.
package struct PublishPacket: Sendable, Equatable {
    package var topic: [UInt8]
    package var payload: [UInt8]
    /// Nil is QoS 0.
    package var packetID: UInt16?
    package var isRetained = false
    package var isDuplicate = false

    package init(topic: [UInt8], payload: [UInt8], packetID: UInt16? = nil) {
        self.topic = topic
        self.payload = payload
        self.packetID = packetID
    }

    package init(topic: String, payload: [UInt8], packetID: UInt16? = nil) {
        self.init(topic: Array(topic.utf8), payload: payload, packetID: packetID)
    }

    package func bytes(for version: MQTTVersion) -> [UInt8] {
        var body: [UInt8] = []
        body.reserveCapacity(topic.count + payload.count + 5)
        body.appendField(topic)
        if let packetID { body.appendWord(packetID) }
        if version == .v5 { body.append(0) }
        body.append(contentsOf: payload)
        var packet: [UInt8] = []
        let flags: UInt8 = (packetID == nil ? 0 : 0x02) | (isRetained ? 0x01 : 0) | (isDuplicate ? 0x08 : 0)
        packet.appendPacket(.publish, flags: flags, body: body)
        return packet
    }
}

/// The packets that need no type of their own.
package enum PacketWriter {
    package static let pingRequest: [UInt8] = [MQTTPacketType.pingreq.rawValue << 4, 0]
    /// Normal disconnection; MQTT 5 may leave reason and properties out (5.0 section 3.14.2.1).
    package static let disconnect: [UInt8] = [MQTTPacketType.disconnect.rawValue << 4, 0]

    /// Success; MQTT 5 may leave reason and properties out (5.0 section 3.4.2.1).
    package static func puback(packetID: UInt16) -> [UInt8] {
        var packet: [UInt8] = [MQTTPacketType.puback.rawValue << 4, 2]
        packet.appendWord(packetID)
        return packet
    }

    package static func subscribe(
        packetID: UInt16, topics: [(filter: String, quality: UInt8)], version: MQTTVersion
    ) -> [UInt8] {
        var body: [UInt8] = []
        body.appendWord(packetID)
        if version == .v5 { body.append(0) }
        for topic in topics {
            body.appendField(Array(topic.filter.utf8))
            body.append(topic.quality)
        }
        var packet: [UInt8] = []
        packet.appendPacket(.subscribe, flags: 0x02, body: body)
        return packet
    }
}

extension [UInt8] {
    /// A variable byte integer in its shortest form, at most 268,435,455.
    package mutating func appendVariableInteger(_ value: Int) {
        precondition(value >= 0 && value < 1 << 28)
        var rest = value
        repeat {
            let digit = UInt8(rest & 0x7F)
            rest >>= 7
            append(rest > 0 ? digit | 0x80 : digit)
        } while rest > 0
    }

    fileprivate mutating func appendWord(_ value: UInt16) {
        append(UInt8(value >> 8))
        append(UInt8(truncatingIfNeeded: value))
    }

    fileprivate mutating func appendField(_ bytes: [UInt8]) {
        precondition(bytes.count <= Int(UInt16.max))
        appendWord(UInt16(bytes.count))
        append(contentsOf: bytes)
    }

    fileprivate mutating func appendProperties(_ properties: [UInt8]) {
        appendVariableInteger(properties.count)
        append(contentsOf: properties)
    }

    fileprivate mutating func appendPacket(_ type: MQTTPacketType, flags: UInt8, body: [UInt8]) {
        reserveCapacity(count + body.count + 5)
        append(type.rawValue << 4 | flags)
        appendVariableInteger(body.count)
        append(contentsOf: body)
    }
}
