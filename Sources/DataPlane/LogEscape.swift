// SPDX-License-Identifier: Apache-2.0
//
// How a variable's bytes become part of an access log line, so that no client id can forge a line: nginx's
// `escape=default`, `escape=json` and `escape=none`, and whole values of JSON for the formats that Weir brings.

import ProxyConfig
import Vocabulary

enum LogEscape {
    /// Rewrites `line` from `start` on, where a variable has put its bytes, or none for want of a value. The common
    /// case, nothing to escape, only looks.
    static func finish(
        _ escape: LogFormat.Escape, _ line: inout [UInt8], from start: Int, hasValue: Bool, isNumber: Bool
    ) {
        switch escape {
        case .none:
            break
        case .standard:
            if hasValue { escapeDefault(&line, from: start) } else { line.append(UInt8(ascii: "-")) }
        case .json:
            escapeJSON(&line, from: start)
        case .jsonValues:
            guard hasValue else { return line.append(utf8: "null") }
            guard !isNumber else { return }
            escapeJSON(&line, from: start)
            line.insert(quote, at: start)
            line.append(quote)
        }
    }

    private static func escapeDefault(_ line: inout [UInt8], from start: Int) {
        guard line[start...].contains(where: isEscapedByDefault) else { return }
        let raw = Array(line[start...])
        line.removeSubrange(start...)
        for byte in raw { appendDefault(byte, to: &line) }
    }

    private static func escapeJSON(_ line: inout [UInt8], from start: Int) {
        guard line[start...].contains(where: isEscapedInJSON) else { return }
        // RFC 8259 section 8.1 wants UTF-8, and parsers refuse a line with anything else: what is none becomes U+FFFD.
        let text = String(decoding: line[start...], as: UTF8.self)
        line.removeSubrange(start...)
        for byte in text.utf8 { appendJSON(byte, to: &line) }
    }

    private static func isEscapedInJSON(_ byte: UInt8) -> Bool {
        byte < 32 || byte > 126 || byte == quote || byte == backslash
    }

    private static var quote: UInt8 { UInt8(ascii: "\"") }
    private static var backslash: UInt8 { UInt8(ascii: "\\") }

    private static func isEscapedByDefault(_ byte: UInt8) -> Bool {
        byte < 32 || byte > 126 || byte == quote || byte == backslash
    }

    /// `\xHH` in upper case.
    private static func appendDefault(_ byte: UInt8, to line: inout [UInt8]) {
        guard isEscapedByDefault(byte) else { return line.append(byte) }
        line.append(utf8: "\\x")
        appendHexPair(byte, to: &line)
    }

    private static func appendJSON(_ byte: UInt8, to line: inout [UInt8]) {
        switch byte {
        case quote: line.append(utf8: "\\\"")
        case backslash: line.append(utf8: "\\\\")
        case 0x08: line.append(utf8: "\\b")
        case 0x09: line.append(utf8: "\\t")
        case 0x0A: line.append(utf8: "\\n")
        case 0x0C: line.append(utf8: "\\f")
        case 0x0D: line.append(utf8: "\\r")
        case 0..<32:
            line.append(utf8: "\\u00")
            appendHexPair(byte, to: &line)
        default: line.append(byte)
        }
    }

    private static func appendHexPair(_ byte: UInt8, to line: inout [UInt8]) {
        for digit in [byte >> 4, byte & 15] {
            line.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "A") + digit - 10)
        }
    }
}
