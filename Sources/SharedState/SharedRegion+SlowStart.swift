// SPDX-License-Identifier: Apache-2.0
//
// Since when a server is there again: what `slow_start` counts from, for the workers and for who shows it.

import CShared

extension SharedRegion {
    /// How long ago checks found the peer well again, its failure window ended, or it was taken out of `down` or
    /// `drain`; the latest of these. Nil: it was never away. Means nothing while the peer is out.
    package func millisecondsBack(_ peer: PeerSlot, at moment: ReportMoment) -> UInt64? {
        let wall = moment.wallMilliseconds
        let ages = (
            age(of: load(peer, CS_PEER_BACK_AT), at: wall), age(of: adminSince(peer), at: wall),
            age(of: load(peer, CS_PEER_OUT_UNTIL), at: moment.monotonicMilliseconds)
        )
        let shortest = min(ages.0, ages.1, ages.2)
        return shortest == .max ? nil : shortest
    }

    /// Nothing happened where the moment is 0, nor where it lies ahead: a clock that was set back is no reason to
    /// starve a server until it has caught up.
    private func age(of moment: UInt64, at now: UInt64) -> UInt64 {
        moment > 0 && moment <= now ? now - moment : .max
    }
}
