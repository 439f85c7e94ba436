// SPDX-License-Identifier: Apache-2.0
//
// `weirctl route`: which broker a client id leads to, by a configuration file alone.

import AdminPlane
import ArgumentParser

struct RouteCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "route",
        abstract: "Which broker would this client id get? Needs a configuration, and no running Weir.",
        discussion: """
            The choice is the workers' own: consistent hashing, weights, servers that are down, map and set. Brokers \
            are taken to be alive unless --dead says otherwise. Files that only the master may read are not read. A \
            relative FILE is below the working directory.
            Exit codes: 0 a broker is known for every server block; 1 the configuration is not valid; 3 the client \
            id does not decide, or there is no such server; 64 wrong usage.
            """)

    @Argument(help: "The client id of the CONNECT.")
    var clientID: String
    @Option(name: [.customShort("c"), .long], help: "The configuration file.", completion: .file())
    var configuration: String?
    @Option(name: [.customShort("p"), .long], help: "The prefix of relative paths.", completion: .directory)
    var prefix: String?
    @Option(help: "The user name of the CONNECT, where a key has it.")
    var username: String?
    @Option(help: "Only the server that listens at this address or port.")
    var listen: String?
    @Option(help: "This upstream, whatever server leads to it.")
    var upstream: String?
    @Option(help: "A broker that is taken for dead, by address or name; may be repeated.")
    var dead: [String] = []
    @Flag(help: "Answer in JSON.")
    var json = false

    func validate() throws {
        if listen != nil, upstream != nil { throw ValidationError("--listen and --upstream exclude each other") }
    }

    func run() throws {
        try CommandFault.reporting { () throws(CommandFault) in
            let router = Router(
                configuration: try RouteSource.load(configuration, prefix: prefix),
                client: KnownClient(clientID: clientID, userName: username), dead: Set(dead))
            let routes =
                if let upstream { [try router.route(upstream: upstream)] } else {
                    try router.routes(listen: listen)
                }
            if json {
                say(try JSONText.of(routes))
            } else {
                for route in routes { say(route.text(of: clientID)) }
            }
            guard routes.allSatisfy({ $0.server != nil }) else { throw CommandFault("", .nothingFound) }
        }
    }
}

extension Route {
    /// One line for people.
    func text(of clientID: String) -> String {
        let target: String
        if let server {
            target = server + (name.map { $0 == server ? "" : " (\($0))" } ?? "")
        } else {
            target = "unknown: " + (reason ?? "no server")
        }
        var place: [String] = []
        if let upstream { place.append("upstream \(upstream)") }
        if let method { place.append(method) }
        if !listen.isEmpty { place.append("listen " + listen.joined(separator: " ")) }
        return "\(clientID) → \(target)   [\(place.joined(separator: "; "))]"
    }
}
