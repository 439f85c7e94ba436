// SPDX-License-Identifier: Apache-2.0
//
// The master's own lines in the error logs: nginx's format, each destination at its level. Written at once with
// write(2); nothing is buffered over a fork.

import LinuxIO
import ProxyConfig
import Vocabulary

struct ErrorLogWriter {
    struct Target {
        var level: LogLevel
        var descriptor: Int32
        var syslog: LogDestination.Syslog? = nil
    }

    /// False until it is known where lines go.
    private(set) var isInUse = false
    private var targets: [Target] = []
    private let hostname: [UInt8]

    init(hostname: String) {
        self.hostname = Array(hostname.utf8)
    }

    /// From here on lines go to the main context's error logs, by the descriptors of their destinations.
    mutating func use(_ configuration: Configuration, _ logs: LogFiles) {
        isInUse = true
        targets = configuration.main.errorLogs.compactMap { log in
            guard let descriptor = logs.descriptor(log.destination) else { return nil }
            var target = Target(level: log.level, descriptor: descriptor)
            if case .syslog(let syslog) = configuration.logDestinations[log.destination] { target.syslog = syslog }
            return target
        }
    }

    /// Before a configuration is known.
    mutating func use(descriptor: Int32) {
        isInUse = true
        targets = [Target(level: .notice, descriptor: descriptor)]
    }

    func write(_ level: LogLevel, _ message: String) {
        let time = LocalTime(secondsSince1970: Int64(wallMilliseconds() / 1000))
        for target in targets where level >= target.level {
            var line: [UInt8] = []
            if let syslog = target.syslog {
                LogLine.beginSyslog(
                    time: time, facility: syslog.facility, severity: level.syslogSeverity,
                    hostname: syslog.hasHostname ? hostname : nil, tag: syslog.tag, to: &line)
                LogLine.beginSyslogError(processID: Processes.currentID, to: &line)
                line.append(text: message)
                // A syslog server that is not there loses the line; there is no better place to say so.
                _ = try? Sockets.send(target.descriptor, line[...])
            } else {
                LogLine.beginError(time: time, level: level, processID: Processes.currentID, to: &line)
                line.append(text: message)
                LogLine.endError(&line)
                try? Files.writeAll(target.descriptor, line)
            }
        }
    }
}
