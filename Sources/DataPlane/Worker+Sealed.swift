// SPDX-License-Identifier: Apache-2.0
//
// Bytes through TLS: what a receive brings is opened, sealed, or both, before the direction hears of it, so that the
// direction machine counts what is really sent. A TLS session is never spliced.

import EventLoop
import LinuxIO
import ProxyConfig
import SessionCore
import TLSEngine
import Vocabulary

extension Worker where K: ~Copyable {
    // MARK: - Before forwarding

    /// Opens ciphertext of the client behind what was read before. False when the session has ended.
    mutating func openPreread(_ slot: Int, _ input: UnsafeRawBufferPointer) -> Bool {
        guard let tls = sessions[slot].clientTLS else { preconditionFailure("opening without a connection") }
        guard let buffer = tlsBuffers.take() else {
            close(slot, .outOfResources)
            return false
        }
        defer { tlsBuffers.giveBack(buffer) }
        var count = 0
        switch unsafe tls.open(input, into: buffer.memory) {
        case .bytes(let opened): count = opened
        case .closed(let opened):
            count = opened
            sessions[slot].isClientClosed = true
        case .failed:
            logSession(.info, slot, tls.fault?.message ?? "SSL_read() failed")
            close(slot, .tlsBroken)
            return false
        }
        sessions[slot].upload.received += UInt64(count)
        guard unsafe sessions[slot].preread.append(buffer.bytes(count)) else {
            logSession(.crit, slot, "no memory for the client's first packet")
            close(slot, .outOfResources)
            return false
        }
        return true
    }

    /// Appends `plain` to the memory that a direction sends from, sealed for its target. False: it cannot be.
    mutating func appendSealed(_ plain: UnsafeRawBufferPointer, _ way: Way, of slot: Int) -> Bool {
        guard let tls = way == .upload ? sessions[slot].brokerTLS : sessions[slot].clientTLS else {
            return unsafe sessions[slot, way].own.append(plain)
        }
        guard let buffer = tlsBuffers.take() else { return false }
        defer { tlsBuffers.giveBack(buffer) }
        let pieceMax = 16 * 1024
        var offset = 0
        while offset < plain.count {
            let end = min(plain.count, offset + pieceMax)
            let piece = unsafe UnsafeRawBufferPointer(rebasing: plain[offset..<end])
            guard let count = unsafe tls.seal(piece, into: buffer.memory),
                unsafe sessions[slot, way].own.append(buffer.bytes(count))
            else { return false }
            offset = end
        }
        return true
    }

    /// What the broker sent behind its handshake's last flight goes to the client first. False when the session has
    /// ended.
    mutating func openEarlyDownload(_ slot: Int) -> Bool {
        guard let tls = sessions[slot].brokerTLS else { return true }
        while tls.hasInput && !sessions[slot].isBrokerClosed {
            guard let buffer = tlsBuffers.take() else {
                close(slot, .outOfResources)
                return false
            }
            defer { tlsBuffers.giveBack(buffer) }
            let count: Int
            switch unsafe tls.open(UnsafeRawBufferPointer(start: nil, count: 0), into: buffer.memory) {
            case .bytes(let opened): count = opened
            case .closed(let opened):
                count = opened
                sessions[slot].isBrokerClosed = true
            case .failed:
                return sealedBroken(.broker, tls, slot)
            }
            countReceived(count, .download, of: slot)
            sessions[slot].download.plainPending += UInt32(count)
            guard unsafe appendSealed(buffer.bytes(count), .download, of: slot) else {
                close(slot, .outOfResources)
                return false
            }
        }
        return true
    }

    // MARK: - Forwarding

