// SPDX-License-Identifier: Apache-2.0
//
// How many sessions a worker can hold: the one computation that the master's start-up line and the worker's limit
// share. A session has two descriptors, its client's and its broker's; some are kept for listeners, logs and pipes.

package struct SessionCapacity: Sendable, Equatable {
    /// Client and broker connections together, which is what `worker_connections` counts.
    package let connections: Int

    package var sessions: Int { connections / 2 }

    /// `workerConnections` is nil where the configuration does not set it; then the descriptor limit decides alone.
    package init(descriptorLimit: Int, workerConnections: Int?, listeners: Int, logs: Int) {
        let limit = max(0, descriptorLimit)
        // The ring, link, region and signalfd; the pipes of bulk transfers; and a margin for what is being closed.
        let reserve = min(128 + min(listeners, limit) + min(logs, limit), limit / 2)
        let fitting = limit - reserve
        connections = min(max(0, workerConnections ?? fitting), fitting)
    }
}
