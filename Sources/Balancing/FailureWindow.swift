// SPDX-License-Identifier: Apache-2.0
//
// Passive health: `max_fails` failures keep a server out for `fail_timeout`, then one session probes it while the
// others keep out, and a success lets all of them back. Time is whole seconds of one clock, given by the caller.
//
//   up ── noteFailure × max_fails ──► window ── fail_timeout passes ──► probe (noteChosen) ── noteSuccess ──► up
//                                        ▲                                │
//                                        └───────── noteFailure ──────────┘

extension PeerState {
    /// True while failures keep the peer out.
    package func isInFailureWindow(now: Int64) -> Bool {
        maxFails > 0 && fails >= maxFails && now &- checkedSeconds <= failTimeoutSeconds
    }

    /// After every choice: the first one behind the window becomes the probe, for `checked` moves and keeps others out.
    package mutating func noteChosen(now: Int64) {
        if now &- checkedSeconds > failTimeoutSeconds { checkedSeconds = now }
    }

    /// A connect failed or took too long. True exactly when this is the failure that takes the peer out, for the log.
    /// The only server of a group has no alternative, so its failures are not counted.
    package mutating func noteFailure(now: Int64, isOnlyPeer: Bool) -> Bool {
        guard !isOnlyPeer else { return false }
        if fails < UInt32.max { fails += 1 }
        accessedSeconds = now
        checkedSeconds = now
        guard maxFails > 0 else { return false }
        let loss = Int64(weight) / Int64(maxFails)
        effectiveWeight = Int32(truncatingIfNeeded: max(0, Int64(effectiveWeight) - loss))
        return fails == maxFails
    }

    /// A connect succeeded. Only a session chosen after the last failure proves anything. True exactly when this lets a
    /// peer back that was out.
    package mutating func noteSuccess() -> Bool {
        guard accessedSeconds < checkedSeconds else { return false }
        defer { fails = 0 }
        return maxFails > 0 && fails >= maxFails
    }
}
