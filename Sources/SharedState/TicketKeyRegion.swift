// SPDX-License-Identifier: Apache-2.0
//
// The session ticket keys that Weir makes by itself, as the master owns them: made before the first fork, rotated by
// it, kept over reloads and crashes of workers. There is no file and no descriptor: children have it by fork, and a
// reader of the shared region has no way to it. The layout and the readers' side stand in CSharedTickets.h.

import CShared
import LinuxIO

/// A handle: copies name the same keys.
@safe package struct TicketKeyRegion {
    /// What `cs_tickets_current` and `cs_tickets_find` take. Lives as long as the process, or until `forget`.
    package let address: UnsafeMutableRawPointer

    private init(address: UnsafeMutableRawPointer) { unsafe self.address = address }

    /// With a first key.
    package static func create(nowMilliseconds: UInt64) throws(Errno) -> TicketKeyRegion {
        let region = unsafe TicketKeyRegion(address: try Memory.mapSecret(byteCount: Int(CS_TICKETS_BYTES)))
        region.rotate(nowMilliseconds: nowMilliseconds)
        return region
    }

    /// When the current key was made: monotonic milliseconds.
    package var createdAt: UInt64 { unsafe cs_tickets_created_at(address) }

    /// By the master: a new key for new tickets. The two before it still open theirs; the third is gone.
    package func rotate(nowMilliseconds: UInt64) {
        let status = unsafe cs_tickets_rotate(address, nowMilliseconds)
        precondition(status == 0, "getrandom(2) of 80 bytes cannot fail")
    }

    /// By a child that serves no TLS: the keys are out of its reach. No copy of the handle may be used afterwards.
    package func forget() {
        unsafe Memory.unmap(address, byteCount: Int(CS_TICKETS_BYTES))
    }
}
