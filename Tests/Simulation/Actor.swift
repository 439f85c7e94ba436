// SPDX-License-Identifier: Apache-2.0
//
// The two kinds of peers that a worker meets, clients and brokers, as scripted actors: what they send and when, how
// they read, and how they end; in plaintext, or through a channel of TLS. An actor acts only when its time has come or
// its socket has changed.

import Vocabulary

/// One thing to send.
struct Utterance {
    var bytes: [UInt8]
    /// Milliseconds after the one before is sent.
    var pause: UInt64
}

final class Actor {
    enum Reading {
        case fast
        case slow(bytes: Int, pause: UInt64)
        case never
    }
    enum Ending {
        /// Reads until the other side has said goodbye, then closes.
        case waits
        /// FIN after the last word, then as `waits`.
        case finishes
        case closes
        case resets
        /// Neither reads nor writes nor closes: the power is off.
        case vanishes
    }
    enum Farewell {
        case none, orderly, broken
        /// FIN where TLS has not said its end.
        case cut
    }

    var name: String
    let socket: SimulatedSocket
    /// Nil: it speaks plaintext.
    var channel: TLSChannel? = nil
    private let world: World
    var script: [Utterance]
    let reading: Reading
    let ending: Ending
    /// Sends back what it reads.
    let echoes: Bool
    /// Waits for a first byte before it speaks.
    let answers: Bool
    /// Goes on with its script after the other side's FIN.
    let speaksAfterEnd: Bool
    /// Resets in the middle, once it has read so much.
    let resetsAfter: Int

    private(set) var sent: [UInt8] = []
    private(set) var received: [UInt8] = []
    /// How the other side ended, as far as this one has read.
    private(set) var farewell = Farewell.none
    private(set) var isDone = false
    private var utterance = 0
    private var utteranceOffset = 0
    private var speaksAt: UInt64
    private var readsAt: UInt64
    private var hasFinished = false
    private(set) var hasVanished = false
    /// The next step stands in the world's events for then.
    var stepsAt: UInt64? = nil

    init(
        name: String, socket: SimulatedSocket, world: World, script: [Utterance], reading: Reading, ending: Ending,
        echoes: Bool = false, answers: Bool = false, speaksAfterEnd: Bool = false,
        resetsAfter: Int = .max
    ) {
        self.name = name
        self.socket = socket
        self.world = world
        self.script = script
        self.reading = reading
        self.ending = ending
        self.echoes = echoes
        self.answers = answers
        self.speaksAfterEnd = speaksAfterEnd
        self.resetsAfter = resetsAfter
        speaksAt = world.now + (script.first?.pause ?? 0)
        readsAt = world.now
        socket.actor = self
    }

    /// True when it sent its whole script and ended in order.
    var hasSpokenOut: Bool { utterance == script.count && hasFinished }

    /// It has said its end, whether or not that got as far as the socket.
    var hasEnded: Bool { channel?.hasBegunToClose ?? hasFinished }

    /// It reads until there is no more to read.
    var isListening: Bool {
        if case .never = reading { return false }
        return !hasVanished
    }

    func step() {
        guard !isDone, !hasVanished else {
            if hasVanished && socket.isOtherSideGone { finish() }
            return
        }
        guard goOn() else { return }
        read()
        // TLS answers by itself.
        guard !isDone, goOn() else { return }
        speak()
        guard !isDone, !hasVanished, goOn() else { return }
        if case .never = reading, socket.isOtherSideGone { return close() }
        if case .slow = reading, socket.incoming.count > 0 { world.schedule(self, at: readsAt) }
        if utterance < script.count, mayspeak, speaksAt > world.now { world.schedule(self, at: speaksAt) }
    }

    private var mayspeak: Bool { !answers || !received.isEmpty }

