// SPDX-License-Identifier: Apache-2.0
//
// Health of peers: written by the prober alone, read by workers at each choice. When the prober dies the words keep
// their last value, and `healthSince` and the time of the last check show their age.

import CShared

/// What active checks say about a peer.
package enum SharedHealth: UInt8, Sendable, CaseIterable {
    case up = 0
    case unhealthy
    /// Not checked yet, under `mandatory`.
    case checking
}

extension SharedRegion {
    /// A value of another version counts as unhealthy.
    package func health(_ peer: PeerSlot) -> SharedHealth {
        SharedHealth(rawValue: UInt8(truncatingIfNeeded: load(peer, CS_PEER_HEALTH))) ?? .unhealthy
    }

    /// Wall clock, milliseconds; 0: nobody has ever set the health of this slot.
    package func healthSince(_ peer: PeerSlot) -> UInt64 { load(peer, CS_PEER_HEALTH_SINCE) }

    /// By the prober, when the state changes. Cuts the reason at 64 bytes.
    package func setHealth(_ health: SharedHealth, _ peer: PeerSlot, wallMilliseconds: UInt64, reason: [UInt8]) {
        reasonText(peer.number).store(reason)
        store(peer, CS_PEER_REASON_BYTES, UInt64(min(reason.count, CS_REASON_BYTES)))
        if health == .unhealthy, self.health(peer) != .unhealthy {
            unsafe cs_bump(cs_peer(base, peer.number, CS_PEER_TIMES_UNHEALTHY), 1)
        }
        let downSince = load(peer, CS_PEER_DOWN_SINCE)
        if health != .up, downSince == 0 {
            store(peer, CS_PEER_DOWN_SINCE, wallMilliseconds)
        } else if health == .up, downSince != 0 {
            // A clock that was set back counts nothing. 0 is said of peers that nobody asks for any more.
            let now = max(wallMilliseconds, downSince)
            store(peer, CS_PEER_DOWN_TIME, load(peer, CS_PEER_DOWN_TIME) + (now - downSince))
            store(peer, CS_PEER_DOWN_SINCE, 0)
            store(peer, CS_PEER_BACK_AT, wallMilliseconds)
        }
        store(peer, CS_PEER_HEALTH_SINCE, wallMilliseconds)
        store(peer, CS_PEER_HEALTH, UInt64(health.rawValue))
    }

    /// By the prober, after each check.
    package func countCheck(_ peer: PeerSlot, hasPassed: Bool, wallMilliseconds: UInt64) {
        unsafe cs_bump(cs_peer(base, peer.number, CS_PEER_CHECKS), 1)
        if !hasPassed { unsafe cs_bump(cs_peer(base, peer.number, CS_PEER_CHECKS_FAILED), 1) }
        store(peer, CS_PEER_LAST_CHECK_PASSED, hasPassed ? 1 : 0)
        store(peer, CS_PEER_LAST_CHECK_AT, wallMilliseconds)
    }
}
