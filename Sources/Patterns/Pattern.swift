// SPDX-License-Identifier: Apache-2.0
//
// A regular expression of the configuration (`map`, `match`), compiled by PCRE2 over bytes. Devices send bytes, not
// characters: `.` is one byte, unless the expression itself asks for more with `(*UTF)`. What a match needs beside the
// expression (captures, limits, a stack) is a `PatternMatcher`, which stays with whoever matches.

import CPCRE2

/// Why an expression does not compile.
package struct PatternFault: Error, Equatable {
    /// PCRE2's own words, without a full stop.
    package let message: String
    /// Bytes of the text before the place where compiling stopped.
    package let offset: Int
}

@safe package final class Pattern: Sendable {
    /// `nonisolated(unsafe)` and still sound: PCRE2 writes to a compiled expression while compiling only, that is in
    /// `init`; matching only reads it (pcre2api(3), Multithreading). Nothing else holds it, and `deinit` frees it.
    nonisolated(unsafe) let code: OpaquePointer
    /// Numbered groups; the whole match, group 0, is not counted.
    package let captureCount: Int
    /// Named groups in alphabetical order.
    package let captureNames: [(name: String, group: Int)]
    let starts: StartingPositions

    package init(_ text: String, ignoresCase: Bool) throws(PatternFault) {
        let bytes = Array(text.utf8)
        var errorNumber: Int32 = 0
        var errorOffset = 0
        let options = ignoresCase ? PCRE2_CASELESS : 0
        guard
            let code = unsafe bytes.withUnsafeBufferPointer({ buffer in
                unsafe pcre2_compile_8(
                    buffer.baseAddress, buffer.count, options, &errorNumber, &errorOffset, nil)
            })
        else {
            throw PatternFault(
                message: Pattern.message(errorNumber), offset: min(max(errorOffset, 0), bytes.count))
        }
        // Refused where the system forbids memory that is written and then executed: then PCRE2 interprets.
        _ = unsafe pcre2_jit_compile_8(code, PCRE2_JIT_COMPLETE)
        unsafe self.code = unsafe code
        captureCount = Int(unsafe Pattern.number(PCRE2_INFO_CAPTURECOUNT, of: code))
        captureNames = unsafe Pattern.names(of: code)
        starts = unsafe StartingPositions(of: code)
    }

    deinit { unsafe pcre2_code_free_8(code) }

    /// For places where an allocation does not matter. A limit that is reached is no match.
    package func matches(_ bytes: [UInt8]) -> Bool {
        var matcher = PatternMatcher(captureCountMax: 0)
        return matcher.match(self, bytes) == .matched
    }

    /// A 32-bit answer of `pcre2_pattern_info`.
    static func number(_ what: Int32, of code: OpaquePointer) -> UInt32 {
        var value: UInt32 = 0
        _ = unsafe pcre2_pattern_info_8(code, UInt32(what), &value)
        return value
    }

    /// The name table: entries of one size, each two bytes of group number, high byte first, and a terminated name.
    private static func names(of code: OpaquePointer) -> [(name: String, group: Int)] {
        let count = Int(unsafe number(PCRE2_INFO_NAMECOUNT, of: code))
        let entryBytes = Int(unsafe number(PCRE2_INFO_NAMEENTRYSIZE, of: code))
        var table: UnsafePointer<UInt8>? = nil
        _ = unsafe pcre2_pattern_info_8(code, UInt32(PCRE2_INFO_NAMETABLE), &table)
        guard let table = unsafe table, entryBytes > 2 else { return [] }
        let bytes = unsafe UnsafeBufferPointer(start: table, count: count * entryBytes)
        return (0..<count).map { index in
            let entry = unsafe bytes[index * entryBytes..<(index + 1) * entryBytes]
            let group = unsafe Int(entry[entry.startIndex]) << 8 | Int(entry[entry.startIndex + 1])
            return unsafe (String(decoding: entry.dropFirst(2).prefix { $0 != 0 }, as: UTF8.self), group)
        }
    }

    private static func message(_ number: Int32) -> String {
        // The longest text of PCRE2 10.42 has 117 bytes; a longer one is cut and still terminated.
        unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 256) { buffer in
            unsafe buffer.initialize(repeating: 0)
            _ = unsafe pcre2_get_error_message_8(number, buffer.baseAddress, buffer.count)
            return unsafe String(decoding: buffer.prefix { $0 != 0 }, as: UTF8.self)
        }
    }
}
