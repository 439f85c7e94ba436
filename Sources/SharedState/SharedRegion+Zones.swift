// SPDX-License-Identifier: Apache-2.0
//
// Zones (`status_zone`) as sessions count in them. A session is in one zone at a time, from the moment when its server
// block is known until it ends or `pass` hands it to another block. Connections are those that are there, those that
// ended with a status, and those that were discarded; the sum is exact at each worker.

import CShared

extension SharedRegion {
    /// By the worker, like all here: a session begins in the zone.
    package func enterZone(_ worker: WorkerSlot, _ zone: ZoneSlot) {
        bump(worker, zone, CS_ZONE_CONNECTIONS, 1)
        bump(worker, zone, CS_ZONE_PROCESSING, 1)
    }

    /// A session ends in the zone, with nginx's `$status`.
    package func leaveZone(_ worker: WorkerSlot, _ zone: ZoneSlot, status: UInt16) {
        let word = unsafe cs_zone_share(base, worker.number, zone.number, CS_ZONE_PROCESSING)
        let processing = unsafe cs_load(word)
        precondition(processing > 0, "a session leaves its zone once")
        unsafe cs_store(word, processing - 1)
        switch status {
        case ..<400: bump(worker, zone, CS_ZONE_SESSIONS_2XX, 1)
        case ..<500: bump(worker, zone, CS_ZONE_SESSIONS_4XX, 1)
        default: bump(worker, zone, CS_ZONE_SESSIONS_5XX, 1)
        }
    }

    /// A connection was closed before it became a session.
    package func countDiscarded(_ worker: WorkerSlot, _ zone: ZoneSlot) {
        bump(worker, zone, CS_ZONE_CONNECTIONS, 1)
        bump(worker, zone, CS_ZONE_DISCARDED, 1)
    }

    package func addBytes(_ worker: WorkerSlot, _ zone: ZoneSlot, received: UInt64, sent: UInt64) {
        bump(worker, zone, CS_ZONE_RECEIVED, received)
        bump(worker, zone, CS_ZONE_SENT, sent)
    }

    package func addReceived(_ worker: WorkerSlot, _ zone: ZoneSlot, _ count: UInt64) {
        bump(worker, zone, CS_ZONE_RECEIVED, count)
    }

    package func addSent(_ worker: WorkerSlot, _ zone: ZoneSlot, _ count: UInt64) {
        bump(worker, zone, CS_ZONE_SENT, count)
    }

    // MARK: Handshakes

    /// With a client.
    package func countHandshake(_ outcome: HandshakeOutcome, _ worker: WorkerSlot, zone: ZoneSlot?) {
        unsafe count(outcome, isServer: true, at: cs_worker(base, worker.number, CS_WORKER_TLS_CLIENTS))
        guard let zone else { return }
        unsafe count(outcome, isServer: true, at: cs_zone_share(base, worker.number, zone.number, CS_ZONE_TLS))
    }

    /// With a broker.
    package func countHandshake(_ outcome: HandshakeOutcome, _ worker: WorkerSlot, peer: PeerSlot?) {
        unsafe count(outcome, isServer: false, at: cs_worker(base, worker.number, CS_WORKER_TLS_BROKERS))
        guard let peer else { return }
        unsafe count(outcome, isServer: false, at: cs_share(base, worker.number, peer.number, CS_SHARE_TLS))
    }

    private func count(_ outcome: HandshakeOutcome, isServer: Bool, at words: UnsafeMutablePointer<cs_word>) {
        func bump(_ field: cs_tls_field?) {
            guard let field, isServer || field.rawValue < CS_TLS_CLIENT_WORDS.rawValue else { return }
            unsafe cs_bump(words + Int(field.rawValue), 1)
        }
        switch outcome {
        case .succeeded(let isReused):
            bump(CS_TLS_HANDSHAKES)
            if isReused { bump(CS_TLS_REUSES) }
        case .failed(let failure):
            bump(CS_TLS_FAILED)
            bump(failure.field)
        case .refused(let failure):
            bump(failure.field)
        }
    }

    private func bump(_ worker: WorkerSlot, _ zone: ZoneSlot, _ field: cs_zone_share_field, _ amount: UInt64) {
        unsafe cs_bump(cs_zone_share(base, worker.number, zone.number, field), amount)
    }
}
