// SPDX-License-Identifier: Apache-2.0
//
// The region as people and programs want to read it: whole, summed, in values of their own. Numbers of one report are
// each right but need not be of one instant.

import CShared
import LinuxIO

/// The same moment by both clocks: the region holds monotonic times where workers write, and reports show the wall's.
package struct ReportMoment: Sendable {
    package var monotonicMilliseconds: UInt64
    package var wallMilliseconds: UInt64

    package init(monotonicMilliseconds: UInt64, wallMilliseconds: UInt64) {
        self.monotonicMilliseconds = monotonicMilliseconds
        self.wallMilliseconds = wallMilliseconds
    }

    package static var now: ReportMoment {
        ReportMoment(
            monotonicMilliseconds: LinuxIO.monotonicMilliseconds(), wallMilliseconds: LinuxIO.wallMilliseconds())
    }

    /// 0 stays 0.
    func wall(ofMonotonic milliseconds: UInt64) -> UInt64 {
        guard milliseconds > 0 else { return 0 }
        let age = monotonicMilliseconds > milliseconds ? monotonicMilliseconds - milliseconds : 0
        return wallMilliseconds > age ? wallMilliseconds - age : 0
    }
}

/// nginx's words for a server's state, and ours for one that drains.
package enum PeerCondition: String, Sendable, CaseIterable {
    case up
    case draining
    case down
    /// Failures keep it out for `fail_timeout`.
    case unavailable = "unavail"
    case checking
    case unhealthy
}

package struct PeerReport: Sendable {
    package var slot: PeerSlot
    /// The address, as text.
    package var endpoint: String
    package var isCommitted: Bool
    package var weight: Int32
    package var admin: AdminState
    /// Wall clock, milliseconds; 0: never set. Likewise the other moments.
    package var adminSince: UInt64
    package var health: SharedHealth
    package var healthSince: UInt64
    package var reason: String
    package var checks: UInt64
    package var checksFailed: UInt64
    package var timesUnhealthy: UInt64
    package var lastCheckPassed: Bool
    package var lastCheckAt: UInt64
    package var window: PeerWindow
    /// Failures keep it out now.
    package var isUnavailable: Bool
    package var timesUnavailable: UInt64
    /// How long it was unhealthy, checking or unavailable in all, up to now.
    package var downMilliseconds: UInt64
    /// Since when it is; 0: it is not.
    package var downSince: UInt64
    package var active: UInt64
    /// Sessions that were given to it, whatever came of it.
    package var sessions: UInt64
    package var connectsFailed: UInt64
    package var bytesToPeer: UInt64
    package var bytesFromPeer: UInt64
    package var selectedAt: UInt64
    package var connected: UInt64
    /// Sums, each over the count before it.
    package var connectMilliseconds: UInt64
    package var firstBytes: UInt64
    package var firstByteMilliseconds: UInt64
    package var ended: UInt64
    package var sessionMilliseconds: UInt64
    package var tls: TLSReport
    /// For `slow_start`: how long it is there again; nil: it was never away, or is.
    package var backMilliseconds: UInt64?

    /// `isDown`, `isDraining`: what the configuration says.
    package func condition(isDown: Bool = false, isDraining: Bool = false) -> PeerCondition {
        if isDown || admin == .down { return .down }
        if isDraining || admin == .draining { return .draining }
        switch health {
        case .unhealthy: return .unhealthy
        case .checking: return .checking
        case .up: return isUnavailable ? .unavailable : .up
        }
    }
}

package struct GroupReport: Sendable {
    package var slot: GroupSlot
    package var name: String
    package var isCommitted: Bool
    package var peers: [PeerReport]
    /// Servers that no configuration names any more and that still have sessions.
    package var zombies: Int
}

package struct ZoneReport: Sendable {
    package var slot: ZoneSlot
    package var name: String
    package var isCommitted: Bool
    package var processing: UInt64
    package var connections: UInt64
    package var sessions2xx: UInt64
    package var sessions4xx: UInt64
    package var sessions5xx: UInt64
    package var discarded: UInt64
    package var received: UInt64
    package var sent: UInt64
    package var tls: TLSReport

    package var sessionsTotal: UInt64 { sessions2xx &+ sessions4xx &+ sessions5xx }
}

