// SPDX-License-Identifier: Apache-2.0
//
// Rows of choices recorded from nginx with servers that are down, dead or backups; Fixtures/README.md has the recipe.
// Goal: what one client's tries remember, what failures do to weights, and how the methods fall back, all as in nginx.

import Balancing
import Foundation
import Testing

private struct RecordedGroup {
    var method: String
    var servers: [String]
    var choices: [(clientID: String, port: Int)] = []

    static func all() throws -> [RecordedGroup] {
        let url = try #require(Bundle.module.url(forResource: "Fixtures/nginx-failover-vectors", withExtension: "tsv"))
        var groups: [RecordedGroup] = []
        for line in try String(contentsOf: url, encoding: .utf8).split(separator: "\n").dropFirst() {
            let fields = line.split(separator: "\t").map(String.init)
            try #require(fields.count == 4)
            let servers = fields[1].components(separatedBy: ", ")
            if groups.last?.method != fields[0] || groups.last?.servers != servers {
                groups.append(RecordedGroup(method: fields[0], servers: servers))
            }
            groups[groups.count - 1].choices.append((fields[2], try #require(Int(fields[3].suffix(5)))))
        }
        return groups
    }

    var ports: [Int] { servers.map { Int($0.prefix(15).suffix(5))! } }

    var peers: [PeerState] {
        servers.map { server in
            var peer = PeerState()
            for word in server.split(separator: " ").dropFirst() {
                let value = word.split(separator: "=").last.flatMap { Int32($0) }
                switch word.prefix(while: { $0 != "=" }) {
                case "weight": peer.weight = value!
                case "max_fails": peer.maxFails = UInt32(value!)
                case "fail_timeout": peer.failTimeoutSeconds = Int64(value!)
                case "down": peer.flags.insert(.down)
                case "backup": peer.flags.insert(.backup)
                default: fatalError(String(word))
                }
            }
            peer.effectiveWeight = peer.weight
            return peer
        }
    }

    var balancingMethod: BalancingMethod {
        switch method {
        case "hash": .hash
        case "hash consistent": .consistentHash(ring)
        case "least_conn": .leastConnections
        default: .roundRobin
        }
    }

    private var ring: HashRing {
        HashRing(
            members: zip(ports, peers).map { port, peer in
                HashRing.Member(
                    host: "127.0.0.1", port: String(port), weight: Int(peer.weight), isBackup: peer.isBackup)
            })!
    }
}

@Suite struct FailoverVectorTests {
    @Test("down, dead and backup servers send clients where nginx sends them")
    func recorded() throws {
        let recordings = try RecordedGroup.all()
        #expect(recordings.count == 10)
        for recording in recordings {
            let group = Group(weights: [], method: recording.balancingMethod)
            group.peers = recording.peers
            for choice in recording.choices {
                var tries = ClientTries()
                var answered: Int? = nil
                while answered == nil, let index = group.next(choice.clientID, &tries) {
                    if recording.ports[index] < 18835 {
                        _ = group.succeed(index)
                        answered = recording.ports[index]
                    } else {
                        _ = group.fail(index)
                    }
                }
                #expect(answered == choice.port, "\(recording.method) \(recording.servers): \(choice.clientID)")
            }
        }
    }
}
