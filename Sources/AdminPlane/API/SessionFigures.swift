// SPDX-License-Identifier: Apache-2.0
//
// Sessions and client ids as the API shows them. Workers tell ages; here they become times.

import ControlLink
import SharedState
import Vocabulary

struct SessionFigures: Encodable {
    var id: String
    var worker: Int
    var phase: String
    /// Absent: no CONNECT was read. Bytes that are no UTF-8 are replaced.
    var client_id: String?
    var client_id_cut: Bool?
    /// Absent for a client at a unix socket.
    var client: String?
    var listener: String
    var zone: String?
    var upstream: String?
    /// The broker's address.
    var peer: String?
    var peer_id: Int?
    var since: String
    var idle_ms: UInt64
    var received: UInt64
    var sent: UInt64
    /// Seconds.
    var keep_alive: Int?
    var mqtt_version: String?
    var clean_start: Bool?
    var tls: Bool
    var peer_tls: Bool

    init(_ facts: SessionFacts, worker: Int, names: SlotNames, now: UInt64) {
        id = facts.id.text
        self.worker = worker
        phase = "\(facts.phase)"
        client_id = facts.clientID.map { String(decoding: $0, as: UTF8.self) }
        client_id_cut = facts.isClientIDCut ? true : nil
        client = facts.client?.text
        listener = facts.listener
        zone = facts.zone.flatMap { names.zones[Int($0)] }
        upstream = facts.peer.flatMap { names.upstreams[Int($0)] }
        peer = facts.broker.isEmpty ? nil : facts.broker
        peer_id = facts.peer.map { Int($0) }
        since = HTTPDate.timestamp(milliseconds: now - min(now, facts.ageMilliseconds))
        idle_ms = facts.idleMilliseconds
        received = facts.received
        sent = facts.sent
        keep_alive = facts.keepAlive.map { Int($0) }
        mqtt_version = facts.mqttLevel.map { level in
            switch level & 0x7F {
            case 3: "3.1"
            case 4: "3.1.1"
            default: "\(level & 0x7F)"
            }
        }
        clean_start = facts.mqttLevel == nil ? nil : facts.isCleanStart
        tls = facts.isTLS
        peer_tls = facts.isBrokerTLS
    }
}

/// What slots are called.
struct SlotNames {
    var zones: [Int: String] = [:]
    /// The upstream's name, by the slot of a peer.
    var upstreams: [Int: String] = [:]

    init(_ region: SharedRegion) {
        for zone in region.zoneReports(onlyCommitted: false) { zones[zone.slot.index] = zone.name }
        for group in region.groupReports(onlyCommitted: false) {
            for peer in group.peers { upstreams[peer.slot.index] = group.name }
        }
    }
}

/// A worker that did not answer, or not all of it.
struct WorkerFault: Encodable {
    var worker: Int
    var text: String
}

struct SessionPage: Encodable {
    var sessions: [SessionFigures]
    /// What `cursor` is for the next page; absent: there is none.
    var next: String?
    var faults: [WorkerFault]
}

struct TopFigures: Encodable {
    struct Client: Encodable {
        var client_id: String
        /// In the last 10 to 20 minutes.
        var connects: UInt64
        /// As many of them may have been others'.
        var doubt: UInt64
    }
    var by: String
    var sessions: [SessionFigures]?
    var clients: [Client]?
    var faults: [WorkerFault]
}

/// Where a client id is, and where it belongs.
struct ClientFigures: Encodable {
    struct Home: Encodable {
        var upstream: String
        /// The choice if every server were there.
        var server: String?
        var name: String?
        /// The choice with the servers that may get a session now.
        var server_now: String?
        /// Why there is no choice to tell.
        var reason: String?
    }
    var client_id: String
    var sessions: [SessionFigures]
    var homes: [Home]
    var faults: [WorkerFault]
}