extension SharedRegion {
    /// Groups with their peers, in the order of their slots. `onlyCommitted`: what the present configuration names.
    package func groupReports(onlyCommitted: Bool = true, at moment: ReportMoment = .now) -> [GroupReport] {
        var reports: [GroupReport] = []
        var positions: [UInt64: Int] = [:]
        for group in 0..<UInt32(groupsUsed) where unsafe cs_load_acquire(cs_group_hashes(base) + Int(group)) != 0 {
            let isCommitted = isCommitted(unsafe cs_load(cs_group(base, group, CS_GROUP_USE)))
            if onlyCommitted, !isCommitted { continue }
            positions[UInt64(group)] = reports.count
            let name = nameText(group).load(count: unsafe cs_load(cs_group(base, group, CS_GROUP_NAME_BYTES)))
            reports.append(
                GroupReport(
                    slot: GroupSlot(number: group), name: String(decoding: name, as: UTF8.self),
                    isCommitted: isCommitted, peers: [], zombies: 0))
        }
        for peer in 0..<UInt32(peersUsed) where unsafe cs_load_acquire(cs_peer_hashes(base) + Int(peer)) != 0 {
            let slot = PeerSlot(number: peer)
            guard let position = positions[load(slot, CS_PEER_GROUP)] else { continue }
            if !isCommitted(load(slot, CS_PEER_USE)) {
                if activeSessions(slot) > 0 { reports[position].zombies += 1 }
                if onlyCommitted { continue }
            }
            reports[position].peers.append(peerReport(slot, at: moment))
        }
        return reports
    }

    package func peerReport(_ peer: PeerSlot, at moment: ReportMoment = .now) -> PeerReport {
        // Each worker's share is read once, whole.
        var sums = [UInt64](repeating: 0, count: Int(CS_SHARE_WORDS.rawValue))
        var selectedAt: UInt64 = 0
        for worker in 0..<UInt32(workersUsed) {
            let words = unsafe cs_share(base, worker, peer.number, CS_SHARE_ACTIVE)
            for index in sums.indices { sums[index] &+= unsafe cs_load(words + index) }
            selectedAt = max(selectedAt, unsafe cs_load(words + Int(CS_SHARE_SELECTED_AT.rawValue)))
        }
        func sum(_ field: cs_share_field) -> UInt64 { sums[Int(field.rawValue)] }
        var endpoint: [UInt8] = []
        appendEndpointText(of: peer, to: &endpoint)
        let down = downtime(of: peer, at: moment)
        let isOut = down.isUnavailable || health(peer) != .up || adminState(peer) != .none
        return PeerReport(
            slot: peer, endpoint: String(decoding: endpoint, as: UTF8.self),
            isCommitted: isCommitted(load(peer, CS_PEER_USE)),
            weight: Int32(truncatingIfNeeded: load(peer, CS_PEER_WEIGHT)), admin: adminState(peer),
            adminSince: adminSince(peer), health: health(peer), healthSince: healthSince(peer),
            reason: String(
                decoding: reasonText(peer.number).load(count: load(peer, CS_PEER_REASON_BYTES)), as: UTF8.self),
            checks: load(peer, CS_PEER_CHECKS), checksFailed: load(peer, CS_PEER_CHECKS_FAILED),
            timesUnhealthy: load(peer, CS_PEER_TIMES_UNHEALTHY),
            lastCheckPassed: load(peer, CS_PEER_LAST_CHECK_PASSED) != 0,
            lastCheckAt: load(peer, CS_PEER_LAST_CHECK_AT), window: loadWindow(peer),
            isUnavailable: down.isUnavailable, timesUnavailable: sum(CS_SHARE_TIMES_OUT),
            downMilliseconds: down.milliseconds, downSince: down.since, active: sum(CS_SHARE_ACTIVE),
            sessions: sum(CS_SHARE_SESSIONS), connectsFailed: sum(CS_SHARE_CONNECTS_FAILED),
            bytesToPeer: sum(CS_SHARE_BYTES_TO_PEER), bytesFromPeer: sum(CS_SHARE_BYTES_FROM_PEER),
            selectedAt: moment.wall(ofMonotonic: selectedAt), connected: sum(CS_SHARE_CONNECTED),
            connectMilliseconds: sum(CS_SHARE_CONNECT_TIME), firstBytes: sum(CS_SHARE_FIRST_BYTES),
            firstByteMilliseconds: sum(CS_SHARE_FIRST_BYTE_TIME), ended: sum(CS_SHARE_ENDED),
            sessionMilliseconds: sum(CS_SHARE_SESSION_TIME),
            tls: TLSReport(isServer: false) { sums[Int(CS_SHARE_TLS.rawValue) + Int($0.rawValue)] },
            backMilliseconds: isOut ? nil : millisecondsBack(peer, at: moment))
    }

