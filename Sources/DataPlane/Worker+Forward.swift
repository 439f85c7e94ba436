// SPDX-License-Identifier: Apache-2.0
//
// Forwarding: what DirectionMachine asks for, done. Small messages travel from the pool's buffer to the other socket
// without a copy and without a system call of their own; a target without room makes the session keep the rest in its
// own memory and give the pool's buffer back, so that slow readers never hold the pool; bulk goes through a pipe.

import EventLoop
import LinuxIO
import ProxyConfig
import SessionCore
import SharedState
import Vocabulary

extension Worker where K: ~Copyable {
    mutating func startForwarding(_ slot: Int, _ settings: ServerSettings) {
        startCountingBytes(slot)
        sessions[slot].idleTimeout = UInt32(clamping: settings.server.idleTimeoutMilliseconds)
        sessions[slot].bufferBytes = UInt32(clamping: settings.server.proxyBufferBytes)
        sessions[slot].forwardingSince = kernel.nowMilliseconds
        let isSealed = sessions[slot].clientTLS != nil || sessions[slot].brokerTLS != nil
        sessions[slot].upload.rate = rate(settings.server.uploadRate, of: slot)
        sessions[slot].download.rate = rate(settings.server.downloadRate, of: slot)
        for way in [Way.upload, .download] {
            let isLimited = sessions[slot, way].rate > 0
            sessions[slot, way].machine.isSpliceAllowed = !isLimited && !isSealed
            sessions[slot, way].isSealed = isSealed
            sessions[slot, way].machine.style = isLimited ? .single : kernel.armsReceives ? .armed : .linked
        }
        armForwardTimer(slot)

        startUpload(slot)
        guard sessions[slot].machine.state == .forwarding, openEarlyDownload(slot) else { return }
        let early = Int(sessions[slot].download.own.count)
        perform(sessions[slot].download.machine.start(pending: early), .download, of: slot)
        // What said its goodbye before there was a direction.
        if sessions[slot].isClientClosed {
            sourceClosed(.upload, of: slot, staysArmed: sessions[slot].upload.machine.isArmed)
        }
        if sessions[slot].isBrokerClosed {
            sourceClosed(.download, of: slot, staysArmed: sessions[slot].download.machine.isArmed)
        }
    }

    private mutating func startUpload(_ slot: Int) {
        let plain = sessions[slot].preread
        sessions[slot].upload.plainPending = plain.count
        guard sessions[slot].brokerTLS != nil, !plain.isEmpty else {
            let action = sessions[slot].upload.machine.start(pending: Int(plain.count))
            // With a CONNECT pending, its send is in the kernel already, linked to the connect.
            if plain.isEmpty { perform(action, .upload, of: slot) }
            return
        }
        guard unsafe appendSealed(plain.bytes, .upload, of: slot) else {
            logSession(.crit, slot, "SSL_write() to upstream failed")
            return close(slot, .outOfResources)
        }
        sessions[slot].isPrereadSent = true
        trimPreread(slot)
        let action = sessions[slot].upload.machine.start(pending: Int(sessions[slot].upload.own.count))
        perform(action, .upload, of: slot)
    }

    /// An evaluated rate in bytes a second, with nginx's size suffixes; 0 and nonsense are no limit.
    private func rate(_ template: Template?, of slot: Int) -> UInt64 {
        guard let template else { return 0 }
        var number: UInt64 = 0
        var bytes = value(of: template, for: slot)
        var factor: UInt64 = 1
        switch bytes.last {
        case UInt8(ascii: "k"), UInt8(ascii: "K"): factor = 1024
        case UInt8(ascii: "m"), UInt8(ascii: "M"): factor = 1024 * 1024
        default: break
        }
        if factor > 1 { bytes.removeLast() }
        for byte in bytes {
            guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9"), number < 1 << 40 else { return 0 }
            number = number * 10 + UInt64(byte - UInt8(ascii: "0"))
        }
        return number * factor
    }

    // MARK: - Completions

