// SPDX-License-Identifier: Apache-2.0
//
// The door to the kernel: everything that a worker asks of the operating system for its sessions. `UringKernel` is the
// real one, `SimulatedKernel` (in the tests) plays it from a seed. The real worker runs behind both.
//
// Rules that both sides keep:
// 1. `queue…` operations happen at the next `turn`, in the order in which they were queued.
// 2. Each queued operation completes exactly once with its token; accept is multishot and completes until `hasMore` is
//    false. `queueClose` completes never. `queueCancel` completes never itself; its target completes with -ECANCELED,
//    or with what it had done before the cancel came.
// 3. A receive that succeeds or ends with 0 may carry a buffer; who gets the completion gives it back with `recycle`.
//    With no buffer left, a receive ends with -ENOBUFS and no data is lost.
// 4. Of a linked pair the second starts when the first has done all that it was asked for; otherwise it ends with
//    -ECANCELED. Their completions come in this order.
// 5. Memory given to `queueSend` stays valid until its completion. The address given to `queueConnect` is copied.
// 6. An operation in flight keeps its socket alive over `queueClose`; the number may be used again at once.

import LinuxIO
import Vocabulary

package protocol Kernel: ~Copyable {
    /// Monotonic; moves only in `turn`.
    var nowMilliseconds: UInt64 { get }
    /// Since 1970, now. Asked for where a line is written, not in each turn.
    var wallMilliseconds: UInt64 { get }

    /// Monotonic, now. For cutting long work into slices and measuring some turns: what happens must not hang on it.
    mutating func workNanoseconds() -> UInt64

    /// How full its queues and its pool are, for reports.
    var pressure: KernelPressure { get }

    /// Submits what is queued and waits for a completion (not counting the success of `quiet` and `linked` sends), no
    /// longer than until `deadline` (nil: no limit; a deadline in the past: does not wait). Afterwards the times are
    /// fresh.
    mutating func turn(until deadline: UInt64?)
    /// The next completion of this turn, nil when all are taken.
    mutating func nextCompletion() -> Completion?

    mutating func queueAccept(listener: Int32, token: Token)
    /// Receives at most `bytesMax` bytes into a buffer of the pool. `expectsData` false: does not try before the
    /// socket says that there is data, which saves a failed attempt.
    mutating func queueReceive(socket: Int32, bytesMax: Int, expectsData: Bool, token: Token)
    /// True when `queueReceives` may be used (Linux 6.17).
    var armsReceives: Bool { get }
    /// Receives again and again into buffers of the pool, whenever there is data, until `bytesMax` bytes have come, or
    /// to the source's end, an error, or want of a buffer. Not tried before the socket says that there is data.
    mutating func queueReceives(socket: Int32, bytesMax: Int, token: Token)
    mutating func queueSend(socket: Int32, bytes: UnsafeRawPointer, count: Int, mode: SendMode, token: Token)
    /// A `quiet` or `linked` send that was queued since the last turn matters after all: something waits for it that
    /// nothing else tells of, so the next turn counts it. Once too often only ends a wait early.
    mutating func heedSend()
    /// `linksNext`: the operation queued next is linked behind it.
    mutating func queueConnect(socket: Int32, address: SocketAddress, linksNext: Bool, token: Token)
    mutating func queuePoll(descriptor: Int32, events: PollEvents, token: Token)
    mutating func queueCancel(target: Token)
    mutating func queueClose(descriptor: Int32)

    /// The bytes of a provided buffer.
    func bytes(of buffer: BufferID) -> UnsafeRawPointer
    mutating func recycle(_ buffer: BufferID)
    /// Adds buffers to the pool; false when it has its full size.
    mutating func growBuffers() -> Bool

    /// A socket for a connection to a broker, set up and bound as asked, not connected. A negative number is -errno.
    mutating func openBrokerSocket(_ request: BrokerSocketRequest) -> Int32
    /// The remote address of an accepted socket; nil for unix sockets.
    func peerAddress(of socket: Int32) -> IPEndpoint?
    /// The local address of a socket; nil for unix sockets.
    func localAddress(of socket: Int32) -> IPEndpoint?
    /// Sends what fits at once; how many bytes that were. For a last word before a close.
    mutating func sendNow(socket: Int32, _ bytes: [UInt8]) -> Int
    /// A connection that is queued at a listener nobody accepts at any more; -EAGAIN when there is none.
    mutating func acceptQueued(listener: Int32) -> Int32
    /// Closes a listener before this returns. A close that is only queued may come after the master has heard of it,
    /// and takes connections with it that the kernel gave this listener in between.
    mutating func closeListener(_ listener: Int32)
    /// TCP_NODELAY of a listener, which its accepted sockets inherit, so that no session has to set it.
    mutating func setListenerNoDelay(_ listener: Int32, isOn: Bool)
    /// Sends FIN after what was sent before; errors are those of a peer that is gone and show elsewhere.
    mutating func shutdownWriting(socket: Int32)

    /// A pipe for splicing; nil when descriptors or pipe memory are used up.
    mutating func openPipe() -> PipeDescriptors?
    mutating func closePipe(_ pipe: PipeDescriptors)
    /// Moves bytes from `source` through `pipe` to `target` until one side would wait or `budget` bytes have moved.
    mutating func pump(source: Int32, pipe: PipeDescriptors, target: Int32, budget: Int, pending: Int) -> PumpResult
}

