// SPDX-License-Identifier: Apache-2.0
//
// The versions of MQTT that devices speak, and what tells them apart in CONNECT: a protocol name and a level.

package enum MQTTVersion: UInt8, Sendable, Hashable, BitwiseCopyable, CaseIterable {
    /// `MQIsdp`, level 3.
    case v31 = 3
    /// `MQTT`, level 4.
    case v311 = 4
    /// `MQTT`, level 5.
    case v5 = 5

    /// The protocol level on the wire, without the bridge bit.
    package var level: UInt8 { rawValue }

    /// The number that people write; `$mqtt_version`.
    package var name: StaticString {
        switch self {
        case .v31: "3.1"
        case .v311: "3.1.1"
        case .v5: "5.0"
        }
    }
}

/// The packet types of the fixed header's upper four bits (3.1.1 section 2.2.1).
package enum MQTTPacketType: UInt8, Sendable, Hashable, BitwiseCopyable {
    case connect = 1
    case connack, publish, puback, pubrec, pubrel, pubcomp, subscribe, suback, unsubscribe, unsuback, pingreq, pingresp
    case disconnect, auth
}
