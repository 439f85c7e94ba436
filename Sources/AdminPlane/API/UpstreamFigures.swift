// SPDX-License-Identifier: Apache-2.0
//
// An upstream and its servers as nginx's API shows them: figures from the region, words from the configuration.

import ProxyConfig
import SharedState
import Vocabulary

struct UpstreamFigures: Encodable {
    var peers: [PeerFigures]
    var zombies: Int
    /// nginx shows no upstream without `zone`; Weir does, under the upstream's name.
    var zone: String

    init(_ report: GroupReport, _ upstream: Upstream, since baselines: [Int: PeerReport], version: Int) {
        let configured = Dictionary(
            zip(upstream.peerIdentities(), upstream.peers), uniquingKeysWith: { first, _ in first })
        peers = report.peers.map { peer in
            PeerFigures(peer, configured[peer.endpoint], since: baselines[peer.slot.index], version: version)
        }
        zombies = report.zombies
        zone = upstream.zone ?? upstream.name
    }
}

struct PeerFigures: Encodable {
    struct HealthChecks: Encodable {
        var checks: UInt64
        var fails: UInt64
        var unhealthy: UInt64
        /// Absent before the first check.
        var last_passed: Bool?
    }
    /// The slot in the shared region: the same over reloads.
    var id: Int
    var server: String
    var name: String
    var backup: Bool
    var weight: Int
    var state: String
    var active: UInt64
    var ssl: TLSFigures?
    var max_conns: Int?
    var connections: UInt64
    /// Means, in milliseconds; absent while there is nothing to take the mean of.
    var connect_time: UInt64?
    var first_byte_time: UInt64?
    var response_time: UInt64?
    var sent: UInt64
    var received: UInt64
    var fails: UInt64
    var unavail: UInt64
    var health_checks: HealthChecks
    /// Milliseconds.
    var downtime: UInt64
    var downstart: String?
    var selected: String?

    init(_ peer: PeerReport, _ configured: Peer?, since baseline: PeerReport?, version: Int) {
        func counted(_ field: KeyPath<PeerReport, UInt64>) -> UInt64 {
            since(baseline?[keyPath: field], peer[keyPath: field])
        }
        func mean(_ sum: KeyPath<PeerReport, UInt64>, _ count: KeyPath<PeerReport, UInt64>) -> UInt64? {
            counted(count) == 0 ? nil : counted(sum) / counted(count)
        }
        id = peer.slot.index
        server = configured?.endpoint.text ?? peer.endpoint
        name = configured?.serverText ?? peer.endpoint
        backup = configured?.isBackup ?? false
        weight = Int(peer.weight)
        let condition = peer.condition(
            isDown: configured?.isDown ?? false, isDraining: configured?.isDraining ?? false)
        state = condition.rawValue
        active = peer.active
        ssl = TLSFigures.ifAny(peer.tls, since: baseline?.tls, isServer: false, version: version)
        max_conns = configured.flatMap { $0.maxConnections == 0 ? nil : $0.maxConnections }
        connections = counted(\.sessions)
        connect_time = mean(\.connectMilliseconds, \.connected)
        first_byte_time = mean(\.firstByteMilliseconds, \.firstBytes)
        response_time = mean(\.sessionMilliseconds, \.ended)
        sent = counted(\.bytesToPeer)
        received = counted(\.bytesFromPeer)
        fails = counted(\.connectsFailed)
        unavail = counted(\.timesUnavailable)
        health_checks = HealthChecks(
            checks: counted(\.checks), fails: counted(\.checksFailed), unhealthy: counted(\.timesUnhealthy),
            last_passed: peer.lastCheckAt == 0 ? nil : peer.lastCheckPassed)
        downtime = counted(\.downMilliseconds)
        downstart = peer.downSince == 0 ? nil : HTTPDate.timestamp(milliseconds: peer.downSince)
        selected = peer.selectedAt == 0 ? nil : HTTPDate.timestamp(milliseconds: peer.selectedAt)
    }
}
