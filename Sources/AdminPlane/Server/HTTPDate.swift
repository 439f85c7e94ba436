// SPDX-License-Identifier: Apache-2.0
//
// Times as HTTP writes them (RFC 9110, section 5.6.7) and as nginx's API does.

import Glibc

enum HTTPDate {
    /// `Sun, 06 Nov 1994 08:49:37 GMT`. The C locale's names: nobody here calls setlocale(3).
    static func text(secondsSince1970: Int) -> String { format("%a, %d %b %Y %H:%M:%S GMT", secondsSince1970) }

    /// `1994-11-06T08:49:37.123Z`
    static func timestamp(milliseconds: UInt64) -> String {
        let fraction = String(1000 + milliseconds % 1000).dropFirst()
        return format("%Y-%m-%dT%H:%M:%S", Int(milliseconds / 1000)) + ".\(fraction)Z"
    }

    private static func format(_ format: String, _ seconds: Int) -> String {
        var seconds = seconds
        var fields = unsafe tm()
        var bytes = [CChar](repeating: 0, count: 64)
        let count = unsafe bytes.withUnsafeMutableBufferPointer { buffer -> Int in
            guard unsafe gmtime_r(&seconds, &fields) != nil, let start = buffer.baseAddress else { return 0 }
            return unsafe strftime(start, buffer.count, format, &fields)
        }
        return String(decoding: bytes.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
