// SPDX-License-Identifier: Apache-2.0
//
// The frame of a log line, the same for master, workers and prober: nginx's error log line, and the syslog header that
// goes in front of a line for a syslog server (RFC 3164, as nginx sends it).

package enum LogLine {
    /// nginx cuts error lines at this (NGX_MAX_ERROR_STR), line end included.
    package static let errorBytesMax = 2048

    /// `2026/11/24 15:48:50 [error] 12#12: *7 ` — what stands before the message. `connection` nil: no `*7 `.
    package static func beginError(
        time: LocalTime, level: LogLevel, processID: Int32, connection: UInt64? = nil, to output: inout [UInt8]
    ) {
        time.writeErrorLog(to: &output)
        output.append(utf8: " [")
        output.append(text: level.name)
        output.append(utf8: "] ")
        beginSyslogError(processID: processID, connection: connection, to: &output)
    }

    /// `12#12: *7 `: syslog lines have time and level in their own header.
    package static func beginSyslogError(
        processID: Int32, connection: UInt64? = nil, to output: inout [UInt8]
    ) {
        output.appendDecimal(Int(processID))
        output.append(UInt8(ascii: "#"))
        output.appendDecimal(Int(processID))
        output.append(utf8: ": ")
        if let connection {
            output.append(UInt8(ascii: "*"))
            output.appendDecimal(connection)
            output.append(UInt8(ascii: " "))
        }
    }

    /// Cuts an error line that is too long and ends it with a newline.
    package static func endError(_ line: inout [UInt8]) {
        if line.count >= errorBytesMax { line.removeSubrange((errorBytesMax - 1)...) }
        line.append(UInt8(ascii: "\n"))
    }

    /// `<190>Nov 24 15:48:50 host weir: `; one datagram carries this and the line without its newline.
    package static func beginSyslog(
        time: LocalTime, facility: Int, severity: Int, hostname: [UInt8]?, tag: String, to output: inout [UInt8]
    ) {
        output.append(UInt8(ascii: "<"))
        output.appendDecimal(facility * 8 + severity)
        output.append(UInt8(ascii: ">"))
        time.writeSyslog(to: &output)
        output.append(UInt8(ascii: " "))
        if let hostname {
            output.append(contentsOf: hostname)
            output.append(UInt8(ascii: " "))
        }
        output.append(text: tag)
        output.append(utf8: ": ")
    }
}

extension LogLevel {
    /// RFC 5424 section 6.2.1: `emerg` is 0, `debug` is 7.
    package var syslogSeverity: Int { 7 - Int(rawValue) }
}
