// SPDX-License-Identifier: Apache-2.0
//
// The real kernel behind the door: one io_uring of one thread. Submissions of a turn enter the kernel in one system
// call together with the wait; completions are copied out in batches.

import CUring
import LinuxIO
import Vocabulary

@safe package struct UringKernel: Kernel, ~Copyable {
    private static let entries: UInt32 = 2048
    private static let bufferBytes: UInt32 = 16 * 1024
    /// A power of two; 16 MiB of address space, touched only as it is used.
    private static let buffersMax: UInt32 = 1024
    private static let buffersAtStart: UInt32 = 32
    private static let batch = 512

    private let ring: OpaquePointer
    private let batchBase: UnsafeMutablePointer<cu_completion>
    private var batchCount = 0
    private var batchNext = 0
    package private(set) var nowMilliseconds: UInt64
    /// By how much `nowMilliseconds` may be behind.
    private let clockStepMilliseconds = coarseMonotonicStepMilliseconds()
    package var wallMilliseconds: UInt64 { LinuxIO.wallMilliseconds() }

    /// Made in the process that uses it: a ring belongs to one thread. EPERM: io_uring is switched off
    /// (kernel.io_uring_disabled, a container's seccomp profile); ENOSYS: a kernel before 5.1; EINVAL: before 6.1.
    package init() throws(Errno) {
        var made: OpaquePointer?
        let status = unsafe cu_open(
            &made, UringKernel.entries, UringKernel.bufferBytes, UringKernel.buffersMax, UringKernel.buffersAtStart)
        guard let made = unsafe made else { throw Errno(rawValue: -status) }
        unsafe ring = made
        unsafe batchBase = .allocate(capacity: UringKernel.batch)
        nowMilliseconds = coarseMonotonicMilliseconds()
    }

    deinit {
        unsafe cu_close(ring)
        unsafe batchBase.deallocate()
    }

    package mutating func workNanoseconds() -> UInt64 { monotonicNanoseconds() }

    package var pressure: KernelPressure {
        var pressure = KernelPressure()
        pressure.buffers = unsafe Int(cu_buffer_count(ring))
        pressure.buffersMax = Int(UringKernel.buffersMax)
        pressure.bufferBytes = Int(UringKernel.bufferBytes)
        pressure.queueFull = unsafe cu_early_submits(ring)
        pressure.overflows = unsafe UInt64(cu_overflows(ring))
        return pressure
    }

    // MARK: - The turn

    package mutating func turn(until deadline: UInt64?) {
        var timeout: Int64 = -1
        if let deadline {
            let rest = deadline > nowMilliseconds ? deadline - nowMilliseconds : 0
            if rest < 4 * clockStepMilliseconds {
                // Counted from this turn's time: the turn's own length is added to the wait, which no deadline minds.
                timeout = Int64(rest * 1_000_000)
            } else {
                // Never before `nowMilliseconds` says that it is time.
                let at = min(deadline, UInt64(Int64.max) / 1_000_000 - clockStepMilliseconds) + clockStepMilliseconds
                require(unsafe cu_set_alarm(ring, at * 1_000_000))
            }
        }
        let status = unsafe cu_submit_and_wait(ring, timeout)
        // EBUSY, EAGAIN: the completion queue must be emptied first, which the worker does next.
        precondition(
            status == 0 || status == -Errno.wouldBlock.rawValue || status == -UringFlag.busy,
            "io_uring_enter failed (\(Errno(rawValue: -status).numberedText))")
        nowMilliseconds = coarseMonotonicMilliseconds()
    }

    package mutating func nextCompletion() -> Completion? {
        if batchNext == batchCount {
            batchCount = unsafe Int(cu_reap(ring, batchBase, UInt32(UringKernel.batch)))
            batchNext = 0
            if batchCount == 0 { return nil }
        }
        let raw = unsafe batchBase[batchNext]
        batchNext += 1
        return Completion(
            token: Token(bits: raw.token), result: raw.result,
            buffer: raw.flags & UringFlag.buffer != 0 ? BufferID(UInt16(truncatingIfNeeded: raw.flags >> 16)) : nil,
            hasMore: raw.flags & UringFlag.more != 0, hasMoreData: raw.flags & UringFlag.socketNonempty != 0)
    }

    // MARK: - Queued operations

    /// Out of memory in the kernel: without the entry a session would wait for ever, so the process ends and is
    /// replaced.
    private func require(_ status: Int32) {
        precondition(status == 0, "the ring takes no more operations")
    }

    package mutating func queueAccept(listener: Int32, token: Token) {
        require(unsafe cu_queue_accept(ring, listener, token.bits))
    }

    package mutating func queueReceive(socket: Int32, bytesMax: Int, expectsData: Bool, token: Token) {
        require(
            unsafe cu_queue_receive(
                ring, socket, UInt32(clamping: min(bytesMax, Int(UringKernel.bufferBytes))), expectsData ? 0 : 1,
                token.bits))
    }

    package var armsReceives: Bool { unsafe cu_arms_receives(ring) }

    package mutating func queueReceives(socket: Int32, bytesMax: Int, token: Token) {
        let bytes = min(bytesMax, Int(UringKernel.bufferBytes))
        require(unsafe cu_queue_receives(ring, socket, UInt32(clamping: bytes), token.bits))
    }

    package mutating func queueSend(
        socket: Int32, bytes: UnsafeRawPointer, count: Int, mode: SendMode, token: Token
    ) {
        let status =
            switch mode {
            case .waiting: unsafe cu_queue_send(ring, socket, bytes, UInt32(count), 1, token.bits)
            case .prompt: unsafe cu_queue_send(ring, socket, bytes, UInt32(count), 0, token.bits)
            case .quiet: unsafe cu_queue_quiet_send(ring, socket, bytes, UInt32(count), token.bits)
            case .linked: unsafe cu_queue_linked_send(ring, socket, bytes, UInt32(count), token.bits)
            }
        require(status)
    }

    package mutating func heedSend() { unsafe cu_heed_send(ring) }

    package mutating func queueConnect(socket: Int32, address: SocketAddress, linksNext: Bool, token: Token) {
        let status = unsafe address.withPointer { pointer, length in
            unsafe cu_queue_connect(ring, socket, pointer, length, linksNext ? 1 : 0, token.bits)
        }
        require(status)
    }

    package mutating func queuePoll(descriptor: Int32, events: PollEvents, token: Token) {
        require(unsafe cu_queue_poll(ring, descriptor, events.rawValue, token.bits))
    }

    package mutating func queueCancel(target: Token) {
        require(unsafe cu_queue_cancel(ring, target.bits, 0))
    }

    package mutating func queueClose(descriptor: Int32) {
        require(unsafe cu_queue_close(ring, descriptor, 0))
    }

    // MARK: - Buffers

    package func bytes(of buffer: BufferID) -> UnsafeRawPointer {
        unsafe UnsafeRawPointer(cu_buffer(ring, buffer.number))
    }

    package mutating func recycle(_ buffer: BufferID) {
        unsafe cu_recycle(ring, buffer.number)
    }

    package mutating func growBuffers() -> Bool {
        unsafe cu_grow_buffers(ring, max(cu_buffer_count(ring), 1)) > 0
    }

    // MARK: - Sockets

    package mutating func openBrokerSocket(_ request: BrokerSocketRequest) -> Int32 {
        do throws(Errno) {
            return try Sockets.openBroker(request)
        } catch {
            return -error.rawValue
        }
    }

    package func peerAddress(of socket: Int32) -> IPEndpoint? { Sockets.peerAddress(of: socket) }

    package func localAddress(of socket: Int32) -> IPEndpoint? { Sockets.localAddress(of: socket) }

    package mutating func sendNow(socket: Int32, _ bytes: [UInt8]) -> Int {
        (try? Sockets.send(socket, bytes[...])) ?? 0
    }

    package mutating func closeListener(_ listener: Int32) { Descriptors.close(listener) }

    package mutating func acceptQueued(listener: Int32) -> Int32 {
        var address = SocketAddress()
        do throws(Errno) {
            guard let client = try Sockets.accept(listener, from: &address) else { return -Errno.wouldBlock.rawValue }
            return client.release()
        } catch {
            return -error.rawValue
        }
    }

    package mutating func shutdownWriting(socket: Int32) {
        try? Sockets.shutdown(socket, .sending)
    }

    package mutating func setListenerNoDelay(_ listener: Int32, isOn: Bool) {
        // A unix socket has no such option; an accepted socket inherits its listener's.
        try? Sockets.setNoDelay(listener, isOn)
    }

    // MARK: - Splicing

    package mutating func openPipe() -> PipeDescriptors? {
        guard let pipe = try? Pipes.make() else { return nil }
        return PipeDescriptors(readEnd: pipe.read, writeEnd: pipe.write)
    }

    package mutating func closePipe(_ pipe: PipeDescriptors) {
        queueClose(descriptor: pipe.readEnd)
        queueClose(descriptor: pipe.writeEnd)
    }

    package mutating func pump(
        source: Int32, pipe: PipeDescriptors, target: Int32, budget: Int, pending: Int
    ) -> PumpResult {
        let outcome = Splice.pump(
            from: source, through: (read: pipe.readEnd, write: pipe.writeEnd), to: target, pending: UInt64(pending),
            budget: UInt64(budget), chunk: UInt64(UringKernel.spliceChunkBytes))
        var result = PumpResult(
            received: Int(outcome.bytesIn), sent: Int(outcome.bytesOut), isSourceEnded: false, sourceError: 0,
            targetError: 0)
        switch outcome.stop {
        case .budgetUsed, .sourceDry, .targetFull: break
        case .sourceEnded: result.isSourceEnded = true
        case .sourceFailed(let error): result.sourceError = error.rawValue
        case .targetFailed(let error): result.targetError = error.rawValue
        }
        return result
    }

    private static let spliceChunkBytes = 64 * 1024
}

/// IORING_CQE_F_* of linux/io_uring.h; shifts and casts of the macros are not imported.
private enum UringFlag {
    static let buffer: UInt32 = 1 << 0
    static let more: UInt32 = 1 << 1
    static let socketNonempty: UInt32 = 1 << 2
    /// EBUSY
    static let busy: Int32 = 16
}
