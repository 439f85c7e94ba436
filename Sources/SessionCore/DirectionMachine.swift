// SPDX-License-Identifier: Apache-2.0
//
// One direction of a session, from the side that bytes come from (source) to the side they go to (target): what may be
// in flight, what is pending, and when to change between copying and splicing. Pure: events in, one action out.
//
//              start                     received                        sent all
//     idle ───────────▶ receiving ──────────────────▶ sending ───────────────────────▶ receiving
//                        │   ▲                          │ sent a part, or would block
//                 noBuffer   │ resume                   ▼
//                        ▼   │                        draining ── sent all ──▶ receiving
//                       held ┘  (no buffer, or the rate's pause)
//
//     receiving ── a burst ──▶ awaitingSource ◀──▶ awaitingTarget ── calm, pipe empty ──▶ receiving
//     any ── source's end, nothing pending ──▶ ended
//
// A receive is one of three: single; linked behind a send, so that both enter the kernel together and the receive
// starts when all is sent; or armed for many (`isArmed`), until it has brought `proxy_buffer_size` bytes. What an armed
// receive brings while something is being sent waits behind it.
//
// Invariant 1: at most one receive is in the kernel. Invariant 2: once `isSourceEnded`, what is pending only falls.
// Invariant 3: in `receiving`, `held` and `ended` nothing is pending. Invariant 4: pending and waiting bytes together
// are at most one buffer of the pool and one armed receive.

/// What the worker does next for a direction.
package enum DirectionAction: Sendable, Equatable {
    /// Queue a receive; `expectsData`: the socket has said that it holds more.
    case receive(expectsData: Bool)
    /// Nothing: the operation that follows is in the kernel already.
    case none
    /// Send what is pending out of the pool's buffer, without waiting.
    case send(next: NextReceive)
    /// Keep what came behind what is being sent, in memory of the session's own, and give the pool's buffer back.
    case keepBehind
    /// What was pending is sent: send what has come behind it, with waiting.
    case drainBehind
    /// The target has no room: move what is pending into memory of the session's own, give the pool's buffer back,
    /// send with waiting.
    case drain
    /// Send the rest of what the session's own memory holds, with waiting.
    case drainRest
    /// Everything that the source sent has been given to the target: pass the end on.
    case finish
    /// Change to splicing: take a pipe, then `spliceBegan` or `spliceRefused`.
    case beginSplice
    /// Wait for the source to be readable, then pump.
    case awaitSource
    /// Wait for the target to be writable, then pump.
    case awaitTarget
    /// Give the pipe back, then do what `spliceEnded` answers.
    case endSplice
}

/// What follows a send out of the pool.
package enum NextReceive: Sendable, Equatable {
    /// Nothing yet: the send's end decides.
    case later
    /// A receive, linked behind the send.
    case linked
    /// The armed one, which is in the kernel.
    case armed
}

/// How a direction may receive.
package enum ReceiveStyle: Sendable, BitwiseCopyable {
    /// One at a time, each with thought: a rate.
    case single
    /// One at a time, linked behind sends.
    case linked
    /// Armed for many (Linux 6.17).
    case armed
}

