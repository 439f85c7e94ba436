// SPDX-License-Identifier: Apache-2.0
//
// Worker slots: what the master says about a worker and what the worker counts of itself. Each worker writes its own
// counters with plain stores; they go on over its respawns.

import CShared
import Vocabulary

package enum WorkerState: UInt8, Sendable, CaseIterable {
    /// Never used, or its worker has gone and is not replaced.
    case free = 0
    case starting
    case running
    /// Takes no connections any more and waits for its sessions to end.
    case leaving
    /// Died; its successor waits for the end of a pause.
    case pausing
}

extension SharedRegion {
    // MARK: By the master

    /// A worker was forked into the slot.
    package func beginWorker(_ worker: WorkerSlot, pid: Int32, isRespawn: Bool, wallMilliseconds: UInt64) {
        unsafe cs_store(cs_worker(base, worker.number, CS_WORKER_PID), UInt64(pid))
        unsafe cs_store(cs_worker(base, worker.number, CS_WORKER_STARTED_AT), wallMilliseconds)
        if isRespawn { unsafe cs_bump(cs_worker(base, worker.number, CS_WORKER_RESPAWNS), 1) }
        setState(.starting, of: worker)
        if worker.index >= workersUsed { setHeader(CS_HEADER_WORKERS_USED, UInt64(worker.number) + 1) }
    }

    package func setState(_ state: WorkerState, of worker: WorkerSlot) {
        unsafe cs_store(cs_worker(base, worker.number, CS_WORKER_STATE), UInt64(state.rawValue))
    }

    /// The process of the slot has ended, however: its sessions are gone, and a lock it held is free again.
    package func endWorker(_ worker: WorkerSlot, state: WorkerState) {
        let pid = unsafe cs_load(cs_worker(base, worker.number, CS_WORKER_PID))
        for peer in 0..<UInt32(peersUsed) {
            let active = unsafe cs_share(base, worker.number, peer, CS_SHARE_ACTIVE)
            if unsafe cs_load(active) != 0 { unsafe cs_store(active, 0) }
        }
        for zone in 0..<UInt32(zonesUsed) {
            let processing = unsafe cs_zone_share(base, worker.number, zone, CS_ZONE_PROCESSING)
            if unsafe cs_load(processing) != 0 { unsafe cs_store(processing, 0) }
        }
        unsafe cs_store(cs_worker(base, worker.number, CS_WORKER_ACTIVE), 0)
        unsafe cs_store(cs_worker(base, worker.number, CS_WORKER_WAITING), 0)
        store(WorkerGauges(), of: worker)
        unsafe cs_store(cs_worker(base, worker.number, CS_WORKER_PID), 0)
        if pid != 0 { releaseLocks(ofPID: Int32(truncatingIfNeeded: pid)) }
        setState(state, of: worker)
    }

    // MARK: By the worker itself

    /// How many the worker and its predecessors in the slot have accepted now: what numbers of sessions are made of.
    package func countAccepted(_ worker: WorkerSlot) -> UInt64 {
        bump(worker, CS_WORKER_ACCEPTED)
        return unsafe cs_load(cs_worker(base, worker.number, CS_WORKER_ACCEPTED))
    }
    package func countRefused(_ worker: WorkerSlot) { bump(worker, CS_WORKER_REFUSED) }
    package func countBufferStarved(_ worker: WorkerSlot) { bump(worker, CS_WORKER_BUFFERS_STARVED) }
    package func countDescriptorsStarved(_ worker: WorkerSlot) { bump(worker, CS_WORKER_DESCRIPTORS_STARVED) }

    package func countClosed(_ worker: WorkerSlot, _ reason: CloseReason) {
        unsafe cs_bump(cs_closed(base, worker.number, reason.rawValue), 1)
    }

    package func setActiveSessions(_ worker: WorkerSlot, _ count: Int) {
        unsafe cs_store(cs_worker(base, worker.number, CS_WORKER_ACTIVE), UInt64(count))
    }

    /// Of the active sessions, those whose first packet is not complete.
    package func setWaitingSessions(_ worker: WorkerSlot, _ count: Int) {
        unsafe cs_store(cs_worker(base, worker.number, CS_WORKER_WAITING), UInt64(count))
    }

    /// `now`: monotonic milliseconds. True for one turn of `SharedHistogram.turnsForEachSample`.
    @discardableResult
    package func countTurn(_ worker: WorkerSlot, now: UInt64) -> Bool {
        let word = unsafe cs_worker(base, worker.number, CS_WORKER_TURNS)
        let turns = unsafe cs_load(word) + 1
        unsafe cs_store(word, turns)
        unsafe cs_store(cs_worker(base, worker.number, CS_WORKER_LAST_TURN_AT), now)
        return turns % SharedHistogram.turnsForEachSample == 0
    }

    package func countCompletions(_ worker: WorkerSlot, _ count: Int) {
        unsafe cs_bump(cs_worker(base, worker.number, CS_WORKER_COMPLETIONS), UInt64(count))
    }

    package func countLogLinesLost(_ worker: WorkerSlot, _ count: Int) {
        unsafe cs_bump(cs_worker(base, worker.number, CS_WORKER_LOG_LINES_LOST), UInt64(count))
    }

    package func countInquiry(_ worker: WorkerSlot) { bump(worker, CS_WORKER_INQUIRIES) }

    package func countConnect(_ worker: WorkerSlot, _ outcome: ConnectOutcome) {
        unsafe cs_bump(cs_worker_connects(base, worker.number, outcome.field), 1)
    }

    package func store(_ gauges: WorkerGauges, of worker: WorkerSlot) {
        for (field, path) in WorkerGauges.words {
            unsafe cs_store(cs_worker(base, worker.number, field), gauges[keyPath: path])
        }
    }

    private func bump(_ worker: WorkerSlot, _ field: cs_worker_field) {
        unsafe cs_bump(cs_worker(base, worker.number, field), 1)
    }
}
