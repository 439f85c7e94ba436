// SPDX-License-Identifier: Apache-2.0
//
// The client's machine by bytes and moments alone: what it says, when it pings, and why it ends.

import LinuxIO
import MQTTClient
import MQTTWire
import Testing

@Suite struct DeviceMachineTests {
    static let accepted: [UInt8] = [0x20, 2, 0, 0]
    static let acceptedV5: [UInt8] = [0x20, 3, 0, 0, 0]

    static func settings(_ version: MQTTVersion = .v311, keepAliveSeconds: UInt16 = 40) -> DeviceSettings {
        DeviceSettings(clientID: "d", version: version, keepAliveSeconds: keepAliveSeconds)
    }

    static func connected(_ version: MQTTVersion = .v311, at now: UInt64 = 0) -> DeviceMachine {
        var machine = DeviceMachine(settings(version), now: now)
        machine.transportConnected(now: now)
        machine.consumeOutput(machine.output.count)
        machine.received(version == .v5 ? acceptedV5 : accepted, now: now)
        _ = machine.nextEvent()
        return machine
    }

    static func events(_ machine: inout DeviceMachine) -> [DeviceEvent] {
        var all: [DeviceEvent] = []
        while let event = machine.nextEvent() { all.append(event) }
        return all
    }

    @Test("CONNECT is the first thing said, and nothing before the transport is there")
    func sayConnect() {
        var machine = DeviceMachine(Self.settings(), now: 0)
        #expect(machine.output.isEmpty)
        #expect(throws: DeviceRefusal.notConnected) { try machine.publish(topic: "t", payload: [], now: 0) }
        machine.transportConnected(now: 1)
        #expect(machine.output == Self.settings().connect.bytes)
        #expect(machine.state == .awaitingConnack)
        #expect(throws: DeviceRefusal.notConnected) { try machine.subscribe("t", now: 1) }
    }

    @Test("CONNACK cut at any byte connects once it is whole", arguments: 0...4)
    func cutConnack(at cut: Int) {
        var machine = DeviceMachine(Self.settings(), now: 0)
        machine.transportConnected(now: 0)
        machine.received(Array(Self.accepted[..<cut]), now: 1)
        #expect(machine.state == (cut == 4 ? .connected : .awaitingConnack))
        machine.received(Array(Self.accepted[cut...]), now: 2)
        #expect(Self.events(&machine) == [.connected(isSessionPresent: false)])
    }

    @Test("a refusal ends the connection with its code, once")
    func refused() {
        var machine = DeviceMachine(Self.settings(), now: 0)
        machine.transportConnected(now: 0)
        machine.received([0x20, 2, 0, 5] + Self.accepted, now: 1)
        machine.transportEnded(nil)
        #expect(Self.events(&machine) == [.closed(.refused(code: 5))])
        #expect(machine.nextDeadline == nil)
    }

    @Test(
        "what a broker may not send ends the connection",
        arguments: [
            ([0x30, 2, 0, 9], MQTTFault.fieldBeyondPacket),
            ([0x36, 5, 0, 1, 0x74, 0, 1], .qualityOfService),
            ([0x34, 5, 0, 1, 0x74, 0, 1], .qualityOfService),
            ([0x20, 2, 0, 0], .packetType),
            ([0xE0, 0], .packetType),
            ([0x00, 0], .packetType),
            ([0x30, 0xFF, 0xFF, 0xFF, 0xFF, 1], .lengthTooLong),
            ([0x30, 0xFF, 0xFF, 0xFF, 0x7F], .packetTooLarge),
        ] as [([UInt8], MQTTFault)])
    func broken(_ bytes: [UInt8], _ fault: MQTTFault) {
        var machine = Self.connected()
        machine.received(bytes, now: 1)
        #expect(machine.state == .closed(.protocolBroken(fault)))
    }

    @Test("bytes before CONNACK that are none end the connection")
    func garbage() {
        var machine = DeviceMachine(Self.settings(), now: 0)
        machine.transportConnected(now: 0)
        machine.received(Array("HTTP/1.1 400".utf8), now: 1)
        #expect(machine.state == .closed(.protocolBroken(.packetType)))
    }

