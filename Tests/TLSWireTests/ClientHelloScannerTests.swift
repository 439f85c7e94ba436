// SPDX-License-Identifier: Apache-2.0
//
// ClientHelloScanner against golden hellos, every cut of them and of their records, lies, limits and noise.

import TLSWire
import Testing
import Vocabulary

private let limit = 16 * 1024

private func scan(_ bytes: [UInt8], limit: Int = limit) -> ClientHelloScan {
    ClientHelloScanner.scan(bytes.span, limit: limit)
}

@Suite struct ClientHelloScannerTests {
    @Test("a whole hello gives its name, protocols and version", arguments: HelloSample.all)
    func whole(sample: HelloSample) {
        #expect(scan(sample.bytes) == .complete(sample.hello))
        #expect(scan(sample.bytes + [0x16, 3, 3]) == .complete(sample.hello))
    }

    /// Each cut is a buffer of its own, so that a sanitizer sees a read behind it.
    @Test("a hello cut anywhere asks for more", arguments: HelloSample.all)
    func cut(sample: HelloSample) {
        for count in 0..<sample.bytes.count {
            #expect(scan(Array(sample.bytes[..<count])) == .needsMore, "cut at \(count)")
        }
    }

    @Test("records of any size make the same hello", arguments: HelloSample.all)
    func records(sample: HelloSample) {
        let message = Array(sample.bytes.dropFirst(5))
        for size in [1, 2, 3, 4, 5, 7, 16, 63, 100, message.count - 1, message.count] {
            let bytes = HelloMessage.records(message, of: size)
            #expect(scan(bytes) == .complete(sample.hello), "records of \(size)")
            for count in 0..<bytes.count {
                #expect(scan(Array(bytes[..<count])) == .needsMore, "records of \(size), cut at \(count)")
            }
        }
    }

