// SPDX-License-Identifier: Apache-2.0
//
// Text as bytes: numbers and literals appended to a byte array that its owner keeps and empties, so that a log line
// costs no allocation once the array has its size.

extension [UInt8] {
    package mutating func append(utf8 text: StaticString) {
        text.withUTF8Buffer { bytes in unsafe append(contentsOf: bytes) }
    }

    package mutating func append(text: String) {
        append(contentsOf: text.utf8)
    }

    package mutating func appendDecimal(_ value: UInt64) {
        appendDigits(value, base: 10, minimumDigits: 1)
    }

    package mutating func appendDecimal(_ value: Int) {
        if value < 0 { append(UInt8(ascii: "-")) }
        appendDigits(UInt64(value.magnitude), base: 10, minimumDigits: 1)
    }

    /// Decimal with leading zeros, as in times: `appendDecimal(7, minimumDigits: 2)` is `07`.
    package mutating func appendDecimal(_ value: UInt64, minimumDigits: Int) {
        appendDigits(value, base: 10, minimumDigits: minimumDigits)
    }

    /// Lower case hexadecimal, without leading zeros beyond `minimumDigits`.
    package mutating func appendHex(_ value: UInt64, minimumDigits: Int = 1) {
        appendDigits(value, base: 16, minimumDigits: minimumDigits)
    }

    /// Seconds with three places, nginx's form of `$session_time` and `$msec`: 1234 ms is `1.234`.
    package mutating func appendSeconds(milliseconds: UInt64) {
        appendDecimal(milliseconds / 1000)
        append(UInt8(ascii: "."))
        appendDecimal(milliseconds % 1000, minimumDigits: 3)
    }

    private mutating func appendDigits(_ value: UInt64, base: UInt64, minimumDigits: Int) {
        let start = count
        var rest = value
        repeat {
            let digit = UInt8(truncatingIfNeeded: rest % base)
            append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
            rest /= base
        } while rest > 0
        while count - start < minimumDigits { append(UInt8(ascii: "0")) }
        self[start...].reverse()
    }
}

/// 0 … 15 for a hexadecimal digit of either case, else nil.
package func hexDigitValue(_ character: UInt8) -> UInt8? {
    switch character {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): character - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): character - UInt8(ascii: "A") + 10
    default: nil
    }
}
