// SPDX-License-Identifier: Apache-2.0
//
// Where the admin process's questions wait and how far the present one is answered. Worker+Inquiry does the answering.

import ControlLink
import EventLoop
import LinuxIO

/// The query that is being answered.
struct OpenQuestion {
    let number: UInt32
    let query: SessionQuery
    /// The next slot to look at.
    var slot: Int
    /// Sessions that were told of.
    var found = 0
    /// Of `topBytes`, while slots are looked at: who moved most so far. Then: who is still to be told, the last first.
    var best: [Mover] = []
    var isSorted = false
    /// Packets that the socket has not taken, the next one first.
    var unsent: [[UInt8]] = []
    /// All that there is to say is in `unsent`.
    var isSaid = false
}

/// A session that moved many bytes, by slot and by the number that tells it from the slot's next one.
struct Mover {
    let bytes: UInt64
    let slot: Int
    let number: UInt64
}

/// The worker's end of the pair with the admin process. In a class, so that it can be optional where it stands.
final class QuestionSocket {
    let packets: PacketSocket
    init(_ descriptor: consuming Descriptor) { packets = PacketSocket(descriptor) }
}

struct QuestionDesk {
    private(set) var socket: QuestionSocket? = nil
    /// Tells polls of this socket from those of former ones.
    private(set) var generation: UInt32 = 0
    var question: OpenQuestion? = nil
    /// The question waits until the socket is writable.
    var isBlocked = false

    /// There is something to be done in the next turn.
    var isBusy: Bool { question != nil && !isBlocked }

    /// A new admin process, or none (nil). What the former one asked is of no interest any more.
    mutating func replace(_ socket: QuestionSocket?) {
        question = nil
        isBlocked = false
        generation = (generation + 1) & 0xFF_FFFF
        self.socket = socket
    }

    var token: Token { Token(operation: Operation.question.rawValue, generation: generation, index: 0) }
}
