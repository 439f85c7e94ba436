// SPDX-License-Identifier: Apache-2.0
//
// A moment in local time, broken down, and the forms in which nginx and syslog write it. LinuxIO makes one out of a
// clock; here is only text.

package struct LocalTime: Sendable, Equatable, BitwiseCopyable {
    package var year: Int
    /// 1 … 12
    package var month: Int
    package var day: Int
    package var hour: Int
    package var minute: Int
    package var second: Int
    /// East of Greenwich.
    package var offsetMinutes: Int

    package init(year: Int, month: Int, day: Int, hour: Int, minute: Int, second: Int, offsetMinutes: Int) {
        self.year = year
        self.month = month
        self.day = day
        self.hour = hour
        self.minute = minute
        self.second = second
        self.offsetMinutes = offsetMinutes
    }

    /// `2026/11/24 15:48:50`, the error log's stamp.
    package func writeErrorLog(to output: inout [UInt8]) {
        writeDate(separator: UInt8(ascii: "/"), to: &output)
        output.append(UInt8(ascii: " "))
        writeClock(to: &output)
    }

    /// `24/Nov/2026:15:48:50 +0000`, `$time_local`.
    package func writeCommonLog(to output: inout [UInt8]) {
        output.appendDecimal(UInt64(day), minimumDigits: 2)
        output.append(UInt8(ascii: "/"))
        output.append(utf8: monthName)
        output.append(UInt8(ascii: "/"))
        output.appendDecimal(UInt64(year), minimumDigits: 4)
        output.append(UInt8(ascii: ":"))
        writeClock(to: &output)
        output.append(UInt8(ascii: " "))
        writeOffset(separated: false, to: &output)
    }

    /// `2026-11-24T15:48:50+00:00`, `$time_iso8601`; with milliseconds `2026-11-24T15:48:50.007+00:00`.
    package func writeISO8601(milliseconds: Int?, to output: inout [UInt8]) {
        writeDate(separator: UInt8(ascii: "-"), to: &output)
        output.append(UInt8(ascii: "T"))
        writeClock(to: &output)
        if let milliseconds {
            output.append(UInt8(ascii: "."))
            output.appendDecimal(UInt64(milliseconds), minimumDigits: 3)
        }
        writeOffset(separated: true, to: &output)
    }

    /// `Nov  4 15:48:50`, RFC 3164 section 4.1.2.
    package func writeSyslog(to output: inout [UInt8]) {
        output.append(utf8: monthName)
        output.append(UInt8(ascii: " "))
        if day < 10 { output.append(UInt8(ascii: " ")) }
        output.appendDecimal(UInt64(day))
        output.append(UInt8(ascii: " "))
        writeClock(to: &output)
    }

    private func writeDate(separator: UInt8, to output: inout [UInt8]) {
        output.appendDecimal(UInt64(year), minimumDigits: 4)
        output.append(separator)
        output.appendDecimal(UInt64(month), minimumDigits: 2)
        output.append(separator)
        output.appendDecimal(UInt64(day), minimumDigits: 2)
    }

    private func writeClock(to output: inout [UInt8]) {
        output.appendDecimal(UInt64(hour), minimumDigits: 2)
        output.append(UInt8(ascii: ":"))
        output.appendDecimal(UInt64(minute), minimumDigits: 2)
        output.append(UInt8(ascii: ":"))
        output.appendDecimal(UInt64(second), minimumDigits: 2)
    }

    private func writeOffset(separated: Bool, to output: inout [UInt8]) {
        output.append(offsetMinutes < 0 ? UInt8(ascii: "-") : UInt8(ascii: "+"))
        output.appendDecimal(UInt64(offsetMinutes.magnitude / 60), minimumDigits: 2)
        if separated { output.append(UInt8(ascii: ":")) }
        output.appendDecimal(UInt64(offsetMinutes.magnitude % 60), minimumDigits: 2)
    }

    private var monthName: StaticString {
        switch month {
        case 1: "Jan"
        case 2: "Feb"
        case 3: "Mar"
        case 4: "Apr"
        case 5: "May"
        case 6: "Jun"
        case 7: "Jul"
        case 8: "Aug"
        case 9: "Sep"
        case 10: "Oct"
        case 11: "Nov"
        default: "Dec"
        }
    }
}