    /// What TLS had still to write. False: this is the end.
    private func goOn() -> Bool {
        guard let channel else { return true }
        if channel.flush() < 0 {
            if farewell == .none { farewell = .broken }
            close()
            return false
        }
        if channel.resumesAt > world.now { world.schedule(self, at: channel.resumesAt) }
        guard channel.isBroken else { return true }
        switch channel.manners.breaking {
        case .resets: close(resets: true)
        case .closes: leave(resets: false)
        case .vanishes: hasVanished = true
        }
        return false
    }

    private func receive(_ countMax: Int) -> TLSChannel.Answer {
        if let channel { return channel.read(countMax) }
        return switch socket.read(countMax) {
        case .bytes(let bytes): .bytes(Array(bytes))
        case .end: .end
        case .error: .error
        case .wouldBlock: .wouldBlock
        }
    }

    private func read() {
        var countMax = Int.max
        switch reading {
        case .never:
            // A handshake needs both.
            guard let channel, !channel.isOpen, !channel.hasFailed else { return }
        case .fast: break
        case .slow(let bytes, let pause):
            guard readsAt <= world.now else { return }
            countMax = bytes
            readsAt = world.now + pause
        }
        while true {
            switch receive(countMax) {
            case .bytes(let bytes):
                received.append(contentsOf: bytes)
                guard received.count < resetsAfter else { return close(resets: true) }
                if echoes, !bytes.isEmpty { script.append(Utterance(bytes: bytes, pause: 0)) }
                if channel == nil { world.touched(socket.peer) }
                if case .slow = reading { return }
            case .end:
                farewell = .orderly
                if !speaksAfterEnd || utterance == script.count { close() }
                return
            case .cut:
                farewell = .cut
                return close()
            case .error:
                farewell = .broken
                return close()
            case .wouldBlock: return
            }
        }
    }

    private func speak() {
        while utterance < script.count {
            guard mayspeak, speaksAt <= world.now else { return }
            let bytes = script[utterance].bytes
            if utteranceOffset < bytes.count {
                let count = channel?.write(bytes[utteranceOffset...]) ?? socket.write(bytes[utteranceOffset...])
                if count == -11 { return }
                guard count >= 0 else {
                    if farewell == .none { farewell = .broken }
                    return close()
                }
                sent.append(contentsOf: bytes[utteranceOffset..<utteranceOffset + count])
                utteranceOffset += count
                if channel == nil { world.touched(socket.peer) }
                guard utteranceOffset == bytes.count else { return }
            }
            utterance += 1
            utteranceOffset = 0
            if utterance < script.count { speaksAt = world.now + script[utterance].pause }
        }
        end()
    }

    private func end() {
        guard hasSaidLast() else { return }
        switch ending {
        case .waits:
            if farewell == .orderly { close() }
        case .finishes:
            guard !hasFinished else { return farewell == .orderly ? close() : () }
            hasFinished = true
            if !staysOpen { socket.shutWriting() }
            world.touched(socket.peer)
            if farewell == .orderly { close() }
        case .closes:
            hasFinished = true
            close()
        case .resets: close(resets: true)
        case .vanishes: hasVanished = true
        }
    }

    /// TLS's own goodbye is on its way before the connection's.
    private func hasSaidLast() -> Bool {
        guard let channel else { return true }
        switch ending {
        case .finishes, .closes: return channel.sayGoodbye()
        case .waits, .resets, .vanishes: return true
        }
    }

    /// close_notify is all that the other side gets to know.
    private var staysOpen: Bool {
        guard let channel, channel.hasClosed, case .staysOpen = channel.manners.goodbye else { return false }
        return true
    }

    private func close(resets: Bool = false) {
        if !resets { _ = channel?.sayGoodbye() }
        leave(resets: resets)
    }

    private func leave(resets: Bool) {
        let peer = socket.peer
        socket.close(resets: resets, keptBytes: world.keptBytes)
        world.touched(peer)
        finish()
    }

    private func finish() {
        guard !isDone else { return }
        isDone = true
        world.actorsAlive -= 1
    }
}