    mutating func forwardCompleted(_ operation: Operation, _ completion: Completion, of slot: Int) {
        switch operation {
        case .receiveClient: sourceCompleted(completion, .upload, of: slot)
        case .receiveBroker: sourceCompleted(completion, .download, of: slot)
        case .sendBroker: targetCompleted(completion, .upload, of: slot)
        case .sendClient: targetCompleted(completion, .download, of: slot)
        case .accept, .connect, .link, .signal, .question: preconditionFailure("\(operation) while forwarding")
        }
    }

    private mutating func sourceCompleted(_ completion: Completion, _ way: Way, of slot: Int) {
        if sessions[slot, way].machine.isSplicing { return pump(way, of: slot) }
        if sessions[slot, way].machine.isSourceEnded {
            if let buffer = completion.buffer { kernel.recycle(buffer) }
            return sessions[slot, way].machine.receivedAfterEnd(staysArmed: completion.hasMore)
        }
        // Bytes or an end in one batch with the bytes before them: they wait for a send that the turn would not count.
        if sessions[slot, way].machine.state == .sending { kernel.heedSend() }
        switch completion.result {
        case 1...:
            if sessions[slot, way].isSealed {
                sealedReceived(completion, way, of: slot)
            } else {
                received(completion, way, of: slot)
            }
        case 0:
            if let buffer = completion.buffer { kernel.recycle(buffer) }
            // TCP's end without TLS's: the sender was cut off, or somebody else said it.
            let tls = way == .upload ? sessions[slot].clientTLS : sessions[slot].brokerTLS
            sessions[slot, way].isTruncated = tls != nil
            perform(sessions[slot, way].machine.sourceEnded(), way, of: slot)
        case -Errno.noBuffers.rawValue:
            perform(sessions[slot, way].machine.receiveLapsed(forWantOfBuffer: true), way, of: slot)
            if sessions[slot, way].machine.state == .held { starve(slot, way) }
        case -Errno.wouldBlock.rawValue, -Errno.interrupted.rawValue:
            perform(sessions[slot, way].machine.receiveLapsed(forWantOfBuffer: false), way, of: slot)
        case -Errno.canceled.rawValue:
            // Nothing cancels a receive of a session that goes on, but the send that it was linked to.
            perform(sessions[slot, way].machine.linkBroke(), way, of: slot)
        default:
            broken(way.source, "recv", Errno(rawValue: -completion.result), slot)
        }
    }

    private mutating func received(_ completion: Completion, _ way: Way, of slot: Int) {
        guard let buffer = completion.buffer else { preconditionFailure("a receive without its buffer") }
        let count = Int(completion.result)
        noteReceived(count, way, of: slot)
        let action = sessions[slot, way].machine.received(
            count, hasMoreData: completion.hasMoreData, staysArmed: completion.hasMore)
        if case .keepBehind = action {
            keepBehind(buffer, count, way, of: slot)
        } else {
            sessions[slot, way].buffer = buffer
            perform(action, way, of: slot)
        }
    }

    /// `count` bytes came that the target is meant to get.
    mutating func noteReceived(_ count: Int, _ way: Way, of slot: Int) {
        let now = kernel.nowMilliseconds
        sessions[slot].lastActivityAt = now
        countReceived(count, way, of: slot)
        if way == .download && sessions[slot].firstByteTime == nil {
            let milliseconds = now - sessions[slot].connectStartedAt
            sessions[slot].firstByteTime = UInt32(clamping: milliseconds)
            countFirstByte(slot, milliseconds: milliseconds)
        }
        let rate = sessions[slot, way].rate
        if rate > 0 { sessions[slot, way].resumeAt = now + UInt64(count) * 1000 / rate }
    }

