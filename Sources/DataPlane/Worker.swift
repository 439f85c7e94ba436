// SPDX-License-Identifier: Apache-2.0
//
// One worker: its state, its turn, and who handles which completion. What a session lives through stands in the files
// named after the phases: Accept, Access, Preread, Route, Connect, Forward, Close; Control talks with the master.
//
//   turn:  kernel.turn ─▶ completions ─▶ expired timers ─▶ sessions that waited for a buffer ─▶ one slice of a
//          generation that is being prepared or taken apart ─▶ one slice of an answer to the admin process ─▶ log lines
//
// Invariants, which the simulation checks after each turn:
// 1. Every slot that is not free belongs to a session that is not released; `sessions.count` is their number.
// 2. A buffer of the pool is the kernel's, or is named by exactly one direction.
// 3. Every session that was accepted ends in exactly one access log line for each of its logs that takes the event
//    `close`; lines of the other events stand before it.

import Balancing
import ControlLink
import EventLoop
import LinuxIO
import Patterns
import ProxyConfig
import SessionCore
import SharedState
import TLSEngine
import Vocabulary

/// Whose operation a completion ends; the operation byte of its token.
enum Operation: UInt8 {
    case accept = 1
    case connect, receiveClient, receiveBroker, sendClient, sendBroker
    case link, signal, question

    /// The session machine's word for it; nil for operations of the worker itself.
    var inFlight: OperationSet? {
        switch self {
        case .connect: .connect
        case .receiveClient: .receiveClient
        case .receiveBroker: .receiveBroker
        case .sendClient: .sendClient
        case .sendBroker: .sendBroker
        case .accept, .link, .signal, .question: nil
        }
    }
}

/// What does not change while a worker lives.
struct WorkerIdentity {
    let slot: WorkerSlot
    let processID: Int32
    let hostname: [UInt8]
    /// Sessions that the descriptor limit allows.
    let descriptorLimit: Int
    /// For what chance decides: `random`.
    let seed: UInt64
    /// Of the names of its sessions.
    let run: UInt32

    init(
        slot: WorkerSlot, processID: Int32, hostname: [UInt8], descriptorLimit: Int, seed: UInt64, region: SharedRegion
    ) {
        self.slot = slot
        self.processID = processID
        self.hostname = hostname
        self.descriptorLimit = descriptorLimit
        self.seed = seed
        run = SessionID.run(hostname: hostname, masterPID: region.masterPID, startedAt: region.startedAt)
    }
}

extension SessionID {
    /// The same for all workers of a master, another one for any other master, here or elsewhere.
    static func run(hostname: [UInt8], masterPID: Int32, startedAt: UInt64) -> UInt32 {
        var crc = CRC32()
        crc.update(hostname.span)
        crc.update(littleEndian: UInt32(bitPattern: masterPID))
        crc.update(littleEndian: UInt32(truncatingIfNeeded: startedAt >> 32))
        crc.update(littleEndian: UInt32(truncatingIfNeeded: startedAt))
        return crc.value
    }
}

/// Where a direction that found no buffer waits.
struct Starved: BitwiseCopyable {
    var slot: UInt32
    var generation: UInt32
    var way: Way
}

/// Expression matching needs scratch memory that outlives a call; in a class, so that evaluating stays non-mutating.
final class MatchScratch {
    private var matcher = PatternMatcher(captureCountMax: 9)

    /// The groups of a match, the whole match first; nil without a match.
    func groups(of pattern: Pattern, in subject: [UInt8]) -> [[UInt8]]? {
        guard matcher.match(pattern, subject) == .matched else { return nil }
        return (0...pattern.captureCount).map { group in
            matcher.capture(group).map { Array(subject[$0]) } ?? []
        }
    }
}

struct Worker<K: Kernel & ~Copyable>: ~Copyable {
    var kernel: K
    let region: SharedRegion
    let identity: WorkerIdentity

    var sessions: SessionTable
    var timers: TimerWheel
    /// For sessions with interval lines alone.
    var intervalTimers: TimerWheel
    /// What the present configuration and the descriptor limit allow.
    var sessionsMax: Int
    /// True when the descriptor limit allows less than `worker_connections`, or that is not set.
    var isBoundByDescriptors = true

    var settingsTable = SettingsTable()
    var generations = GenerationTable()
    /// Index of the committed generation; nil before the first commit.
    var current: Int? = nil
    var preparing: Preparation? = nil
    /// Generations that nobody needs any more, to be taken apart in slices.
    var retired: [Generation] = []
    /// No slice of long work before this (`Kernel.workNanoseconds`).
    var sliceDueNanoseconds: UInt64 = 0

