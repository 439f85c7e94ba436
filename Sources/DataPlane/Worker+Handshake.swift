// SPDX-License-Identifier: Apache-2.0
//
// The client's TLS handshake, between access and preread. A handshake costs as much as a hundred messages, so a turn
// does a few and keeps the others' bytes for the next turns: a storm of reconnecting devices must not be felt by those
// that are connected.

import EventLoop
import LinuxIO
import ProxyConfig
import SessionCore
import SharedState
import TLSEngine
import Vocabulary

/// A handshake whose bytes wait for their turn.
struct DueHandshake: BitwiseCopyable {
    var slot: UInt32
    var generation: UInt32
}

extension Worker where K: ~Copyable {
    /// Steps of handshakes in one turn: about a millisecond.
    private static var handshakeStepsMax: Int { 4 }

    mutating func beginHandshake(_ slot: Int) {
        let settings = settingsTable[sessions[slot].settings]
        sessions[slot].machine.handshake()
        // What was read before `pass` is ciphertext: the handshake takes it, it counts for nothing, and a CONNECT that
        // was seen in it was none.
        sessions[slot].upload.received = 0
        sessions[slot].forgetConnect()
        sessions[slot].phaseDeadline = kernel.nowMilliseconds + UInt64(settings.server.handshakeTimeoutMilliseconds)
        armTimer(slot)
        // Handed on by `pass` with its ClientHello.
        if sessions[slot].preread.isEmpty { handshakeMore(slot) } else { dueHandshakes.append(due(slot)) }
    }

    private func due(_ slot: Int) -> DueHandshake {
        DueHandshake(slot: UInt32(slot), generation: sessions[slot].generation)
    }

    private mutating func handshakeMore(_ slot: Int) {
        kernel.queueReceive(
            socket: sessions[slot].client, bytesMax: Int.max, expectsData: true, token: begin(.receiveClient, of: slot))
    }

    mutating func handshakeCompleted(_ operation: Operation, _ completion: Completion, of slot: Int) {
        if operation == .sendClient { return handshakeSent(completion, of: slot) }
        switch completion.result {
        case 1...:
            guard let buffer = completion.buffer else { preconditionFailure("a receive without its buffer") }
            let bytes = unsafe UnsafeRawBufferPointer(
                start: kernel.bytes(of: buffer), count: Int(completion.result))
            if dueHandshakes.isEmpty && handshakeSteps < Self.handshakeStepsMax {
                handshakeSteps += 1
                unsafe advanceHandshake(slot, bytes)
                kernel.recycle(buffer)
                return
            }
            let isKept = unsafe sessions[slot].preread.append(bytes)
            kernel.recycle(buffer)
            guard isKept else { return close(slot, .outOfResources) }
            dueHandshakes.append(due(slot))
        case 0:
            if let buffer = completion.buffer { kernel.recycle(buffer) }
            logSession(.info, slot, "peer closed connection in SSL handshake while SSL handshaking")
            close(slot, .tlsHandshakeFailed)
        case -Errno.noBuffers.rawValue:
            starve(slot, .upload)
        case -Errno.wouldBlock.rawValue, -Errno.interrupted.rawValue:
            handshakeMore(slot)
        default:
            let error = Errno(rawValue: -completion.result)
            logSession(
                .info, slot, "peer closed connection in SSL handshake (\(error.numberedText)) while SSL handshaking")
            close(slot, .tlsHandshakeFailed)
        }
    }

    /// A buffer is there again.
    mutating func resumeHandshake(_ slot: Int) { handshakeMore(slot) }

    /// The handshakes that waited, in the order in which they came.
    mutating func feedHandshakes() {
        guard !dueHandshakes.isEmpty else {
            handshakeSteps = 0
            return
        }
        var taken = 0
        while taken < dueHandshakes.count, handshakeSteps < Self.handshakeStepsMax {
            let entry = dueHandshakes[taken]
            taken += 1
            let slot = Int(entry.slot)
            guard sessions[slot].generation == entry.generation, sessions[slot].machine.state == .handshaking else {
                continue
            }
            handshakeSteps += 1
            var bytes = OwnMemory()
            swap(&bytes, &sessions[slot].preread)
            unsafe advanceHandshake(slot, bytes.bytes)
            bytes.free()
        }
        dueHandshakes.removeFirst(taken)
        handshakeSteps = 0
    }

    // MARK: - One step

    private mutating func advanceHandshake(_ slot: Int, _ input: UnsafeRawBufferPointer) {
        if sessions[slot].clientTLS == nil {
            guard makeClientTLS(slot) else { return }
        }
        guard let tls = sessions[slot].clientTLS else { preconditionFailure("a handshake without its connection") }
        var progress = unsafe tls.handshake(input)
        let nothing = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
        // A ClientHello that leads to a server, and that server's certificate: each once.
        for _ in 0..<2 {
            if progress == .choose {
                chooseServer(slot, named: tls.requestedName)
                if let context = settingsTable[sessions[slot].settings].tls, !tls.use(context) {
                    return close(slot, .outOfResources)
                }
                progress = unsafe tls.handshake(nothing)
            }
            if progress == .wantsCertificate {
                guard provideCertificates(.client, slot, to: tls) else { break }
                progress = unsafe tls.handshake(nothing)
            }
        }
        flushHandshake(.client, of: slot)
        guard sessions[slot].machine.state == .handshaking else { return }
        switch progress {
        case .done:
            sessions[slot].isHandshakeDone = true
            if !sessions[slot].machine.inFlight.contains(.sendClient) { endHandshake(slot) }
        case .wantsInput:
            handshakeMore(slot)
        case .failed, .choose, .wantsCertificate:
            handshakeFailed(slot, tls)
        }
    }

