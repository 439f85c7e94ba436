// SPDX-License-Identifier: Apache-2.0
//
// ConnectScanner against golden bytes, every cut of them, lies, limits and noise.

import MQTTWire
import Testing

private let limit = 16 * 1024

private func scan(_ bytes: [UInt8], limit: Int = limit) -> ConnectScan {
    ConnectScanner.scan(bytes.span, limit: limit)
}

@Suite struct ConnectScannerTests {
    @Test("a whole CONNECT gives all its numbers", arguments: ConnectSample.all)
    func whole(sample: ConnectSample) throws {
        guard case .complete(let connect) = scan(sample.bytes) else {
            Issue.record("\(scan(sample.bytes))")
            return
        }
        #expect(connect.version == sample.version)
        #expect(connect.protocolLevel == sample.version.rawValue)
        #expect(connect.isBridge == sample.isBridge)
        #expect(connect.isCleanStart == sample.isCleanStart)
        #expect(connect.hasWill == sample.hasWill)
        #expect(connect.hasPassword == sample.hasPassword)
        #expect(connect.keepAliveSeconds == sample.keepAliveSeconds)
        #expect(String(decoding: sample.bytes[connect.clientID.range], as: UTF8.self) == sample.clientID)
        let userName = connect.userName.map { String(decoding: sample.bytes[$0.range], as: UTF8.self) }
        #expect(userName == sample.userName)
        #expect(Int(connect.packetLength) == sample.bytes.count)
    }

    /// Each cut is a buffer of its own, so that a sanitizer sees a read behind it.
    @Test("a CONNECT cut anywhere before the fields used end asks for more", arguments: ConnectSample.all)
    func cut(sample: ConnectSample) {
        for count in 0..<sample.neededCount {
            #expect(scan(Array(sample.bytes[..<count])) == .needsMore, "cut at \(count)")
        }
    }

    @Test(
        "a CONNECT is complete as soon as the fields used are, and what follows changes nothing",
        arguments: ConnectSample.all)
    func enough(sample: ConnectSample) {
        let whole = scan(sample.bytes)
        #expect(scan(Array(sample.bytes[..<sample.neededCount])) == whole)
        #expect(scan(sample.bytes + [0xC0, 0x00]) == whole)
    }

    @Test("the limit holds for the fields used, not for the packet", arguments: ConnectSample.all)
    func limits(sample: ConnectSample) {
        #expect(scan(sample.bytes, limit: sample.neededCount) == scan(sample.bytes))
        for limit in 0..<sample.neededCount {
            guard case .tooLarge = scan(sample.bytes, limit: limit) else {
                Issue.record("limit \(limit): \(scan(sample.bytes, limit: limit))")
                return
            }
        }
    }

    @Test("a client id that cannot fit is refused at its length, before it is there")
    func promisedTooLarge() {
        let head: [UInt8] = [0x10, 0x8F, 0x80, 0x04, 0, 4, 0x4D, 0x51, 0x54, 0x54, 5, 2, 0, 10, 0, 0xFF, 0xFF]
        #expect(scan(head) == .tooLarge(version: .v5))
        #expect(scan(Array(head.dropLast())) == .needsMore)
        #expect(scan(head, limit: 70_000) == .needsMore)
    }

    @Test("a huge will is passed over, and counts towards the limit when a user name follows")
    func hugeWill() {
        var packet = ConnectPacket(version: .v311, clientID: "id")
        packet.will = ConnectPacket.Will(topic: "t", payload: [UInt8](repeating: 1, count: 60_000))
        packet.userName = Array("me".utf8)
        #expect(scan(packet.bytes) == .tooLarge(version: .v311))
        guard case .complete(let connect) = scan(packet.bytes, limit: 64 * 1024) else {
            Issue.record("\(scan(packet.bytes, limit: 64 * 1024))")
            return
        }
        #expect(connect.userName?.range == packet.bytes.count - 2..<packet.bytes.count)
    }

