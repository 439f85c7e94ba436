// SPDX-License-Identifier: Apache-2.0
//
// Who a client says it is, how patient it is, and what ends its connection: the words that `DeviceMachine` and
// `DeviceConnection` share with their owners.

import LinuxIO
import MQTTWire
import TLSEngine

package struct DeviceSettings: Sendable, Equatable {
    /// What the client says of itself; its keep-alive drives the pings.
    package var connect: ConnectPacket
    /// From the start of connecting to CONNACK.
    package var connectTimeoutMilliseconds: UInt64 = 10_000
    /// What may wait for the socket before `publish` answers `outputFull`.
    package var outputBytesMax = 1024 * 1024

    package init(connect: ConnectPacket) { self.connect = connect }

    /// Clean start, no will, no user name, a ping every `keepAliveSeconds`.
    package init(clientID: String, version: MQTTVersion = .v311, keepAliveSeconds: UInt16 = 60) {
        connect = ConnectPacket(version: version, clientID: clientID)
        connect.keepAliveSeconds = keepAliveSeconds
    }
}

package enum DeviceQuality: UInt8, Sendable, Hashable, BitwiseCopyable {
    case atMostOnce = 0
    case atLeastOnce = 1
}

/// TLS, for the connections that want it. One context serves all connections of one client, and of many.
package struct DeviceSecurity {
    /// Whom the client trusts, and the certificate that it shows.
    package let context: TLSClientContext
    /// The name, or the address, that the server's certificate must be for.
    package let serverName: String

    package init(_ context: TLSClientContext, serverName: String) {
        self.context = context
        self.serverName = serverName
    }
}

/// Why a connection is closed; the first reason stands.
package enum DeviceCloseReason: Sendable, Equatable {
    /// `disconnect()` was called.
    case requested
    /// CONNACK with a return or reason code other than 0.
    case refused(code: UInt8)
    /// MQTT 5: the broker sent DISCONNECT.
    case disconnectedByBroker(code: UInt8)
    /// The end of the stream.
    case peerClosed
    /// The kernel ended the connection, or never made it.
    case failed(Errno)
    /// The handshake or a record, in OpenSSL's words; a certificate that was not accepted is among them.
    case tlsFailed(String)
    /// The end of the stream, without TLS's close_notify before it.
    case truncated
    case protocolBroken(MQTTFault)
    /// No CONNACK in time.
    case connectTimedOut
    /// No answer to a ping in time.
    case keepAliveLapsed

    package var text: String {
        switch self {
        case .requested: "closed by us"
        case .refused(let code): "refused with code \(code)"
        case .disconnectedByBroker(let code): "disconnected by the broker with code \(code)"
        case .peerClosed: "closed by the peer"
        case .failed(let error): error.text
        case .tlsFailed(let words): words
        case .truncated: "cut off by the peer"
        case .protocolBroken(let fault): "protocol error: \(fault.text)"
        case .connectTimedOut: "no CONNACK in time"
        case .keepAliveLapsed: "no answer to a ping"
        }
    }
}

package enum DeviceEvent: Sendable, Equatable {
    case connected(isSessionPresent: Bool)
    /// SUBACK: one code for each filter, 0x80 and above is a refusal.
    case subscribed(packetID: UInt16, codes: [UInt8])
    case message(topic: [UInt8], payload: [UInt8], isRetained: Bool)
    /// PUBACK of a QoS 1 message; code 0x80 and above is a refusal (MQTT 5).
    case acknowledged(packetID: UInt16, code: UInt8)
    case closed(DeviceCloseReason)
}

/// Why a client may not say something now.
package enum DeviceRefusal: Error, Sendable, Equatable {
    /// Before CONNACK or after the end.
    case notConnected
    /// More than `outputBytesMax` would wait for the socket.
    case outputFull
    /// 65,535 packets wait for their acknowledgement.
    case packetIDsUsedUp
}
