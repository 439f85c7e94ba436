// SPDX-License-Identifier: Apache-2.0
//
// A device, as tests need it: one call, one packet, an answer within a deadline; plain or under TLS. Blocks its thread.

import MQTTWire
import Synchronization

package final class MQTTTestClient: Sendable {
    /// Below TLS, where that is spoken.
    package let connection: TCPConnection
    /// Nil: plaintext.
    package let secure: TLSTestStream?
    private let stream: any ByteStream
    package let id: String
    package let version: MQTTVersion
    private let reader = Mutex(PacketReader())
    private let lastPacketID = Mutex<UInt16>(0)

    /// Connects and sends CONNECT, but does not wait for its answer.
    package init(
        to endpoint: Endpoint, id: String, version: MQTTVersion = .v311, from source: String? = nil,
        userName: String? = nil, keepAlive: UInt16 = 60, isCleanStart: Bool = true, tls: TLSClientOptions? = nil
    ) throws {
        self.id = id
        self.version = version
        let connection = try TCPConnection(to: endpoint, from: source)
        self.connection = connection
        secure = try tls.map { try TLSTestStream(over: connection, $0) }
        stream = secure ?? connection
        try secure?.handshake()
        var packet = ConnectPacket(version: version, clientID: id)
        packet.keepAliveSeconds = keepAlive
        packet.isCleanStart = isCleanStart
        packet.userName = userName.map { Array($0.utf8) }
        try stream.send(packet.bytes)
    }

    /// Connects, and a CONNACK with code 0 came back.
    package static func connected(
        to endpoint: Endpoint, id: String, version: MQTTVersion = .v311, from source: String? = nil,
        userName: String? = nil, tls: TLSClientOptions? = nil
    ) throws -> MQTTTestClient {
        let client = try MQTTTestClient(
            to: endpoint, id: id, version: version, from: source, userName: userName, tls: tls)
        let code = try client.connack()
        guard code == 0 else { throw TestFault("CONNACK \(code) for \(id)") }
        return client
    }

    /// The return code of the CONNACK.
    package func connack(within duration: Duration = .seconds(30)) throws -> UInt8 {
        try packet(within: duration).connack().code
    }

    package func packet(within duration: Duration = .seconds(30)) throws -> MQTTPacket {
        let deadline = Deadline(in: duration)
        return try reader.withLock { reader in
            while true {
                if let packet = try reader.next() { return packet }
                guard let more = try stream.receive(within: deadline.left) else {
                    throw TestFault("\(id): the stream ended")
                }
                reader.append(more)
            }
        }
    }

    /// Publishes with QoS 1 and waits for PUBACK.
    package func publish(_ topic: String, _ payload: String, within duration: Duration = .seconds(30)) throws {
        let packetID = nextPacketID()
        let publish = PublishPacket(topic: topic, payload: Array(payload.utf8), packetID: packetID)
        try stream.send(publish.bytes(for: version))
        let answer = try packet(within: duration).puback()
        guard answer.packetID == packetID else { throw TestFault("PUBACK \(answer.packetID), not \(packetID)") }
    }

    package func subscribe(_ filter: String, quality: UInt8 = 0) throws {
        try stream.send(
            PacketWriter.subscribe(packetID: nextPacketID(), topics: [(filter, quality)], version: version))
        _ = try packet().suback(version: version)
    }

    /// The next message of a subscription, as text.
    package func message(within duration: Duration = .seconds(30)) throws -> (topic: String, payload: String) {
        let publish = try packet(within: duration).publish(version: version)
        return (String(decoding: publish.topic, as: UTF8.self), String(decoding: publish.payload, as: UTF8.self))
    }

    /// A round trip to the broker: the session lives.
    package func ping(within duration: Duration = .seconds(30)) throws {
        try stream.send(PacketWriter.pingRequest)
        let answer = try packet(within: duration)
        guard answer.type == .pingresp else { throw TestFault("\(answer.type) instead of PINGRESP") }
    }

    package func disconnect() {
        try? stream.send(PacketWriter.disconnect)
        stream.close()
    }

    private func nextPacketID() -> UInt16 {
        lastPacketID.withLock { last in
            last = last == .max ? 1 : last + 1
            return last
        }
    }
}
