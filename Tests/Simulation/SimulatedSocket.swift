// SPDX-License-Identifier: Apache-2.0
//
// Connections in memory that behave as Linux's TCP does where it matters to a proxy: bounded buffers, FIN and RST told
// apart, a close with unread bytes that resets, bytes to a closed peer that are swallowed before the reset shows.

import LinuxIO
import Vocabulary

/// Bytes on their way in one direction.
struct ByteQueue {
    private var bytes: [UInt8] = []
    private var head = 0
    let capacity: Int

    init(capacity: Int) { self.capacity = capacity }

    var count: Int { bytes.count - head }
    var room: Int { max(0, capacity - count) }

    mutating func write(_ slice: ArraySlice<UInt8>) { bytes.append(contentsOf: slice) }

    mutating func write(_ memory: UnsafeRawBufferPointer) { unsafe bytes.append(contentsOf: memory) }

    mutating func read(_ countMax: Int) -> ArraySlice<UInt8> {
        let taken = bytes[head..<head + min(countMax, count)]
        head += taken.count
        if head > 1 << 16 || head == bytes.count {
            bytes.removeSubrange(..<head)
            head = 0
        }
        return taken
    }

    mutating func cut(to countMax: Int) { bytes.removeLast(max(0, count - countMax)) }
}

/// One end of a connection. The worker's ends stand in the descriptor table, the others belong to actors.
final class SimulatedSocket {
    /// What came in and was not read.
    var incoming: ByteQueue
    /// The other side has sent FIN: after `incoming` comes the end.
    var isIncomingFinished = false
    /// This side has sent FIN.
    var isWritingShut = false
    /// Handed out once, as SO_ERROR is.
    private(set) var error: Int32 = 0
    private(set) var isBroken = false
    private(set) var isClosed = false
    /// Nil before a connect and after the other side's close.
    private(set) weak var peer: SimulatedSocket?
    private var isPeerClosed = false

    let local: IPEndpoint?
    let remote: IPEndpoint?
    weak var actor: Actor?

    // The worker's ends only.
    /// Operations that hold this socket alive.
    var operations: [KernelOperation] = []
    var isDescriptorClosed = false
    /// When the error was handed out: what finds the end behind it comes later.
    var errorCompletedAt: (at: UInt64, key: UInt64)? = nil
    /// What the worker has heard of before it closed: what its log must say.
    var heardReceived = 0
    var heardSent = 0

    init(bufferBytes: Int, local: IPEndpoint?, remote: IPEndpoint?) {
        incoming = ByteQueue(capacity: bufferBytes)
        self.local = local
        self.remote = remote
    }

    func join(_ other: SimulatedSocket) {
        peer = other
        other.peer = self
    }

    var isReadable: Bool { incoming.count > 0 || isIncomingFinished || error != 0 || isBroken }
    var isWritable: Bool {
        if isBroken || isPeerClosed || error != 0 { return true }
        guard let peer else { return false }
        return peer.incoming.room >= max(1, peer.incoming.capacity / 3)
    }
    var hasRoom: Bool { isBroken || isPeerClosed || error != 0 || isWritingShut || (peer?.incoming.room ?? 0) > 0 }
    /// Nothing this end does will be heard any more.
    var isOtherSideGone: Bool { isPeerClosed || isBroken }

    enum Answer {
        case bytes(ArraySlice<UInt8>)
        case end
        case error(Int32)
        case wouldBlock
    }

    func read(_ countMax: Int) -> Answer {
        if incoming.count > 0 { return .bytes(incoming.read(countMax)) }
        if isIncomingFinished { return .end }
        if let error = takeError() { return .error(error) }
        return isBroken ? .end : .wouldBlock
    }

    /// How many bytes went, or -errno.
    func write(_ bytes: ArraySlice<UInt8>) -> Int {
        if let error = takeError() { return Int(-error) }
        if isBroken || isWritingShut { return Int(-Errno.brokenPipe.rawValue) }
        if isPeerClosed {
            fail(Errno.brokenPipe.rawValue)
            return bytes.count
        }
        guard let peer else { return Int(-Errno.notConnected.rawValue) }
        let count = min(bytes.count, peer.incoming.room)
        guard count > 0 else { return Int(-Errno.wouldBlock.rawValue) }
        peer.incoming.write(bytes.prefix(count))
        return count
    }

    func shutWriting() {
        guard !isWritingShut else { return }
        isWritingShut = true
        peer?.isIncomingFinished = true
    }

    /// `resets`: SO_LINGER with no time. `keptBytes`: of what is still on its way, how much a reset lets through.
    func close(resets: Bool, keptBytes: (Int) -> Int) {
        guard !isClosed else { return }
        isClosed = true
        guard let peer else { return }
        if resets || incoming.count > 0 {
            peer.incoming.cut(to: keptBytes(peer.incoming.count))
            if !isWritingShut || peer.incoming.count > 0 { peer.isIncomingFinished = false }
            peer.fail(Errno.connectionReset.rawValue)
        } else {
            peer.isIncomingFinished = true
        }
        peer.isPeerClosed = true
        peer.peer = nil
        self.peer = nil
    }

    func fail(_ error: Int32) {
        self.error = error
        isBroken = true
    }

    private func takeError() -> Int32? {
        guard error != 0 else { return nil }
        defer { error = 0 }
        return error
    }
}
