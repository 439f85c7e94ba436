// SPDX-License-Identifier: Apache-2.0
//
// Zones and peers.

import SharedState

/// A peer with what the configuration says of it beside the region.
struct PeerRow {
    var report: PeerReport
    var condition: PeerCondition
}

extension MetricWriter {
    mutating func write(_ zones: [Labelled<ZoneReport>]) {
        write(.zoneSessions, of: zones) { .count($0.processing) }
        write(.zoneConnections, of: zones) { .count($0.connections) }
        write(
            .zoneSessionsEnded, of: zones, by: "status",
            [
                ("2xx", { .count($0.sessions2xx) }), ("4xx", { .count($0.sessions4xx) }),
                ("5xx", { .count($0.sessions5xx) }),
            ])
        write(.zoneDiscarded, of: zones) { .count($0.discarded) }
        write(.zoneReceivedBytes, of: zones) { .count($0.received) }
        write(.zoneSentBytes, of: zones) { .count($0.sent) }
        write(.zoneHandshakes, of: zones) { .count($0.tls.handshakes) }
        write(.zoneHandshakesFailed, of: zones) { .count($0.tls.failed) }
        write(.zoneReuses, of: zones) { .count($0.tls.reuses) }
        write(
            .zoneFailures, of: zones, by: "cause",
            tlsCauses.map { cause in (cause.name, { cause.value($0.tls) }) })
    }

    mutating func write(_ peers: [Labelled<PeerRow>]) {
        write(
            .peerState, of: peers, by: "state",
            PeerCondition.allCases.map { state in (state.rawValue, { .flag($0.condition == state) }) })
        write(.peerWeight, of: peers) { .signed(Int($0.report.weight)) }
        write(.peerSessions, of: peers) { .count($0.report.active) }
        write(.peerSessionsBegun, of: peers) { .count($0.report.sessions) }
        write(.peerConnects, of: peers) { .count($0.report.connected) }
        write(.peerConnectsFailed, of: peers) { .count($0.report.connectsFailed) }
        write(.peerConnectTime, of: peers) { .milliseconds($0.report.connectMilliseconds) }
        write(.peerFirstBytes, of: peers) { .count($0.report.firstBytes) }
        write(.peerFirstByteTime, of: peers) { .milliseconds($0.report.firstByteMilliseconds) }
        write(.peerSessionsEnded, of: peers) { .count($0.report.ended) }
        write(.peerSessionTime, of: peers) { .milliseconds($0.report.sessionMilliseconds) }
        write(.peerSentBytes, of: peers) { .count($0.report.bytesToPeer) }
        write(.peerReceivedBytes, of: peers) { .count($0.report.bytesFromPeer) }
        write(.peerUnavailable, of: peers) { .count($0.report.timesUnavailable) }
        write(.peerDowntime, of: peers) { .milliseconds($0.report.downMilliseconds) }
        write(.peerHandshakes, of: peers) { .count($0.report.tls.handshakes) }
        write(.peerHandshakesFailed, of: peers) { .count($0.report.tls.failed) }
        write(.peerReuses, of: peers) { .count($0.report.tls.reuses) }
        write(.peerChecks, of: peers) { .count($0.report.checks) }
        write(.peerChecksFailed, of: peers) { .count($0.report.checksFailed) }
        write(.peerTimesUnhealthy, of: peers) { .count($0.report.timesUnhealthy) }
        // A server that nobody has checked has no last check.
        write(.peerLastCheckPassed, of: peers) { $0.report.lastCheckAt == 0 ? nil : .flag($0.report.lastCheckPassed) }
        write(.peerLastCheckTime, of: peers) { $0.report.lastCheckAt == 0 ? nil : .milliseconds($0.report.lastCheckAt) }
        write(.peerHealthChangeTime, of: peers) {
            $0.report.healthSince == 0 ? nil : .milliseconds($0.report.healthSince)
        }
    }
}
