// SPDX-License-Identifier: Apache-2.0
//
// What the admin process may ask of the others. Figures are no question: they stand in the shared region.

import ControlLink

/// Whoever answers requests asks through this; `LinkControl` is the one that runs, tests have another.
package protocol AdminControl: Sendable {
    /// Done in all workers when it returns: the ids of the servers that were added, changed or removed, one for each
    /// address. Changes are made one after another, in the order of asking, but that one with a new host name waits for
    /// the resolver first.
    func change(_ change: MembershipChange) async throws(AdminRefusal) -> [Int]

    /// The answers of the workers with these slots, nil for all, in the order of slots. A worker that does not answer
    /// within seconds is there with a fault. The cursor of a query is one worker's.
    func ask(_ query: SessionQuery, workers: Set<Int>?) async -> [WorkerSessions]
}