    private mutating func targetCompleted(_ completion: Completion, _ way: Way, of slot: Int) {
        if sessions[slot, way].machine.isSplicing { return pump(way, of: slot) }
        var count = 0
        switch completion.result {
        case 0...: count = Int(completion.result)
        case -Errno.wouldBlock.rawValue, -Errno.interrupted.rawValue: break
        default: return broken(way.target, "send", Errno(rawValue: -completion.result), slot)
        }
        if count > 0 {
            sessions[slot].lastActivityAt = kernel.nowMilliseconds
            // Records count once they are sent whole, as what was in them.
            if !sessions[slot, way].isSealed { countSent(count, way, of: slot) }
        }
        let action = sessions[slot, way].machine.sent(count)
        if case .drainBehind = action {
            emptied(way, of: slot)
        } else if sessions[slot, way].machine.pendingBytes == 0 {
            emptied(way, of: slot)
            if sessions[slot, way].owesAside { sendAside(way.target, of: slot) }
        }
        perform(action, way, of: slot)
    }

    mutating func giveBackBuffers(_ way: Way, of slot: Int) {
        if let sealed = sessions[slot, way].sealed {
            tlsBuffers.giveBack(sealed)
            sessions[slot, way].sealed = nil
        }
        if let buffer = sessions[slot, way].buffer {
            kernel.recycle(buffer)
            sessions[slot, way].buffer = nil
        }
    }

    /// Everything pending is sent: the memory that held it goes back.
    private mutating func emptied(_ way: Way, of slot: Int) {
        if sessions[slot, way].isSealed {
            countSent(Int(sessions[slot, way].plainPending), way, of: slot)
            sessions[slot, way].plainPending = sessions[slot, way].plainBehind
            sessions[slot, way].plainBehind = 0
        }
        if let sealed = sessions[slot, way].sealed {
            tlsBuffers.giveBack(sealed)
            sessions[slot, way].sealed = nil
        } else if let buffer = sessions[slot, way].buffer {
            kernel.recycle(buffer)
            sessions[slot, way].buffer = nil
        } else if isPrereadPending(way, of: slot) {
            sessions[slot].isPrereadSent = true
            trimPreread(slot)
        } else {
            sessions[slot, way].own.free()
        }
    }

    /// The pending bytes are those that were read before the broker was chosen, not those of a slow reader.
    private func isPrereadPending(_ way: Way, of slot: Int) -> Bool {
        way == .upload && !sessions[slot].isPrereadSent && !sessions[slot].preread.isEmpty
    }

    // MARK: - Actions

    mutating func perform(_ action: DirectionAction, _ way: Way, of slot: Int) {
        switch action {
        case .receive(let expectsData): receive(way, of: slot, expectsData: expectsData)
        case .none: break
        case .send(let next): sendFromPool(way, of: slot, next)
        case .keepBehind: preconditionFailure("what came behind is kept where it came")
        case .drainBehind:
            swap(&sessions[slot, way].own, &sessions[slot, way].behind)
            drain(way, of: slot)
        case .drain: moveToOwnMemory(way, of: slot)
        case .drainRest: drain(way, of: slot)
        case .finish: finish(way, of: slot)
        case .beginSplice: beginSplice(way, of: slot)
        case .awaitSource:
            kernel.queuePoll(
                descriptor: sessions[slot].socket(way.source), events: .readable,
                token: begin(way.sourceOperation, of: slot))
        case .awaitTarget:
            kernel.queuePoll(
                descriptor: sessions[slot].socket(way.target), events: .writable,
                token: begin(way.targetOperation, of: slot))
        case .endSplice: endSplice(way, of: slot)
        }
    }

    private mutating func receive(_ way: Way, of slot: Int, expectsData: Bool) {
        var bytesMax = Int(sessions[slot].bufferBytes)
        if sessions[slot, way].rate > 0 {
            guard let allowed = allowedByRate(way, of: slot) else {
                sessions[slot, way].machine.held()
                armForwardTimer(slot)
                return
            }
            bytesMax = min(bytesMax, allowed)
        }
        let socket = sessions[slot].socket(way.source)
        if sessions[slot, way].machine.style == .armed && !expectsData {
            sessions[slot, way].machine.armed()
            kernel.queueReceives(socket: socket, bytesMax: bytesMax, token: begin(way.sourceOperation, of: slot))
        } else {
            kernel.queueReceive(
                socket: socket, bytesMax: bytesMax, expectsData: expectsData,
                token: begin(way.sourceOperation, of: slot))
        }
    }

