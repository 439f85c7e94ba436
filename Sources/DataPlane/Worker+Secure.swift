// SPDX-License-Identifier: Apache-2.0
//
// `proxy_ssl`: TLS with the broker, between connect and forwarding. A handshake that fails, or a certificate that does
// not verify, is a failed try, and the next server's turn, as a refused connect is.

import EventLoop
import LinuxIO
import ProxyConfig
import SessionCore
import SharedState
import TLSEngine
import Vocabulary

extension Worker where K: ~Copyable {
    mutating func secure(_ slot: Int, _ context: TLSClientContext) {
        sessions[slot].machine.secure()
        let settings = settingsTable[sessions[slot].settings]
        sessions[slot].phaseDeadline = kernel.nowMilliseconds + UInt64(settings.server.connectTimeoutMilliseconds)
        armTimer(slot)
        var name = Array(context.settings.defaultName.utf8)
        if let template = context.settings.name { name = value(of: template, for: slot) }
        var peer: [UInt8] = []
        appendBrokerAddress(of: slot, to: &peer)
        peer.append(0)
        peer += name
        // A session belongs to the certificate that it was made with, and a variable may name another one's.
        let store = context.settings.common.certificateTemplates.isEmpty ? brokerSessions : nil
        guard let tls = TLSConnection.connect(context, name: name, resuming: store, key: peer) else {
            logSession(.crit, slot, "SSL_new() failed: no memory, while SSL handshaking to upstream")
            return close(slot, .outOfResources)
        }
        sessions[slot].brokerTLS = tls
        guard provideCertificates(.broker, slot, to: tls) else {
            return failSecuring(slot, "no certificate for the broker")
        }
        unsafe advanceSecuring(slot, UnsafeRawBufferPointer(start: nil, count: 0))
    }

    /// A receive from the broker, or the rest of a send to it, came back while securing.
    mutating func secureCompleted(_ operation: Operation, _ completion: Completion, of slot: Int) {
        if sessions[slot].connectError != 0 {
            if let buffer = completion.buffer { kernel.recycle(buffer) }
            if sessions[slot].machine.inFlight.isEmpty { securingFailed(slot) }
            return
        }
        if operation == .sendBroker {
            guard completion.result > 0 else {
                return failSecuring(slot, "SSL_write() failed (\(Errno(rawValue: -completion.result).numberedText))")
            }
            let isAllSent = handshakeRestSent(Int(completion.result), .broker, of: slot)
            if isAllSent && sessions[slot].isBrokerHandshakeDone { secured(slot) }
            return
        }
        switch completion.result {
        case 1...:
            guard let buffer = completion.buffer else { preconditionFailure("a receive without its buffer") }
            unsafe advanceSecuring(
                slot, UnsafeRawBufferPointer(start: kernel.bytes(of: buffer), count: Int(completion.result)))
            kernel.recycle(buffer)
        case 0:
            if let buffer = completion.buffer { kernel.recycle(buffer) }
            failSecuring(slot, "peer closed connection in SSL handshake")
        case -Errno.noBuffers.rawValue:
            starve(slot, .download)
        case -Errno.wouldBlock.rawValue, -Errno.interrupted.rawValue:
            secureMore(slot)
        default:
            failSecuring(slot, "recv() failed (\(Errno(rawValue: -completion.result).numberedText))")
        }
    }

    mutating func secureMore(_ slot: Int) {
        kernel.queueReceive(
            socket: sessions[slot].broker, bytesMax: Int.max, expectsData: false, token: begin(.receiveBroker, of: slot)
        )
    }

    mutating func securingTimedOut(_ slot: Int) {
        failSecuring(slot, "upstream timed out (\(Errno.timedOut.numberedText))", error: .timedOut)
    }

    private mutating func advanceSecuring(_ slot: Int, _ input: UnsafeRawBufferPointer) {
        guard let tls = sessions[slot].brokerTLS else { preconditionFailure("securing without a connection") }
        let progress = unsafe tls.handshake(input)
        flushHandshake(.broker, of: slot)
        guard sessions[slot].machine.state == .securing else { return }
        switch progress {
        case .done:
            sessions[slot].isBrokerHandshakeDone = true
            if !sessions[slot].machine.inFlight.contains(.sendBroker) { secured(slot) }
        case .wantsInput:
            secureMore(slot)
        case .failed, .choose, .wantsCertificate:
            failSecuring(slot, tls.fault?.message ?? "SSL_do_handshake() failed")
        }
    }

    private mutating func secured(_ slot: Int) {
        logKeys(slot)
        let isReused = sessions[slot].brokerTLS?.isReused ?? false
        countBrokerHandshake(.succeeded(isReused: isReused), of: slot)
        ready(slot)
    }

    /// The try has failed; the session goes on once the kernel has let go of what it holds of it.
    private mutating func failSecuring(_ slot: Int, _ message: String, error: Errno = .connectionAborted) {
        logSession(.error, slot, "\(message) while SSL handshaking to upstream")
        // The time may run out while the kernel still holds what failed.
        if sessions[slot].connectError == 0 {
            countBrokerHandshake(.failed(error == .timedOut ? .timeout : HandshakeFailure(words: message)), of: slot)
        }
        sessions[slot].connectError = error.rawValue
        for operation in [Operation.receiveBroker, .sendBroker]
        where sessions[slot].machine.inFlight.contains(operation.inFlight!) {
            kernel.queueCancel(target: token(operation, of: slot))
        }
        if sessions[slot].machine.inFlight.isEmpty { securingFailed(slot) }
    }

    private mutating func securingFailed(_ slot: Int) {
        timers.disarm(slot)
        sessions[slot].brokerTLS?.free()
        sessions[slot].brokerTLS = nil
        sessions[slot].upload.own.free()
        sessions[slot].memoryOffset = 0
        sessions[slot].isBrokerHandshakeDone = false
        let isTimeout = sessions[slot].connectError == Errno.timedOut.rawValue
        tryFailed(slot, isTimeout ? .connectTimeout : .brokerHandshakeFailed)
    }
}
