// SPDX-License-Identifier: Apache-2.0
//
// Peers as a choice and a session see them: failure windows and weights, which all workers share, and each worker's own
// counts, which readers sum. A worker that dies takes its counts with it (`endWorker`), so sums cannot drift.
//
// The lock. Smooth round robin reads and writes the weights of all peers of a group, so workers take turns by the
// group's lock. A worker never waits for one that is stopped or dead: after a bounded spin it goes ahead without the
// lock. All words are atomic, so the worst is an update that is lost: weights are off by one choice, a failure is
// counted once instead of twice.

import CShared

/// What workers share about a peer that sessions chose or failed on.
package struct PeerWindow: Sendable, Equatable, BitwiseCopyable {
    package var fails: UInt32
    package var accessedSeconds: Int64
    package var checkedSeconds: Int64
    package var effectiveWeight: Int32
    package var currentWeight: Int32

    package init(
        fails: UInt32 = 0, accessedSeconds: Int64 = 0, checkedSeconds: Int64 = 0, effectiveWeight: Int32 = 1,
        currentWeight: Int32 = 0
    ) {
        self.fails = fails
        self.accessedSeconds = accessedSeconds
        self.checkedSeconds = checkedSeconds
        self.effectiveWeight = effectiveWeight
        self.currentWeight = currentWeight
    }
}

/// What an administrator said.
package enum AdminState: UInt8, Sendable, CaseIterable {
    case none = 0
    case down
    /// Keeps its sessions, gets no new ones.
    case draining
}

extension SharedRegion {
    private static let lockPauses: UInt32 = 1000

    // MARK: The group's lock

    /// True: the lock is held. False: somebody else holds it for longer than anybody should; go ahead all the same, and
    /// do not call `unlock`, though it would do no harm.
    @discardableResult
    package func lock(_ group: GroupSlot, pid: Int32) -> Bool {
        unsafe cs_lock(cs_group(base, group.number, CS_GROUP_LOCK), UInt64(pid), Self.lockPauses)
    }

    package func unlock(_ group: GroupSlot, pid: Int32) {
        unsafe cs_unlock(cs_group(base, group.number, CS_GROUP_LOCK), UInt64(pid))
    }

    /// By the master, when it has seen the process end.
    package func releaseLocks(ofPID pid: Int32) {
        for group in 0..<UInt32(groupsUsed) { unsafe cs_unlock(cs_group(base, group, CS_GROUP_LOCK), UInt64(pid)) }
    }

    // MARK: Windows, between `lock` and `unlock`

    package func loadWindow(_ peer: PeerSlot) -> PeerWindow {
        PeerWindow(
            fails: UInt32(truncatingIfNeeded: load(peer, CS_PEER_FAILS)),
            accessedSeconds: Int64(bitPattern: load(peer, CS_PEER_ACCESSED)),
            checkedSeconds: Int64(bitPattern: load(peer, CS_PEER_CHECKED)),
            effectiveWeight: Int32(truncatingIfNeeded: load(peer, CS_PEER_EFFECTIVE_WEIGHT)),
            currentWeight: Int32(truncatingIfNeeded: load(peer, CS_PEER_CURRENT_WEIGHT)))
    }

    package func store(_ window: PeerWindow, _ peer: PeerSlot) {
        store(peer, CS_PEER_FAILS, UInt64(window.fails))
        store(peer, CS_PEER_ACCESSED, UInt64(bitPattern: window.accessedSeconds))
        store(peer, CS_PEER_CHECKED, UInt64(bitPattern: window.checkedSeconds))
        store(peer, CS_PEER_EFFECTIVE_WEIGHT, UInt64(bitPattern: Int64(window.effectiveWeight)))
        store(peer, CS_PEER_CURRENT_WEIGHT, UInt64(bitPattern: Int64(window.currentWeight)))
    }

    // MARK: Administration

    package func adminState(_ peer: PeerSlot) -> AdminState {
        AdminState(rawValue: UInt8(truncatingIfNeeded: load(peer, CS_PEER_ADMIN))) ?? .none
    }

    /// When the state came; wall clock, milliseconds; 0: it was never changed.
    package func adminSince(_ peer: PeerSlot) -> UInt64 { load(peer, CS_PEER_ADMIN_SINCE) }

    /// By the master, when the state changes. The moment comes first: a worker that reads between the two sees a server
    /// that is there again start slowly, not with its whole share.
    package func setAdminState(_ state: AdminState, _ peer: PeerSlot, wallMilliseconds: UInt64) {
        store(peer, CS_PEER_ADMIN_SINCE, wallMilliseconds)
        store(peer, CS_PEER_ADMIN, UInt64(state.rawValue))
    }

    // MARK: Sessions