    private mutating func keepBehind(_ buffer: BufferID, _ count: Int, _ way: Way, of slot: Int) {
        let isKept = unsafe sessions[slot, way].behind.append(
            UnsafeRawBufferPointer(start: kernel.bytes(of: buffer), count: count))
        kernel.recycle(buffer)
        if !isKept { closeForMemory(slot) }
    }

    mutating func closeForMemory(_ slot: Int) {
        logSession(.crit, slot, "no memory for what a slow reader has not taken")
        close(slot, .outOfResources)
    }

    /// nginx's limit: rate × (seconds since the start + 1) in all, and a pause of the read's own length after each
    /// read. Nil: not now; `resumeAt` says when.
    private mutating func allowedByRate(_ way: Way, of slot: Int) -> Int? {
        let now = kernel.nowMilliseconds
        guard sessions[slot, way].resumeAt <= now else { return nil }
        let rate = sessions[slot, way].rate
        let seconds = (now - sessions[slot].forwardingSince) / 1000 + 1
        let (budget, isHuge) = rate.multipliedReportingOverflow(by: seconds)
        let received = sessions[slot, way].received
        if isHuge || budget > received { return isHuge ? Int.max : Int(clamping: budget - received) }
        sessions[slot, way].resumeAt = now + (received - budget) * 1000 / rate + 1
        return nil
    }

    private mutating func sendFromPool(_ way: Way, of slot: Int, _ next: NextReceive) {
        let count = Int(sessions[slot, way].machine.pendingBytes)
        unsafe kernel.queueSend(
            socket: sessions[slot].socket(way.target), bytes: bufferedBytes(way, of: slot), count: count,
            mode: SendMode(next), token: begin(way.targetOperation, of: slot))
        if case .linked = next { receive(way, of: slot, expectsData: false) }
    }

    /// What a receive brought, or what TLS made of it.
    private func bufferedBytes(_ way: Way, of slot: Int) -> UnsafeRawPointer {
        if let sealed = sessions[slot, way].sealed { return unsafe sealed.pointer(at: 0) }
        guard let buffer = sessions[slot, way].buffer else { preconditionFailure("nothing to send from") }
        return unsafe kernel.bytes(of: buffer)
    }

    private mutating func moveToOwnMemory(_ way: Way, of slot: Int) {
        let offset = Int(sessions[slot, way].machine.pendingOffset)
        let count = Int(sessions[slot, way].machine.pendingBytes)
        let isKept = unsafe sessions[slot, way].own.append(
            UnsafeRawBufferPointer(start: bufferedBytes(way, of: slot) + offset, count: count))
        giveBackBuffers(way, of: slot)
        guard isKept else { return closeForMemory(slot) }
        sessions[slot, way].machine.movedToOwnMemory()
        drain(way, of: slot)
    }

    private mutating func drain(_ way: Way, of slot: Int) {
        let memory = isPrereadPending(way, of: slot) ? sessions[slot].preread : sessions[slot, way].own
        let offset = sessions[slot, way].machine.pendingOffset
        let count = Int(sessions[slot, way].machine.pendingBytes)
        unsafe kernel.queueSend(
            socket: sessions[slot].socket(way.target), bytes: memory.pointer(at: offset), count: count, mode: .waiting,
            token: begin(way.targetOperation, of: slot))
    }

    /// A source has said goodbye and its last byte is on its way. nginx ends the session here, unless
    /// `proxy_half_close` keeps the other direction going.
    private mutating func finish(_ way: Way, of slot: Int) {
        // A cut is passed on as one.
        if !sessions[slot, way].isTruncated, goodbyeWaits(way, of: slot) { return }
        let settings = settingsTable[sessions[slot].settings]
        let isLast = sessions[slot].upload.machine.state == .ended && sessions[slot].download.machine.state == .ended
        if settings.server.isHalfCloseAllowed && !isLast {
            returnPipe(way, of: slot)
            kernel.shutdownWriting(socket: sessions[slot].socket(way.target))
            return
        }
        if logs(.info, of: slot) {
            logSession(.info, slot, way == .upload ? "client disconnected" : "upstream disconnected")
        }
        // The other direction has ended before, or has bytes to send that nobody waits for.
        for end in [way, way.reverse] where sessions[slot, end].isTruncated {
            guard sessions[slot, end].machine.state == .ended else { continue }
            return close(slot, end == .upload ? .clientTruncated : .brokerTruncated)
        }
        close(slot, way == .upload || settings.server.isHalfCloseAllowed ? .clientClosed : .brokerClosed)
    }

