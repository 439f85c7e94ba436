// SPDX-License-Identifier: Apache-2.0
//
// Where a client id belongs by the configuration alone: the choice that a worker would make if every server were there.
// For `weirctl route` without a running Weir, and for the API, which says with it whether a device is where it should
// be.

import Balancing
import ProxyConfig

package struct Placement: Sendable {
    /// Why there is no answer.
    package enum Unknown: Error, Sendable, Equatable {
        /// The method is not `hash`, so that the next session's server is not the id's matter.
        case notByKey
        /// The key has a variable that a client id does not tell.
        case keyIsUnknown(String)
        case noServers
    }

    private let upstream: Upstream
    private let method: BalancingMethod

    /// Makes the ring; keep it for many ids of one configuration.
    package init(_ upstream: Upstream) throws(Unknown) {
        guard case .hash(_, let isConsistent) = upstream.method else { throw .notByKey }
        guard !upstream.peers.isEmpty else { throw .noServers }
        self.upstream = upstream
        guard isConsistent else {
            method = .hash
            return
        }
        let ring = HashRing(
            members: upstream.peers.map {
                HashRing.Member(host: $0.ringHost, port: $0.ringPort, weight: $0.weight, isBackup: $0.isBackup)
            })
        guard let ring else { throw .noServers }
        method = .consistentHash(ring)
    }

    /// The index of the server in the upstream's list. `isOpen` says which of them may get a session; that a server is
    /// `down` or drains does not change where an id belongs.
    package func server(
        of client: KnownClient, in configuration: Configuration, isOpen: (Int) -> Bool = { _ in true }
    ) throws(Unknown) -> Int {
        try server(forKey: try key(of: client, in: configuration), isOpen: isOpen)
    }

    /// As above, for a key that is known.
    package func server(
        forKey key: [UInt8], isOpen: (Int) -> Bool = { _ in true }
    ) throws(Unknown) -> Int {
        var peers = upstream.peers.indices.map { index in
            let peer = upstream.peers[index]
            var state = PeerState(weight: Int32(clamping: peer.weight))
            if !isOpen(index) { state.flags.insert(.down) }
            if peer.isBackup { state.flags.insert(.backup) }
            return state
        }
        var tries = ClientTries()
        var random = RandomDraws(seed: 0)
        let index = Balancer.choose(
            method, key: key.span, peers: &peers, tries: &tries, now: 0, random: &random)
        guard let index else { throw .noServers }
        return index
    }

    /// What the servers that lead here make of the client, who may come through any of them: `set` may give each its
    /// own key.
    private func key(of client: KnownClient, in configuration: Configuration) throws(Unknown) -> [UInt8] {
        guard case .hash(let template, _) = upstream.method else { throw .notByKey }
        guard !configuration.assignedVariables.isEmpty else { return try client.value(of: template, in: configuration) }
        let servers = configuration.servers.filter { server in
            guard case .proxy(let index) = server.content else { return false }
            return configuration.upstreams[index].name == upstream.name
        }
        let key = try client.value(of: template, in: configuration, at: servers.first)
        for server in servers.dropFirst() {
            let other = try client.value(of: template, in: configuration, at: server)
            guard other == key else { throw .keyIsUnknown("something that servers set differently") }
        }
        return key
    }
}
