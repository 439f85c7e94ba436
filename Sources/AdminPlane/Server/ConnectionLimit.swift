// SPDX-License-Identifier: Apache-2.0
//
// How many connections may be open at once, over all listening sockets.

import Synchronization

final class ConnectionLimit: Sendable {
    private let open = Atomic<Int>(0)
    private let most: Int

    init(_ most: Int) { self.most = most }

    /// False: there are too many already. Otherwise `leave` belongs to it.
    func enter() -> Bool {
        if open.wrappingAdd(1, ordering: .relaxed).newValue <= most { return true }
        leave()
        return false
    }

    var count: Int { open.load(ordering: .relaxed) }

    func leave() { open.wrappingSubtract(1, ordering: .relaxed) }
}