    /// By health checks and by failure windows. Where both say so at once, both count.
    private func downtime(
        of peer: PeerSlot, at moment: ReportMoment
    ) -> (isUnavailable: Bool, milliseconds: UInt64, since: UInt64) {
        let now = moment.monotonicMilliseconds
        let begin = load(peer, CS_PEER_OUT_SINCE)
        let end = load(peer, CS_PEER_OUT_UNTIL)
        let isUnavailable = begin <= now && now < end
        var milliseconds = load(peer, CS_PEER_OUT_TIME) &+ load(peer, CS_PEER_DOWN_TIME)
        if begin > 0 { milliseconds &+= max(min(now, end), begin) - begin }
        var since = load(peer, CS_PEER_DOWN_SINCE)
        if since > 0 { milliseconds &+= max(moment.wallMilliseconds, since) - since }
        if isUnavailable {
            let outSince = moment.wall(ofMonotonic: begin)
            since = since == 0 ? outSince : min(since, outSince)
        }
        return (isUnavailable, milliseconds, since)
    }

    /// Zones in the order of their slots.
    package func zoneReports(onlyCommitted: Bool = true) -> [ZoneReport] {
        (0..<UInt32(zonesUsed)).compactMap { number in
            guard unsafe cs_load_acquire(cs_zone_hashes(base) + Int(number)) != 0 else { return nil }
            let report = zoneReport(ZoneSlot(number: number))
            return onlyCommitted && !report.isCommitted ? nil : report
        }
    }

    package func zoneReport(_ zone: ZoneSlot) -> ZoneReport {
        let name = zoneText(zone.number).load(count: unsafe cs_load(cs_zone(base, zone.number, CS_ZONE_NAME_BYTES)))
        return ZoneReport(
            slot: zone, name: String(decoding: name, as: UTF8.self),
            isCommitted: isCommitted(unsafe cs_load(cs_zone(base, zone.number, CS_ZONE_USE))),
            processing: zoneSum(zone, CS_ZONE_PROCESSING), connections: zoneSum(zone, CS_ZONE_CONNECTIONS),
            sessions2xx: zoneSum(zone, CS_ZONE_SESSIONS_2XX), sessions4xx: zoneSum(zone, CS_ZONE_SESSIONS_4XX),
            sessions5xx: zoneSum(zone, CS_ZONE_SESSIONS_5XX), discarded: zoneSum(zone, CS_ZONE_DISCARDED),
            received: zoneSum(zone, CS_ZONE_RECEIVED), sent: zoneSum(zone, CS_ZONE_SENT),
            tls: TLSReport(isServer: true) {
                zoneSum(zone, cs_zone_share_field(rawValue: CS_ZONE_TLS.rawValue + $0.rawValue))
            })
    }

    private func isCommitted(_ use: UInt64) -> Bool { use & UInt64(CS_USE_COMMITTED.rawValue) != 0 }
}
