// SPDX-License-Identifier: Apache-2.0
//
// The CONNACK that refuses a client, in the words of its version: a return code before MQTT 5, a reason code in it.
// Bytes only; who sends them closes afterwards.

/// Why a client is refused.
package enum RefusalReason: UInt8, Sendable, Hashable, BitwiseCopyable, CaseIterable {
    case malformedPacket
    case unsupportedProtocolVersion
    case clientIDNotValid
    case badUserNameOrPassword
    case notAuthorized
    case serverUnavailable
    case serverBusy
    case packetTooLarge
    case quotaExceeded
    case useAnotherServer
    case serverMoved
    case connectionRateExceeded

    /// What the scanner's fault is in these words.
    package init(fault: MQTTFault) {
        self = fault == .protocolLevel ? .unsupportedProtocolVersion : .malformedPacket
    }

    /// 5.0 section 3.2.2.2.
    package var reasonCode: UInt8 {
        switch self {
        case .malformedPacket: 0x81
        case .unsupportedProtocolVersion: 0x84
        case .clientIDNotValid: 0x85
        case .badUserNameOrPassword: 0x86
        case .notAuthorized: 0x87
        case .serverUnavailable: 0x88
        case .serverBusy: 0x89
        case .packetTooLarge: 0x95
        case .quotaExceeded: 0x97
        case .useAnotherServer: 0x9C
        case .serverMoved: 0x9D
        case .connectionRateExceeded: 0x9F
        }
    }

    /// 3.1.1 section 3.2.2.3, which has five codes only: a malformed packet is told the nearest of them, that this is
    /// no protocol spoken here; a CONNECT too large is nearly always one with an absurd client id.
    package var returnCode: UInt8 {
        switch self {
        case .unsupportedProtocolVersion, .malformedPacket: 1
        case .clientIDNotValid, .packetTooLarge: 2
        case .serverUnavailable, .serverBusy, .quotaExceeded, .useAnotherServer, .serverMoved,
            .connectionRateExceeded:
            3
        case .badUserNameOrPassword: 4
        case .notAuthorized: 5
        }
    }
}

package struct ConnackRefusal: Sendable, BitwiseCopyable {
    private let storage: InlineArray<5, UInt8>
    /// 4 before MQTT 5, 5 in it.
    package let count: Int

    package init(version: MQTTVersion, reason: RefusalReason) {
        let head = MQTTPacketType.connack.rawValue << 4
        switch version {
        case .v31, .v311:
            storage = [head, 2, 0, reason.returnCode, 0]
            count = 4
        case .v5:
            storage = [head, 3, 0, reason.reasonCode, 0]
            count = 5
        }
    }

    /// Byte `index`, 0 …< `count`.
    package subscript(index: Int) -> UInt8 {
        precondition(index < count)
        return storage[index]
    }

    package var bytes: [UInt8] { (0..<count).map { storage[$0] } }
}
