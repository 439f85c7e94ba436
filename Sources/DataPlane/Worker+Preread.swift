// SPDX-License-Identifier: Apache-2.0
//
// Preread: waits for the client's CONNECT and reads out of it what choice and logs use. The bytes move into memory of
// the session once, and the pool has its buffer back at once: a broker that does not answer a connect must not hold the
// pool's buffers (Decisions/0001).

import EventLoop
import LinuxIO
import MQTTWire
import ProxyConfig
import SessionCore
import SharedState
import TLSEngine
import Vocabulary

extension Worker where K: ~Copyable {
    mutating func beginPreread(_ slot: Int) {
        let settings = settingsTable[sessions[slot].settings]
        sessions[slot].machine.preread()
        sessions[slot].phaseDeadline = kernel.nowMilliseconds + UInt64(settings.server.prereadTimeoutMilliseconds)
        armTimer(slot)
        // Something came with the handshake, or with `pass`.
        let hasSomething = !sessions[slot].preread.isEmpty || sessions[slot].isClientClosed
        if hasSomething { scanPreread(slot) } else { prereadMore(slot) }
    }

    mutating func prereadMore(_ slot: Int) {
        let limit = settingsTable[sessions[slot].settings].server.prereadBufferBytes
        let room = max(1, limit - Int(sessions[slot].preread.count))
        kernel.queueReceive(
            socket: sessions[slot].client, bytesMax: room, expectsData: true, token: begin(.receiveClient, of: slot))
    }

    mutating func prereadReceived(_ completion: Completion, of slot: Int) {
        switch completion.result {
        case 1...:
            guard let buffer = completion.buffer else { preconditionFailure("a receive without its buffer") }
            let bytes = unsafe UnsafeRawBufferPointer(start: kernel.bytes(of: buffer), count: Int(completion.result))
            if sessions[slot].clientTLS != nil {
                let isOpened = unsafe openPreread(slot, bytes)
                kernel.recycle(buffer)
                if isOpened { scanPreread(slot) }
                return
            }
            let isKept = unsafe sessions[slot].preread.append(bytes)
            kernel.recycle(buffer)
            sessions[slot].upload.received += UInt64(bytes.count)
            guard isKept else {
                logSession(.crit, slot, "no memory for the client's first packet")
                close(slot, .outOfResources)
                return
            }
            scanPreread(slot)
        case 0:
            if let buffer = completion.buffer { kernel.recycle(buffer) }
            logSession(.info, slot, "client disconnected")
            close(slot, sessions[slot].clientTLS == nil ? .clientClosed : .clientTruncated)
        case -Errno.noBuffers.rawValue:
            starve(slot, .upload)
        case -Errno.wouldBlock.rawValue, -Errno.interrupted.rawValue:
            prereadMore(slot)
        default:
            logSession(.info, slot, "recv() failed (\(Errno(rawValue: -completion.result).numberedText))")
            close(slot, .clientReset)
        }
    }

    private mutating func scanPreread(_ slot: Int) {
        let settings = settingsTable[sessions[slot].settings]
        if settings.server.readsClientHello && sessions[slot].clientTLS == nil && !sessions[slot].isHelloRead {
            guard readHello(slot) else { return }
        }
        // The name in the hello may have led to another settings.server.
        // Where a ClientHello was seen there is no CONNECT, unless `pass` led to a listener that has decrypted it.
        let isReadable = sessions[slot].hello.isEmpty || sessions[slot].clientTLS != nil
        guard settingsTable[sessions[slot].settings].server.mqttPreread != .off, isReadable else {
            return endPreread(slot)
        }
        scanConnect(slot)
    }

