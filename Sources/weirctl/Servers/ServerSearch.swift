// SPDX-License-Identifier: Apache-2.0
//
// Which servers a name on the command line means: an address, a name of the configuration, or either without the port.

struct FoundServer: Encodable, Equatable {
    var upstream: String
    var id: Int
    var server: String
    var name: String
    var state: String
    var weight: Int
    var active: UInt64
    var backup: Bool

    init(_ peer: UpstreamFigures.Peer, in upstream: String) {
        self.upstream = upstream
        id = peer.id
        server = peer.server
        name = peer.name
        state = peer.state
        weight = peer.weight
        active = peer.active
        backup = peer.backup
    }
}

enum ServerSearch {
    static func all(_ upstreams: [String: UpstreamFigures], in only: String?) throws(CommandFault) -> [FoundServer] {
        if let only, upstreams[only] == nil { throw CommandFault("no upstream is called \"\(only)\"", .nothingFound) }
        return upstreams.filter { only == nil || $0.key == only }.sorted { $0.key < $1.key }
            .flatMap { upstream in upstream.value.peers.map { FoundServer($0, in: upstream.key) } }
    }

    /// One server of one upstream. A name with several addresses is one server: a change is made to all of them.
    static func one(_ name: String, among servers: [FoundServer]) throws(CommandFault) -> FoundServer {
        let exact = servers.filter { $0.server == name || $0.name == name }
        let found =
            exact.isEmpty ? servers.filter { host($0.server) == name || host($0.name) == name } : exact
        guard let first = found.first else { throw CommandFault("no server is called \"\(name)\"", .nothingFound) }
        guard found.allSatisfy({ $0.upstream == first.upstream && $0.name == first.name }) else {
            let all = found.map { "\($0.name) in \($0.upstream)" }.joined(separator: ", ")
            throw CommandFault("\"\(name)\" may be \(all): write the port, or --upstream NAME")
        }
        return first
    }

    private static func host(_ server: String) -> String {
        guard !server.hasPrefix("unix:"), let colon = server.lastIndex(of: ":") else { return server }
        let host = server[..<colon]
        return host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : String(host)
    }
}
