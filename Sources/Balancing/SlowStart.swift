// SPDX-License-Identifier: Apache-2.0
//
// `slow_start`: a server that came back gets sessions as if its weight grew from nothing to what is configured, so that
// a broker with cold caches does not meet a fleet at once. While nobody starts slowly, choices are nginx's exactly.
//
// Round robin: the server takes part in as large a share of the rounds as it has of its weight, and so gets this share
// of the sessions that it gets later. Finer weights in every round would do about the same, but the running values are
// shared by workers and outlive a reload: they would have to change their scale when a start ends, and a round robin
// that changes its scale serves one server many times in a row.

/// The share of its weight that a server has, in thousandths.
package enum SlowStart {
    package static let whole: Int32 = 1000

    /// `elapsed`: milliseconds since the server came back; nil: it was never away.
    package static func share(elapsed: UInt64?, of duration: UInt64) -> Int32 {
        guard let elapsed, elapsed < duration else { return whole }
        return Int32(elapsed.multipliedFullWidth(by: UInt64(whole)).low / duration)
    }

    /// Draws who sits the coming round out.
    static func drawRests(_ peers: inout MutableSpan<PeerState>, random: inout RandomDraws) {
        for index in peers.indices {
            let share = peers[index].share
            let takesPart = share >= whole || random.draw(below: Int64(whole)) < Int64(share)
            if takesPart { peers[index].flags.remove(.resting) } else { peers[index].flags.insert(.resting) }
        }
    }
}

extension PeerState {
    /// For `least_conn` while somebody starts slowly: what the peer would have for each unit of the weight that it has
    /// now, with the session that is to be placed. Without that one, a server without sessions would get every client
    /// that stays for a moment only, whatever its share.
    var loadWithOneMore: Double {
        share == 0 ? .infinity : (Double(sessions) + 1) / (Double(weight) * Double(share))
    }
}
