// SPDX-License-Identifier: Apache-2.0
//
// The fixed header that every MQTT packet starts with: type, four flags, and how many bytes follow.

package struct FixedHeader: Sendable, Equatable, BitwiseCopyable {
    package enum Scan: Sendable, Equatable, BitwiseCopyable {
        case needsMore
        case complete(FixedHeader)
        case malformed(MQTTFault)
    }

    package var type: MQTTPacketType
    package var flags: UInt8
    /// Bytes of the header itself, 2 … 5.
    package var bodyOffset: Int
    /// The remaining length.
    package var bodyCount: Int

    package var packetCount: Int { bodyOffset + bodyCount }

    package static func scan(_ bytes: Span<UInt8>) -> Scan {
        guard bytes.count > 0 else { return .needsMore }
        guard let type = MQTTPacketType(rawValue: bytes[0] >> 4) else { return .malformed(.packetType) }
        var bodyCount = 0
        for index in 1...4 {
            guard index < bytes.count else { return .needsMore }
            bodyCount |= Int(bytes[index] & 0x7F) << ((index - 1) * 7)
            if bytes[index] & 0x80 == 0 {
                return .complete(
                    FixedHeader(type: type, flags: bytes[0] & 0x0F, bodyOffset: index + 1, bodyCount: bodyCount))
            }
        }
        return .malformed(.lengthTooLong)
    }
}