    mutating func broken(_ side: Side, _ call: StaticString, _ error: Errno, _ slot: Int) {
        if logs(.info, of: slot) {
            let peer = side == .client ? "client" : "upstream"
            logSession(
                .info, slot,
                "\(call)() failed (\(error.numberedText)) while proxying connection, \(peer) is gone")
        }
        close(slot, side == .client ? .clientReset : .brokerReset)
    }

    // MARK: - Sessions that wait for a buffer

    mutating func starve(_ slot: Int, _ way: Way) {
        region.countBufferStarved(identity.slot)
        starved.append(Starved(slot: UInt32(slot), generation: sessions[slot].generation, way: way))
    }

    /// Buffers that were given back in this turn are there again; a pool that is too small grows, up to its limit.
    mutating func feedStarved() {
        guard !starved.isEmpty else { return }
        _ = kernel.growBuffers()
        var waiting: [Starved] = []
        swap(&waiting, &starved)
        for entry in waiting {
            let slot = Int(entry.slot)
            guard sessions[slot].generation == entry.generation else { continue }
            switch sessions[slot].machine.state {
            case .handshaking where entry.way == .upload:
                resumeHandshake(slot)
            case .asking where entry.way == .download:
                askMore(slot)
            case .securing where sessions[slot].connectError == 0:
                secureMore(slot)
            case .prereading where entry.way == .upload:
                prereadMore(slot)
            case .forwarding where sessions[slot, entry.way].machine.state == .held:
                perform(sessions[slot, entry.way].machine.resumed(), entry.way, of: slot)
            default:
                break
            }
        }
    }

    // MARK: - Time

    func idleDeadline(of slot: Int) -> UInt64 {
        sessions[slot].lastActivityAt + UInt64(sessions[slot].idleTimeout)
    }

    /// Activity only moves `lastActivityAt`; the timer finds out when it fires, so that a message arms nothing.
    mutating func armForwardTimer(_ slot: Int) {
        var deadline = idleDeadline(of: slot)
        for way in [Way.upload, .download] where sessions[slot, way].isPaused {
            deadline = min(deadline, sessions[slot, way].resumeAt)
        }
        timers.arm(slot, deadline: deadline)
    }

    mutating func forwardTimerExpired(_ slot: Int, now: UInt64) {
        guard idleDeadline(of: slot) > now else {
            logSession(.info, slot, "connection timed out (110: Connection timed out) while proxying connection")
            return close(slot, .idleTimeout)
        }
        for way in [Way.upload, .download] where sessions[slot, way].isPaused && sessions[slot, way].resumeAt <= now {
            perform(sessions[slot, way].machine.resumed(), way, of: slot)
        }
        armForwardTimer(slot)
    }
}

extension DirectionState {
    /// Held by its rate, not for want of a buffer.
    var isPaused: Bool { machine.state == .held && rate > 0 && resumeAt > 0 }
}

extension SendMode {
    init(_ next: NextReceive) {
        switch next {
        case .later: self = .prompt
        case .linked: self = .linked
        case .armed: self = .quiet
        }
    }
}

extension Way {
    var source: Side { self == .upload ? .client : .broker }
    var target: Side { self == .upload ? .broker : .client }
    var reverse: Way { self == .upload ? .download : .upload }
    var sourceOperation: Operation { self == .upload ? .receiveClient : .receiveBroker }
    var targetOperation: Operation { self == .upload ? .sendBroker : .sendClient }
}

extension Session {
    func socket(_ side: Side) -> Int32 { side == .client ? client : broker }
}