    /// Over all workers. Each worker's share is exact; a sum taken while sessions begin may be off by those.
    package func activeSessions(_ peer: PeerSlot) -> Int {
        var sum: UInt64 = 0
        for worker in 0..<UInt32(workersUsed) {
            sum &+= unsafe cs_load(cs_share(base, worker, peer.number, CS_SHARE_ACTIVE))
        }
        return Int(truncatingIfNeeded: sum)
    }

    /// A session was given to the peer; counts until `removeSession`.
    package func addSession(_ worker: WorkerSlot, _ peer: PeerSlot) {
        bump(worker, peer, CS_SHARE_ACTIVE, 1)
        bump(worker, peer, CS_SHARE_SESSIONS, 1)
    }

    /// `now`: monotonic milliseconds.
    package func noteSelected(_ worker: WorkerSlot, _ peer: PeerSlot, now: UInt64) {
        unsafe cs_store(cs_share(base, worker.number, peer.number, CS_SHARE_SELECTED_AT), now)
    }

    package func countConnected(_ worker: WorkerSlot, _ peer: PeerSlot, milliseconds: UInt64) {
        bump(worker, peer, CS_SHARE_CONNECTED, 1)
        bump(worker, peer, CS_SHARE_CONNECT_TIME, milliseconds)
    }

    package func countFirstByte(_ worker: WorkerSlot, _ peer: PeerSlot, milliseconds: UInt64) {
        bump(worker, peer, CS_SHARE_FIRST_BYTES, 1)
        bump(worker, peer, CS_SHARE_FIRST_BYTE_TIME, milliseconds)
    }

    /// A session that was connected is over. `milliseconds`: since its connect began.
    package func countEnded(_ worker: WorkerSlot, _ peer: PeerSlot, milliseconds: UInt64) {
        bump(worker, peer, CS_SHARE_ENDED, 1)
        bump(worker, peer, CS_SHARE_SESSION_TIME, milliseconds)
    }

    // MARK: Failure windows in time, between `lock` and `unlock`

    /// A failure keeps the peer out from `now` until `until`: monotonic milliseconds.
    package func noteOut(_ worker: WorkerSlot, _ peer: PeerSlot, now: UInt64, until: UInt64) {
        let end = load(peer, CS_PEER_OUT_UNTIL)
        if now >= end {
            let begin = load(peer, CS_PEER_OUT_SINCE)
            store(peer, CS_PEER_OUT_TIME, load(peer, CS_PEER_OUT_TIME) + (end - min(begin, end)))
            store(peer, CS_PEER_OUT_SINCE, now)
            bump(worker, peer, CS_SHARE_TIMES_OUT, 1)
        }
        store(peer, CS_PEER_OUT_UNTIL, until)
    }

    /// A success lets the peer back.
    package func noteBack(_ peer: PeerSlot, now: UInt64) {
        if load(peer, CS_PEER_OUT_UNTIL) > now { store(peer, CS_PEER_OUT_UNTIL, now) }
    }

    package func removeSession(_ worker: WorkerSlot, _ peer: PeerSlot) {
        let word = unsafe cs_share(base, worker.number, peer.number, CS_SHARE_ACTIVE)
        let active = unsafe cs_load(word)
        precondition(active > 0, "a session ends once at its peer")
        unsafe cs_store(word, active - 1)
    }

    package func countConnectFailed(_ worker: WorkerSlot, _ peer: PeerSlot) {
        bump(worker, peer, CS_SHARE_CONNECTS_FAILED, 1)
    }

    package func addBytes(_ worker: WorkerSlot, _ peer: PeerSlot, toPeer: UInt64) {
        bump(worker, peer, CS_SHARE_BYTES_TO_PEER, toPeer)
    }

    package func addBytes(_ worker: WorkerSlot, _ peer: PeerSlot, fromPeer: UInt64) {
        bump(worker, peer, CS_SHARE_BYTES_FROM_PEER, fromPeer)
    }

    /// The peer's address as text, without what tells two equal addresses of a group apart.
    package func appendEndpointText(of peer: PeerSlot, to output: inout [UInt8]) {
        let text = identityText(peer.number)
        let count = Int(min(load(peer, CS_PEER_IDENTITY_BYTES), UInt64(text.capacity)))
        for index in 0..<count {
            let byte = text.byte(index)
            if byte == 0 { return }
            output.append(byte)
        }
    }

    func load(_ peer: PeerSlot, _ field: cs_peer_field) -> UInt64 { unsafe cs_load(cs_peer(base, peer.number, field)) }

    func store(_ peer: PeerSlot, _ field: cs_peer_field, _ value: UInt64) {
        unsafe cs_store(cs_peer(base, peer.number, field), value)
    }

    private func bump(_ worker: WorkerSlot, _ peer: PeerSlot, _ field: cs_share_field, _ amount: UInt64) {
        unsafe cs_bump(cs_share(base, worker.number, peer.number, field), amount)
    }
}