    private mutating func scanConnect(_ slot: Int) {
        let settings = settingsTable[sessions[slot].settings]
        let limit = settings.server.prereadBufferBytes
        let bytes = unsafe sessions[slot].preread.bytes
        let span = unsafe UnsafeBufferPointer(
            start: bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), count: bytes.count
        ).span
        switch ConnectScanner.scan(span, limit: limit) {
        case .complete(let connect):
            noteConnect(slot, connect)
            sessions[slot].connect = ConnectFacts(connect)
            sessions[slot].clientID = ByteRange(offset: connect.clientID.offset, count: connect.clientID.count)
            if let name = connect.userName {
                sessions[slot].userName = ByteRange(offset: name.offset, count: name.count)
            }
            endPreread(slot)
        case .needsMore:
            if sessions[slot].isClientClosed {
                logSession(.info, slot, "client disconnected")
                return close(slot, .clientClosed)
            }
            prereadMore(slot)
        case .tooLarge(let version):
            logSession(
                .error, slot,
                "preread buffer full: the client's CONNECT needs more than preread_buffer_size (\(limit) bytes)")
            countConnect(slot, .refused(version))
            refuse(slot, version: version, .packetTooLarge, .prereadBufferFull)
        case .malformed(let fault, let version):
            countConnect(slot, settings.server.mqttPreread == .required ? .refused(version) : .notMQTT)
            guard settings.server.mqttPreread == .required else { return endPreread(slot) }
            logSession(.info, slot, "client sent a malformed CONNECT: \(fault.text)")
            refuse(slot, version: version, RefusalReason(fault: fault), .badConnect)
        case .notConnect:
            countConnect(slot, .notMQTT)
            guard settings.server.mqttPreread == .required else { return endPreread(slot) }
            logSession(.info, slot, "client sent no MQTT CONNECT")
            close(slot, .badConnect)
        }
    }

    private mutating func noteConnect(_ slot: Int, _ connect: Connect) {
        guard !sessions[slot].hasCountedConnect else { return }
        countConnect(slot, .accepted(connect.version))
        let bytes = unsafe sessions[slot].preread.bytes
        let clientID = ByteRange(offset: connect.clientID.offset, count: connect.clientID.count)
        unsafe reconnects.note(
            UnsafeRawBufferPointer(rebasing: bytes[clientID.range]), now: kernel.nowMilliseconds)
    }

    private mutating func endPreread(_ slot: Int) {
        sessions[slot].machine.route()
        route(slot)
    }

    /// Says why in the words of the client's MQTT version, where that is known, then closes. The answer is sent without
    /// waiting: a socket that was just accepted has room, and if it has not, the close says enough.
    private mutating func refuse(
        _ slot: Int, version: MQTTVersion?, _ reason: RefusalReason, _ closeReason: CloseReason
    ) {
        let settings = settingsTable[sessions[slot].settings]
        if let version, settings.server.mqttPreread == .required {
            let refusal = ConnackRefusal(version: version, reason: reason).bytes
            sendLast(refusal, slot)
        }
        close(slot, closeReason)
    }

    private mutating func sendLast(_ bytes: [UInt8], _ slot: Int) {
        guard let tls = sessions[slot].clientTLS else {
            sessions[slot].download.sent += UInt64(kernel.sendNow(socket: sessions[slot].client, bytes))
            return
        }
        guard let buffer = tlsBuffers.take() else { return }
        defer { tlsBuffers.giveBack(buffer) }
        let count = unsafe bytes.withUnsafeBytes { plain in unsafe tls.seal(plain, into: buffer.memory) }
        guard let count else { return }
        if unsafe kernel.sendNow(socket: sessions[slot].client, Array(buffer.bytes(count))) == count {
            sessions[slot].download.sent += UInt64(bytes.count)
        }
    }

    /// CONNECT is sent: keeps only what logs may ask for, when that is worth the copy.
    mutating func trimPreread(_ slot: Int) {
        let wasteBytesMax: UInt32 = 256
        let kept = sessions[slot].clientID.count + sessions[slot].userName.count
        guard sessions[slot].preread.count - kept > wasteBytesMax else { return }
        var trimmed = OwnMemory()
        let bytes = unsafe sessions[slot].preread.bytes
        let clientID = unsafe UnsafeRawBufferPointer(rebasing: bytes[sessions[slot].clientID.range])
        let userName = unsafe UnsafeRawBufferPointer(rebasing: bytes[sessions[slot].userName.range])
        guard unsafe trimmed.append(clientID), unsafe trimmed.append(userName) else {
            trimmed.free()
            return
        }
        sessions[slot].preread.free()
        sessions[slot].preread = trimmed
        sessions[slot].clientID.offset = 0
        sessions[slot].userName.offset = sessions[slot].clientID.count
    }
}

extension ConnectOutcome {
    fileprivate static func accepted(_ version: MQTTVersion) -> ConnectOutcome {
        switch version {
        case .v31: .acceptedV31
        case .v311: .acceptedV311
        case .v5: .acceptedV5
        }
    }

    fileprivate static func refused(_ version: MQTTVersion?) -> ConnectOutcome {
        switch version {
        case .v31: .refusedV31
        case .v311: .refusedV311
        case .v5: .refusedV5
        case nil: .refusedUnknown
        }
    }
}

extension ConnectFacts {
    init(_ connect: Connect) {
        version = connect.version
        keepAliveSeconds = connect.keepAliveSeconds
        isCleanStart = connect.isCleanStart
        hasUserName = connect.userName != nil
    }
}
