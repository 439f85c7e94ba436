// SPDX-License-Identifier: Apache-2.0
//
// The prober's error log lines and the descriptors that they go to, which the master opened. One generation has one of
// these; it closes its descriptors at its end.

import Health
import LinuxIO
import ProxyConfig
import SharedState
import Vocabulary

final class ProberLog {
    private let destinations: [LogDestination]
    /// The main context's logs, for what is no server block's.
    private let mainLogs: [ErrorLog]
    /// By index of destination; -1: none came.
    private var numbers: [Int32]
    private let hostname: [UInt8]

    init(_ configuration: Configuration, hostname: String) {
        destinations = configuration.logDestinations
        mainLogs = configuration.main.errorLogs
        numbers = Array(repeating: -1, count: destinations.count)
        self.hostname = Array(hostname.utf8)
    }

    deinit {
        for number in numbers where number >= 0 { Descriptors.close(number) }
    }

    /// Replaces and closes what was there. An index that the configuration does not have is closed at once.
    func open(_ index: Int, _ descriptor: consuming Descriptor) {
        guard numbers.indices.contains(index) else { return }
        if numbers[index] >= 0 { Descriptors.close(numbers[index]) }
        numbers[index] = descriptor.release()
    }

    /// One line to each of the logs that takes this level. `logs` nil: the main context's.
    func write(_ level: LogLevel, _ message: String, to logs: [ErrorLog]? = nil) {
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
            // A syslog server that is not there loses lines; checks go on.
            if number >= 0 { _ = try? Sockets.send(number, line[...]) }
        case .file, .keyLog, .standardError:
            let isStandardError = destination == .standardError
            guard number >= 0 || isStandardError else { return }
            ProberLog.write(level, message, to: number >= 0 ? number : 2)
        }
    }

    /// A line for a descriptor, without any configuration. Whole in one write(2), which O_APPEND makes whole in the
    /// file; a full disk loses it.
    static func write(_ level: LogLevel, _ message: String, to number: Int32) {
        var line: [UInt8] = []
        LogLine.beginError(
            time: LocalTime(wallMilliseconds: wallMilliseconds()), level: level, processID: Processes.currentID,
            to: &line)
        line.append(text: message)
        LogLine.endError(&line)
        _ = try? Files.write(number, line[...])
    }
}

extension PeerChange {
    /// nginx's words where it has them.
    var message: String {
        let peer = "health check \"\(checkName)\" of peer \(name) in upstream \"\(group)\""
        switch cause {
        case .passed(let count):
            let reason = count == 1 ? "the check passed" : "\(count) checks in a row passed"
            return "peer is \(stateText) while checking status, \(peer): \(reason)"
        case .failed(let fault): return "peer is \(stateText) while \(fault.activity), \(peer): \(fault.text)"
        case .mandatory:
            return "peer is \(stateText) while reconfiguring, \(peer): \"mandatory\" asks for a check first"
        case .unchecked:
            return "peer is \(stateText) while reconfiguring, \(peer): no check that failed is configured any more"
        }
    }

    /// For the ring of events: the server first, and no more than fits a line.
    var eventText: String {
        let reason =
            switch cause {
            case .passed(let count): count == 1 ? "the check passed" : "\(count) checks in a row passed"
            case .failed(let fault): fault.text
            case .mandatory: "\"mandatory\" asks for a check first"
            case .unchecked: "no check that failed is configured any more"
            }
        return "\(name) in \(group): \(reason)"
    }

    var eventKind: EventKind {
        switch state {
        case .healthy: .peerUp
        case .checking: .peerChecking
        case .unhealthy: .peerUnhealthy
        }
    }

    var level: LogLevel { state == .unhealthy ? .warn : .notice }

    private var stateText: String {
        switch state {
        case .healthy: "healthy"
        case .checking: "checking"
        case .unhealthy: "unhealthy"
        }
    }
}

extension HealthFault {
    fileprivate var activity: String {
        switch self {
        case .connectFailed, .connectTimedOut: "connecting to upstream"
        case .handshakeFailed, .handshakeTimedOut: "SSL handshaking to upstream"
        case .sessionFailed, .sendFailed, .sendTimedOut, .receiveFailed, .noAnswer, .closedEarly, .wrongAnswer,
            .expressionTooCostly:
            "checking status"
        }
    }
}
