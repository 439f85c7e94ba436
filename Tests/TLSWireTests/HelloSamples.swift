// SPDX-License-Identifier: Apache-2.0
//
// Golden hellos, captured from `openssl s_client -connect 127.0.0.1:PORT ARGUMENTS` (OpenSSL 3.0) by a listener that
// prints the first record it gets in hexadecimal; and a writer of hellos for tables and noise.

import TLSWire
import Testing

struct HelloSample: Sendable, CustomTestStringConvertible {
    var arguments: String
    var bytes: [UInt8]
    var hello: ClientHello

    var testDescription: String { arguments }

    init(_ arguments: String, _ hello: ClientHello, _ hexadecimal: String) {
        self.arguments = arguments
        self.hello = hello
        let digits = Array(hexadecimal)
        bytes = stride(from: 0, to: digits.count, by: 2).map { UInt8(String(digits[$0...$0 + 1]), radix: 16)! }
    }

    static let tls13 = HelloSample(
        "-servername broker.example -alpn mqtt,http/1.1",
        ClientHello(
            version: 0x0304, serverName: Array("broker.example".utf8), protocols: Array("mqtt,http/1.1".utf8)),
        "160301014f0100014b0303c44b78a8b395cb9cbcede0910a23d9140eb910d1165a399ac41459d99e7e58772083ab4547"
            + "c75543a237b5d4d154fada941998c310f3f71b871c07334e2bf7e550003e130213031301c02cc030009fcca9cca8ccaa"
            + "c02bc02f009ec024c028006bc023c0270067c00ac0140039c009c0130033009d009c003d003c0035002f00ff010000c4"
            + "00000013001100000e62726f6b65722e6578616d706c65000b000403000102000a00160014001d0017001e0019001801"
            + "0001010102010301040023000000100010000e046d71747408687474702f312e310016000000170000000d002a002804"
            + "0305030603080708080809080a080b080408050806040105010601030303010302040205020602002b00090803040303"
            + "03020301002d00020101003300260024001d00205cd3b97057f7b09ed0942f6c664a5aa3fcde866355a403129047fd29"
            + "948b0054")
    static let tls12 = HelloSample(
        "-tls1_2 -servername a.example", ClientHello(version: 0x0303, serverName: Array("a.example".utf8)),
        "16030100c9010000c50303454f216078092db0d8d485792563c72f053c5c364260055dccf0fb59a0e30f9f000038c02c"
            + "c030009fcca9cca8ccaac02bc02f009ec024c028006bc023c0270067c00ac0140039c009c0130033009d009c003d003c"
            + "0035002f00ff010000640000000e000c000009612e6578616d706c65000b000403000102000a000c000a001d0017001e"
            + "00190018002300000016000000170000000d002a0028040305030603080708080809080a080b08040805080604010501"
            + "0601030303010302040205020602")
    static let nameless = HelloSample(
        "-tls1_2 -noservername", ClientHello(version: 0x0303),
        "16030100b7010000b303033548ef26a8e2b31bbf6e4190e9822008300923b150d2a84d6be5924fc328f8f5000038c02c"
            + "c030009fcca9cca8ccaac02bc02f009ec024c028006bc023c0270067c00ac0140039c009c0130033009d009c003d003c"
            + "0035002f00ff01000052000b000403000102000a000c000a001d0017001e00190018002300000016000000170000000d"
            + "002a0028040305030603080708080809080a080b080408050806040105010601030303010302040205020602")
    static let tls11 = HelloSample(
        "-tls1_1 -cipher DEFAULT@SECLEVEL=0 -servername old.example",
        ClientHello(version: 0x0302, serverName: Array("old.example".utf8)),
        "16030100770100007303020d44163d9d42a3e7bb530ca982a92d7a8449ea38de1d4f65884b7aed8126ceec000012c00a"
            + "c0140039c009c01300330035002f00ff0100003800000010000e00000b6f6c642e6578616d706c65000b000403000102"
            + "000a000c000a001d0017001e00190018002300000016000000170000")

    static let all = [tls13, tls12, nameless, tls11]
}

/// A hello from its parts.
struct HelloMessage {
    var version: UInt16 = 0x0303
    var sessionID: [UInt8] = []
    var extensions: [(kind: UInt16, content: [UInt8])] = []

    mutating func add(serverName: String) {
        let name = counted(Array(serverName.utf8), bytes: 2)
        extensions.append((0, counted([0] + name, bytes: 2)))
    }

    mutating func add(protocols: [String]) {
        let list = protocols.flatMap { counted(Array($0.utf8), bytes: 1) }
        extensions.append((16, counted(list, bytes: 2)))
    }

    mutating func add(versions: [UInt16]) {
        extensions.append((43, counted(versions.flatMap(word), bytes: 1)))
    }

    /// The handshake message.
    var message: [UInt8] {
        var body = word(version) + [UInt8](repeating: 0xAB, count: 32)
        body += counted(sessionID, bytes: 1) + counted(word(0x1301), bytes: 2) + counted([0], bytes: 1)
        if !extensions.isEmpty {
            body += counted(extensions.flatMap { word($0.kind) + counted($0.content, bytes: 2) }, bytes: 2)
        }
        return [1] + counted(body, bytes: 3)
    }

    /// The message in records of at most `recordBytes`.
    func records(of recordBytes: Int = 1 << 14) -> [UInt8] { HelloMessage.records(message, of: recordBytes) }

    static func records(_ message: [UInt8], of recordBytes: Int) -> [UInt8] {
        stride(from: 0, to: message.count, by: recordBytes).flatMap { start in
            [0x16, 3, 1] + counted(Array(message[start..<min(start + recordBytes, message.count)]), bytes: 2)
        }
    }
}

private func word(_ value: UInt16) -> [UInt8] { [UInt8(value >> 8), UInt8(value & 0xFF)] }

/// Content behind a length of so many bytes.
func counted(_ content: [UInt8], bytes: Int) -> [UInt8] {
    (0..<bytes).reversed().map { UInt8(truncatingIfNeeded: content.count >> ($0 * 8)) } + content
}
