// SPDX-License-Identifier: Apache-2.0
//
// Starting checks when they are due, moving their connections on, and saying what came of them.

import ControlLink
import Health
import LinuxIO
import ProxyConfig
import SharedState
import TLSEngine
import Vocabulary

extension ProberLoop {
    private static let abandonedQuietMilliseconds: UInt64 = 60_000

    func startChecks() {
        let now = monotonicMilliseconds()
        while connections.count < connectionsMax, let id = roster.start(at: now) {
            guard let check = roster.checks[id] else { continue }
            switch CheckConnection.open(id, check, context(of: check), nowMilliseconds: now) {
            case .open(let connection): connections.append(connection)
            case .failed(let fault): finish(id, .failed(fault))
            case .abandoned(let error):
                finish(id, .abandoned)
                reportAbandoned(error, now)
            }
        }
    }

    private func context(of check: HealthRoster.Check) -> TLSClientContext? {
        guard let tls = check.definition.tls else { return nil }
        guard let context = contexts[tls] else { preconditionFailure("a check whose context was not built") }
        return context
    }

    func advance(_ connection: CheckConnection) {
        let result = connection.advance(
            nowMilliseconds: monotonicMilliseconds(), buffer: &buffer, patterns: &patterns)
        if let result { finish(connection.check, result) }
    }

    func expireConnections() {
        let now = monotonicMilliseconds()
        for connection in connections where connection.deadlineMilliseconds <= now && !connection.isDone {
            if let result = connection.expire(patterns: &patterns) { finish(connection.check, result) }
        }
    }

    private func finish(_ id: CheckID, _ result: CheckResult) {
        let finding = roster.finish(
            id, result, nowMilliseconds: monotonicMilliseconds(), chance: chance.next())
        guard let finding, let peer = roster.peers[finding.peer], let slot = slots[finding.peer] else { return }
        let wall = wallMilliseconds()
        if let hasPassed = finding.hasPassed {
            region.countCheck(slot, hasPassed: hasPassed, wallMilliseconds: wall)
        }
        if finding.isNews {
            let isSameState = region.health(slot) == peer.state.shared
            region.setHealth(
                peer.state.shared, slot, wallMilliseconds: isSameState ? region.healthSince(slot) : wall,
                reason: Array(peer.reason.utf8))
        }
        if let change = finding.change { announce(change, wall, log) }
    }

    func announce(_ change: PeerChange, _ wallMilliseconds: UInt64, _ log: ChildLog?) {
        region.note(change.eventKind, wallMilliseconds: wallMilliseconds, text: change.eventText)
        log?.write(change.level, change.message, to: change.errorLogs)
    }

    /// With a limit of descriptors as it should be this never happens, and when it does it happens with every check.
    private func reportAbandoned(_ error: Errno, _ nowMilliseconds: UInt64) {
        guard nowMilliseconds >= abandonedQuietUntilMilliseconds else { return }
        abandonedQuietUntilMilliseconds = nowMilliseconds + ProberLoop.abandonedQuietMilliseconds
        note(.alert, "health checks are not made (\(error.numberedText)), peers keep their state")
    }
}