    mutating func sealedReceived(_ completion: Completion, _ way: Way, of slot: Int) {
        guard let pooled = completion.buffer else { preconditionFailure("a receive without its buffer") }
        guard let buffer = tlsBuffers.take() else {
            kernel.recycle(pooled)
            return closeForMemory(slot)
        }
        let input = unsafe UnsafeRawBufferPointer(start: kernel.bytes(of: pooled), count: Int(completion.result))
        let outcome = unsafe transform(input, way, of: slot, into: buffer)
        kernel.recycle(pooled)
        guard let outcome else { return tlsBuffers.giveBack(buffer) }
        sealedReceived(completion, outcome, tlsBuffers.compact(buffer, outcome.wireBytes), way, of: slot)
    }

    private mutating func sealedReceived(
        _ completion: Completion, _ outcome: Transformed, _ buffer: TLSBuffer, _ way: Way, of slot: Int
    ) {
        sendAside(way.source, of: slot)
        noteReceived(outcome.plainBytes, way, of: slot)

        var action = DirectionAction.none
        if outcome.wireBytes > 0 {
            action = sessions[slot, way].machine.received(
                outcome.wireBytes, hasMoreData: completion.hasMoreData, staysArmed: completion.hasMore)
        } else if !outcome.isClosed {
            action = sessions[slot, way].machine.receivedNothing(staysArmed: completion.hasMore)
        }
        if case .keepBehind = action {
            let isKept = unsafe sessions[slot, way].behind.append(buffer.bytes(outcome.wireBytes))
            tlsBuffers.giveBack(buffer)
            sessions[slot, way].plainBehind += UInt32(outcome.plainBytes)
            guard isKept else { return closeForMemory(slot) }
        } else if outcome.wireBytes > 0 {
            sessions[slot, way].sealed = buffer
            sessions[slot, way].plainPending += UInt32(outcome.plainBytes)
            perform(action, way, of: slot)
        } else {
            tlsBuffers.giveBack(buffer)
            // Plaintext that waits in TLS counts with what is sent next.
            sessions[slot, way].plainPending += UInt32(outcome.plainBytes)
            perform(action, way, of: slot)
        }
        if outcome.isClosed { sourceClosed(way, of: slot, staysArmed: completion.hasMore) }
    }

    /// The source has said goodbye by close_notify.
    mutating func sourceClosed(_ way: Way, of slot: Int, staysArmed: Bool) {
        guard sessions[slot].machine.state == .forwarding else { return }
        let action = sessions[slot, way].machine.sourceClosed()
        sessions[slot, way].machine.receivedAfterEnd(staysArmed: staysArmed)
        // Like FIN behind bytes: the end waits for a send that the turn would not count.
        if sessions[slot, way].machine.state == .sending { kernel.heedSend() }
        perform(action, way, of: slot)
    }

    /// What TLS has to say that no data carries: the alert that refuses a renegotiation, the answer to a KeyUpdate. The
    /// peer may wait for it, so it does not wait for the next bytes that go there; only a send that is on its way comes
    /// first.
    mutating func sendAside(_ side: Side, of slot: Int) {
        guard let tls = side == .client ? sessions[slot].clientTLS : sessions[slot].brokerTLS, tls.outputBytes > 0
        else { return }
        let way: Way = side == .client ? .download : .upload
        let operation = way.targetOperation.inFlight!
        sessions[slot, way].owesAside =
            sessions[slot].machine.inFlight.contains(operation) || sessions[slot, way].machine.pendingBytes > 0
        if sessions[slot, way].owesAside { return }
        // What finds no room goes before the next bytes.
        tls.dropOutput(kernel.sendNow(socket: sessions[slot].socket(side), tls.waitingOutput))
    }

    private struct Transformed {
        /// For the target's socket, in the buffer.
        var wireBytes: Int
        var plainBytes: Int
        var isClosed: Bool
    }

