// SPDX-License-Identifier: Apache-2.0
//
// What an MQTT client does, without a socket and without a clock: bytes and moments in, bytes and events out. Its owner
// moves the bytes (`DeviceConnection`) and gives the time in milliseconds of one clock that never goes back.
//
//     connecting ──transportConnected──▶ awaitingConnack ──CONNACK 0──▶ connected
//         └──────────────┴── refusal, fault, deadline, end, disconnect() ──┴──▶ closed(reason)
//
// Invariant 1: `closed` is final, its event is the last, and comes once.
// Invariant 2: `output` holds CONNECT before anything else.

import LinuxIO
import MQTTWire

package struct DeviceMachine {
    package enum State: Sendable, Equatable {
        case connecting, awaitingConnack, connected
        case closed(DeviceCloseReason)
    }

    package let settings: DeviceSettings
    package private(set) var state = State.connecting
    /// Waits for the socket; the owner takes from the front with `consumeOutput`.
    package private(set) var output: [UInt8] = []
    private var events: [DeviceEvent] = []
    private var reader = PacketReader()
    /// Packet ids of PUBLISH and SUBSCRIBE that wait for their acknowledgement.
    private var unacknowledged: Set<UInt16> = []
    private var lastPacketID: UInt16 = 0
    private let connectDeadline: UInt64
    private var lastSent: UInt64
    /// When the ping that waits for its answer was sent.
    private var pingSent: UInt64? = nil

    private var version: MQTTVersion { settings.connect.version }

    package init(_ settings: DeviceSettings, now: UInt64) {
        self.settings = settings
        connectDeadline = now + settings.connectTimeoutMilliseconds
        lastSent = now
    }

    // MARK: What the owner says

    package mutating func transportConnected(now: UInt64) {
        guard state == .connecting else { return }
        state = .awaitingConnack
        output = settings.connect.bytes
        lastSent = now
    }

    package mutating func received(_ bytes: [UInt8], now: UInt64) {
        if case .closed = state { return }
        // A peer that speaks something else is found out at its first byte; its "length" is not waited for.
        if state == .awaitingConnack, reader.pendingCount == 0, let first = bytes.first, first >> 4 != 2 {
            return close(.protocolBroken(.packetType))
        }
        reader.append(bytes)
        do throws(MQTTFault) {
            while let packet = try reader.next() {
                try handle(packet, now: now)
                if case .closed = state { return }
            }
        } catch {
            close(.protocolBroken(error))
        }
    }

    /// The transport has ended: the peer's end of stream (nil) or an error.
    package mutating func transportEnded(_ error: Errno?) {
        close(error.map { .failed($0) } ?? .peerClosed)
    }

    /// What stands between the machine and the transport has ended.
    package mutating func transportBroken(_ reason: DeviceCloseReason) { close(reason) }

    /// Pings, and gives up on a peer that does not answer; to be called at `nextDeadline`, and harmless at any time.
    package mutating func tick(now: UInt64) {
        switch state {
        case .connecting, .awaitingConnack:
            if now >= connectDeadline { close(.connectTimedOut) }
        case .connected:
            if let pingSent {
                if now >= pingSent + keepAliveMilliseconds { close(.keepAliveLapsed) }
            } else if let pingDue, now >= pingDue {
                append(PacketWriter.pingRequest, now: now)
                pingSent = now
            }
        case .closed:
            break
        }
    }

    /// Nil: only bytes or the owner move this connection.
    package var nextDeadline: UInt64? {
        switch state {
        case .connecting, .awaitingConnack: connectDeadline
        case .connected: pingSent.map { $0 + keepAliveMilliseconds } ?? pingDue
        case .closed: nil
        }
    }

    package mutating func consumeOutput(_ count: Int) { output.removeFirst(count) }

    /// In the order in which they happened; nil when none is left.
    package mutating func nextEvent() -> DeviceEvent? { events.isEmpty ? nil : events.removeFirst() }

    // MARK: What the client says

    /// The packet id that `acknowledged` will name; nil for QoS 0.
    @discardableResult
    package mutating func publish(
        topic: String, payload: [UInt8], quality: DeviceQuality = .atMostOnce, isRetained: Bool = false, now: UInt64
    ) throws(DeviceRefusal) -> UInt16? {
        try checkRoom(for: topic.utf8.count + payload.count)
        let packetID = quality == .atLeastOnce ? try takePacketID() : nil
        var packet = PublishPacket(topic: topic, payload: payload, packetID: packetID)
        packet.isRetained = isRetained
        append(packet.bytes(for: version), now: now)
        return packetID
    }

    /// The packet id that `subscribed` will name.
    @discardableResult
    package mutating func subscribe(
        _ filter: String, quality: DeviceQuality = .atMostOnce, now: UInt64
    ) throws(DeviceRefusal) -> UInt16 {
        try checkRoom(for: filter.utf8.count)
        let packetID = try takePacketID()
        append(
            PacketWriter.subscribe(
                packetID: packetID, topics: [(filter: filter, quality: quality.rawValue)], version: version),
            now: now)
        return packetID
    }

    /// Says goodbye where the protocol allows it. `output` stays for the owner, as far as the socket takes it.
    package mutating func disconnect() {
        if state == .connected { output += PacketWriter.disconnect }
        close(.requested)
    }

    /// The end without a word.
    package mutating func abandon() {
        output = []
        close(.requested)
    }

    // MARK: Packets

    private mutating func handle(_ packet: MQTTPacket, now: UInt64) throws(MQTTFault) {
        guard state == .connected else {
            let connack = try packet.connack()
            guard connack.isAccepted else { return close(.refused(code: connack.code)) }
            state = .connected
            events.append(.connected(isSessionPresent: connack.isSessionPresent))
            return
        }
        switch packet.type {
        case .publish:
            // Nothing was subscribed with more than QoS 1, so a broker must not send more (3.1.1 section 3.8.4).
            guard packet.flags >> 1 & 3 < 2 else { throw .qualityOfService }
            let publish = try packet.publish(version: version)
            if let packetID = publish.packetID { append(PacketWriter.puback(packetID: packetID), now: now) }
            events.append(
                .message(topic: publish.topic, payload: publish.payload, isRetained: publish.isRetained))
        case .puback:
            let puback = try packet.puback()
            if unacknowledged.remove(puback.packetID) != nil {
                events.append(.acknowledged(packetID: puback.packetID, code: puback.code))
            }
        case .suback:
            let suback = try packet.suback(version: version)
            if unacknowledged.remove(suback.packetID) != nil {
                events.append(.subscribed(packetID: suback.packetID, codes: suback.codes))
            }
        case .pingresp:
            pingSent = nil
        case .disconnect where version == .v5:
            close(.disconnectedByBroker(code: packet.body.first ?? 0))
        case .connect, .connack, .pubrec, .pubrel, .pubcomp, .subscribe, .unsubscribe, .unsuback, .pingreq,
            .disconnect, .auth:
            throw .packetType
        }
    }

    private mutating func close(_ reason: DeviceCloseReason) {
        if case .closed = state { return }
        state = .closed(reason)
        events.append(.closed(reason))
    }

    // MARK: Output and time

    private mutating func append(_ bytes: [UInt8], now: UInt64) {
        output += bytes
        lastSent = now
    }

    private func checkRoom(for count: Int) throws(DeviceRefusal) {
        guard state == .connected else { throw .notConnected }
        guard output.count + count <= settings.outputBytesMax else { throw .outputFull }
    }

    private mutating func takePacketID() throws(DeviceRefusal) -> UInt16 {
        guard unacknowledged.count < Int(UInt16.max) else { throw .packetIDsUsedUp }
        repeat {
            // 0 is no packet id (3.1.1 section 2.3.1).
            lastPacketID = lastPacketID == .max ? 1 : lastPacketID + 1
        } while unacknowledged.contains(lastPacketID)
        unacknowledged.insert(lastPacketID)
        return lastPacketID
    }

    private var keepAliveMilliseconds: UInt64 { UInt64(settings.connect.keepAliveSeconds) * 1000 }

    /// After three quarters of the keep-alive, so that the broker has the ping before the whole has passed.
    private var pingDue: UInt64? {
        keepAliveMilliseconds == 0 ? nil : lastSent + keepAliveMilliseconds * 3 / 4
    }
}
