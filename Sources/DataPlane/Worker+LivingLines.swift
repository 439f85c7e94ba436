// SPDX-License-Identifier: Apache-2.0
//
// Access lines of sessions that live: one when the broker's connection stands, and one in each interval from then on.
// Only sessions whose logs ask for intervals have a timer for them; when it goes off is IntervalSchedule's to say.

import EventLoop
import ProxyConfig
import SessionCore
import Vocabulary

extension Worker where K: ~Copyable {
    /// Forwarding begins.
    mutating func logEstablished(_ slot: Int) {
        let settings = settingsTable[sessions[slot].settings]
        guard settings.hasLivingLines else { return }
        logAccess(slot, .connect)
        guard settings.accessLines.contains(where: { $0.events.contains(.interval) }) else { return }
        intervalTimers.prepare(slot)
        sessions[slot].intervalLinesUntil = kernel.nowMilliseconds
        armInterval(slot, settings)
    }

    mutating func expireIntervals(now: UInt64) {
        while let slot = intervalTimers.popExpired(now: now) {
            guard let former = sessions[slot].intervalLinesUntil else {
                preconditionFailure("an interval timer without lines")
            }
            let settings = settingsTable[sessions[slot].settings]
            for access in settings.accessLines {
                // However late the timer is: one line, not one for each interval that was missed.
                if let due = due(access, after: former, slot), due <= now { writeAccess(access, slot, .interval) }
            }
            sessions[slot].intervalLinesUntil = now
            armInterval(slot, settings)
        }
    }

    private mutating func armInterval(_ slot: Int, _ settings: ServerSettings) {
        guard let until = sessions[slot].intervalLinesUntil,
            let next = settings.accessLines.compactMap({ due($0, after: until, slot) }).min()
        else { return }
        intervalTimers.arm(slot, deadline: next)
    }

    private func due(_ access: ServerSettings.AccessLine, after moment: UInt64, _ slot: Int) -> UInt64? {
        guard let interval = access.events.intervalMilliseconds else { return nil }
        return IntervalSchedule.next(
            after: moment, intervalMilliseconds: UInt64(interval), number: sessions[slot].number)
    }

    mutating func endIntervals(_ slot: Int) {
        guard sessions[slot].intervalLinesUntil != nil else { return }
        sessions[slot].intervalLinesUntil = nil
        intervalTimers.disarm(slot)
    }
}
