// SPDX-License-Identifier: Apache-2.0
//
// An upstream group as a worker uses it: where its peers stand in the shared region, how to reach them, and how it
// chooses. Built once a generation; what changes while it runs lives in the shared region.

import Balancing
import EventLoop
import LinuxIO
import ProxyConfig
import SharedState
import Vocabulary

final class Group {
    struct Member {
        let slot: PeerSlot
        /// The configuration's numbers; what the shared region knows is filled in for each choice.
        let template: PeerState
        let address: SocketAddress
        /// Nil for a unix socket.
        let endpoint: IPEndpoint?
        /// 0: none.
        let slowStartMilliseconds: UInt64
    }

    let name: String
    let slot: GroupSlot
    let members: [Member]
    let method: BalancingMethod
    /// The key of the hash methods.
    let key: Template?

    /// Nil when the master has given no place in the shared region, which is a fault of ours, or an address does not
    /// fit a socket address.
    init?(_ upstream: Upstream, region: SharedRegion) {
        guard let slot = region.groupSlot(named: upstream.name) else { return nil }
        var members: [Member] = []
        members.reserveCapacity(upstream.peers.count)
        for (peer, identity) in zip(upstream.peers, upstream.peerIdentities()) {
            guard let peerSlot = region.peerSlot(group: slot, identity: identity),
                let address = try? SocketAddress(peer.endpoint)
            else { return nil }
            members.append(
                Member(
                    slot: peerSlot, template: PeerState(peer), address: address,
                    endpoint: address.endpoint, slowStartMilliseconds: UInt64(peer.slowStartMilliseconds)))
        }
        name = upstream.name
        self.slot = slot
        self.members = members
        switch upstream.method {
        case .roundRobin:
            (method, key) = (.roundRobin, nil)
        case .leastConnections:
            (method, key) = (.leastConnections, nil)
        case .random(let isTwo):
            (method, key) = (isTwo ? .randomOfTwo : .random, nil)
        case .hash(let template, let isConsistent):
            key = template
            guard isConsistent else {
                method = .hash
                break
            }
            let ring = HashRing(
                members: upstream.peers.map {
                    HashRing.Member(host: $0.ringHost, port: $0.ringPort, weight: $0.weight, isBackup: $0.isBackup)
                })
            guard let ring else { return nil }
            method = .consistentHash(ring)
        }
    }
}

extension PeerState {
    fileprivate init(_ peer: Peer) {
        self.init(weight: Int32(clamping: peer.weight))
        maxConnections = UInt32(clamping: peer.maxConnections)
        maxFails = UInt32(clamping: peer.maxFails)
        failTimeoutSeconds = Int64(peer.failTimeoutSeconds)
        if peer.isDown { flags.insert(.down) }
        if peer.isDraining { flags.insert(.draining) }
        if peer.isBackup { flags.insert(.backup) }
    }
}