package struct DirectionMachine: Sendable, BitwiseCopyable {
    package enum State: Sendable, BitwiseCopyable {
        case idle, receiving, held, sending, draining, awaitingSource, awaitingTarget, ended
    }

    /// A direction splices once it has moved this much without a pause. Small messages never get here.
    package static let burstBytesMin = 256 * 1024
    /// A wake of a splicing direction that moves less than this is calm …
    package static let calmBytesMax = 8 * 1024
    /// … and after so many calm wakes in a row it copies again.
    package static let calmWakesMax: UInt8 = 16

    package private(set) var state = State.idle
    /// The source has said goodbye.
    package private(set) var isSourceEnded = false
    /// Splicing is refused for this session: no pipe was to be had, or a rate is set.
    package var isSpliceAllowed = true
    package var style = ReceiveStyle.single
    private var calmWakes: UInt8 = 0
    /// True exactly while an armed receive is in the kernel and has not told its end.
    package private(set) var isArmed = false
    /// True exactly while the linked receive is in the kernel and has neither started nor come back canceled, as far as
    /// completions have told.
    private var isReceiveLinked = false
    /// True exactly while that receive is bound to come back canceled, since its send fell short.
    private var isLinkBroken = false
    /// Received and not yet sent.
    package private(set) var pendingBytes: UInt32 = 0
    /// Where in its buffer the pending bytes start.
    package private(set) var pendingOffset: UInt32 = 0
    /// Received while other bytes are being sent; behind those.
    package private(set) var waitingBytes: UInt32 = 0
    /// Moved since the direction last paused, counted up to `burstBytesMin`.
    private var burstBytes: UInt32 = 0

    package init() {}

    package var isSplicing: Bool { state == .awaitingSource || state == .awaitingTarget }

    /// Forwarding begins; `pending` bytes (the CONNECT that was read before) already stand in the session's memory.
    package mutating func start(pending: Int) -> DirectionAction {
        precondition(state == .idle)
        if pending > 0 {
            state = .draining
            pendingBytes = UInt32(pending)
            return .drainRest
        }
        state = .receiving
        return .receive(expectsData: false)
    }

    /// An armed receive was queued.
    package mutating func armed() {
        precondition(state == .receiving && !isArmed)
        isArmed = true
    }

    /// `count` > 0 bytes came into a buffer of the pool; `staysArmed`: the receive that brought them goes on.
    package mutating func received(_ count: Int, hasMoreData: Bool, staysArmed: Bool) -> DirectionAction {
        precondition(count > 0 && !isSourceEnded && (isArmed || !staysArmed))
        let wasArmed = isArmed
        isArmed = staysArmed
        let isPause = !hasMoreData && count < DirectionMachine.calmBytesMax
        burstBytes = isPause ? 0 : min(burstBytes + UInt32(count), UInt32(DirectionMachine.burstBytesMin))
        if wasArmed && (state == .sending || state == .draining) {
            waitingBytes += UInt32(count)
            return .keepBehind
        }
        precondition(state == .receiving && pendingBytes == 0)
        state = .sending
        pendingBytes = UInt32(count)
        pendingOffset = 0
        isReceiveLinked = style == .linked && isPause
        return .send(next: isArmed ? .armed : isReceiveLinked ? .linked : .later)
    }

    /// The source said goodbye.
    package mutating func sourceEnded() -> DirectionAction {
        isSourceEnded = true
        if isArmed && (state == .sending || state == .draining) {
            isArmed = false
            return .none
        }
        precondition(state == .receiving)
        isArmed = false
        state = .ended
        return .finish
    }

    /// The source said goodbye inside its bytes (TLS's close_notify). A receive may still be in the kernel; what it
    /// brings goes to `receivedAfterEnd`.
    package mutating func sourceClosed() -> DirectionAction {
        isSourceEnded = true
        guard state == .receiving || state == .held else { return .none }
        state = .ended
        return .finish
    }

    /// A receive brought something behind the source's goodbye, or came back.
    package mutating func receivedAfterEnd(staysArmed: Bool) {
        precondition(isSourceEnded)
        isArmed = staysArmed
        isReceiveLinked = false
        isLinkBroken = false
    }

    /// The target is told the end in `count` bytes that its socket has no room for; `finish` comes again behind them.
    package mutating func finishesBehind(_ count: Int) -> DirectionAction {
        precondition(state == .ended && pendingBytes == 0 && count > 0)
        state = .draining
        pendingBytes = UInt32(count)
        return .drainRest
    }

    /// What came means no byte for the target: a part of a TLS record, or a message of TLS's own.
    package mutating func receivedNothing(staysArmed: Bool) -> DirectionAction {
        precondition(!isSourceEnded && (isArmed || !staysArmed))
        let wasArmed = isArmed
        isArmed = staysArmed
        if wasArmed && (state == .sending || state == .draining) { return .none }
        precondition(state == .receiving)
        return isArmed ? .none : .receive(expectsData: false)
    }

    /// A receive ended without bytes and without an end: interrupted, or there was no buffer.
    package mutating func receiveLapsed(forWantOfBuffer: Bool) -> DirectionAction {
        if isArmed && (state == .sending || state == .draining) {
            // What is being sent comes first; its end queues the next receive.
            isArmed = false
            return .none
        }
        precondition(state == .receiving)
        isArmed = false
        guard forWantOfBuffer else { return .receive(expectsData: false) }
        state = .held
        return .none
    }

    /// The rate allows nothing now; the worker calls `resumed` later.
    package mutating func held() {
        precondition(state == .receiving && !isArmed)
        state = .held
    }

    package mutating func resumed() -> DirectionAction {
        precondition(state == .held)
        state = .receiving
        return .receive(expectsData: true)
    }

    /// A send without or with waiting took `count` bytes; 0 says that it would have had to wait.
    package mutating func sent(_ count: Int) -> DirectionAction {
        precondition(state == .sending || state == .draining)
        precondition(count >= 0 && count <= Int(pendingBytes))
        pendingBytes -= UInt32(count)
        pendingOffset += UInt32(count)
        if pendingBytes > 0 {
            if state == .draining { return .drainRest }
            state = .draining
            isLinkBroken = isReceiveLinked
            return .drain
        }
        pendingOffset = 0
        if waitingBytes > 0 {
            state = .draining
            pendingBytes = waitingBytes
            waitingBytes = 0
            return .drainBehind
        }
        if isSourceEnded {
            state = .ended
            return .finish
        }
        state = .receiving
        if isArmed { return .none }
        // Of a broken link the receive has to come back before another is queued.
        if isLinkBroken { return .none }
        if isReceiveLinked {
            isReceiveLinked = false
            return .none
        }
        if burstBytes >= DirectionMachine.burstBytesMin && isSpliceAllowed { return .beginSplice }
        return .receive(expectsData: burstBytes > 0)
    }

    /// The linked receive came back canceled, since its send fell short.
    package mutating func linkBroke() -> DirectionAction {
        precondition(isLinkBroken && (state == .draining || state == .receiving))
        isReceiveLinked = false
        isLinkBroken = false
        return state == .receiving ? .receive(expectsData: false) : .none
    }

    /// The pending bytes now start at the head of the session's own memory.
    package mutating func movedToOwnMemory() {
        precondition(state == .draining)
        pendingOffset = 0
    }

    package mutating func spliceBegan() -> DirectionAction {
        precondition(state == .receiving)
        state = .awaitingSource
        calmWakes = 0
        return .awaitSource
    }

    package mutating func spliceRefused() -> DirectionAction {
        precondition(state == .receiving)
        burstBytes = 0
        return .receive(expectsData: true)
    }

    /// One pump moved `received` bytes into the pipe and `sent` out of it. A pump that stopped at its budget waits like
    /// any other: its side is ready at once, and other sessions have their turn before.
    package mutating func pumped(received: Int, sent: Int, isEnd: Bool) -> DirectionAction {
        precondition(isSplicing)
        pendingBytes = UInt32(Int(pendingBytes) + received - sent)
        if isEnd { isSourceEnded = true }
        if pendingBytes > 0 {
            state = .awaitingTarget
            return .awaitTarget
        }
        state = .awaitingSource
        if isSourceEnded {
            state = .ended
            return .finish
        }
        calmWakes = received < DirectionMachine.calmBytesMax ? calmWakes + 1 : 0
        if calmWakes >= DirectionMachine.calmWakesMax { return .endSplice }
        return .awaitSource
    }

    /// The pipe is given back; copying goes on.
    package mutating func spliceEnded() -> DirectionAction {
        precondition(state == .awaitingSource && pendingBytes == 0)
        state = .receiving
        burstBytes = 0
        return .receive(expectsData: false)
    }
}
