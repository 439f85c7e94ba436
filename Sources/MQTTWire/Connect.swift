// SPDX-License-Identifier: Apache-2.0
//
// A CONNECT as numbers: what the balancer uses of it, and where in the received bytes the strings lie. It owns no
// bytes, so that the buffer that was received is parsed in place, kept, and sent on.

/// A piece of the bytes that were scanned.
package struct FieldRange: Sendable, Equatable, BitwiseCopyable {
    package let offset: UInt32
    package let count: UInt32

    package init(offset: Int, count: Int) {
        self.offset = UInt32(offset)
        self.count = UInt32(count)
    }

    package var range: Range<Int> { Int(offset)..<Int(offset) + Int(count) }
    package var isEmpty: Bool { count == 0 }
}

package struct Connect: Sendable, Equatable, BitwiseCopyable {
    package var version: MQTTVersion
    /// True exactly when the level carries the bridge bit (level | 0x80), with which a Mosquitto bridge announces
    /// itself.
    package var isBridge: Bool
    /// Clean session before MQTT 5.
    package var isCleanStart: Bool
    package var hasWill: Bool
    package var hasPassword: Bool
    /// 0: no keep-alive.
    package var keepAliveSeconds: UInt16
    /// May be empty: the broker then names the client.
    package var clientID: FieldRange
    /// Nil when the flags announce no user name.
    package var userName: FieldRange?
    /// What the fixed header says follows it.
    package var remainingLength: UInt32
    /// The whole packet with its fixed header; may be more than was received when the fields used are whole.
    package var packetLength: UInt32

    /// Without the bridge bit.
    package var protocolLevel: UInt8 { version.level }
}

/// What a scan of the first bytes of a connection found.
package enum ConnectScan: Sendable, Equatable, BitwiseCopyable {
    /// Right so far; the fields used are not whole yet, and they fit the limit as far as is known.
    case needsMore
    case complete(Connect)
    /// A CONNECT that breaks the protocol. The version tells which refusal the client understands, where it is known.
    case malformed(MQTTFault, version: MQTTVersion?)
    /// The first packet is of another type, or no MQTT.
    case notConnect
    /// The fields used end behind the limit, so that waiting for more is of no use.
    case tooLarge(version: MQTTVersion?)
}