extension Kernel where Self: ~Copyable {
    /// For kernels in which a queued close is as good.
    package mutating func closeListener(_ listener: Int32) { queueClose(descriptor: listener) }
}

/// What a kernel has room for, and how often it was too little.
package struct KernelPressure: Sendable, Equatable {
    package var buffers = 0
    package var buffersMax = 0
    package var bufferBytes = 0
    /// Times the submission queue was full in the middle of a turn.
    package var queueFull: UInt64 = 0
    /// Completions that had to be kept aside for want of room.
    package var overflows: UInt64 = 0
    package init() {}
}

/// How a send behaves. All but `waiting` complete in the turn's submission: with -EAGAIN when the socket has no room at
/// all, else with what fits.
package enum SendMode: Sendable, Equatable {
    /// Waits for room, then sends what fits.
    case waiting
    case prompt
    /// Prompt, and when all is sent that alone ends no turn's wait: it asks for nothing.
    case quiet
    /// Quiet, and the operation queued next is linked behind it.
    case linked
}

package struct PollEvents: OptionSet, Sendable, BitwiseCopyable {
    package let rawValue: UInt32
    package init(rawValue: UInt32) { self.rawValue = rawValue }
    /// POLLIN
    package static let readable = PollEvents(rawValue: 0x1)
    /// POLLOUT
    package static let writable = PollEvents(rawValue: 0x4)
}

package struct PipeDescriptors: Sendable, Equatable, BitwiseCopyable {
    package var readEnd: Int32
    package var writeEnd: Int32
    package init(readEnd: Int32, writeEnd: Int32) {
        self.readEnd = readEnd
        self.writeEnd = writeEnd
    }
}

/// What one `pump` did.
package struct PumpResult: Sendable, BitwiseCopyable {
    /// Bytes taken out of the source.
    package var received: Int
    /// Bytes given to the target.
    package var sent: Int
    /// The source has said goodbye; bytes may still be in the pipe.
    package var isSourceEnded: Bool
    /// errno of the source, 0 when well.
    package var sourceError: Int32
    /// errno of the target, 0 when well.
    package var targetError: Int32
    package init(received: Int, sent: Int, isSourceEnded: Bool, sourceError: Int32, targetError: Int32) {
        self.received = received
        self.sent = sent
        self.isSourceEnded = isSourceEnded
        self.sourceError = sourceError
        self.targetError = targetError
    }
}

/// How the socket to a broker is made.
package struct BrokerSocketRequest: Sendable, BitwiseCopyable {
    /// Where it will connect to; decides the family.
    package var address: SocketAddress
    /// `proxy_bind`: bound with IP_BIND_ADDRESS_NO_PORT where the port is 0, so that the kernel picks the port for the
    /// whole 4-tuple at connect.
    package var bindTo: IPEndpoint? = nil
    package var isTransparent = false
    package var isTCPNoDelay = true
    package var isKeepAlive = false
    /// 0 leaves the system's size.
    package var receiveBufferBytes: Int32 = 0
    package var sendBufferBytes: Int32 = 0
    package init(address: SocketAddress) { self.address = address }
}
