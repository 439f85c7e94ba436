// SPDX-License-Identifier: Apache-2.0
//
// Resets (`DELETE` of figures). Counters in the shared region are everybody's and only grow; who resets them here sees
// them from now on, and nobody else is disturbed, Prometheus least of all. Kept for the life of the admin process.

import SharedState
import Synchronization

final class CounterBaselines: Sendable {
    struct State {
        var processes: UInt64 = 0
        var tls = TLSReport()
        /// By slot.
        var workers: [Int: WorkerReport] = [:]
        var peers: [Int: PeerReport] = [:]
        var zones: [Int: ZoneReport] = [:]
    }

    private let state = Mutex(State())

    var present: State { state.withLock { $0 } }

    func reset(_ change: (inout sending State) -> Void) { state.withLock { change(&$0) } }
}

/// A counter since its reset. A slot that another server or zone got meanwhile counts from zero again.
func since(_ baseline: UInt64?, _ counter: UInt64) -> UInt64 {
    guard let baseline, baseline <= counter else { return counter }
    return counter - baseline
}
