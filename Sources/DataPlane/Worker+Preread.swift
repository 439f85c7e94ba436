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
import Vocabulary

extension Worker where K: ~Copyable {
    mutating func prereadMore(_ slot: Int) {
        let limit = settingsTable[sessions[slot].settings].server.prereadBufferBytes
        let room = limit - Int(sessions[slot].preread.count)
        kernel.queueReceive(
            socket: sessions[slot].client, bytesMax: room, expectsData: true, token: begin(.receiveClient, of: slot))
    }

    mutating func prereadReceived(_ completion: Completion, of slot: Int) {
        switch completion.result {
        case 1...:
            guard let buffer = completion.buffer else { preconditionFailure("a receive without its buffer") }
            let count = Int(completion.result)
            let isKept = unsafe sessions[slot].preread.append(
                UnsafeRawBufferPointer(start: kernel.bytes(of: buffer), count: count))
            kernel.recycle(buffer)
            sessions[slot].upload.received += UInt64(count)
            guard isKept else {
                logSession(.crit, slot, "no memory for the client's first packet")
                close(slot, .outOfResources)
                return
            }
            scanConnect(slot)
        case 0:
            if let buffer = completion.buffer { kernel.recycle(buffer) }
            logSession(.info, slot, "client disconnected")
            close(slot, .clientClosed)
        case -Errno.noBuffers.rawValue:
            starve(slot, .upload)
        case -Errno.wouldBlock.rawValue, -Errno.interrupted.rawValue:
            prereadMore(slot)
        default:
            logSession(.info, slot, "recv() failed (\(Errno(rawValue: -completion.result).numberedText))")
            close(slot, .clientReset)
        }
    }

    private mutating func scanConnect(_ slot: Int) {
        let server = settingsTable[sessions[slot].settings].server
        let limit = server.prereadBufferBytes
        let bytes = unsafe sessions[slot].preread.bytes
        let span = unsafe UnsafeBufferPointer(
            start: bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), count: bytes.count
        ).span
        switch ConnectScanner.scan(span, limit: limit) {
        case .complete(let connect):
            sessions[slot].connect = ConnectFacts(connect)
            sessions[slot].clientID = ByteRange(offset: connect.clientID.offset, count: connect.clientID.count)
            if let name = connect.userName {
                sessions[slot].userName = ByteRange(offset: name.offset, count: name.count)
            }
            endPreread(slot)
        case .needsMore:
            prereadMore(slot)
        case .tooLarge(let version):
            logSession(
                .error, slot,
                "preread buffer full: the client's CONNECT needs more than preread_buffer_size (\(limit) bytes)")
            refuse(slot, version: version, .packetTooLarge, .prereadBufferFull)
        case .malformed(let fault, let version):
            guard server.mqttPreread == .required else { return endPreread(slot) }
            logSession(.info, slot, "client sent a malformed CONNECT: \(fault.text)")
            refuse(slot, version: version, RefusalReason(fault: fault), .badConnect)
        case .notConnect:
            guard server.mqttPreread == .required else { return endPreread(slot) }
            logSession(.info, slot, "client sent no MQTT CONNECT")
            close(slot, .badConnect)
        }
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
        let server = settingsTable[sessions[slot].settings].server
        if let version, server.mqttPreread == .required {
            let refusal = ConnackRefusal(version: version, reason: reason).bytes
            sessions[slot].download.sent += UInt64(kernel.sendNow(socket: sessions[slot].client, refusal))
        }
        close(slot, closeReason)
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

extension ConnectFacts {
    init(_ connect: Connect) {
        version = connect.version
        keepAliveSeconds = connect.keepAliveSeconds
        isCleanStart = connect.isCleanStart
        hasUserName = connect.userName != nil
    }
}