    private mutating func makeClientTLS(_ slot: Int) -> Bool {
        let settings = settingsTable[sessions[slot].settings]
        guard let context = settings.tls else {
            logSession(
                .error, slot,
                "no \"ssl_certificate\" is defined in server listening on SSL port while SSL handshaking")
            close(slot, .tlsHandshakeFailed)
            return false
        }
        guard let tls = TLSConnection.accept(context, isChoosingByName: hasNames(slot)) else {
            logSession(.crit, slot, "SSL_new() failed: no memory, while SSL handshaking")
            close(slot, .outOfResources)
            return false
        }
        sessions[slot].clientTLS = tls
        return true
    }

    private mutating func handshakeFailed(_ slot: Int, _ tls: TLSConnection) {
        let level: LogLevel = tls.isClientFault ? .info : .crit
        logSession(level, slot, "\(tls.fault?.message ?? "SSL_do_handshake() failed") while SSL handshaking")
        close(slot, .tlsHandshakeFailed)
    }

    /// Keys are agreed on and all that this side had to say is on its way.
    private mutating func endHandshake(_ slot: Int) {
        guard let tls = sessions[slot].clientTLS else { preconditionFailure("a handshake without its connection") }
        logKeys(slot)
        enterZone(slot)
        countHandshake(.succeeded(isReused: tls.isReused), of: slot)
        if !beginAsking(slot, tls) { decideAboutClient(slot) }
    }

    /// All is known of the client's certificate.
    mutating func decideAboutClient(_ slot: Int) {
        guard let tls = sessions[slot].clientTLS else { preconditionFailure("a client without its connection") }
        if let refusal = tls.clientRefusal {
            logSession(.info, slot, "\(refusal) while SSL handshaking")
            countHandshake(.refused(VerifyFailure(words: refusal)), of: slot)
            return close(slot, .tlsClientRefused)
        }
        // What came behind the client's last flight is plaintext for the phases that follow.
        let nothing = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
        while tls.hasInput {
            guard unsafe openPreread(slot, nothing) else { return }
            if sessions[slot].isClientClosed { break }
        }
        enterAfterHandshake(slot)
    }

    // MARK: - Sending

    /// Sends what the handshake has to say, at once: nothing else is on its way to this side. What finds no room waits
    /// in the session's memory.
    mutating func flushHandshake(_ side: Side, of slot: Int) {
        guard let tls = side == .client ? sessions[slot].clientTLS : sessions[slot].brokerTLS else { return }
        let operation: Operation = side == .client ? .sendClient : .sendBroker
        guard !sessions[slot].machine.inFlight.contains(operation.inFlight!) else { return }
        let output = tls.output()
        guard !output.isEmpty else { return }
        let count = kernel.sendNow(socket: sessions[slot].socket(side), output)
        guard count < output.count else { return }
        let way: Way = side == .client ? .download : .upload
        guard sessions[slot, way].own.append(Array(output[count...])) else { return close(slot, .outOfResources) }
        sendHandshakeRest(side, of: slot)
    }

    private mutating func sendHandshakeRest(_ side: Side, of slot: Int) {
        let memory = sessions[slot, side == .client ? Way.download : .upload].own
        let offset = sessions[slot].memoryOffset
        unsafe kernel.queueSend(
            socket: sessions[slot].socket(side), bytes: memory.pointer(at: offset), count: Int(memory.count - offset),
            mode: .waiting, token: begin(side == .client ? .sendClient : .sendBroker, of: slot))
    }

    /// True when all is sent and nothing more waits.
    mutating func handshakeRestSent(_ count: Int, _ side: Side, of slot: Int) -> Bool {
        let way: Way = side == .client ? .download : .upload
        sessions[slot].memoryOffset += UInt32(count)
        if sessions[slot].memoryOffset < sessions[slot, way].own.count {
            sendHandshakeRest(side, of: slot)
            return false
        }
        sessions[slot].memoryOffset = 0
        sessions[slot, way].own.free()
        flushHandshake(side, of: slot)
        return !sessions[slot].machine.inFlight.contains(side == .client ? .sendClient : .sendBroker)
    }

    private mutating func handshakeSent(_ completion: Completion, of slot: Int) {
        guard completion.result > 0 else {
            let error = Errno(rawValue: -completion.result)
            logSession(.info, slot, "SSL_write() failed (\(error.numberedText)) while SSL handshaking")
            return close(slot, .tlsHandshakeFailed)
        }
        let isAllSent = handshakeRestSent(Int(completion.result), .client, of: slot)
        if isAllSent && sessions[slot].isHandshakeDone && sessions[slot].machine.state == .handshaking {
            endHandshake(slot)
        }
    }
}

extension TLSConnection {
    /// What waits inside to be sent.
    func output() -> [UInt8] {
        let count = outputBytes
        guard count > 0 else { return [] }
        return unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            unsafe filled = takeOutput(UnsafeMutableRawBufferPointer(buffer))
        }
    }
}
