// SPDX-License-Identifier: Apache-2.0
//
// What a worker counts of its sessions, into its own blocks of the shared region: plain stores, no call of the kernel,
// and for a message nothing but its bytes. A session is in one zone from the moment when its server block is known;
// where names choose the block, that is behind the ClientHello.

import EventLoop
import ProxyConfig
import SharedState
import Vocabulary

extension Worker where K: ~Copyable {
    private static var gaugeMilliseconds: UInt64 { 1000 }

    // MARK: - Zones

    /// The session's block is known. Whoever asks again changes nothing.
    mutating func enterZone(_ slot: Int) {
        guard !sessions[slot].hasEnteredZone else { return }
        sessions[slot].hasEnteredZone = true
        sessions[slot].zone = settingsTable[sessions[slot].settings].zone
        if let zone = sessions[slot].zone { region.enterZone(identity.slot, zone) }
    }

    /// The session ends here, or `pass` hands it to another block.
    mutating func leaveZone(_ slot: Int, status: UInt16) {
        enterZone(slot)
        if let zone = sessions[slot].zone { region.leaveZone(identity.slot, zone, status: status) }
        sessions[slot].zone = nil
        sessions[slot].hasEnteredZone = false
    }

    // MARK: - The first packet

    mutating func beginWaiting(_ slot: Int) {
        sessions[slot].isWaiting = true
        waitingCount += 1
        region.setWaitingSessions(identity.slot, waitingCount)
    }

    /// All that is read of the client before a choice is read, or the session is over.
    mutating func endWaiting(_ slot: Int) {
        guard sessions[slot].isWaiting else { return }
        sessions[slot].isWaiting = false
        waitingCount -= 1
        region.setWaitingSessions(identity.slot, waitingCount)
    }

    /// A CONNECT that `pass` shows to another block is still one CONNECT.
    mutating func countConnect(_ slot: Int, _ outcome: ConnectOutcome) {
        guard !sessions[slot].hasCountedConnect else { return }
        sessions[slot].hasCountedConnect = true
        region.countConnect(identity.slot, outcome)
    }

    /// Of a session that ends for `reason` before its first packet was complete.
    private mutating func countUnread(_ slot: Int, _ reason: CloseReason) {
        guard settingsTable[sessions[slot].settings].server.mqttPreread != .off else { return }
        switch reason {
        case .clientClosed, .clientReset, .clientTruncated, .prereadTimeout: countConnect(slot, .incomplete)
        default: break
        }
    }

    // MARK: - Bytes

    /// Both sides are known: bytes that came and went so far, and from here on each of them as it comes and goes.
    mutating func startCountingBytes(_ slot: Int) {
        guard !sessions[slot].isCountingBytes else { return }
        sessions[slot].isCountingBytes = true
        let (upload, download) = (sessions[slot].upload, sessions[slot].download)
        if let zone = sessions[slot].zone {
            region.addBytes(identity.slot, zone, received: upload.received, sent: download.sent)
        }
        if let peer = sessions[slot].peer {
            region.addBytes(identity.slot, peer, toPeer: upload.sent)
            region.addBytes(identity.slot, peer, fromPeer: download.received)
        }
    }

    /// Of a session that is forwarding.
    @inline(__always)
    func countReceived(_ count: Int, _ way: Way, of slot: Int) {
        sessions[slot, way].received += UInt64(count)
        if way == .upload {
            if let zone = sessions[slot].zone { region.addReceived(identity.slot, zone, UInt64(count)) }
        } else {
            if let peer = sessions[slot].peer { region.addBytes(identity.slot, peer, fromPeer: UInt64(count)) }
        }
    }

    @inline(__always)
    func countSent(_ count: Int, _ way: Way, of slot: Int) {
        sessions[slot, way].sent += UInt64(count)
        if way == .upload {
            if let peer = sessions[slot].peer { region.addBytes(identity.slot, peer, toPeer: UInt64(count)) }
        } else {
            if let zone = sessions[slot].zone { region.addSent(identity.slot, zone, UInt64(count)) }
        }
    }

    // MARK: - Brokers

    func countConnected(_ slot: Int, milliseconds: UInt64) {
        region.record(identity.slot, .connectTime, ticks: milliseconds)
        if let peer = sessions[slot].peer { region.countConnected(identity.slot, peer, milliseconds: milliseconds) }
    }

    func countFirstByte(_ slot: Int, milliseconds: UInt64) {
        region.record(identity.slot, .firstByteTime, ticks: milliseconds)
        if let peer = sessions[slot].peer { region.countFirstByte(identity.slot, peer, milliseconds: milliseconds) }
    }

    /// The session, or its present try, is over for its peer.
    mutating func leavePeer(_ slot: Int) {
        guard let peer = sessions[slot].peer else { return }
        if sessions[slot].connectTime != nil {
            let milliseconds = kernel.nowMilliseconds - sessions[slot].connectStartedAt
            region.countEnded(identity.slot, peer, milliseconds: milliseconds)
        }
        region.removeSession(identity.slot, peer)
    }

    // MARK: - The end

    /// `phase`: before the close.
    mutating func countEnd(_ slot: Int, _ reason: CloseReason, isPrereading: Bool) {
        endWaiting(slot)
        enterZone(slot)
        region.countClosed(identity.slot, reason)
        region.record(identity.slot, .sessionLength, ticks: kernel.nowMilliseconds - sessions[slot].startedAt)
        if isPrereading { countUnread(slot, reason) }
        switch reason {
        case .tlsHandshakeFailed:
            countHandshake(.failed(sessions[slot].clientTLS?.failure ?? .other), of: slot)
        case .tlsHandshakeTimeout: countHandshake(.failed(.timeout), of: slot)
        default: break
        }
        startCountingBytes(slot)
        leaveZone(slot, status: reason.status)
        leavePeer(slot)
    }

    // MARK: - Handshakes

    func countHandshake(_ outcome: HandshakeOutcome, of slot: Int) {
        region.countHandshake(outcome, identity.slot, zone: sessions[slot].zone)
    }

    func countBrokerHandshake(_ outcome: HandshakeOutcome, of slot: Int) {
        region.countHandshake(outcome, identity.slot, peer: sessions[slot].peer)
    }

    // MARK: - What the worker holds

    /// Once a second, in a turn that happens anyway.
    mutating func storeGauges() {
        gaugesDueAt = kernel.nowMilliseconds + Self.gaugeMilliseconds
        let pressure = kernel.pressure
        var gauges = WorkerGauges()
        gauges.descriptors = UInt64(descriptorCount)
        gauges.descriptorsMax = UInt64(identity.descriptorLimit)
        gauges.sessionsMax = UInt64(sessionsMax)
        gauges.buffers = UInt64(pressure.buffers)
        gauges.buffersMax = UInt64(pressure.buffersMax)
        gauges.bufferBytes = UInt64(pressure.bufferBytes)
        gauges.tlsBuffers = UInt64(tlsBuffers.inUse)
        gauges.pipes = UInt64(pipeCount)
        gauges.idlePipes = UInt64(idlePipes.count)
        gauges.ringFull = UInt64(pressure.queueFull)
        gauges.ringOverflows = UInt64(pressure.overflows)
        gauges.generations = UInt64(generations.count)
        gauges.settings = UInt64(settingsTable.count)
        region.store(gauges, of: identity.slot)
    }

    /// Of sessions, pipes, listeners and logs; a few more belong to the process itself.
    private var descriptorCount: Int {
        sessions.count + brokerSocketCount + 2 * pipeCount + listeners.count { $0.descriptor >= 0 } + sinks.sinks.count
    }
}
