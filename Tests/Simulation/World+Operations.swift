// SPDX-License-Identifier: Apache-2.0
//
// Operations: queued, canceled, attempted whenever their socket has changed, and completed, at once or late.

import EventLoop
import LinuxIO
import Vocabulary

extension World {
    func queue(_ operation: KernelOperation, linksNext: Bool = false) {
        if inFlight.updateValue(operation, forKey: operation.token.bits) != nil {
            fault("token \(operation.token) is in flight twice")
        }
        operation.socket?.operations.append(operation)
        if let head = linkHead {
            head.linked = operation
            linkHead = nil
        } else {
            submissions.append(.start(operation))
        }
        if linksNext { linkHead = operation }
    }

    func queueCancel(_ token: Token) { submissions.append(.cancel(token)) }

    func cancel(_ token: Token) {
        // A linked operation that has not started is not found, as in the kernel.
        guard let operation = inFlight[token.bits], !operation.isDone, !isWaitingForHead(operation) else { return }
        cancels += 1
        if case .accept(let listener) = operation.kind { listener.accept = nil }
        complete(operation, -Errno.canceled.rawValue)
    }

    func isWaitingForHead(_ operation: KernelOperation) -> Bool {
        inFlight.values.contains { $0.linked === operation && !$0.isDone }
    }

    func complete(
        _ operation: KernelOperation, _ result: Int32, buffer: BufferID? = nil, hasMore: Bool = false,
        hasMoreData: Bool = false
    ) {
        var at = now
        if chance(weather.chanceOfDelay) && !operation.isPrompt { at += pause(0...weather.delayMax) }
        if case .send(_, _, .quiet) = operation.kind, !operation.hasDoneAll(result) { brokenQuietSends += 1 }
        var key = random.next() >> 16
        for case let after? in [operation.after, operation.socket?.errorCompletedAt] where (at, key) <= after {
            at = after.at
            key = after.key + 1
        }
        operation.after = (at, key)
        if result == -Errno.connectionReset.rawValue || result == -Errno.brokenPipe.rawValue {
            operation.socket?.errorCompletedAt = (at, key)
        }
        ready.append(
            Ready(
                at: at, key: key,
                completion: Completion(
                    token: operation.token, result: result, buffer: buffer, hasMore: hasMore, hasMoreData: hasMoreData),
                operation: operation))
        guard !hasMore else { return }
        operation.isDone = true
        if let linked = operation.linked {
            linked.after = operation.after
            operation.linked = nil
            if operation.hasDoneAll(result) {
                attempt(linked, isFirst: true)
            } else {
                complete(linked, -Errno.canceled.rawValue)
            }
        }
        guard let socket = operation.socket else { return }
        socket.operations.removeAll { $0 === operation }
        closeIfUnused(socket)
    }

    func attempt(_ operation: KernelOperation, isFirst: Bool) {
        guard !operation.isDone else { return }
        switch operation.kind {
        case .accept(let listener): attemptAccept(operation, listener)
        case .receive(let bytesMax): attemptReceive(operation, bytesMax)
        case .receives(let bytesMax): attemptReceives(operation, bytesMax)
        case .send(let bytes, let count, let mode):
            unsafe attemptSend(operation, bytes, count, mode)
        case .connect(let address):
            guard isFirst else { return }
            let fate = connectFate(address)
            schedule(.connectEnds(operation, fate.result), at: now + fate.delay)
        case .poll(let events):
            guard let socket = operation.socket else { return }
            if events.contains(.readable) && socket.isReadable || events.contains(.writable) && socket.isWritable {
                complete(operation, 1)
            }
        case .pollReal: realPolls.append(operation)
        }
    }

