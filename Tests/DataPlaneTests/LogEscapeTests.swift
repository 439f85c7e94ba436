// SPDX-License-Identifier: Apache-2.0
//
// No byte of a peer can forge a log line: nginx's three ways of escaping, byte by byte.

import ProxyConfig
import Testing

@testable import DataPlane

@Suite("escaping in access logs")
struct LogEscapeTests {
    private func escaped(_ bytes: [UInt8], _ escape: LogFormat.Escape) -> String {
        var line = Array("a\"b ".utf8)
        let start = line.count
        line += bytes
        LogEscape.apply(escape, to: &line, from: start)
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
}
