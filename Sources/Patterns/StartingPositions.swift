// SPDX-License-Identifier: Apache-2.0
//
// At how many places of a subject an expression can begin. PCRE2 counts its steps anew at each of them, so a limit on
// steps alone bounds nothing: `(?:a|b)*[cd]` takes few steps at each byte of a long row of `a`, and a row of 16 KiB has
// 16,384 of them. `PatternMatcher` divides its budget by the number told here.

import CPCRE2

enum StartingPositions: Sendable {
    /// Only at the beginning of the subject.
    case first
    /// At the beginning and after each newline.
    case lines
    /// At bytes of which this is one; the other case of a letter is counted as well, as PCRE2 does not tell which.
    case byte(UInt8)
    case anywhere

    init(of code: OpaquePointer) {
        let options = unsafe Pattern.number(PCRE2_INFO_ALLOPTIONS, of: code)
        if options & PCRE2_ANCHORED != 0 {
            self = .first
        } else {
            switch unsafe Pattern.number(PCRE2_INFO_FIRSTCODETYPE, of: code) {
            // Outside of ASCII the other case of a letter may begin with another byte.
            case 1 where options & PCRE2_UTF == 0:
                self = .byte(UInt8(truncatingIfNeeded: unsafe Pattern.number(PCRE2_INFO_FIRSTCODEUNIT, of: code)))
            case 2:
                self = .lines
            default:
                self = .anywhere
            }
        }
    }

    /// An upper bound, at least 1.
    func count(in bytes: Span<UInt8>) -> Int {
        switch self {
        case .first: 1
        case .lines: 1 + StartingPositions.count(of: UInt8(ascii: "\n"), in: bytes)
        case .byte(let byte): max(1, StartingPositions.count(of: byte, in: bytes))
        case .anywhere: bytes.count + 1
        }
    }

    private static func count(of byte: UInt8, in bytes: Span<UInt8>) -> Int {
        let isLetter = (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
        let mask: UInt8 = isLetter ? 0x20 : 0
        var count = 0
        for index in bytes.indices where bytes[index] | mask == byte | mask { count += 1 }
        return count
    }
}
