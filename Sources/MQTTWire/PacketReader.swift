// SPDX-License-Identifier: Apache-2.0
//
// Cuts a stream of MQTT into whole packets, for clients: fed with bytes as they come, asked for packets until there is
// none. Holds no more than one packet of the largest size taken and what was fed with it.

/// A whole packet.
package struct MQTTPacket: Sendable, Equatable {
    package var type: MQTTPacketType
    package var flags: UInt8
    /// What follows the fixed header.
    package var body: [UInt8]

    package init(type: MQTTPacketType, flags: UInt8, body: [UInt8]) {
        self.type = type
        self.flags = flags
        self.body = body
    }
}

package struct PacketReader {
    private let packetBytesMax: Int
    private var buffer: [UInt8] = []
    /// Bytes of `buffer` that have been handed out already.
    private var consumed = 0

    /// A packet of more than `packetBytesMax` bytes, fixed header included, is a fault.
    package init(packetBytesMax: Int = 256 * 1024) {
        self.packetBytesMax = packetBytesMax
    }

    /// Bytes that wait for the rest of their packet.
    package var pendingCount: Int { buffer.count - consumed }

    package mutating func append(_ bytes: Span<UInt8>) {
        discardConsumed()
        buffer.reserveCapacity(buffer.count + bytes.count)
        for index in bytes.indices { buffer.append(bytes[index]) }
    }

    package mutating func append(_ bytes: [UInt8]) {
        discardConsumed()
        buffer.append(contentsOf: bytes)
    }

    /// The next whole packet, nil when more bytes are needed. After a fault the stream has no meaning any more.
    package mutating func next() throws(MQTTFault) -> MQTTPacket? {
        switch FixedHeader.scan(buffer.span.extracting(consumed..<buffer.count)) {
        case .needsMore:
            return nil
        case .malformed(let fault):
            throw fault
        case .complete(let header):
            guard header.packetCount <= packetBytesMax else { throw .packetTooLarge }
            let end = consumed + header.packetCount
            guard end <= buffer.count else { return nil }
            let body = Array(buffer[(consumed + header.bodyOffset)..<end])
            consumed = end
            return MQTTPacket(type: header.type, flags: header.flags, body: body)
        }
    }

    private mutating func discardConsumed() {
        guard consumed > 0 else { return }
        buffer.removeFirst(consumed)
        consumed = 0
    }
}
