// SPDX-License-Identifier: Apache-2.0
//
// Since when a server is there again: what `slow_start` counts from, for the workers and for who shows it.

import CShared

extension SharedRegion {
    /// How long ago checks found the peer well, or its failure window ended; the later of both. Nil: neither ever was.
    /// Means nothing while the peer is out.
    package func millisecondsBack(_ peer: PeerSlot, at moment: ReportMoment) -> UInt64? {
        var shortest: UInt64? = nil
        // A clock that was set back is no reason to starve a server until it has caught up.
        let since = healthSince(peer)
        if since > 0, since <= moment.wallMilliseconds { shortest = moment.wallMilliseconds - since }
        let until = load(peer, CS_PEER_OUT_UNTIL)
        if until > 0, until <= moment.monotonicMilliseconds {
            shortest = min(shortest ?? .max, moment.monotonicMilliseconds - until)
        }
        return shortest
    }
}