    static let malformed: [(String, [UInt8], ConnectScan)] = [
        ("flags in the first byte", [0x11, 0x0C], .notConnect),
        ("length of five bytes", [0x10, 0xFF, 0xFF, 0xFF, 0xFF, 0x01], .malformed(.lengthTooLong, version: nil)),
        ("length 0", [0x10, 0x00], .malformed(.fieldBeyondPacket, version: nil)),
        ("name longer than the packet", [0x10, 5, 0, 4], .malformed(.fieldBeyondPacket, version: nil)),
        ("name length of a liar", [0x10, 0x0C, 0xFF, 0xFF], .malformed(.protocolName, version: nil)),
        ("another name", [0x10, 0x0C, 0, 4, 0x48, 0x54, 0x54, 0x50], .malformed(.protocolName, version: nil)),
        (
            "another old name", [0x10, 0x0C, 0, 6, 0x4D, 0x51, 0x49, 0x73, 0x64, 0x71],
            .malformed(.protocolName, version: nil)
        ),
        ("MQTT with level 3", head(level: 3), .malformed(.protocolLevel, version: .v311)),
        ("MQTT with level 6", head(level: 6), .malformed(.protocolLevel, version: .v5)),
        ("MQTT with level 0", head(level: 0), .malformed(.protocolLevel, version: .v311)),
        (
            "MQIsdp with level 4", [0x10, 0x20, 0, 6, 0x4D, 0x51, 0x49, 0x73, 0x64, 0x70, 4],
            .malformed(.protocolLevel, version: .v31)
        ),
        ("reserved flag", head(level: 4, flags: 0x03), .malformed(.connectFlags, version: .v311)),
        ("reserved flag in 5", head(level: 5, flags: 0x03), .malformed(.connectFlags, version: .v5)),
        ("will QoS 3", head(level: 4, flags: 0x1E), .malformed(.connectFlags, version: .v311)),
        ("will QoS without will", head(level: 4, flags: 0x0A), .malformed(.connectFlags, version: .v311)),
        ("will retain without will", head(level: 5, flags: 0x22), .malformed(.connectFlags, version: .v5)),
        ("password without user", head(level: 4, flags: 0x42), .malformed(.connectFlags, version: .v311)),
        ("client id beyond packet", head(level: 4) + [0, 0, 0xFF, 0], .malformed(.fieldBeyondPacket, version: .v311)),
        (
            "user name beyond packet", head(level: 4, flags: 0x82) + [0, 0, 0, 2, 1, 1, 0, 20],
            .malformed(.fieldBeyondPacket, version: .v311)
        ),
        (
            "properties beyond packet", head(level: 5) + [0, 0, 0xFF, 0xFF, 0xFF, 0x7F],
            .malformed(.fieldBeyondPacket, version: .v5)
        ),
        (
            "property length of five bytes", head(level: 5) + [0, 0, 0x80, 0x80, 0x80, 0x80],
            .malformed(.lengthTooLong, version: .v5)
        ),
        ("PINGREQ", [0xC0, 0], .notConnect),
        ("TLS", [0x16, 0x03, 0x01], .notConnect),
        ("HTTP", Array("GET / HTTP/1.1".utf8), .notConnect),
        ("PROXY", Array("PROXY TCP4".utf8), .notConnect),
    ]

    private static func head(level: UInt8, flags: UInt8 = 0x02) -> [UInt8] {
        [0x10, 0x18, 0x00, 0x04, 0x4D, 0x51, 0x54, 0x54, level, flags]
    }

    @Test("what breaks the protocol is named as soon as it is known", arguments: malformed)
    func malformedTable(name: String, bytes: [UInt8], expected: ConnectScan) {
        #expect(scan(bytes) == expected)
        #expect(scan(bytes + [UInt8](repeating: 0, count: 64)) == expected)
    }

    @Test(
        "every remaining length shorter than the fields is malformed, whichever field it cuts",
        arguments: [ConnectSample.old31, .full311, .full5])
    func lyingLength(sample: ConnectSample) {
        for remaining in 0..<sample.neededCount - 2 {
            var bytes = sample.bytes
            bytes[1] = UInt8(remaining)
            guard case .malformed(.fieldBeyondPacket, _) = scan(bytes) else {
                Issue.record("remaining length \(remaining): \(scan(bytes))")
                return
            }
        }
    }

    @Test("3.1 takes what its specification leaves unused")
    func oldTolerance() {
        var packet = ConnectPacket(version: .v31, clientID: "old").bytes
        packet[11] |= 0x01 | 0x08 | 0x20
        guard case .complete = scan(packet) else {
            Issue.record("\(scan(packet))")
            return
        }
    }

