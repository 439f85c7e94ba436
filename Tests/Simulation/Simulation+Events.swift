// SPDX-License-Identifier: Apache-2.0
//
// What must hold for the lines of a session's events at the end of a run: one at the end, at most one at the connect and
// that one first, intervals between them at their distance, one name in all lines of all logs, and sums that only grow.

import Vocabulary

extension Simulation {
    /// A line of the log of events.
    private struct EventLine {
        var event: SessionEvent
        var id: SessionID
        var port: Int
        var status: Int
        var reason: String
        var sums: [Int]
        var milliseconds: Int

        init?(_ line: Substring) {
            let fields = line.split(separator: " ", omittingEmptySubsequences: false)
            guard fields.count == 9, let event = SessionEvent.allCases.first(where: { $0.name == fields[0] }),
                let id = SessionID(text: fields[1].utf8), id.number == UInt64(fields[2]), let port = Int(fields[3]),
                let status = Int(fields[4]), let received = Int(fields[6]), let sent = Int(fields[7]),
                let milliseconds = Int(fields[8].filter { $0 != "." })
            else { return nil }
            self.event = event
            self.id = id
            self.port = port
            self.status = status
            reason = String(fields[5])
            sums = [received, sent]
            self.milliseconds = milliseconds
        }
    }

    func checkEvents() {
        var sessions: [SessionID: [EventLine]] = [:]
        for text in master.logged(ConfigurationText.eventLog).split(separator: "\n") {
            guard let line = EventLine(text) else {
                world.fault("no line of an event: \(text)")
                continue
            }
            sessions[line.id, default: []].append(line)
        }
        if sessions.count != loggedLines { world.fault("\(loggedLines) sessions ended, \(sessions.count) have lines") }
        if Set(sessions.keys.map(\.run)).count > 1 { world.fault("one worker, several runs: \(sessions.keys)") }
        for lines in sessions.values { check(lines) }
        checkNames(Dictionary(sessions.values.map { ($0[0].port, $0[0].id) }) { first, _ in first })
    }

    private func check(_ lines: [EventLine]) {
        let events = lines.map(\.event)
        if events.count(where: { $0 == .close }) != 1 || events.last != .close {
            world.fault("\(lines[0].id.text) ends in \(events)")
        }
        if events.dropFirst().contains(.connect) { world.fault("\(lines[0].id.text) connects late: \(events)") }
        var distances: [Int] = []
        for (former, line) in zip(lines, lines.dropFirst()) {
            if line.port != former.port { world.fault("\(line.id.text) is of two clients") }
            if zip(former.sums, line.sums).contains(where: { $0 > $1 }) || former.milliseconds > line.milliseconds {
                world.fault("\(line.id.text) counts backwards: \(former) \(line)")
            }
            if former.event == .interval, line.event == .interval {
                distances.append(line.milliseconds - former.milliseconds)
            }
        }
        intervalLines += events.count { $0 == .interval }
        // A session keeps the configuration that it began with, and turns come when something is due.
        if let longest = distances.max(), let shortest = distances.min(), longest > 9_100 || shortest < 1_900 {
            world.fault("\(lines[0].id.text) has interval lines \(distances) ms apart")
        }
        for line in lines where line.event != .close && (line.status != 0 || line.reason != "-") {
            world.fault("\(line.id.text) lives and has an end: \(line)")
        }
    }

    /// The log of errors numbers the same sessions in the same way.
    private func checkNames(_ names: [Int: SessionID]) {
        for line in master.logged(ConfigurationText.errorLog).split(separator: "\n") {
            guard let start = line.firstRange(of: ": *"), line.contains(" connected to "), line.contains(" client "),
                let port = line.firstRange(of: " connected to ").flatMap({ range in
                    line[..<range.lowerBound].split(separator: ":").last.flatMap { Int($0) }
                })
            else { continue }
            let number = UInt64(line[start.upperBound...].prefix { $0 != " " })
            if names[port]?.number != number { world.fault("\(String(describing: names[port])) is another one in: \(line)") }
        }
    }
}
