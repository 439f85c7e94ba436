// SPDX-License-Identifier: Apache-2.0
//
// What can be wrong with bytes that claim to be MQTT. The words end in the error log and in counters.

package enum MQTTFault: UInt8, Error, Sendable, Hashable, BitwiseCopyable, CaseIterable {
    /// A variable byte integer goes on after its fourth byte (3.1.1 section 2.2.3, 5.0 section 1.5.5).
    case lengthTooLong
    /// A field ends behind the packet that holds it.
    case fieldBeyondPacket
    /// The lower four bits of the first byte are not what the packet type demands (3.1.1 section 2.2.2).
    case headerFlags
    /// The protocol name is neither `MQTT` nor `MQIsdp`.
    case protocolName
    /// The level does not belong to the protocol name, or no version has it.
    case protocolLevel
    /// Connect flags that contradict each other or use a reserved bit (3.1.1 section 3.1.2.3).
    case connectFlags
    /// A packet type that does not exist, or not the one asked for.
    case packetType
    /// A packet that is larger than its reader takes.
    case packetTooLarge
    /// CONNACK's acknowledge flags use a reserved bit (3.1.1 section 3.2.2.1).
    case connackFlags
    /// PUBLISH with QoS 3 (3.1.1 section 3.3.1.2).
    case qualityOfService

    package var text: StaticString {
        switch self {
        case .lengthTooLong: "length of more than four bytes"
        case .fieldBeyondPacket: "field ends behind its packet"
        case .headerFlags: "reserved bits in the fixed header"
        case .protocolName: "unknown protocol name"
        case .protocolLevel: "unsupported protocol level"
        case .connectFlags: "invalid connect flags"
        case .packetType: "unexpected packet type"
        case .packetTooLarge: "packet too large"
        case .connackFlags: "invalid acknowledge flags"
        case .qualityOfService: "invalid quality of service"
        }
    }
}
