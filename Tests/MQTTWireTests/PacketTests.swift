// SPDX-License-Identifier: Apache-2.0
//
// The client's side of the wire: packets written, streams cut into packets, packets read.

import Testing

@testable import MQTTWire

@Suite struct PacketTests {
    @Test("written packets are the specification's bytes")
    func golden() {
        #expect(PacketWriter.pingRequest == [0xC0, 0])
        #expect(PacketWriter.disconnect == [0xE0, 0])
        #expect(PacketWriter.puback(packetID: 0x1234) == [0x40, 2, 0x12, 0x34])
        // 3.1.1 figure 3.11: topic a/b, packet id 10.
        let publish = PublishPacket(topic: "a/b", payload: [], packetID: 10)
        #expect(publish.bytes(for: .v311) == [0x32, 7, 0, 3, 0x61, 0x2F, 0x62, 0, 10])
        #expect(publish.bytes(for: .v5) == [0x32, 8, 0, 3, 0x61, 0x2F, 0x62, 0, 10, 0])
        let plain = PublishPacket(topic: "a/b", payload: [9])
        #expect(plain.bytes(for: .v311) == [0x30, 6, 0, 3, 0x61, 0x2F, 0x62, 9])
        // 3.1.1 figure 3.23: a/b at QoS 1 and c/d at QoS 2.
        let topics: [(filter: String, quality: UInt8)] = [("a/b", 1), ("c/d", 2)]
        let filters: [UInt8] = [0, 3, 0x61, 0x2F, 0x62, 1, 0, 3, 0x63, 0x2F, 0x64, 2]
        #expect(
            PacketWriter.subscribe(packetID: 10, topics: topics, version: .v311) == [0x82, 14, 0, 10] + filters)
        #expect(PacketWriter.subscribe(packetID: 10, topics: topics, version: .v5) == [0x82, 15, 0, 10, 0] + filters)
    }

    @Test("written CONNECTs are the golden ones")
    func goldenConnect() {
        var full = ConnectPacket(version: .v5, clientID: "sensor-5")
        full.keepAliveSeconds = 10
        full.properties = [0x11, 0, 0, 0, 10]
        full.will = ConnectPacket.Will(topic: "a/b", payload: Array("gone".utf8))
        full.will?.quality = 1
        full.will?.properties = [0x18, 0, 0, 0, 1]
        full.userName = Array("eve".utf8)
        full.password = Array("x".utf8)
        #expect(full.bytes == ConnectSample.full5.bytes)

        var check = ConnectPacket(version: .v311, clientID: "")
        check.keepAliveSeconds = 0
        #expect(check.bytes == ConnectSample.talkCheck.bytes)

        var bridge = ConnectPacket(version: .v31, clientID: "bridge")
        bridge.isBridge = true
        bridge.isCleanStart = false
        #expect(bridge.bytes == ConnectSample.bridgeOld.bytes)
    }

    @Test(
        "the boundaries of the variable byte integer",
        arguments: [
            (0, [0x00] as [UInt8]), (127, [0x7F]), (128, [0x80, 0x01]), (16_383, [0xFF, 0x7F]),
            (16_384, [0x80, 0x80, 0x01]), (2_097_151, [0xFF, 0xFF, 0x7F]), (2_097_152, [0x80, 0x80, 0x80, 0x01]),
            (268_435_455, [0xFF, 0xFF, 0xFF, 0x7F]),
        ])
    func variableInteger(value: Int, bytes: [UInt8]) {
        var written: [UInt8] = []
        written.appendVariableInteger(value)
        #expect(written == bytes)
        let header = FixedHeader(type: .publish, flags: 0, bodyOffset: bytes.count + 1, bodyCount: value)
        #expect(FixedHeader.scan(([0x30] + bytes).span) == .complete(header))
    }

    @Test("a stream gives the same packets however it is cut", arguments: [UInt64(11), 12, 13])
    func splitting(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        var stream: [UInt8] = []
        var expected: [PublishPacket] = []
        for number in 0..<200 {
            let size = Int.random(in: 0...400, using: &generator)
            let packet = PublishPacket(
                topic: "t/\(number)", payload: [UInt8](repeating: UInt8(number), count: size),
                packetID: Bool.random(using: &generator) ? UInt16(number + 1) : nil)
            expected.append(packet)
            stream += packet.bytes(for: .v5)
        }
        var reader = PacketReader()
        var found: [PublishPacket] = []
        while !stream.isEmpty {
            let count = min(stream.count, Int.random(in: 1...700, using: &generator))
            if Bool.random(using: &generator) {
                reader.append(Array(stream[..<count]))
            } else {
                reader.append(stream.span.extracting(0..<count))
            }
            stream.removeFirst(count)
            while let packet = try reader.next() { found.append(try packet.publish(version: .v5)) }
        }
        #expect(found == expected, "seed \(seed)")
        #expect(reader.pendingCount == 0)
    }

    @Test("a packet over the maximum is refused at its header")
    func maximum() throws {
        var reader = PacketReader(packetBytesMax: 130)
        reader.append([0x30, 0x80, 0x01])
        #expect(throws: MQTTFault.packetTooLarge) { try reader.next() }
        var fitting = PacketReader(packetBytesMax: 131)
        fitting.append([0x30, 0x80, 0x01])
        #expect(try fitting.next() == nil)
        fitting.append([UInt8](repeating: 0, count: 128))
        #expect(try fitting.next()?.body.count == 128)
    }

    @Test("what is no MQTT is a fault")
    func garbage() {
        var reader = PacketReader()
        reader.append([0x00, 0x00])
        #expect(throws: MQTTFault.packetType) { try reader.next() }
        var endless = PacketReader()
        endless.append([0x30, 0xFF, 0xFF, 0xFF, 0xFF])
        #expect(throws: MQTTFault.lengthTooLong) { try endless.next() }
    }

    @Test("answers of a broker are read")
    func answers() throws {
        let connack = MQTTPacket(type: .connack, flags: 0, body: [1, 0])
        #expect(try connack.connack() == Connack(isSessionPresent: true, code: 0, packetLength: 4))
        let suback = MQTTPacket(type: .suback, flags: 0, body: [0, 10, 1, 0x80])
        #expect(try suback.suback(version: .v311) == Suback(packetID: 10, codes: [1, 0x80]))
        let suback5 = MQTTPacket(type: .suback, flags: 0, body: [0, 10, 0, 1])
        #expect(try suback5.suback(version: .v5) == Suback(packetID: 10, codes: [1]))
        #expect(try MQTTPacket(type: .puback, flags: 0, body: [1, 2]).puback() == Puback(packetID: 0x102, code: 0))
        let refused = MQTTPacket(type: .puback, flags: 0, body: [1, 2, 0x87, 0])
        #expect(try refused.puback() == Puback(packetID: 0x102, code: 0x87))
        #expect(throws: MQTTFault.packetType) { try suback.puback() }
    }

    @Test("a body cut anywhere is a fault or a packet, never a trap", arguments: MQTTVersion.allCases)
    func cutBodies(version: MQTTVersion) {
        var generator = SeededGenerator(seed: 99)
        for _ in 0..<2_000 {
            let body = (0..<Int.random(in: 0...12, using: &generator)).map { _ in
                UInt8.random(in: 0...255, using: &generator) >> UInt8.random(in: 0...7, using: &generator)
            }
            for type in [MQTTPacketType.connack, .publish, .suback, .puback] {
                let packet = MQTTPacket(type: type, flags: UInt8.random(in: 0...15, using: &generator), body: body)
                _ = try? packet.connack()
                _ = try? packet.publish(version: version)
                _ = try? packet.suback(version: version)
                _ = try? packet.puback()
            }
        }
        #expect(throws: MQTTFault.qualityOfService) {
            try MQTTPacket(type: .publish, flags: 6, body: [0, 0]).publish(version: version)
        }
        #expect(throws: MQTTFault.fieldBeyondPacket) {
            try MQTTPacket(type: .publish, flags: 0, body: [0, 9, 1]).publish(version: version)
        }
    }
}