    @Test("the limit holds for the hello with its records", arguments: HelloSample.all)
    func limits(sample: HelloSample) {
        let bytes = HelloMessage.records(Array(sample.bytes.dropFirst(5)), of: 50)
        #expect(scan(bytes, limit: bytes.count) == .complete(sample.hello))
        for limit in 0..<bytes.count { #expect(scan(bytes, limit: limit) == .tooLarge, "limit \(limit)") }
    }

    @Test("a hello that cannot fit is refused at its length, before it is there")
    func promisedTooLarge() {
        #expect(scan([0x16, 3, 1, 0x40, 0, 1, 0xFF, 0xFF, 0xFF]) == .tooLarge)
        #expect(scan([0x16, 3, 1, 0x40, 0, 1, 0xFF, 0xFF]) == .needsMore)
    }

    static let versions: [(UInt16, String?)] = [
        (0x0002, "SSLv2"), (0x0300, "SSLv3"), (0x0301, "TLSv1"), (0x0302, "TLSv1.1"), (0x0303, "TLSv1.2"),
        (0x0304, "TLSv1.3"), (0x0305, nil), (0xFEFD, nil), (0, nil),
    ]

    @Test("versions have nginx's names", arguments: versions)
    func versionNames(version: UInt16, name: String?) {
        var message = HelloMessage()
        message.version = version
        guard case .complete(let hello) = scan(message.records()) else {
            Issue.record("\(scan(message.records()))")
            return
        }
        #expect(hello.versionName.map(\.description) == name)
    }

    @Test("a hello of SSL 2 tells its version at its fifth byte", arguments: [UInt16(0x0002), 0x0300, 0x0301, 0x0303])
    func oldHello(version: UInt16) {
        let bytes: [UInt8] = [0x80, 0x2E, 1, UInt8(version >> 8), UInt8(version & 0xFF), 0, 0x15, 0, 0, 0, 0x10]
        #expect(scan(bytes) == .complete(ClientHello(version: version)))
        for count in 0..<5 { #expect(scan(Array(bytes[..<count])) == .needsMore) }
    }

    @Test("200 extensions are passed over, and those used are found behind them")
    func manyExtensions() {
        var message = HelloMessage()
        message.extensions = (0..<200).map { (UInt16(0x1000 + $0), [UInt8](repeating: 7, count: $0 % 5)) }
        message.add(versions: [0x0304])
        message.add(protocols: ["mqtt"])
        message.add(serverName: "last.example")
        let expected = ClientHello(
            version: 0x0304, serverName: Array("last.example".utf8), protocols: Array("mqtt".utf8))
        #expect(scan(message.records()) == .complete(expected))
        #expect(scan(message.records(of: 1)) == .complete(expected))
    }

    @Test("an empty name is a name, and a hello without extensions is whole")
    func emptyName() {
        #expect(scan(HelloMessage().records()) == .complete(ClientHello(version: 0x0303)))
        var message = HelloMessage()
        message.add(serverName: "")
        #expect(scan(message.records()) == .complete(ClientHello(version: 0x0303, serverName: [])))
    }

    static let strangers: [(String, [UInt8], ClientHelloScan)] = [
        ("MQTT", [0x10], .notTLS),
        ("HTTP", Array("G".utf8), .notTLS),
        ("alert", [0x15], .notTLS),
        ("handshake of no version", [0x16, 2], .notTLS),
        ("high bit and another type", [0x80, 0x2E, 2], .notTLS),
        ("high bit and another version", [0xFF, 0xFF, 1, 1], .notTLS),
        ("empty record", [0x16, 3, 1, 0, 0], .malformed(.record)),
        ("record of 2^14 + 1", [0x16, 3, 1, 0x40, 1], .malformed(.record)),
        ("ServerHello", [0x16, 3, 3, 0, 4, 2], .malformed(.messageType)),
        ("alert in the middle", [0x16, 3, 1, 0, 4, 1, 0, 0, 60, 0x15], .malformed(.record)),
        ("another major version in the middle", [0x16, 3, 1, 0, 4, 1, 0, 0, 60, 0x16, 9], .malformed(.record)),
        ("message of no bytes", [0x16, 3, 1, 0, 4, 1, 0, 0, 0], .malformed(.length)),
    ]

    @Test("what is no hello is named as soon as it is known", arguments: strangers)
    func strangerTable(name: String, bytes: [UInt8], expected: ClientHelloScan) {
        #expect(scan(bytes) == expected)
        #expect(scan(Array(bytes.dropLast())) == .needsMore)
        #expect(scan(bytes + [UInt8](repeating: 0, count: 64)) == expected)
    }

    static let liars: [(String, UInt16, [UInt8], ClientHelloFault)] = [
        ("empty server_name", 0, [], .length),
        ("list longer than the extension", 0, [0, 9, 0, 0, 1, 0x61], .length),
        ("list shorter than the extension", 0, [0, 3, 0, 0, 1, 0x61], .length),
        ("name longer than its list", 0, [0, 4, 0, 0, 2, 0x61], .length),
        ("name of another kind", 0, [0, 4, 1, 0, 1, 0x61], .nameType),
        ("empty ALPN", 16, [], .length),
        ("empty list of protocols", 16, [0, 0], .length),
        ("empty protocol", 16, [0, 3, 0, 1, 0x61], .length),
        ("protocol longer than its list", 16, [0, 2, 2, 0x61], .length),
        ("list of protocols that lies", 16, [0xFF, 0xFF, 1, 0x61], .length),
        ("empty supported_versions", 43, [], .length),
        ("supported_versions that lie", 43, [0xFF, 3, 4], .length),
    ]

    @Test("an extension that lies makes no hello", arguments: liars)
    func lyingExtension(name: String, kind: UInt16, content: [UInt8], fault: ClientHelloFault) {
        var message = HelloMessage()
        message.extensions = [(kind, content), (0x1000, [UInt8](repeating: 0, count: 300))]
        #expect(scan(message.records()) == .malformed(fault))
    }

    @Test("an extension that is used comes once", arguments: [UInt16(0), 16, 43])
    func twice(kind: UInt16) {
        var message = HelloMessage()
        message.add(serverName: "a")
        message.add(protocols: ["b"])
        message.add(versions: [0x0304])
        message.extensions.append(message.extensions.first { $0.kind == kind }!)
        #expect(scan(message.records()) == .malformed(.duplicateExtension))
    }

    @Test("every length of the message that is too short is malformed, whatever it cuts", arguments: HelloSample.all)
    func lyingLength(sample: HelloSample) {
        let length = sample.bytes.count - 9
        for count in 0..<length {
            var bytes = sample.bytes
            (bytes[6], bytes[7], bytes[8]) = (0, UInt8(count >> 8), UInt8(count & 0xFF))
            let outcome = scan(bytes)
            // Where the compression methods end a hello may end, too.
            if case .complete(let hello) = outcome {
                #expect(hello == ClientHello(version: UInt16(bytes[9]) << 8 | UInt16(bytes[10])))
            } else {
                #expect(outcome == .malformed(.length), "length \(count)")
            }
        }
    }

    /// Goal: no bytes trap the scanner, and its answers agree with each other over all prefixes. Method: valid hellos
    /// in records of all sizes with a few bytes changed, cut or doubled; each prefix is scanned in a buffer of its own.
    @Test("no bytes trap, and more bytes never take an answer back", arguments: [UInt64(1), 2, 3, 4, 5, 6])
    func mutations(seed: UInt64) {
        var chance = SeededRandom(seed: seed)
        for round in 0..<150 {
            let message = Array(HelloSample.all.randomElement(using: &chance)!.bytes.dropFirst(5))
            var bytes = HelloMessage.records(message, of: Int.random(in: 1...message.count, using: &chance))
            for _ in 0..<Int.random(in: 0...6, using: &chance) {
                let index = Int.random(in: 0..<bytes.count, using: &chance)
                switch Int.random(in: 0..<4, using: &chance) {
                case 0: bytes[index] = UInt8.random(in: 0...255, using: &chance)
                case 1: bytes[index] ^= 1 << UInt8.random(in: 0...7, using: &chance)
                case 2: bytes.removeSubrange(index..<min(index + 3, bytes.count))
                default: bytes.insert(contentsOf: bytes[index..<min(index + 9, bytes.count)], at: index)
                }
                if bytes.isEmpty { bytes = [0x16] }
            }
            let limit = Int.random(in: 1...2 * bytes.count, using: &chance)
            var answer = ClientHelloScan.needsMore
            for count in 0...bytes.count {
                let next = scan(Array(bytes[..<count]), limit: limit)
                if answer != .needsMore { #expect(next == answer, "seed \(seed), round \(round), \(count) bytes") }
                if count >= limit { #expect(next != .needsMore, "seed \(seed), round \(round), \(count) bytes") }
                answer = next
            }
        }
    }
}
