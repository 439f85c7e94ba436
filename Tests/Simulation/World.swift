// SPDX-License-Identifier: Apache-2.0
//
// The simulated machine: virtual time, chance, the descriptor table, listeners, the buffer pool, operations in flight,
// and the events to come. One seed is one run. It holds the worker to the rules of the door (Kernel.swift): whatever
// breaks one is written down in `faults`.

import EventLoop
import LinuxIO
import Vocabulary

struct Ready {
    var at: UInt64
    var key: UInt64
    var completion: Completion
    var operation: KernelOperation
}

/// How hard the machine is on the worker; drawn from the seed.
struct Weather {
    var bufferBytes = 16 * 1024
    var buffersAtStart = 32
    var buffersMax = 256
    var descriptorsMax = 100_000
    /// Of 100.
    var chanceOfShort = 15
    var chanceOfDelay = 30
    var chanceOfAcceptEnd = 5
    /// That a socket takes nothing, or a part, of what must not wait.
    var chanceOfNoRoom = 0
    var chanceOfNoDescriptor = 0
    var chanceOfNoPipe = 5
    var delayMax: UInt64 = 5
    var armsReceives = true
}

@safe final class World {
    enum Event {
        case step(Actor)
        case connectEnds(KernelOperation, Int32)
        case arrival(Int)
        case master(Int)
    }
    enum Entry {
        case socket(SimulatedSocket)
        case pipeRead(SimulatedPipe)
        case pipeWrite(SimulatedPipe)
    }
    enum Submission {
        case start(KernelOperation)
        case cancel(Token)
        case close(Int32)
    }

    static let firstNumber: Int32 = 1_000_000
    static let wallStart: UInt64 = 1_760_000_000_000

    var random: SeededRandom
    let weather: Weather
    var now: UInt64 = 1_000_000
    private(set) var faults: [String] = []

    var events: [(at: UInt64, order: UInt64, event: Event)] = []
    var order: UInt64 = 0
    /// Master events whose time has come; the one who runs the worker handles them between turns.
    var masterEvents: [Int] = []
    var arrivals: (Int) -> Void = { _ in }
    /// The broker behind a connection that was made.
    var meetsBroker: (IPEndpoint, SimulatedSocket) -> Void = { _, _ in }
    /// What a connect to an address will come to: after how long, and the result.
    var connectFate: (IPEndpoint) -> (delay: UInt64, result: Int32) = { _ in (0, 0) }
    var actorsAlive = 0
    /// Actors that speak TLS hold so many connections of OpenSSL.
    var channelsAlive = 0
    /// What a run has come by, for the reader of its output.
    var pumpedBytes = 0
    var cancels = 0
    /// Without anything to wait for.
    var isStuck = false

    var table: [Entry?] = []
    var closing: Set<Int32> = []
    var openDescriptors = 0
    var listenerNumbers: [Int32: Listener] = [:]
    var listenersByIdentity: [UInt32: Listener] = [:]
    var listenerAt: [IPEndpoint: Listener] = [:]
    /// Connections that the worker has been told of.
    var acceptedCount = 0

    /// Sends whose success the next turn does not count.
    var quietSends = 0
    /// Completions beside those of quiet sends that fell short, which nobody is told of but the wait.
    var brokenQuietSends = 0
    var submissions: [Submission] = []
    var linkHead: KernelOperation?
    var inFlight: [UInt64: KernelOperation] = [:]
    var ready: [Ready] = []
    var batch: [Ready] = []
    var batchNext = 0
    var realPolls: [KernelOperation] = []

    var buffers: [UnsafeMutableRawPointer] = unsafe []
    var freeBuffers: [UInt16] = []
    var heldBuffers: Set<UInt16> = []
    let noise: [UInt8]

    init(seed: UInt64, weather: Weather) {
        random = SeededRandom(seed: seed)
        self.weather = weather
        var noise: [UInt8] = []
        noise.reserveCapacity(1 << 20)
        for _ in 0..<1 << 14 {
            var word = random.next()
            for _ in 0..<8 {
                noise.append(UInt8(truncatingIfNeeded: word))
                word >>= 8
            }
        }
        for _ in 0..<3 { noise += noise }
        self.noise = noise
        addBuffers(weather.buffersAtStart)
    }

    deinit {
        for index in unsafe buffers.indices { unsafe buffers[index].deallocate() }
    }

    func fault(_ message: String) {
        if faults.count < 20 { faults.append("at \(now): \(message)") }
    }

    // MARK: - Chance

    func chance(_ ofHundred: Int) -> Bool { Int.random(in: 0..<100, using: &random) < ofHundred }
    func draw(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &random) }
    func pause(_ range: ClosedRange<UInt64>) -> UInt64 { UInt64.random(in: range, using: &random) }
    func keptBytes(_ count: Int) -> Int { chance(50) ? count : draw(0...count) }

    func noise(_ count: Int) -> [UInt8] {
        let start = draw(0...(noise.count - min(count, noise.count)))
        return Array(noise[start..<min(noise.count, start + count)])
    }
}
