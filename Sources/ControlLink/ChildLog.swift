// SPDX-License-Identifier: Apache-2.0
//
// The error log lines of prober and admin process, and the descriptors that they go to, which the master opened. One
// generation has one of these; it closes its descriptors at its end.

import LinuxIO
import ProxyConfig
import Vocabulary

package final class ChildLog {
    private let destinations: [LogDestination]
    /// The main context's logs, for what is no server block's.
    private let mainLogs: [ErrorLog]
    /// By index of destination; -1: none came.
    private var numbers: [Int32]
    private let hostname: [UInt8]

    package init(_ configuration: Configuration, hostname: String) {
        destinations = configuration.logDestinations
        mainLogs = configuration.main.errorLogs
        numbers = Array(repeating: -1, count: destinations.count)
        self.hostname = Array(hostname.utf8)
    }

    deinit {
        for number in numbers where number >= 0 { Descriptors.close(number) }
    }

    /// Replaces and closes what was there. An index that the configuration does not have is closed at once.
    package func open(_ index: Int, _ descriptor: consuming Descriptor) {
        guard numbers.indices.contains(index) else { return }
        if numbers[index] >= 0 { Descriptors.close(numbers[index]) }
        numbers[index] = descriptor.release()
    }

    /// One line to each of the logs that takes this level. `logs` nil: the main context's.
    package func write(_ level: LogLevel, _ message: String, to logs: [ErrorLog]? = nil) {
        for log in logs ?? mainLogs where level >= log.level && destinations.indices.contains(log.destination) {
            write(level, message, to: destinations[log.destination], numbers[log.destination])
        }
    }

    private func write(_ level: LogLevel, _ message: String, to destination: LogDestination, _ number: Int32) {
        let time = LocalTime(wallMilliseconds: wallMilliseconds())
        let process = Processes.currentID
        var line: [UInt8] = []
        switch destination {
        case .syslog(let syslog):
            LogLine.beginSyslog(
                time: time, facility: syslog.facility, severity: level.syslogSeverity,
                hostname: syslog.hasHostname ? hostname : nil, tag: syslog.tag, to: &line)
            LogLine.beginSyslogError(processID: process, to: &line)
            line.append(text: message)
            if line.count > LogLine.errorBytesMax { line.removeSubrange(LogLine.errorBytesMax...) }
            // A syslog server that is not there loses lines; all else goes on.
            if number >= 0 { _ = try? Sockets.send(number, line[...]) }
        case .file, .keyLog, .standardError:
            let isStandardError = destination == .standardError
            guard number >= 0 || isStandardError else { return }
            ChildLog.write(level, message, to: number >= 0 ? number : 2)
        }
    }

    /// A line for a descriptor, without any configuration. Whole in one write(2), which O_APPEND makes whole in the
    /// file; a full disk loses it.
    package static func write(_ level: LogLevel, _ message: String, to number: Int32) {
        var line: [UInt8] = []
        LogLine.beginError(
            time: LocalTime(wallMilliseconds: wallMilliseconds()), level: level, processID: Processes.currentID,
            to: &line)
        line.append(text: message)
        LogLine.endError(&line)
        _ = try? Files.write(number, line[...])
    }
}
