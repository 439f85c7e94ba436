// SPDX-License-Identifier: Apache-2.0
//
// `weirctl where`: at which broker a device is now, and where it belongs.

import ArgumentParser
import NIOHTTP1

struct WhereCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "where", abstract: "Where is this device, and where does it belong?",
        discussion: """
            Asks a running Weir. Exit codes: 0 it is connected; 3 it is not; 1 no answer; 64 wrong usage.
            """)

    @Argument(help: "The client id of the CONNECT.")
    var clientID: String
    @OptionGroup var options: APIOptions

    func run() throws {
        try CommandFault.reporting { () throws(CommandFault) in
            let client = try options.client()
            let path = "/weir/clients/" + APIClient.escaped(clientID)
            let answer = try client.send(.GET, path)
            let figures = try client.decode(ClientFigures.self, answer, of: path)
            // Scripts get all that the API says.
            for line in options.json ? [String(decoding: answer, as: UTF8.self)] : figures.lines() { say(line) }
            for fault in figures.faults { sayError("worker \(fault.worker) did not answer: \(fault.text)") }
            guard !figures.sessions.isEmpty else { throw CommandFault("", .nothingFound) }
        }
    }
}

struct ClientFigures: Decodable, Equatable {
    struct Session: Decodable, Equatable {
        var id: String
        var phase: String
        var client: String?
        var listener: String
        var upstream: String?
        var peer: String?
        var since: String
        var idle_ms: UInt64
        var received: UInt64
        var sent: UInt64
        var keep_alive: Int?
        var mqtt_version: String?
    }
    struct Home: Decodable, Equatable {
        var upstream: String
        var server: String?
        var server_now: String?
        var reason: String?
    }
    struct Fault: Decodable, Equatable {
        var worker: Int
        var text: String
    }
    var client_id: String
    var sessions: [Session]
    var homes: [Home]
    var faults: [Fault]

    /// For people.
    func lines() -> [String] {
        var lines = sessions.map { session in
            var line = "\(client_id) is at \(session.peer ?? "no broker yet")"
            if let upstream = session.upstream { line += " (\(upstream))" }
            line += ", \(session.phase) since \(session.since), idle for \(Figure.duration(session.idle_ms))"
            if let client = session.client { line += ", from \(client)" }
            line += ", \(Figure.bytes(session.received)) received, \(Figure.bytes(session.sent)) sent"
            if let version = session.mqtt_version { line += ", MQTT \(version)" }
            if let keepAlive = session.keep_alive { line += ", keep-alive \(keepAlive)s" }
            return line + "  [session \(session.id)]"
        }
        if lines.isEmpty { lines.append("\(client_id) is not connected") }
        for home in homes {
            guard let server = home.server else {
                lines.append("no home in \(home.upstream): \(home.reason ?? "unknown")")
                continue
            }
            var line = "belongs to \(server) in \(home.upstream)"
            if let now = home.server_now, now != server { line += "; as things are, to \(now)" }
            lines.append(line)
        }
        return lines
    }
}
