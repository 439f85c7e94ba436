// SPDX-License-Identifier: Apache-2.0
//
// The parts of the API's answers that the terminal shows. What else stands in them is left alone, so that an older
// weirctl reads a newer Weir.

struct UpstreamFigures: Codable, Equatable {
    struct Peer: Codable, Equatable {
        var id: Int
        var server: String
        var name: String
        var backup: Bool
        var weight: Int
        var state: String
        var active: UInt64
        var connections: UInt64
        var sent: UInt64
        var received: UInt64
        var fails: UInt64
    }
    var peers: [Peer]
}

struct ConnectionFigures: Codable, Equatable {
    var accepted: UInt64
    var dropped: UInt64
    var active: UInt64
    var idle: UInt64
}

extension APIClient {
    static let version = "/9"

    func upstreams() throws(CommandFault) -> [String: UpstreamFigures] {
        try get([String: UpstreamFigures].self, Self.version + "/stream/upstreams/")
    }

    func connections() throws(CommandFault) -> ConnectionFigures {
        try get(ConnectionFigures.self, Self.version + "/connections")
    }
}