    @Test("a QoS 1 message is acknowledged by its packet id, and only once")
    func qualityOne() throws {
        var machine = Self.connected()
        let first = try machine.publish(topic: "t", payload: [1], quality: .atLeastOnce, now: 1)
        let second = try machine.publish(topic: "t", payload: [2], quality: .atLeastOnce, now: 1)
        #expect(first == 1 && second == 2)
        #expect(try machine.publish(topic: "t", payload: [3], now: 1) == nil)
        machine.received(PacketWriter.puback(packetID: 2) + PacketWriter.puback(packetID: 2), now: 2)
        machine.received(PacketWriter.puback(packetID: 1) + PacketWriter.puback(packetID: 9), now: 2)
        #expect(Self.events(&machine) == [.acknowledged(packetID: 2, code: 0), .acknowledged(packetID: 1, code: 0)])
    }

    @Test("packet ids in use are passed over, and never 0")
    func packetIDs() throws {
        var machine = Self.connected()
        for _ in 0..<Int(UInt16.max) { _ = try machine.subscribe("t", now: 1) }
        #expect(throws: DeviceRefusal.packetIDsUsedUp) { try machine.subscribe("t", now: 1) }
        machine.received([0x90, 3, 0x12, 0x34, 0], now: 2)
        #expect(try machine.subscribe("t", now: 3) == 0x1234)
    }

    @Test("a message of QoS 1 is answered; properties of MQTT 5 are passed over", arguments: [MQTTVersion.v311, .v5])
    func message(_ version: MQTTVersion) {
        var machine = Self.connected(version)
        machine.received(PublishPacket(topic: "a/b", payload: [7, 8], packetID: 300).bytes(for: version), now: 1)
        #expect(Self.events(&machine) == [.message(topic: Array("a/b".utf8), payload: [7, 8], isRetained: false)])
        #expect(machine.output == PacketWriter.puback(packetID: 300))
    }

    @Test("MQTT 5: DISCONNECT of the broker ends with its reason")
    func disconnectedByBroker() {
        var machine = Self.connected(.v5)
        machine.received([0xE0, 1, 0x8B], now: 1)
        #expect(machine.state == .closed(.disconnectedByBroker(code: 0x8B)))
    }

    @Test("a ping goes out at three quarters of the keep-alive and must be answered within it")
    func keepAlive() {
        var machine = Self.connected(at: 1000)
        #expect(machine.nextDeadline == 31_000)
        machine.tick(now: 30_999)
        #expect(machine.output.isEmpty)
        machine.tick(now: 31_000)
        #expect(machine.output == PacketWriter.pingRequest)
        #expect(machine.nextDeadline == 71_000)
        machine.received([0xD0, 0], now: 32_000)
        #expect(machine.nextDeadline == 61_000)
        machine.tick(now: 61_000)
        machine.tick(now: 101_000)
        #expect(Self.events(&machine) == [.closed(.keepAliveLapsed)])
    }

    @Test("keep-alive 0 asks for no ping")
    func noKeepAlive() {
        var machine = DeviceMachine(Self.settings(keepAliveSeconds: 0), now: 0)
        machine.transportConnected(now: 0)
        machine.received(Self.accepted, now: 1)
        #expect(machine.nextDeadline == nil)
    }

    @Test("a peer that never answers CONNECT is given up")
    func connectTimeout() {
        var machine = DeviceMachine(Self.settings(), now: 5)
        machine.transportConnected(now: 6)
        machine.tick(now: 10_004)
        #expect(machine.state == .awaitingConnack)
        machine.tick(now: 10_005)
        #expect(machine.state == .closed(.connectTimedOut))
    }

    @Test("goodbye is said to a broker that said hello, and leaves nothing else to do")
    func goodbye() {
        var machine = Self.connected()
        machine.disconnect()
        #expect(machine.output == PacketWriter.disconnect)
        machine.received([0xD0, 0], now: 1)
        machine.transportEnded(Errno.connectionReset)
        #expect(Self.events(&machine) == [.closed(.requested)])
    }

    @Test("what waits for the socket is bounded")
    func outputBound() throws {
        var settings = Self.settings()
        settings.outputBytesMax = 100
        var machine = DeviceMachine(settings, now: 0)
        machine.transportConnected(now: 0)
        machine.consumeOutput(machine.output.count)
        machine.received(Self.accepted, now: 0)
        try machine.publish(topic: "t", payload: Array(repeating: 0, count: 80), now: 1)
        #expect(throws: DeviceRefusal.outputFull) {
            try machine.publish(topic: "t", payload: Array(repeating: 0, count: 80), now: 1)
        }
    }
}