    func attemptAccept(_ operation: KernelOperation, _ listener: Listener) {
        listener.accept = operation
        while !listener.queue.isEmpty {
            let number = acceptFrom(listener)
            guard number >= 0 else {
                listener.accept = nil
                return complete(operation, number)
            }
            let ends = chance(weather.chanceOfAcceptEnd)
            complete(operation, number, hasMore: !ends)
            if ends {
                listener.accept = nil
                return
            }
        }
        if chance(1) {
            listener.accept = nil
            complete(operation, -Errno.connectionAborted.rawValue)
        }
    }

    /// The number of the oldest connection in the queue, or -errno.
    func acceptFrom(_ listener: Listener) -> Int32 {
        guard !listener.queue.isEmpty else { return -Errno.wouldBlock.rawValue }
        guard openDescriptors < weather.descriptorsMax, !chance(weather.chanceOfNoDescriptor) else {
            return -Errno.descriptorsUsedUp.rawValue
        }
        return open(.socket(listener.queue.removeFirst()))
    }

    func attemptReceive(_ operation: KernelOperation, _ bytesMax: Int) {
        guard let socket = operation.socket else { return }
        guard let buffer = freeBuffers.last else { return complete(operation, -Errno.noBuffers.rawValue) }
        guard socket.isReadable else { return }
        var count = min(bytesMax, weather.bufferBytes)
        if chance(weather.chanceOfShort) { count = draw(1...count) }
        switch socket.read(count) {
        case .bytes(let bytes):
            freeBuffers.removeLast()
            unsafe bytes.withUnsafeBytes {
                unsafe buffers[Int(buffer)].copyMemory(from: $0.baseAddress!, byteCount: $0.count)
            }
            complete(
                operation, Int32(bytes.count), buffer: BufferID(buffer),
                hasMoreData: socket.incoming.count > 0 && !chance(10))
            touched(socket.peer)
        case .end:
            if chance(50) { return complete(operation, 0) }
            freeBuffers.removeLast()
            complete(operation, 0, buffer: BufferID(buffer))
        case .error(let error): complete(operation, -error)
        case .wouldBlock: break
        }
    }

    /// Goes on while there is data and a buffer; ends by the byte count, the source's end, an error, or at random.
    func attemptReceives(_ operation: KernelOperation, _ bytesMax: Int) {
        while !operation.isDone, let socket = operation.socket, socket.isReadable {
            guard let buffer = freeBuffers.last else { return complete(operation, -Errno.noBuffers.rawValue) }
            var count = min(bytesMax - operation.broughtBytes, weather.bufferBytes)
            if chance(weather.chanceOfShort) { count = draw(1...count) }
            switch socket.read(count) {
            case .bytes(let bytes):
                freeBuffers.removeLast()
                unsafe bytes.withUnsafeBytes {
                    unsafe buffers[Int(buffer)].copyMemory(from: $0.baseAddress!, byteCount: $0.count)
                }
                operation.broughtBytes += bytes.count
                let isOver = operation.broughtBytes == bytesMax || chance(5)
                complete(
                    operation, Int32(bytes.count), buffer: BufferID(buffer), hasMore: !isOver,
                    hasMoreData: socket.incoming.count > 0)
                touched(socket.peer)
            case .end: complete(operation, 0)
            case .error(let error): complete(operation, -error)
            case .wouldBlock: return
            }
        }
    }

    func attemptSend(_ operation: KernelOperation, _ bytes: UnsafeRawPointer, _ count: Int, _ mode: SendMode) {
        guard let socket = operation.socket else { return }
        guard socket.hasRoom else {
            if mode != .waiting { complete(operation, -Errno.wouldBlock.rawValue) }
            return
        }
        let part = chance(weather.chanceOfShort) ? draw(1...count) : count
        let copy = unsafe Array(UnsafeRawBufferPointer(start: bytes, count: part))
        complete(operation, Int32(socket.write(copy[...])))
        touched(socket.peer)
    }

    /// Operations of sessions that are with the kernel.
    var inFlightTokens: [Token] { inFlight.values.map(\.token) }
}
