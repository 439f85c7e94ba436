// SPDX-License-Identifier: Apache-2.0
//
// The log phase: access lines at the moments of a session's life that each log of its server block names, and error
// lines with the session's context in nginx's order, so that what people grep for in nginx is found here.

import EventLoop
import LinuxIO
import ProxyConfig
import SharedState
import Vocabulary

extension Worker where K: ~Copyable {
    // MARK: - Access log

    mutating func logAccess(_ slot: Int, _ event: SessionEvent) {
        let settings = settingsTable[sessions[slot].settings]
        for access in settings.accessLines where access.events.contains(event) { writeAccess(access, slot, event) }
    }

    mutating func writeAccess(_ access: ServerSettings.AccessLine, _ slot: Int, _ event: SessionEvent) {
        lineEvent = event
        defer { lineEvent = nil }
        if let condition = access.condition {
            let value = value(of: condition, for: slot)
            if value.isEmpty || value == [UInt8(ascii: "0")] { return }
        }
        var text: [UInt8] = []
        swap(&text, &line)
        text.removeAll(keepingCapacity: true)
        if case .syslog(let syslog) = sinks.sinks[access.sink].destination {
            beginSyslog(syslog, severity: syslog.severity, to: &text)
        }
        for part in access.format.template.parts {
            switch part {
            case .literal(let bytes):
                text.append(contentsOf: bytes)
            case .variable(let variable):
                let start = text.count
                let hasValue = append(variable, of: slot, to: &text)
                LogEscape.finish(
                    access.format.escape, &text, from: start, hasValue: hasValue, isNumber: variable.isNumber)
            }
        }
        text.append(UInt8(ascii: "\n"))
        sinks.append(text, to: access.sink, now: kernel.nowMilliseconds)
        swap(&text, &line)
    }

    // MARK: - Error log

    /// Whether a line of this level about this session goes anywhere; asked before a costly message is put together.
    func logs(_ level: LogLevel, of slot: Int) -> Bool {
        level >= settingsTable[sessions[slot].settings].errorLevelMin
    }

    mutating func logSession(_ level: LogLevel, _ slot: Int, _ message: @autoclosure () -> String) {
        guard logs(level, of: slot) else { return }
        logSession(level, slot, bytes: Array(message().utf8), withContext: true)
    }

    mutating func logSession(_ level: LogLevel, _ slot: Int, bytes message: [UInt8], withContext: Bool) {
        var text = message
        if withContext { appendContext(of: slot, to: &text) }
        let settings = settingsTable[sessions[slot].settings]
        writeError(level, connection: sessions[slot].number, text, to: settings.errorTargets)
    }

    /// A line that belongs to no session.
    mutating func logWorker(_ level: LogLevel, _ message: String) {
        writeError(level, connection: nil, Array(message.utf8), to: errorTargets)
    }

    private mutating func writeError(
        _ level: LogLevel, connection: UInt64?, _ message: [UInt8], to targets: [ServerSettings.ErrorTarget]
    ) {
        let time = LocalTime(secondsSince1970: Int64(kernel.wallMilliseconds / 1000))
        for target in targets where level >= target.level {
            var text: [UInt8] = []
            if case .syslog(let syslog) = sinks.sinks[target.sink].destination {
                beginSyslog(syslog, severity: level.syslogSeverity, to: &text)
                LogLine.beginSyslogError(processID: identity.processID, connection: connection, to: &text)
            } else {
                LogLine.beginError(
                    time: time, level: level, processID: identity.processID, connection: connection, to: &text)
            }
            text.append(contentsOf: message)
            LogLine.endError(&text)
            sinks.appendNow(text, to: target.sink, now: kernel.nowMilliseconds)
        }
    }

    /// `, client: A, server: B, upstream: "C", bytes from/to client:N/N, bytes from/to upstream:N/N`
    private func appendContext(of slot: Int, to text: inout [UInt8]) {
        text.append(utf8: ", client: ")
        _ = append(.builtin(.remoteAddress), of: slot, to: &text)
        text.append(utf8: ", server: ")
        text.append(text: listeners[Int(sessions[slot].listener)].text)
        if sessions[slot].hasPresentTry {
            text.append(utf8: ", upstream: \"")
            appendBrokerAddress(of: slot, to: &text)
            text.append(utf8: "\"")
        } else if sessions[slot].group >= 0, let routing = sessions[slot].routing {
            text.append(utf8: ", upstream: \"")
            text.append(text: generations[routing].groups[Int(sessions[slot].group)].name)
            text.append(utf8: "\"")
        }
        text.append(utf8: ", bytes from/to client:")
        appendPair(sessions[slot].upload.received, sessions[slot].download.sent, to: &text)
        text.append(utf8: ", bytes from/to upstream:")
        appendPair(sessions[slot].download.received, sessions[slot].upload.sent, to: &text)
    }

    private func appendPair(_ first: UInt64, _ second: UInt64, to text: inout [UInt8]) {
        text.appendDecimal(first)
        text.append(UInt8(ascii: "/"))
        text.appendDecimal(second)
    }

    private func beginSyslog(_ syslog: LogDestination.Syslog, severity: Int, to text: inout [UInt8]) {
        LogLine.beginSyslog(
            time: LocalTime(secondsSince1970: Int64(kernel.wallMilliseconds / 1000)), facility: syslog.facility,
            severity: severity,
            hostname: syslog.hasHostname ? identity.hostname : nil, tag: syslog.tag, to: &text)
    }

    /// No line is lost without a line: what a full disk swallowed is said once a minute, where it can be said.
    mutating func reportLogLoss() {
        guard sinks.hasLoss, let loss = sinks.takeLoss(now: kernel.nowMilliseconds) else { return }
        region.countLogLinesLost(identity.slot, Int(clamping: loss.lines))
        logWorker(.alert, "\(loss.lines) lines could not be written to \(loss.destination.text); is the disk full?")
    }
}

extension LogDestination {
    var text: String {
        switch self {
        case .file(let path), .keyLog(let path): path
        case .standardError: "stderr"
        case .syslog(let syslog): "syslog server \(syslog.server.text)"
        }
    }
}