    /// Nil: the session has ended.
    private mutating func transform(
        _ input: UnsafeRawBufferPointer, _ way: Way, of slot: Int, into buffer: TLSBuffer
    ) -> Transformed? {
        let source = way == .upload ? sessions[slot].clientTLS : sessions[slot].brokerTLS
        let target = way == .upload ? sessions[slot].brokerTLS : sessions[slot].clientTLS
        guard let source else {
            guard let target, let count = unsafe target.seal(input, into: buffer.memory) else {
                sealedBroken(way.target, target, slot, isSending: true)
                return nil
            }
            return Transformed(wireBytes: count, plainBytes: input.count, isClosed: false)
        }
        guard let target else { return unsafe open(input, source, way, of: slot, into: buffer) }
        guard let between = tlsBuffers.take() else {
            closeForMemory(slot)
            return nil
        }
        defer { tlsBuffers.giveBack(between) }
        guard var outcome = unsafe open(input, source, way, of: slot, into: between) else { return nil }
        guard outcome.plainBytes > 0 else { return outcome }
        guard let count = unsafe target.seal(between.bytes(outcome.plainBytes), into: buffer.memory) else {
            sealedBroken(way.target, target, slot, isSending: true)
            return nil
        }
        outcome.wireBytes = count
        return outcome
    }

    private mutating func open(
        _ input: UnsafeRawBufferPointer, _ source: TLSConnection, _ way: Way, of slot: Int, into buffer: TLSBuffer
    ) -> Transformed? {
        switch unsafe source.open(input, into: buffer.memory) {
        case .bytes(let count): return Transformed(wireBytes: count, plainBytes: count, isClosed: false)
        case .closed(let count): return Transformed(wireBytes: count, plainBytes: count, isClosed: true)
        case .failed:
            sealedBroken(way.source, source, slot)
            return nil
        }
    }

    /// Always false, for those who return it.
    @discardableResult
    private mutating func sealedBroken(
        _ side: Side, _ tls: TLSConnection?, _ slot: Int, isSending: Bool = false
    ) -> Bool {
        let message = tls?.fault?.message ?? (isSending ? "SSL_write() failed" : "SSL_read() failed")
        let action = isSending ? "sending to" : "reading from"
        logSession(.info, slot, "\(message) while proxying and \(action) \(side == .client ? "client" : "upstream")")
        close(slot, .tlsBroken)
        return false
    }

    // MARK: - The end

    /// A direction has ended: close_notify follows its last byte. True where the target has no room for all of it yet;
    /// then it waits as any byte does, as long as the session may be idle, and the direction ends once more behind it.
    mutating func goodbyeWaits(_ way: Way, of slot: Int) -> Bool {
        guard let tls = way == .upload ? sessions[slot].brokerTLS : sessions[slot].clientTLS else { return false }
        tls.closeWriting()
        guard tls.outputBytes > 0 else { return false }
        tls.dropOutput(kernel.sendNow(socket: sessions[slot].socket(way.target), tls.waitingOutput))
        let rest = tls.output()
        guard !rest.isEmpty else { return false }
        if sessions[slot, way].own.append(rest) {
            perform(sessions[slot, way].machine.finishesBehind(rest.count), way, of: slot)
        } else {
            closeForMemory(slot)
        }
        return true
    }

    /// close_notify for a session that ends otherwise, so that the other side can tell that from a cut. It is sent if
    /// there is room, and only where nothing is on its way there: a send in the kernel would be overtaken.
    mutating func sayGoodbye(_ side: Side, of slot: Int) {
        guard let tls = side == .client ? sessions[slot].clientTLS : sessions[slot].brokerTLS,
            !sessions[slot].machine.inFlight.contains(side == .client ? .sendClient : .sendBroker)
        else { return }
        let way: Way = side == .client ? .download : .upload
        let isDone = side == .client ? sessions[slot].isHandshakeDone : sessions[slot].isBrokerHandshakeDone
        // A part of a record that was not sent makes all that follows worthless.
        guard sessions[slot, way].machine.pendingBytes == 0, sessions[slot, way].own.isEmpty else { return }
        if isDone { tls.closeWriting() }
        let output = tls.output()
        if !output.isEmpty { _ = kernel.sendNow(socket: sessions[slot].socket(side), output) }
    }
}
