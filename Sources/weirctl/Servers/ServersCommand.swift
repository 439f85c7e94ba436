// SPDX-License-Identifier: Apache-2.0
//
// `weirctl servers`: brokers in and out of service, while Weir runs.

import ArgumentParser
import Foundation
import NIOHTTP1

struct ServersCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "servers", abstract: "Brokers: list them, drain them, take them down and up, weigh them.",
        discussion: """
            A server is named by its address or by its name in the configuration, with or without the port. Changes \
            need an API with write=on; all workers have them when the command ends. With state FILE they outlive a \
            reload.
            Exit codes: 0 done; 3 no such server or upstream; 1 no answer or a refusal; 64 wrong usage.
            """,
        subcommands: [List.self, Drain.self, Down.self, Up.self, Weight.self], defaultSubcommand: List.self)

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "All servers of all upstreams, and how they are.")
        @Option(help: "Of this upstream only.")
        var upstream: String?
        @OptionGroup var options: APIOptions

        func run() throws {
            try CommandFault.reporting { () throws(CommandFault) in
                let servers = try ServerSearch.all(try options.client().upstreams(), in: upstream)
                if options.json {
                    say(try JSONText.of(servers))
                } else {
                    for line in ServersCommand.table(servers) { say(line) }
                }
            }
        }
    }

    /// What the changing ones have in common.
    struct Target: ParsableArguments {
        @Argument(help: "The server: 192.0.2.1:1883, b1.example:1883, b1.example.")
        var server: String
        @Option(help: "Its upstream, where several have such a server.")
        var upstream: String?
        @OptionGroup var options: APIOptions

        func change(_ change: ServerChange, _ done: String) throws {
            try CommandFault.reporting { () throws(CommandFault) in
                let client = try options.client()
                let found = try ServerSearch.one(
                    server, among: try ServerSearch.all(try client.upstreams(), in: upstream))
                let path = "/stream/upstreams/\(APIClient.escaped(found.upstream))/servers/\(found.id)"
                let answer = try client.send(
                    .PATCH, APIClient.version + path, body: Data(try JSONText.of(change).utf8))
                if options.json {
                    say(String(decoding: answer, as: UTF8.self))
                } else {
                    say("\(found.name) in \(found.upstream) \(done)")
                }
            }
        }
    }

    struct Drain: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "No new sessions; those that it has go on.")
        @OptionGroup var target: Target
        func run() throws { try target.change(ServerChange(down: false, drain: true), "is draining") }
    }

    struct Down: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Out of service: no new sessions.")
        @OptionGroup var target: Target
        func run() throws { try target.change(ServerChange(down: true), "is down") }
    }

    struct Up: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "In service again, after drain and down.")
        @OptionGroup var target: Target
        func run() throws { try target.change(ServerChange(down: false, drain: false), "is in service") }
    }

    struct Weight: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Its share of the clients.")
        @OptionGroup var target: Target
        @Argument(help: "The weight, from 1 on.")
        var weight: Int

        func validate() throws {
            if weight < 1 { throw ValidationError("a weight is 1 or more") }
        }
        func run() throws { try target.change(ServerChange(weight: weight), "has weight \(weight)") }
    }

    static func table(_ servers: [FoundServer]) -> [String] {
        var table = TextTable(["UPSTREAM", "SERVER", "ADDRESS", "STATE", "WEIGHT", "SESSIONS"], right: [4, 5])
        for server in servers {
            table.rows.append([
                server.upstream, server.name, server.server, server.state + (server.backup ? ", backup" : ""),
                "\(server.weight)", "\(server.active)",
            ])
        }
        return table.lines()
    }
}

/// The body of a PATCH: what is nil stays.
struct ServerChange: Encodable, Equatable {
    var weight: Int? = nil
    var down: Bool? = nil
    var drain: Bool? = nil
}
