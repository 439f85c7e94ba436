// SPDX-License-Identifier: Apache-2.0
//
// No byte of a peer can forge a log line: nginx's three ways of escaping, byte by byte, and values of JSON, which a
// parser of JSON reads back.

import Foundation
import ProxyConfig
import Testing
import Vocabulary

@testable import DataPlane

@Suite("escaping in access logs")
struct LogEscapeTests {
    private func escaped(_ bytes: [UInt8], _ escape: LogFormat.Escape) -> String {
        var line = Array("a\"b ".utf8)
        let start = line.count
        line += bytes
        LogEscape.finish(escape, &line, from: start, hasValue: true, isNumber: false)
        return String(decoding: line, as: UTF8.self)
    }

    @Test("writes what is no plain ASCII as hexadecimal", arguments: [
        ([0x41, 0x42], "a\"b AB"), ([0x22], "a\"b \\x22"), ([0x5C], "a\"b \\x5C"), ([0x0A], "a\"b \\x0A"),
        ([0x1F, 0x20, 0x7E, 0x7F], "a\"b \\x1F ~\\x7F"), ([0xC3, 0xA4], "a\"b \\xC3\\xA4"), ([], "a\"b "),
    ] as [([UInt8], String)])
    func standard(bytes: [UInt8], expected: String) {
        #expect(escaped(bytes, .standard) == expected)
    }

    @Test("writes strings of JSON", arguments: [
        ([0x41], "a\"b A"), ([0x22], "a\"b \\\""), ([0x5C], "a\"b \\\\"), ([0x0A, 0x0D, 0x09], "a\"b \\n\\r\\t"),
        ([0x08, 0x0C], "a\"b \\b\\f"), ([0x01, 0x1F], "a\"b \\u0001\\u001F"), ([0xC3, 0xA4], "a\"b ä"),
        ([0xC3], "a\"b \u{FFFD}"), ([0x41, 0xFF, 0x22], "a\"b A\u{FFFD}\\\""), ([], "a\"b "),
    ] as [([UInt8], String)])
    func json(bytes: [UInt8], expected: String) {
        #expect(escaped(bytes, .json) == expected)
    }

    @Test("leaves everything as it is where the format says so")
    func none() {
        #expect(escaped([0x22, 0x0A], .none) == "a\"b \"\n")
    }

    @Test("lets no byte through that ends a line or a quoted field")
    func noForgery() {
        for byte in UInt8.min...UInt8.max {
            let text = escaped([byte], .standard).dropFirst(4)
            #expect(!text.contains("\n") && !text.contains("\"") && text.utf8.allSatisfy { $0 >= 32 && $0 < 127 })
        }
    }

    private func value(_ bytes: [UInt8]?, isNumber: Bool = false) -> [UInt8] {
        var line = bytes ?? []
        LogEscape.finish(.jsonValues, &line, from: 0, hasValue: bytes != nil, isNumber: isNumber)
        return line
    }

    @Test("writes a value of JSON: a text, a number, or null")
    func values() {
        #expect(String(decoding: value(Array("a\"b".utf8)), as: UTF8.self) == #""a\"b""#)
        #expect(String(decoding: value([]), as: UTF8.self) == #""""#)
        #expect(String(decoding: value(Array("0.012".utf8), isNumber: true), as: UTF8.self) == "0.012")
        #expect(String(decoding: value(nil), as: UTF8.self) == "null")
        #expect(String(decoding: value(nil, isNumber: true), as: UTF8.self) == "null")
    }

    /// Every byte alone, every byte behind the first byte of a longer sequence, and what has broken parsers before.
    private static let hostile: [[UInt8]] = {
        var texts: [[UInt8]] = (0...255).map { [$0] }
        for lead in [0xC0, 0xC2, 0xE0, 0xED, 0xF0, 0xF4, 0xF8, 0xFF] as [UInt8] {
            texts += (0...255).map { [lead, $0] }
        }
        texts += ["\u{2028}\u{2029}", "a\u{FEFF}b", "\"},{\"", "\\u0022", "\\", "</script>", "\u{202E}drawkcab"].map {
            Array($0.utf8)
        }
        // A surrogate, an overlong slash, a character beyond Unicode, and sequences that end too soon.
        texts += [
            [0xED, 0xA0, 0x80], [0xC0, 0xAF], [0xE0, 0x80, 0xAF], [0xF4, 0x90, 0x80, 0x80], [0xE2, 0x82],
            [0xF0, 0x9F, 0x92], [0x22, 0xE2], [0x5C, 0xFF],
        ]
        var random = SeededRandom(seed: 20_261_128)
        texts += (0..<2000).map { _ in
            (0..<Int.random(in: 1...40, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random) }
        }
        return texts
    }()

    @Test("writes JSON that a parser reads back, whatever the bytes, on one line")
    func parsed() throws {
        for text in Self.hostile {
            let line = Array(#"{"id":"#.utf8) + value(text) + Array("}".utf8)
            #expect(!line.contains(UInt8(ascii: "\n")))
            let object = try JSONSerialization.jsonObject(with: Data(line)) as? [String: String]
            #expect(object == ["id": String(decoding: text, as: UTF8.self)], "\(text)")
        }
    }
}
