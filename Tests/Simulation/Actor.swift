// SPDX-License-Identifier: Apache-2.0
//
// The two kinds of peers that a worker meets, clients and brokers, as scripted actors: what they send and when, how
// they read, and how they end. An actor acts only when its time has come or its socket has changed.

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
    enum Farewell { case none, orderly, broken }

    let name: String
    let socket: SimulatedSocket
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

    func step() {
        guard !isDone, !hasVanished else {
            if hasVanished && socket.isOtherSideGone { finish() }
            return
        }
        read()
        if !isDone { speak() }
        guard !isDone else { return }
        if case .never = reading, socket.isOtherSideGone { return close() }
        if case .slow = reading, socket.incoming.count > 0 { world.schedule(self, at: readsAt) }
        if utterance < script.count, mayspeak, speaksAt > world.now { world.schedule(self, at: speaksAt) }
    }

    private var mayspeak: Bool { !answers || !received.isEmpty }

    private func read() {
        var countMax = Int.max
        switch reading {
        case .never: return
        case .fast: break
        case .slow(let bytes, let pause):
            guard readsAt <= world.now else { return }
            countMax = bytes
            readsAt = world.now + pause
        }
        while true {
            switch socket.read(countMax) {
            case .bytes(let bytes):
                received.append(contentsOf: bytes)
                guard received.count < resetsAfter else { return close(resets: true) }
                if echoes { script.append(Utterance(bytes: Array(bytes), pause: 0)) }
                world.touched(socket.peer)
                if case .slow = reading { return }
            case .end:
                farewell = .orderly
                if !speaksAfterEnd || utterance == script.count { close() }
                return
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
                let count = socket.write(bytes[utteranceOffset...])
                if count == -11 { return }
                guard count >= 0 else {
                    if farewell == .none { farewell = .broken }
                    return close()
                }
                sent.append(contentsOf: bytes[utteranceOffset..<utteranceOffset + count])
                utteranceOffset += count
                world.touched(socket.peer)
                guard utteranceOffset == bytes.count else { return }
            }
            utterance += 1
            utteranceOffset = 0
            if utterance < script.count { speaksAt = world.now + script[utterance].pause }
        }
        end()
    }

    private func end() {
        switch ending {
        case .waits:
            if farewell == .orderly { close() }
        case .finishes:
            guard !hasFinished else { return farewell == .orderly ? close() : () }
            hasFinished = true
            socket.shutWriting()
            world.touched(socket.peer)
            if farewell == .orderly { close() }
        case .closes:
            hasFinished = true
            close()
        case .resets: close(resets: true)
        case .vanishes: hasVanished = true
        }
    }

    private func close(resets: Bool = false) {
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
