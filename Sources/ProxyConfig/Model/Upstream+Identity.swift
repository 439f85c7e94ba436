// SPDX-License-Identifier: Apache-2.0
//
// What a peer is called in the shared region, where its health, its failures and its counters outlive reloads.

import Vocabulary

extension Upstream {
    /// For each peer its address in text; an address that stands in the group again is told apart by a NUL and its
    /// count behind it. The master gives slots to these, workers and prober look them up.
    package func peerIdentities() -> [String] {
        var seen: [String: Int] = [:]
        return peers.map { peer in
            let text = peer.endpoint.text
            let count = seen[text, default: 0] + 1
            seen[text] = count
            return count == 1 ? text : "\(text)\u{0}\(count)"
        }
    }
}
