// SPDX-License-Identifier: Apache-2.0
//
// The one exit of a session: reason, log, close; then wait until the kernel has let go of every operation, and free the
// slot. The first reason stands; nothing here can fail.

import EventLoop
import LinuxIO
import SessionCore
import SharedState
import TLSEngine
import Vocabulary

extension Worker where K: ~Copyable {
    mutating func close(_ slot: Int, _ reason: CloseReason) {
        let isPrereading = sessions[slot].machine.state == .prereading
        guard sessions[slot].machine.close(reason) else { return }
        timers.disarm(slot)
        // An OCSP responder is no broker, and no log shall take it for one.
        if sessions[slot].inquiry >= 0 { closeResponder(slot) }
        endIntervals(slot)
        logAccess(slot, .close)
        countEnd(slot, reason, isPrereading: isPrereading)
        letGoOfRouting(slot)
        for operation in [Operation.connect, .receiveClient, .receiveBroker, .sendClient, .sendBroker]
        where sessions[slot].machine.inFlight.contains(operation.inFlight!) {
            kernel.queueCancel(target: token(operation, of: slot))
        }
        // The slot waits for a send that the turn would not count.
        for way in [Way.upload, .download] where sessions[slot, way].machine.state == .sending { kernel.heedSend() }
        returnPipe(.upload, of: slot)
        returnPipe(.download, of: slot)
        // What one side was cut in, the other must not take for its end.
        if reason != .brokerTruncated && reason != .brokerReset { sayGoodbye(.client, of: slot) }
        if reason != .clientTruncated && reason != .clientReset { sayGoodbye(.broker, of: slot) }
        kernel.queueClose(descriptor: sessions[slot].client)
        if sessions[slot].broker >= 0 {
            kernel.queueClose(descriptor: sessions[slot].broker)
            brokerSocketCount -= 1
        }
        releaseIfDone(slot)
    }

    /// Frees the slot once nothing of it is in the kernel: only then no send reads its memory any more.
    mutating func releaseIfDone(_ slot: Int) {
        guard sessions[slot].machine.isReleasable else { return }
        for way in [Way.upload, .download] {
            giveBackBuffers(way, of: slot)
            sessions[slot, way].own.free()
            sessions[slot, way].behind.free()
        }
        endInquiry(slot)
        sessions[slot].clientTLS?.free()
        sessions[slot].brokerTLS?.free()
        sessions[slot].clientTLS = nil
        sessions[slot].brokerTLS = nil
        sessions[slot].preread.free()
        sessions[slot].hello.free()
        sessions[slot].assigned.free()
        sessions[slot].failedTries.free()
        settingsTable.letGo(sessions[slot].settings)
        sessions[slot].machine.release()
        sessions.giveBack(slot)
        region.setActiveSessions(identity.slot, sessions.count)
        // A descriptor is free again: no need to wait for the pause to end.
        if acceptResumesAt != nil { acceptResumesAt = kernel.nowMilliseconds }
    }

    mutating func closeAll(_ reason: CloseReason) {
        for slot in 0..<sessions.highWater {
            switch sessions[slot].machine.state {
            case .free, .closing: continue
            case .routing, .handshaking, .asking, .prereading, .connecting, .securing, .forwarding, .responding:
                close(slot, reason)
            }
        }
    }
}
