// SPDX-License-Identifier: Apache-2.0
//
// Rotation of the automatic ticket keys. A key makes tickets for one lifetime and opens them for two more, so that no
// ticket outlives its key: a ticket is good for `ssl_session_timeout`, of which the lifetime is the largest.

import LinuxIO
import SharedState
import Vocabulary

extension Master {
    /// When the current key has had its lifetime; nil: nobody uses it.
    var ticketDeadline: Int? {
        current.ticketKeyLifetimeMilliseconds.map { Int(clamping: tickets.createdAt) + $0 }
    }

    /// Where a reload brings the first server with tickets, the key of the start may be old, and goes at once.
    func rotateTickets() {
        guard let deadline = ticketDeadline, now >= deadline else { return }
        tickets.rotate(nowMilliseconds: UInt64(now))
    }
}
