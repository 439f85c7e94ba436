// SPDX-License-Identifier: Apache-2.0
//
// Numbers, sizes and times as nginx reads them: digits only, 1024-based `k` and `m` (and `g` for offsets), times
// composed from the largest unit down. Nil is "invalid value"; what would not fit an Int is invalid, too.

enum Quantity {
    /// A hundred years: longer timeouts are cut to it, so that adding one to a clock never overflows.
    static let millisecondsMax = 100 * 365 * 86_400_000

    /// Decimal digits, nothing else (ngx_atoi).
    static func number(_ text: some Collection<UInt8>) -> Int? {
        guard !text.isEmpty else { return nil }
        var value = 0
        for character in text {
            guard let digit = digit(character) else { return nil }
            let (product, isTooLarge) = value.multipliedReportingOverflow(by: 10)
            let (sum, isSumTooLarge) = product.addingReportingOverflow(digit)
            guard !isTooLarge, !isSumTooLarge else { return nil }
            value = sum
        }
        return value
    }

    /// A number of bytes, with `k` or `m` (ngx_parse_size); no `g`, as nginx.
    static func size(_ text: some Collection<UInt8>) -> Int? {
        scaled(text, takesGiga: false)
    }

    /// As `size`, with `g` (ngx_parse_offset).
    static func offset(_ text: some Collection<UInt8>) -> Int? {
        scaled(text, takesGiga: true)
    }

    /// ngx_parse_time(…, 0): milliseconds; the largest unit is the week.
    static func milliseconds(_ text: some Collection<UInt8>) -> Int? {
        time(text, inSeconds: false).map { min($0, millisecondsMax) }
    }

    /// ngx_parse_time(…, 1): seconds; knows years and months, refuses `ms`.
    static func seconds(_ text: some Collection<UInt8>) -> Int? {
        time(text, inSeconds: true).map { min($0, millisecondsMax / 1000) }
    }

    private static func digit(_ character: UInt8) -> Int? {
        guard character >= UInt8(ascii: "0"), character <= UInt8(ascii: "9") else { return nil }
        return Int(character - UInt8(ascii: "0"))
    }

    private static func scaled(_ text: some Collection<UInt8>, takesGiga: Bool) -> Int? {
        let bytes = Array(text)
        guard let unit = bytes.last else { return nil }
        let scale: Int
        switch unit {
        case UInt8(ascii: "k"), UInt8(ascii: "K"): scale = 1 << 10
        case UInt8(ascii: "m"), UInt8(ascii: "M"): scale = 1 << 20
        case UInt8(ascii: "g"), UInt8(ascii: "G"):
            guard takesGiga else { return nil }
            scale = 1 << 30
        default: return number(bytes)
        }
        guard let value = number(bytes.dropLast()) else { return nil }
        let (product, isTooLarge) = value.multipliedReportingOverflow(by: scale)
        return isTooLarge ? nil : product
    }

    /// The units in the order in which they may follow each other. A second of the same unit is refused.
    private enum Step: Int {
        case start, year, month, week, day, hour, minute, second, millisecond, last
    }

    private static func time(_ text: some Collection<UInt8>, inSeconds: Bool) -> Int? {
        let bytes = Array(text)
        var index = 0
        var value = 0
        var total = 0
        var isValid = false
        var step = inSeconds ? Step.start : .month
        while index < bytes.count {
            let character = bytes[index]
            index += 1
            if let digit = digit(character) {
                let (product, isTooLarge) = value.multipliedReportingOverflow(by: 10)
                let (sum, isSumTooLarge) = product.addingReportingOverflow(digit)
                guard !isTooLarge, !isSumTooLarge else { return nil }
                value = sum
                isValid = true
                continue
            }
            let reached: Step
            var scale = inSeconds ? 1 : 1000
            switch character {
            case UInt8(ascii: "y"): (reached, scale) = (.year, scale * 365 * 86_400)
            case UInt8(ascii: "M"): (reached, scale) = (.month, scale * 30 * 86_400)
            case UInt8(ascii: "w"): (reached, scale) = (.week, scale * 7 * 86_400)
            case UInt8(ascii: "d"): (reached, scale) = (.day, scale * 86_400)
            case UInt8(ascii: "h"): (reached, scale) = (.hour, scale * 3600)
            case UInt8(ascii: "m"):
                if index < bytes.count, bytes[index] == UInt8(ascii: "s") {
                    guard !inSeconds else { return nil }
                    index += 1
                    (reached, scale) = (.millisecond, 1)
                } else {
                    (reached, scale) = (.minute, scale * 60)
                }
            case UInt8(ascii: "s"): reached = .second
            case UInt8(ascii: " "): reached = .last
            default: return nil
            }
            guard reached.rawValue > step.rawValue else { return nil }
            step = reached
            guard let sum = adding(value, times: scale, to: total) else { return nil }
            total = sum
            value = 0
            while index < bytes.count, bytes[index] == UInt8(ascii: " ") { index += 1 }
        }
        guard isValid else { return nil }
        return adding(value, times: inSeconds ? 1 : 1000, to: total)
    }

    private static func adding(_ value: Int, times scale: Int, to total: Int) -> Int? {
        let (product, isTooLarge) = value.multipliedReportingOverflow(by: scale)
        let (sum, isSumTooLarge) = total.addingReportingOverflow(product)
        return isTooLarge || isSumTooLarge ? nil : sum
    }
}