    var listeners: [ListenerState] = []
    /// Accepting is paused until then: descriptors were used up.
    var acceptResumesAt: UInt64? = nil
    /// Not to be repeated for each connection of a storm.
    var capacityLogQuietUntil: UInt64 = 0
    var acceptLogQuietUntil: UInt64 = 0

    /// Sessions that `isWaiting`.
    var waitingCount = 0
    /// Sockets to brokers and responders.
    var brokerSocketCount = 0
    var gaugesDueAt: UInt64 = 0
    var reconnects = ReconnectTable()
    var questions = QuestionDesk()

    var starved: [Starved] = []
    var tlsBuffers = TLSBufferStack()
    var dueHandshakes: [DueHandshake] = []
    /// Steps of handshakes that this turn has done.
    var handshakeSteps = 0
    var certificates = CertificateCache()
    var inquiries = StatusInquiries()
    /// The automatic keys of session tickets; nil where nobody shares them.
    let tickets: TicketKeySource?
    /// Fetched OCSP responses; nil where nobody fetches any.
    let staples: StapleSource?
    /// What brokers gave us to resume with.
    let brokerSessions = TLSSessionStore(capacity: 4096)
    /// Pipes that nobody uses, and how many exist.
    var idlePipes: [PipeDescriptors] = []
    var pipeCount = 0
    var tries = TriesPool()
    /// Reused for each choice.
    var peerStates: [PeerState] = []
    var random: RandomDraws

    var sinks = LogSinks()
    /// Before the first commit, and for what belongs to no session.
    var errorTargets: [ServerSettings.ErrorTarget] = []
    /// Reused for each line and each key.
    var line: [UInt8] = []
    /// Of the access line that is being written; nil outside of one.
    var lineEvent: SessionEvent? = nil
    let matching = MatchScratch()

    var link: LinkEndpoint
    let signals: SignalQueue
    var isQuitting = false
    var isStopping = false
    var quitDeadline: UInt64? = nil

    init(
        kernel: consuming K, region: SharedRegion, tickets: TicketKeySource?, staples: StapleSource?,
        identity: WorkerIdentity, link: consuming LinkEndpoint, signals: consuming SignalQueue
    ) {
        let capacity = max(1, identity.descriptorLimit / 2)
        self.region = region
        self.tickets = tickets
        self.staples = staples
        self.identity = identity
        sessions = SessionTable(capacity: capacity)
        timers = TimerWheel(capacity: capacity, now: kernel.nowMilliseconds)
        intervalTimers = TimerWheel(capacity: capacity, now: kernel.nowMilliseconds)
        sessionsMax = capacity
        self.kernel = kernel
        random = RandomDraws(seed: identity.seed)
        self.link = link
        self.signals = signals
        line.reserveCapacity(4096)
    }

    /// Runs until stopped. The exit code of the process.
    mutating func run() -> Int32 {
        watchLink()
        watchSignals()
        while !isDone { turn() }
        sinks.writeAll()
        return 0
    }

    /// One turn: waits for something to happen, and does all that follows from it.
    mutating func turn() {
        kernel.turn(until: nextDeadline)
        let isMeasured = region.countTurn(identity.slot, now: kernel.nowMilliseconds)
        let began = isMeasured ? kernel.workNanoseconds() : 0
        var completions = 0
        while let completion = kernel.nextCompletion() {
            completions += 1
            handle(completion)
        }
        region.countCompletions(identity.slot, completions)
        expireTimers()
        feedHandshakes()
        feedStarved()
        if hasSlices { workSlice() }
        if questions.isBusy { answerSlice() }
        reportLogLoss()
        sinks.endTurn(now: kernel.nowMilliseconds)
        if gaugesDueAt <= kernel.nowMilliseconds { storeGauges() }
        if isMeasured {
            region.record(identity.slot, .turnLength, ticks: (kernel.workNanoseconds() - began) / 1000)
        }
    }

    var isDone: Bool {
        if isStopping { return sessions.count == 0 }
        guard isQuitting, sessions.count == 0 else { return false }
        return hasClosedListeners
    }

