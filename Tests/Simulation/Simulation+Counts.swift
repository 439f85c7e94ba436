// SPDX-License-Identifier: Apache-2.0
//
// What the region counts, held against the access log: every connection, every byte, every end, once.

import SharedState
import Vocabulary

@testable import DataPlane

/// Sums over the lines of a run.
struct LineTally {
    var received: UInt64 = 0
    var sent: UInt64 = 0
    var byStatus: [Int: UInt64] = [:]
    var byReason: [String: UInt64] = [:]

    /// `remote status reason received sent …`
    mutating func count(_ fields: [Substring]) {
        guard fields.count > 4 else { return }
        byStatus[(Int(fields[1]) ?? 0) / 100, default: 0] += 1
        byReason[String(fields[2]), default: 0] += 1
        received += UInt64(fields[3]) ?? 0
        sent += UInt64(fields[4]) ?? 0
    }
}

extension Simulation {
    /// Nobody is there any more.
    func checkCounts() {
        checkZones()
        checkPeers()
        let report = region.workerReport(slot)
        for reason in CloseReason.allCases where report.closed(reason) != tally.byReason[reason.name] ?? 0 {
            world.fault("\(report.closed(reason)) ended by \(reason.name), \(tally.byReason[reason.name] ?? 0) lines")
        }
        if report.waiting != 0 { world.fault("\(report.waiting) sessions still wait for their first packet") }
        let lengths = report.histogram(.sessionLength).count
        if lengths != UInt64(loggedLines) { world.fault("\(lengths) lengths of \(loggedLines) sessions") }
        let outcomes = report.connects.reduce(0, +)
        if outcomes > UInt64(loggedLines) { world.fault("\(outcomes) outcomes of CONNECT, \(loggedLines) sessions") }
        let badHandshakes = report.closed(.tlsHandshakeFailed) + report.closed(.tlsHandshakeTimeout)
        if report.clientTLS.failed != badHandshakes {
            world.fault("\(report.clientTLS.failed) failed handshakes, \(badHandshakes) sessions ended by them")
        }
        if report.histogram(.turnLength).count != report.turns / SharedHistogram.turnsForEachSample {
            world.fault("\(report.histogram(.turnLength).count) of \(report.turns) turns are measured")
        }
    }

    private func checkZones() {
        let zones = region.zoneReports(onlyCommitted: false)
        func sum(_ path: KeyPath<ZoneReport, UInt64>) -> UInt64 { zones.reduce(0) { $0 + $1[keyPath: path] } }
        for zone in zones where zone.connections != zone.sessionsTotal + zone.discarded + zone.processing {
            world.fault("zone \(zone.name) has \(zone.connections) connections, not all of them somewhere: \(zone)")
        }
        if sum(\.processing) != 0 { world.fault("\(sum(\.processing)) sessions stay in zones") }
        let report = region.workerReport(slot)
        if sum(\.discarded) != report.refused { world.fault("\(sum(\.discarded)) discarded, \(report.refused) refused") }
        if sum(\.received) != tally.received || sum(\.sent) != tally.sent {
            world.fault("zones: \(sum(\.received))/\(sum(\.sent)) bytes, lines: \(tally.received)/\(tally.sent)")
        }
        let handshakes = zones.map(\.tls).reduce(TLSReport(), +)
        if handshakes != report.clientTLS { world.fault("zones: \(handshakes), worker: \(report.clientTLS)") }
        // What `pass` hands on has been in a zone before.
        guard flavour == .plain else {
            let sessions = sum(\.sessionsTotal)
            if sessions < UInt64(loggedLines) { world.fault("\(sessions) of \(loggedLines) sessions") }
            return
        }
        let classes = [2: sum(\.sessions2xx), 4: sum(\.sessions4xx), 5: sum(\.sessions5xx)]
        for (status, count) in classes where tally.byStatus[status] ?? 0 != count {
            world.fault("\(count) sessions with \(status)xx, \(tally.byStatus[status] ?? 0) lines")
        }
    }

    private func checkPeers() {
        let moment = ReportMoment(monotonicMilliseconds: world.now, wallMilliseconds: World.wallStart + world.now)
        let peers = region.groupReports(onlyCommitted: false, at: moment).flatMap(\.peers)
        func sum(_ path: KeyPath<PeerReport, UInt64>) -> UInt64 { peers.reduce(0) { $0 + $1[keyPath: path] } }
        for peer in peers {
            if peer.connected != peer.ended {
                world.fault("\(peer.endpoint): \(peer.connected) connected, \(peer.ended) ended")
            }
            if peer.connected + peer.connectsFailed > peer.sessions + peer.tls.failed {
                world.fault("\(peer.endpoint): more connects than tries: \(peer)")
            }
            if peer.firstBytes > peer.connected { world.fault("\(peer.endpoint): more spoke than were connected") }
            if peer.sessions > 0 && peer.selectedAt == 0 { world.fault("\(peer.endpoint) was never selected") }
            if peer.downMilliseconds > world.now { world.fault("\(peer.endpoint) was down for longer than time is") }
        }
        let report = region.workerReport(slot)
        // Addresses by variables are nobody's peers.
        if sum(\.connected) > report.histogram(.connectTime).count {
            world.fault("\(sum(\.connected)) connected, \(report.histogram(.connectTime).count) times of it")
        }
        let handshakes = peers.map(\.tls).reduce(TLSReport(), +)
        if handshakes != report.brokerTLS { world.fault("peers: \(handshakes), worker: \(report.brokerTLS)") }
    }
}
