// SPDX-License-Identifier: Apache-2.0
//
// The first bytes of an answer that was not the expected one, for a person: in hexadecimal, as configurations write
// them; where they read as a CONNACK, with what the broker says in it; where they read as text, as text.

import Vocabulary

package struct AnswerExcerpt: Sendable, Equatable {
    package static let bytesMax = 16

    /// At most `bytesMax` of them.
    package let bytes: [UInt8]
    /// Bytes of the whole answer.
    package let byteCount: Int

    package init(of answer: [UInt8]) {
        bytes = Array(answer.prefix(AnswerExcerpt.bytesMax))
        byteCount = answer.count
    }

    /// `20 02 00 05 (CONNACK return code 5, not authorized)`.
    package var text: String {
        var line: [UInt8] = []
        for (index, byte) in bytes.enumerated() {
            if index > 0 { line.append(UInt8(ascii: " ")) }
            if byte < 0x10 { line.append(UInt8(ascii: "0")) }
            line.appendHex(UInt64(byte))
        }
        let hexadecimal = String(decoding: line, as: UTF8.self) + (byteCount > bytes.count ? " ..." : "")
        let rest = byteCount > bytes.count ? ", \(byteCount) bytes" : ""
        guard let words = connack ?? quoted else { return hexadecimal + rest }
        return "\(hexadecimal) (\(words))\(rest)"
    }

    /// MQTT 3.1.1 §3.2: fixed header 0x20, remaining length 2, flags, return code. MQTT 5 §3.2: the same with
    /// properties behind it, so that its remaining length is at least 3. Nil for anything else.
    private var connack: String? {
        guard bytes.count >= 4, bytes[0] == 0x20 else { return nil }
        var lengthBytes = 1
        while bytes[lengthBytes] & 0x80 != 0 {
            lengthBytes += 1
            guard lengthBytes <= 4, lengthBytes < bytes.count else { return nil }
        }
        let remainingLength = bytes[1...lengthBytes].reversed().reduce(0) { $0 << 7 | Int($1 & 0x7F) }
        guard remainingLength >= 2, bytes.count > lengthBytes + 2 else { return nil }
        let flags = bytes[lengthBytes + 1]
        let code = bytes[lengthBytes + 2]
        guard flags & 0xFE == 0 else { return nil }
        let isVersion5 = remainingLength > 2
        let number: String
        if isVersion5 {
            var digits: [UInt8] = []
            digits.appendHex(UInt64(code))
            number = "reason code 0x" + (code < 0x10 ? "0" : "") + String(decoding: digits, as: UTF8.self)
        } else {
            number = "return code \(code)"
        }
        let words = isVersion5 ? Self.reason(code) : Self.returned(code)
        return "CONNACK \(number)" + (words.map { ", \($0)" } ?? "") + (flags == 1 ? ", session present" : "")
    }

    /// MQTT 3.1.1, table 3.1.
    private static func returned(_ code: UInt8) -> String? {
        switch code {
        case 0: "accepted"
        case 1: "unacceptable protocol version"
        case 2: "identifier rejected"
        case 3: "server unavailable"
        case 4: "bad user name or password"
        case 5: "not authorized"
        default: nil
        }
    }

    /// MQTT 5, table 3-1.
    private static func reason(_ code: UInt8) -> String? {
        switch code {
        case 0x00: "success"
        case 0x80: "unspecified error"
        case 0x81: "malformed packet"
        case 0x82: "protocol error"
        case 0x83: "implementation specific error"
        case 0x84: "unsupported protocol version"
        case 0x85: "client identifier not valid"
        case 0x86: "bad user name or password"
        case 0x87: "not authorized"
        case 0x88: "server unavailable"
        case 0x89: "server busy"
        case 0x8A: "banned"
        case 0x8C: "bad authentication method"
        case 0x90: "topic name invalid"
        case 0x95: "packet too large"
        case 0x97: "quota exceeded"
        case 0x99: "payload format invalid"
        case 0x9A: "retain not supported"
        case 0x9B: "QoS not supported"
        case 0x9C: "use another server"
        case 0x9D: "server moved"
        case 0x9F: "connection rate exceeded"
        default: nil
        }
    }

    /// The first line, between quotes, where it is printable ASCII. Quotes and backslashes are left out of what counts
    /// as text, so that nothing needs an escape.
    private var quoted: String? {
        let line = bytes.prefix { $0 != UInt8(ascii: "\r") && $0 != UInt8(ascii: "\n") }
        let isText = line.allSatisfy {
            (0x20...0x7E).contains($0) && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\")
        }
        guard isText, !line.isEmpty else { return nil }
        return "\"" + String(decoding: line, as: UTF8.self) + "\""
    }
}