    private var nextDeadline: UInt64? {
        if !starved.isEmpty || !dueHandshakes.isEmpty || questions.isBusy { return 0 }
        var deadline = timers.nextWakeup ?? UInt64.max
        if intervalTimers.armedCount > 0, let wakeup = intervalTimers.nextWakeup { deadline = min(deadline, wakeup) }
        if hasSlices {
            // Between slices there is a rest, for others on this CPU.
            guard current != nil else { return 0 }
            deadline = min(deadline, kernel.nowMilliseconds + 1)
        }
        deadline = min(deadline, sinks.nextFlush)
        if let acceptResumesAt { deadline = min(deadline, acceptResumesAt) }
        if let quitDeadline { deadline = min(deadline, quitDeadline) }
        return deadline == UInt64.max ? nil : deadline
    }

    private mutating func handle(_ completion: Completion) {
        guard let operation = Operation(rawValue: completion.token.operation) else { return }
        switch operation {
        case .accept: acceptCompleted(completion)
        case .link: linkIsReadable()
        case .signal: signalIsReadable()
        case .question: questionSocketIsReady(completion)
        case .connect, .receiveClient, .receiveBroker, .sendClient, .sendBroker:
            sessionCompleted(operation, completion)
        }
    }

    private mutating func sessionCompleted(_ operation: Operation, _ completion: Completion) {
        let slot = Int(completion.token.index)
        // Slots are released only when nothing is in flight, so a stale completion is a fault of ours.
        precondition(sessions[slot].generation == completion.token.generation)
        if !completion.hasMore { sessions[slot].machine.finished(operation.inFlight!) }
        switch sessions[slot].machine.state {
        case .closing:
            if let buffer = completion.buffer { kernel.recycle(buffer) }
            releaseIfDone(slot)
        case .handshaking:
            handshakeCompleted(operation, completion, of: slot)
        case .asking:
            askingCompleted(operation, completion, of: slot)
        case .securing:
            secureCompleted(operation, completion, of: slot)
        case .prereading:
            precondition(operation == .receiveClient)
            prereadReceived(completion, of: slot)
        case .connecting:
            connectStepCompleted(operation, completion, of: slot)
        case .forwarding:
            forwardCompleted(operation, completion, of: slot)
        case .responding:
            responseSent(completion, of: slot)
        case .free, .routing:
            preconditionFailure("\(operation) completed in \(sessions[slot].machine.state)")
        }
    }

    /// The token of a session's operation, which from here on is in the kernel.
    mutating func begin(_ operation: Operation, of slot: Int) -> Token {
        sessions[slot].machine.started(operation.inFlight!)
        return token(operation, of: slot)
    }

    func token(_ operation: Operation, of slot: Int) -> Token {
        Token(operation: operation.rawValue, generation: sessions[slot].generation, index: UInt32(slot))
    }

    // MARK: - Time

    private mutating func expireTimers() {
        let now = kernel.nowMilliseconds
        while let slot = timers.popExpired(now: now) { timerExpired(slot, now: now) }
        if intervalTimers.armedCount > 0 { expireIntervals(now: now) }
        if let resume = acceptResumesAt, resume <= now {
            acceptResumesAt = nil
            acceptEverywhere()
        }
        if let deadline = quitDeadline, deadline <= now {
            quitDeadline = nil
            closeAll(.shutdown)
        }
    }

    private mutating func timerExpired(_ slot: Int, now: UInt64) {
        switch sessions[slot].machine.state {
        case .handshaking, .asking, .prereading, .connecting, .securing, .responding:
            guard sessions[slot].phaseDeadline <= now else { return armTimer(slot) }
            phaseTimedOut(slot)
        case .forwarding:
            forwardTimerExpired(slot, now: now)
        case .free, .routing, .closing:
            break
        }
    }

    private mutating func phaseTimedOut(_ slot: Int) {
        switch sessions[slot].machine.state {
        case .handshaking:
            logSession(.info, slot, "client timed out (110: Connection timed out) while SSL handshaking")
            close(slot, .tlsHandshakeTimeout)
        case .asking:
            askingTimedOut(slot)
        case .securing:
            securingTimedOut(slot)
        case .prereading:
            logSession(.info, slot, "client timed out (110: Connection timed out)")
            close(slot, .prereadTimeout)
        case .connecting:
            connectTimedOut(slot)
        default:
            logSession(.info, slot, "client timed out (110: Connection timed out)")
            close(slot, .idleTimeout)
        }
    }

    mutating func armTimer(_ slot: Int) {
        timers.arm(slot, deadline: sessions[slot].phaseDeadline)
    }
}
