// SPDX-License-Identifier: Apache-2.0
//
// How a variable's bytes become part of an access log line, so that no client id can forge a line: nginx's
// `escape=default`, `escape=json` and `escape=none`.

import ProxyConfig
import Vocabulary

enum LogEscape {
    /// Rewrites `line` from `start` on; the common case, nothing to escape, only looks.
    static func apply(_ escape: LogFormat.Escape, to line: inout [UInt8], from start: Int) {
        switch escape {
        case .none:
            return
        case .standard:
            guard line[start...].contains(where: isEscapedByDefault) else { return }
            let raw = Array(line[start...])
            line.removeSubrange(start...)
            for byte in raw { appendDefault(byte, to: &line) }
        case .json:
            guard line[start...].contains(where: { $0 < 32 || $0 == quote || $0 == backslash }) else { return }
            let raw = Array(line[start...])
            line.removeSubrange(start...)
            for byte in raw { appendJSON(byte, to: &line) }
        }
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
