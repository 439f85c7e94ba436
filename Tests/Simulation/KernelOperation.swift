// SPDX-License-Identifier: Apache-2.0
//
// What the simulated machine knows of an operation that was queued, and of the things that operations are about.

import EventLoop
import Vocabulary

/// An operation that was queued.
final class KernelOperation {
    @safe enum Kind {
        case accept(Listener)
        case receive(bytesMax: Int)
        /// Until so many bytes have come.
        case receives(bytesMax: Int)
        case send(UnsafeRawPointer, count: Int, SendMode)
        case connect(IPEndpoint)
        case poll(PollEvents)
        /// A poll of a descriptor that is not simulated: the link, the signals.
        case pollReal(Int32, PollEvents)
    }
    let token: Token
    let kind: Kind
    let socket: SimulatedSocket?
    /// Starts when this one has succeeded.
    var linked: KernelOperation?
    var isDone = false
    /// What an armed receive has brought.
    var broughtBytes = 0
    /// Completions of this operation come after this place.
    var after: (at: UInt64, key: UInt64)?

    init(token: Token, kind: Kind, socket: SimulatedSocket?) {
        self.token = token
        self.kind = kind
        self.socket = socket
    }
}

extension KernelOperation {
    /// A send that does not wait is over when the submission is.
    var isPrompt: Bool {
        if case .send(_, _, let mode) = kind { return mode != .waiting }
        return false
    }

    /// A link goes on behind it: a send that fell short breaks one, too.
    func hasDoneAll(_ result: Int32) -> Bool {
        if case .send(_, let count, _) = kind { return result == Int32(count) }
        return result >= 0
    }
}

/// A listening socket: the master's and the worker's, since they are one open file.
final class Listener {
    let identity: UInt32
    let endpoint: IPEndpoint
    var queue: [SimulatedSocket] = []
    var accept: KernelOperation?
    var isClosed = false
    init(identity: UInt32, endpoint: IPEndpoint) {
        self.identity = identity
        self.endpoint = endpoint
    }
}

final class SimulatedPipe {
    var bytes: ByteQueue
    init(capacity: Int) { bytes = ByteQueue(capacity: capacity) }
}