    @Test("5.0 takes a password without a user name")
    func passwordAlone() {
        var packet = ConnectPacket(version: .v5, clientID: "token")
        packet.password = [1, 2, 3]
        guard case .complete(let connect) = scan(packet.bytes) else {
            Issue.record("\(scan(packet.bytes))")
            return
        }
        #expect(connect.userName == nil)
        #expect(connect.hasPassword)
    }

    @Test("what was written is read back", arguments: MQTTVersion.allCases)
    func roundTrip(version: MQTTVersion) {
        var generator = SeededGenerator(seed: 7)
        for _ in 0..<300 {
            let packet = ConnectPacket.random(version: version, using: &generator)
            let bytes = packet.bytes
            guard case .complete(let connect) = scan(bytes, limit: 1 << 20) else {
                Issue.record("\(packet): \(scan(bytes, limit: 1 << 20))")
                return
            }
            #expect(Array(bytes[connect.clientID.range]) == packet.clientID)
            #expect(connect.userName.map { Array(bytes[$0.range]) } == packet.userName)
            #expect(connect.keepAliveSeconds == packet.keepAliveSeconds)
            #expect(connect.isCleanStart == packet.isCleanStart)
            #expect(connect.isBridge == packet.isBridge)
            #expect(connect.hasWill == (packet.will != nil))
        }
    }

    /// Goal: no bytes trap the scanner, and its answers agree with each other over all prefixes. Method: valid packets
    /// with a few bytes changed, cut or doubled; each prefix is scanned in a buffer of its own.
    @Test("no bytes trap, and more bytes never take an answer back", arguments: [UInt64(1), 2, 3, 4, 5, 6, 7, 8])
    func mutations(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        for round in 0..<400 {
            let version = MQTTVersion.allCases.randomElement(using: &generator)!
            var bytes = ConnectPacket.random(version: version, using: &generator).bytes
            for _ in 0..<Int.random(in: 0...6, using: &generator) {
                let index = Int.random(in: 0..<bytes.count, using: &generator)
                switch Int.random(in: 0..<4, using: &generator) {
                case 0: bytes[index] = UInt8.random(in: 0...255, using: &generator)
                case 1: bytes[index] ^= 1 << UInt8.random(in: 0...7, using: &generator)
                case 2: bytes.insert(0xFF, at: index)
                default: if bytes.count > 1 { bytes.remove(at: index) }
                }
            }
            let limit = Int.random(in: 0...200, using: &generator)
            let final = scan(bytes, limit: limit)
            var decided: ConnectScan? = nil
            for count in 0...min(bytes.count, 220) {
                let outcome = scan(Array(bytes[..<count]), limit: limit)
                if count >= limit { #expect(outcome != .needsMore, "seed \(seed) round \(round) cut \(count)") }
                if let decided {
                    #expect(outcome == decided, "seed \(seed) round \(round) cut \(count)")
                } else if outcome != .needsMore {
                    decided = outcome
                }
                if case .complete(let connect) = outcome {
                    #expect(connect.clientID.range.upperBound <= min(count, limit))
                    #expect((connect.userName?.range.upperBound ?? 0) <= min(count, limit))
                }
            }
            if let decided { #expect(final == decided, "seed \(seed) round \(round)") }
        }
    }
}

extension ConnectPacket {
    static func random(version: MQTTVersion, using generator: inout SeededGenerator) -> ConnectPacket {
        func some(_ most: Int) -> [UInt8] {
            (0..<Int.random(in: 0...most, using: &generator)).map { _ in UInt8.random(in: 32...126, using: &generator) }
        }
        var packet = ConnectPacket(version: version, clientID: "")
        packet.clientID = some(40)
        packet.isCleanStart = Bool.random(using: &generator)
        packet.isBridge = Int.random(in: 0..<4, using: &generator) == 0
        packet.keepAliveSeconds = UInt16.random(in: 0...UInt16.max, using: &generator)
        if Bool.random(using: &generator) { packet.userName = some(20) }
        if packet.userName != nil, Bool.random(using: &generator) { packet.password = some(300) }
        if Bool.random(using: &generator) {
            var will = Will(topic: "w", payload: some(150))
            will.quality = UInt8.random(in: 0...2, using: &generator)
            if version == .v5 { will.properties = some(30) }
            packet.will = will
        }
        if version == .v5 { packet.properties = some(200) }
        return packet
    }
}
