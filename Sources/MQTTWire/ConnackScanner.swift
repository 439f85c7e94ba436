// SPDX-License-Identifier: Apache-2.0
//
// Reads the broker's CONNACK out of the first bytes that it sends, at any cut of the stream. The two bytes used stand
// at the same place in every version, so it needs no version and does not wait for properties.

package struct Connack: Sendable, Equatable, BitwiseCopyable {
    package var isSessionPresent: Bool
    /// Return code before MQTT 5, reason code in it; 0 is accepted in all of them.
    package var code: UInt8
    /// The whole packet with its fixed header; may be more than was received.
    package var packetLength: Int

    package var isAccepted: Bool { code == 0 }
}

package enum ConnackScan: Sendable, Equatable, BitwiseCopyable {
    case needsMore
    case complete(Connack)
    case malformed(MQTTFault)
}

package enum ConnackScanner {
    package static func scan(_ bytes: Span<UInt8>) -> ConnackScan {
        switch FixedHeader.scan(bytes) {
        case .needsMore: return .needsMore
        case .malformed(let fault): return .malformed(fault)
        case .complete(let header):
            guard header.type == .connack else { return .malformed(.packetType) }
            guard header.flags == 0 else { return .malformed(.headerFlags) }
            guard header.bodyCount >= 2 else { return .malformed(.fieldBeyondPacket) }
            guard bytes.count >= header.bodyOffset + 2 else { return .needsMore }
            let flags = bytes[header.bodyOffset]
            guard flags & 0xFE == 0 else { return .malformed(.connackFlags) }
            return .complete(
                Connack(
                    isSessionPresent: flags & 1 == 1, code: bytes[header.bodyOffset + 1],
                    packetLength: header.packetCount))
        }
    }
}
