// SPDX-License-Identifier: Apache-2.0
//
// Which of the listeners that a worker has are those of a generation on its way. Found in steps before the commit,
// which only follows it: a worker's listeners change at commits alone, but for those that are drained and closed
// meanwhile.

import ProxyConfig
import Vocabulary

struct ListenerPlan {
    private enum Phase {
        case indexing, placing, marking
    }

    /// By index of the generation's listeners: the worker's at the same address, nil when it has none. It may be one
    /// that is being drained, which the commit leaves alone.
    private(set) var places: [Int?] = []
    /// By index of the worker's listeners: whether the generation has its address.
    private(set) var isWanted: [Bool] = []

    private var phase = Phase.indexing
    private var indexed = 0
    private var known: [Endpoint: Int] = [:]
    private var endpoints: Set<Endpoint> = []

    private static let stepListeners = 64

    /// A few listeners; true when all are done.
    mutating func step(present: [ListenerState], wanted: [Listener]) -> Bool {
        switch phase {
        case .indexing:
            for index in present.indices[indexed...].prefix(ListenerPlan.stepListeners) {
                // An entry that is still being drained keeps its old socket; its address may have a newer one.
                if !present[index].isClosing || known[present[index].endpoint] == nil {
                    known[present[index].endpoint] = index
                }
                indexed += 1
            }
            if indexed == present.count { phase = .placing }
        case .placing:
            for listener in wanted[places.count...].prefix(ListenerPlan.stepListeners) {
                places.append(known[listener.endpoint])
                endpoints.insert(listener.endpoint)
            }
            if places.count == wanted.count { phase = .marking }
        case .marking:
            for listener in present[isWanted.count...].prefix(ListenerPlan.stepListeners) {
                isWanted.append(endpoints.contains(listener.endpoint))
            }
            return isWanted.count == present.count
        }
        return false
    }
}
