// SPDX-License-Identifier: Apache-2.0
//
// Everything that the page shows, at one moment, in the words that its scripts read (Page/model.js): the shared region
// in the order of the configuration. Encoded once for all viewers.

import Foundation
import ProxyConfig
import SharedState
import Vocabulary

struct DashboardState: Encodable, Sendable {
    struct Weir: Encodable, Sendable, Equatable {
        var version: String
        var pid: Int32
        var generation: UInt32
        var startedAt: UInt64
        var reloads: Reloads
    }

    struct Reloads: Encodable, Sendable, Equatable {
        var done: UInt64
        var refused: UInt64
        /// 0: never.
        var lastAt: UInt64
    }

    struct Group: Encodable, Sendable {
        var name: String
        /// As the configuration words it, for people.
        var method: String
        var brokers: [Broker]
    }

    struct Broker: Encodable, Sendable {
        /// The slot's number, which is also the server's id in the API.
        var id: Int
        var address: String
        var state: String
        /// Wall clock, milliseconds; nil where nobody noted it.
        var since: UInt64?
        /// The check's own words.
        var reason: String?
        var weight: Int32
        var backup: Bool
        var active, sessions, failed: UInt64
        var toPeer, fromPeer: UInt64
        var checks, checksFailed, lastCheckAt: UInt64
    }

    struct Zone: Encodable, Sendable {
        var name: String
        var active, sessions: UInt64
        /// Those that ended with a status of 400 or more.
        var failed: UInt64
        var received, sent: UInt64
    }

    struct Worker: Encodable, Sendable {
        var number: Int
        var pid: Int32
        var state: String
        var active: UInt64
        var respawns: UInt64
    }

    struct Event: Encodable, Sendable {
        var at: UInt64
        /// Counted by its writer, of whom there are two.
        var number: UInt64
        var level: String
        var title: String
        var text: String
    }

    var at: UInt64
    var weir: Weir
    var groups: [Group]
    var zones: [Zone]
    var workers: [Worker]
    var events: [Event]

    func encoded() -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .withoutEscapingSlashes
        do { return try encoder.encode(self) } catch { preconditionFailure("numbers and texts are JSON: \(error)") }
    }
}

// MARK: - Reading

extension DashboardState {
    private static let eventsMax = 100

    init(region: SharedRegion, configuration: Configuration, at moment: ReportMoment = .now) {
        at = moment.wallMilliseconds
        let master = region.masterReport()
        weir = Weir(
            version: weirVersion, pid: master.pid, generation: master.generation, startedAt: master.startedAt,
            reloads: Reloads(
                done: master.reloadsDone, refused: master.reloadsRefused, lastAt: master.lastReloadAt))
        groups = configuration.upstreams.compactMap { Group($0, region, at: moment) }
        zones = region.zoneReports().map(Zone.init)
        workers = region.workerReports().filter { $0.state != .free }.map(Worker.init)
        events = region.events(last: Self.eventsMax).map(Event.init)
    }

    /// Equal as long as nothing has happened that a viewer wants to know at once.
    var mark: Mark {
        Mark(
            brokers: groups.flatMap { $0.brokers.map { Mark.Broker(id: $0.id, state: $0.state, reason: $0.reason) } },
            weir: weir, workers: workers.map(\.pid), lastEvents: events.suffix(2).map(\.number))
    }

    struct Mark: Equatable, Sendable {
        struct Broker: Equatable, Sendable {
            var id: Int
            var state: String
            var reason: String?
        }
        var brokers: [Broker]
        var weir: Weir
        var workers: [Int32]
        var lastEvents: [UInt64]
    }
}

extension DashboardState.Group {
    /// Nil: the master has not committed the group yet, or has given its slot away.
    init?(_ upstream: Upstream, _ region: SharedRegion, at moment: ReportMoment) {
        guard let slot = region.groupSlot(named: upstream.name) else { return nil }
        name = upstream.name
        method = upstream.method.words
        brokers = zip(upstream.peers, upstream.peerIdentities()).compactMap { peer, identity in
            region.peerSlot(group: slot, identity: identity).map {
                DashboardState.Broker(region.peerReport($0, at: moment), peer, at: moment)
            }
        }
    }
}

extension DashboardState.Broker {
    init(_ report: PeerReport, _ peer: Peer, at moment: ReportMoment) {
        id = report.slot.index
        address = report.endpoint
        weight = report.weight
        backup = peer.isBackup
        active = report.active
        sessions = report.sessions
        failed = report.connectsFailed
        toPeer = report.bytesToPeer
        fromPeer = report.bytesFromPeer
        checks = report.checks
        checksFailed = report.checksFailed
        lastCheckAt = report.lastCheckAt
        let condition = report.condition(isDown: peer.isDown, isDraining: peer.isDraining)
        switch condition {
        case .unhealthy:
            state = "unhealthy"
            reason = report.reason
            since = report.healthSince
        case .unavailable:
            state = "unavailable"
            let fails = report.window.fails
            reason = "\(fails) failed \(fails == 1 ? "try" : "tries"), out for \(peer.failTimeoutSeconds) s"
            since = report.downSince
        case .checking:
            state = "checking"
            since = report.healthSince
        case .up:
            since = max(report.healthSince, report.adminSince)
            let isStarting = report.backMilliseconds.map { $0 < UInt64(peer.slowStartMilliseconds) } ?? false
            state = isStarting ? "slow" : "up"
        case .draining:
            state = "draining"
            since = report.adminSince
        case .down:
            state = "down"
            since = report.adminSince
        }
        if since == 0 { since = nil }
        if reason?.isEmpty == true { reason = nil }
    }
}

extension DashboardState.Zone {
    init(_ report: ZoneReport) {
        name = report.name
        active = report.processing
        sessions = report.sessionsTotal
        failed = report.sessions4xx &+ report.sessions5xx
        received = report.received
        sent = report.sent
    }
}

extension DashboardState.Worker {
    init(_ report: WorkerReport) {
        number = report.slot.index
        pid = report.pid
        state = "\(report.state)"
        active = report.active
        respawns = report.respawns
    }
}

extension DashboardState.Event {
    init(_ event: RegionEvent) {
        at = event.wallMilliseconds
        number = event.number
        text = event.text
        (level, title) =
            switch event.kind {
            case .started: ("note", "Started")
            case .reloaded: ("note", "Reloaded")
            case .reloadRefused: ("warn", "Reload refused")
            case .processDied: ("bad", "Process ended")
            case .serversChanged: ("note", "Servers changed")
            case .peerUp: ("good", "Healthy")
            case .peerUnhealthy: ("bad", "Unhealthy")
            case .peerChecking: ("note", "Checking")
            }
    }
}

extension Upstream.Method {
    /// The directive without its key, which is a template and no text any more.
    fileprivate var words: String {
        switch self {
        case .roundRobin: "round robin"
        case .hash(_, let isConsistent): isConsistent ? "hash consistent" : "hash"
        case .leastConnections: "least_conn"
        case .random(let isTwo): isTwo ? "random two" : "random"
        }
    }
}
