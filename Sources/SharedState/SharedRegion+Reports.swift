// SPDX-License-Identifier: Apache-2.0
//
// The region as people and programs want to read it: whole, summed, in values of their own. Numbers of one report are
// each right but need not be of one instant.

import CShared
import Vocabulary

package struct WorkerReport: Sendable {
    package var slot: WorkerSlot
    /// 0: nobody.
    package var pid: Int32
    package var state: WorkerState
    package var respawns: UInt64
    package var accepted: UInt64
    package var active: UInt64
    package var refused: UInt64
    package var buffersStarved: UInt64
    package var descriptorsStarved: UInt64
    package var turns: UInt64
    /// Monotonic milliseconds.
    package var lastTurnAt: UInt64
    /// Indexed by CloseReason's raw value.
    package var closed: [UInt64]
}

package struct PeerReport: Sendable {
    package var slot: PeerSlot
    /// The address, as text.
    package var endpoint: String
    package var isCommitted: Bool
    package var weight: Int32
    package var admin: AdminState
    package var health: SharedHealth
    /// Wall clock, milliseconds; 0: never set. Likewise `lastCheckAt`.
    package var healthSince: UInt64
    package var reason: String
    package var checks: UInt64
    package var checksFailed: UInt64
    package var timesUnhealthy: UInt64
    package var lastCheckPassed: Bool
    package var lastCheckAt: UInt64
    package var window: PeerWindow
    package var active: UInt64
    package var sessions: UInt64
    package var connectsFailed: UInt64
    package var bytesToPeer: UInt64
    package var bytesFromPeer: UInt64
}

package struct GroupReport: Sendable {
    package var slot: GroupSlot
    package var name: String
    package var isCommitted: Bool
    package var peers: [PeerReport]
}

extension SharedRegion {
    /// Every slot that was ever used.
    package func workerReports() -> [WorkerReport] {
        (0..<UInt32(workersUsed)).map { workerReport(WorkerSlot(number: $0)) }
    }

    package func workerReport(_ worker: WorkerSlot) -> WorkerReport {
        func word(_ field: cs_worker_field) -> UInt64 { unsafe cs_load(cs_worker(base, worker.number, field)) }
        return WorkerReport(
            slot: worker, pid: Int32(truncatingIfNeeded: word(CS_WORKER_PID)),
            state: WorkerState(rawValue: UInt8(truncatingIfNeeded: word(CS_WORKER_STATE))) ?? .free,
            respawns: word(CS_WORKER_RESPAWNS), accepted: word(CS_WORKER_ACCEPTED), active: word(CS_WORKER_ACTIVE),
            refused: word(CS_WORKER_REFUSED), buffersStarved: word(CS_WORKER_BUFFERS_STARVED),
            descriptorsStarved: word(CS_WORKER_DESCRIPTORS_STARVED), turns: word(CS_WORKER_TURNS),
            lastTurnAt: word(CS_WORKER_LAST_TURN_AT),
            closed: (0..<UInt8(CS_CLOSE_REASONS)).map { unsafe cs_load(cs_closed(base, worker.number, $0)) })
    }

    /// Groups with their peers, in the order of their slots. `onlyCommitted`: what the present configuration names.
    package func groupReports(onlyCommitted: Bool = true) -> [GroupReport] {
        var reports: [GroupReport] = []
        var positions: [UInt64: Int] = [:]
        for group in 0..<UInt32(groupsUsed) where unsafe cs_load_acquire(cs_group_hashes(base) + Int(group)) != 0 {
            let isCommitted =
                unsafe cs_load(cs_group(base, group, CS_GROUP_USE)) & UInt64(CS_USE_COMMITTED.rawValue) != 0
            if onlyCommitted, !isCommitted { continue }
            positions[UInt64(group)] = reports.count
            let name = nameText(group).load(count: unsafe cs_load(cs_group(base, group, CS_GROUP_NAME_BYTES)))
            reports.append(
                GroupReport(
                    slot: GroupSlot(number: group), name: String(decoding: name, as: UTF8.self),
                    isCommitted: isCommitted, peers: []))
        }
        for peer in 0..<UInt32(peersUsed) where unsafe cs_load_acquire(cs_peer_hashes(base) + Int(peer)) != 0 {
            guard let position = positions[load(PeerSlot(number: peer), CS_PEER_GROUP)] else { continue }
            let report = peerReport(PeerSlot(number: peer))
            if onlyCommitted, !report.isCommitted { continue }
            reports[position].peers.append(report)
        }
        return reports
    }

    package func peerReport(_ peer: PeerSlot) -> PeerReport {
        func sum(_ field: cs_share_field) -> UInt64 {
            (0..<UInt32(workersUsed)).reduce(0) { sum, worker in
                sum &+ (unsafe cs_load(cs_share(base, worker, peer.number, field)))
            }
        }
        var endpoint: [UInt8] = []
        appendEndpointText(of: peer, to: &endpoint)
        return PeerReport(
            slot: peer, endpoint: String(decoding: endpoint, as: UTF8.self),
            isCommitted: load(peer, CS_PEER_USE) & UInt64(CS_USE_COMMITTED.rawValue) != 0,
            weight: Int32(truncatingIfNeeded: load(peer, CS_PEER_WEIGHT)), admin: adminState(peer),
            health: health(peer), healthSince: healthSince(peer),
            reason: String(
                decoding: reasonText(peer.number).load(count: load(peer, CS_PEER_REASON_BYTES)), as: UTF8.self),
            checks: load(peer, CS_PEER_CHECKS), checksFailed: load(peer, CS_PEER_CHECKS_FAILED),
            timesUnhealthy: load(peer, CS_PEER_TIMES_UNHEALTHY),
            lastCheckPassed: load(peer, CS_PEER_LAST_CHECK_PASSED) != 0,
            lastCheckAt: load(peer, CS_PEER_LAST_CHECK_AT), window: loadWindow(peer), active: sum(CS_SHARE_ACTIVE),
            sessions: sum(CS_SHARE_SESSIONS), connectsFailed: sum(CS_SHARE_CONNECTS_FAILED),
            bytesToPeer: sum(CS_SHARE_BYTES_TO_PEER), bytesFromPeer: sum(CS_SHARE_BYTES_FROM_PEER))
    }
}
