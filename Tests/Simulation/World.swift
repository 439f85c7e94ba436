// SPDX-License-Identifier: Apache-2.0
//
// The simulated machine: virtual time, chance, the descriptor table, listeners, the buffer pool, operations in flight,
// and the events to come. One seed is one run. It holds the worker to the rules of the door (Kernel.swift): whatever
// breaks one is written down in `faults`.

import EventLoop
import Glibc
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

    private var events: [(at: UInt64, order: UInt64, event: Event)] = []
    private var order: UInt64 = 0
    /// Master events whose time has come; the one who runs the worker handles them between turns.
    var masterEvents: [Int] = []
    var arrivals: (Int) -> Void = { _ in }
    /// The broker behind a connection that was made.
    var meetsBroker: (IPEndpoint, SimulatedSocket) -> Void = { _, _ in }
    /// What a connect to an address will come to: after how long, and the result.
    var connectFate: (IPEndpoint) -> (delay: UInt64, result: Int32) = { _ in (0, 0) }
    var actorsAlive = 0
    /// What a run has come by, for the reader of its output.
    var pumpedBytes = 0
    var cancels = 0
    /// Without anything to wait for.
    private(set) var isStuck = false

    private var table: [Entry?] = []
    private var closing: Set<Int32> = []
    private(set) var openDescriptors = 0
    private(set) var listenerNumbers: [Int32: Listener] = [:]
    var listenersByIdentity: [UInt32: Listener] = [:]
    var listenerAt: [IPEndpoint: Listener] = [:]
    /// Connections that the worker has been told of.
    var acceptedCount = 0

    /// Sends whose success the next turn does not count.
    var quietSends = 0
    /// Completions beside those of quiet sends that fell short, which nobody is told of but the wait.
    private var brokenQuietSends = 0
    private var submissions: [Submission] = []
    private var linkHead: KernelOperation?
    private var inFlight: [UInt64: KernelOperation] = [:]
    private var ready: [Ready] = []
    private var batch: [Ready] = []
    private var batchNext = 0
    private var realPolls: [KernelOperation] = []

    private var buffers: [UnsafeMutableRawPointer] = unsafe []
    private var freeBuffers: [UInt16] = []
    private var heldBuffers: Set<UInt16> = []
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

    // MARK: - Events

    func schedule(_ event: Event, at: UInt64) {
        order += 1
        let entry = (at: max(at, now), order: order, event: event)
        var index = events.count
        events.append(entry)
        while index > 0, isEarlier(entry, events[(index - 1) / 2]) {
            events[index] = events[(index - 1) / 2]
            index = (index - 1) / 2
        }
        events[index] = entry
    }

    func schedule(_ actor: Actor, at: UInt64) {
        if let planned = actor.stepsAt, planned <= at { return }
        actor.stepsAt = at
        schedule(.step(actor), at: at)
    }

    private func isEarlier(
        _ one: (at: UInt64, order: UInt64, event: Event), _ other: (at: UInt64, order: UInt64, event: Event)
    ) -> Bool {
        (one.at, one.order) < (other.at, other.order)
    }

    private func popEvent() -> Event {
        let first = events[0].event
        let last = events.removeLast()
        guard !events.isEmpty else { return first }
        var index = 0
        while true {
            var child = 2 * index + 1
            guard child < events.count else { break }
            if child + 1 < events.count, isEarlier(events[child + 1], events[child]) { child += 1 }
            guard isEarlier(events[child], last) else { break }
            events[index] = events[child]
            index = child
        }
        events[index] = last
        return first
    }

    private func happen(_ event: Event) {
        switch event {
        case .step(let actor):
            if actor.stepsAt == now || (actor.stepsAt ?? now) < now { actor.stepsAt = nil }
            actor.step()
        case .connectEnds(let operation, let result):
            guard !operation.isDone, case .connect(let address) = operation.kind else { return }
            if result >= 0, let socket = operation.socket { meetsBroker(address, socket) }
            complete(operation, result)
        case .arrival(let client): arrivals(client)
        case .master(let event): masterEvents.append(event)
        }
    }

    /// Something about the socket has changed: its owner looks.
    func touched(_ socket: SimulatedSocket?) {
        guard let socket else { return }
        if let actor = socket.actor {
            if actor.stepsAt == nil || actor.stepsAt! > now + 3 { schedule(actor, at: now + pause(0...2)) }
            return
        }
        for operation in socket.operations where !operation.isDone { attempt(operation, isFirst: false) }
    }

    func offer(_ socket: SimulatedSocket, to listener: Listener) {
        listener.queue.append(socket)
        if let accept = listener.accept { attempt(accept, isFirst: false) }
    }

    // MARK: - The turn

    func turn(until deadline: UInt64?) {
        if batchNext < batch.count { fault("a turn began with completions that nobody has taken") }
        if chance(30) { now += 1 }
        brokenQuietSends = 0
        submit()
        pollReal()
        let quiet = quietSends
        quietSends = 0
        while true {
            while let first = events.first, first.at <= now { happen(popEvent()) }
            if deliver(beyond: quiet) { return }
            if !masterEvents.isEmpty || deadline.map({ $0 <= now }) ?? false {
                _ = deliver(beyond: 0)
                return
            }
            var next = deadline
            for other in [events.first?.at, ready.lazy.map(\.at).filter({ [now] in $0 > now }).min()] {
                if let other { next = min(next ?? other, other) }
            }
            guard let next else {
                isStuck = true
                return
            }
            now = max(now, next)
        }
    }

    /// As io_uring_enter waits for a number of completions: `quiet` ones alone do not end the wait.
    private func deliver(beyond quiet: Int) -> Bool {
        guard ready.count(where: { $0.at <= now }) + brokenQuietSends > quiet else { return false }
        batch = ready.filter { $0.at <= now }
        ready.removeAll { $0.at <= now }
        batch.sort { ($0.at, $0.key) < ($1.at, $1.key) }
        batchNext = 0
        return true
    }

    func nextCompletion() -> Completion? {
        guard batchNext < batch.count else { return nil }
        let entry = batch[batchNext]
        batchNext += 1
        if !entry.completion.hasMore { inFlight[entry.operation.token.bits] = nil }
        if let socket = entry.operation.socket, !socket.isDescriptorClosed, entry.completion.result > 0 {
            switch entry.operation.kind {
            case .receive, .receives: socket.heardReceived += Int(entry.completion.result)
            case .send: socket.heardSent += Int(entry.completion.result)
            default: break
            }
        }
        if case .accept = entry.operation.kind, entry.completion.result >= 0 { acceptedCount += 1 }
        if let buffer = entry.completion.buffer { heldBuffers.insert(buffer.number) }
        return entry.completion
    }

    private func submit() {
        let list = submissions
        submissions.removeAll(keepingCapacity: true)
        for submission in list {
            switch submission {
            case .start(let operation): attempt(operation, isFirst: true)
            case .cancel(let token): cancel(token)
            case .close(let number): closeNow(number)
            }
        }
    }

    private func pollReal() {
        for operation in realPolls where !operation.isDone {
            guard case .pollReal(let number) = operation.kind else { continue }
            var entries = [PollEntry(number, .readable)]
            if ((try? Poll.wait(&entries, milliseconds: 0)) ?? 0) > 0 { complete(operation, 1) }
        }
        realPolls.removeAll { $0.isDone }
    }

    // MARK: - Operations

    func queue(_ operation: KernelOperation, linksNext: Bool = false) {
        if inFlight.updateValue(operation, forKey: operation.token.bits) != nil {
            fault("token \(operation.token) is in flight twice")
        }
        operation.socket?.operations.append(operation)
        if let head = linkHead {
            head.linked = operation
            linkHead = nil
        } else {
            submissions.append(.start(operation))
        }
        if linksNext { linkHead = operation }
    }

    func queueCancel(_ token: Token) { submissions.append(.cancel(token)) }

    private func cancel(_ token: Token) {
        // A linked operation that has not started is not found, as in the kernel.
        guard let operation = inFlight[token.bits], !operation.isDone, !isWaitingForHead(operation) else { return }
        cancels += 1
        if case .accept(let listener) = operation.kind { listener.accept = nil }
        complete(operation, -Errno.canceled.rawValue)
    }

    private func isWaitingForHead(_ operation: KernelOperation) -> Bool {
        inFlight.values.contains { $0.linked === operation && !$0.isDone }
    }

    func complete(
        _ operation: KernelOperation, _ result: Int32, buffer: BufferID? = nil, hasMore: Bool = false,
        hasMoreData: Bool = false
    ) {
        var at = now
        if chance(weather.chanceOfDelay) && !operation.isPrompt { at += pause(0...weather.delayMax) }
        if case .send(_, _, .quiet) = operation.kind, !operation.hasDoneAll(result) { brokenQuietSends += 1 }
        var key = random.next() >> 16
        if let after = operation.after, (at, key) <= after {
            at = after.at
            key = after.key + 1
        }
        operation.after = (at, key)
        ready.append(
            Ready(
                at: at, key: key,
                completion: Completion(
                    token: operation.token, result: result, buffer: buffer, hasMore: hasMore, hasMoreData: hasMoreData),
                operation: operation))
        guard !hasMore else { return }
        operation.isDone = true
        if let linked = operation.linked {
            linked.after = operation.after
            operation.linked = nil
            if operation.hasDoneAll(result) {
                attempt(linked, isFirst: true)
            } else {
                complete(linked, -Errno.canceled.rawValue)
            }
        }
        guard let socket = operation.socket else { return }
        socket.operations.removeAll { $0 === operation }
        closeIfUnused(socket)
    }

    private func attempt(_ operation: KernelOperation, isFirst: Bool) {
        guard !operation.isDone else { return }
        switch operation.kind {
        case .accept(let listener): attemptAccept(operation, listener)
        case .receive(let bytesMax): attemptReceive(operation, bytesMax)
        case .receives(let bytesMax): attemptReceives(operation, bytesMax)
        case .send(let bytes, let count, let mode):
            unsafe attemptSend(operation, bytes, count, mode)
        case .connect(let address):
            guard isFirst else { return }
            let fate = connectFate(address)
            schedule(.connectEnds(operation, fate.result), at: now + fate.delay)
        case .poll(let events):
            guard let socket = operation.socket else { return }
            if events.contains(.readable) && socket.isReadable || events.contains(.writable) && socket.isWritable {
                complete(operation, 1)
            }
        case .pollReal: realPolls.append(operation)
        }
    }

    private func attemptAccept(_ operation: KernelOperation, _ listener: Listener) {
        listener.accept = operation
        while !listener.queue.isEmpty {
            let number = acceptFrom(listener)
            guard number >= 0 else {
                listener.accept = nil
                return complete(operation, number)
            }
            let ends = chance(weather.chanceOfAcceptEnd)
            complete(operation, number, hasMore: !ends)
            if ends {
                listener.accept = nil
                return
            }
        }
        if chance(1) {
            listener.accept = nil
            complete(operation, -Errno.connectionAborted.rawValue)
        }
    }

    /// The number of the oldest connection in the queue, or -errno.
    func acceptFrom(_ listener: Listener) -> Int32 {
        guard !listener.queue.isEmpty else { return -Errno.wouldBlock.rawValue }
        guard openDescriptors < weather.descriptorsMax, !chance(weather.chanceOfNoDescriptor) else {
            return -Errno.descriptorsUsedUp.rawValue
        }
        return open(.socket(listener.queue.removeFirst()))
    }

    private func attemptReceive(_ operation: KernelOperation, _ bytesMax: Int) {
        guard let socket = operation.socket else { return }
        guard let buffer = freeBuffers.last else { return complete(operation, -Errno.noBuffers.rawValue) }
        guard socket.isReadable else { return }
        var count = min(bytesMax, weather.bufferBytes)
        if chance(weather.chanceOfShort) { count = draw(1...count) }
        switch socket.read(count) {
        case .bytes(let bytes):
            freeBuffers.removeLast()
            unsafe bytes.withUnsafeBytes {
                unsafe buffers[Int(buffer)].copyMemory(from: $0.baseAddress!, byteCount: $0.count)
            }
            complete(
                operation, Int32(bytes.count), buffer: BufferID(buffer),
                hasMoreData: socket.incoming.count > 0 && !chance(10))
            touched(socket.peer)
        case .end:
            if chance(50) { return complete(operation, 0) }
            freeBuffers.removeLast()
            complete(operation, 0, buffer: BufferID(buffer))
        case .error(let error): complete(operation, -error)
        case .wouldBlock: break
        }
    }

    /// Goes on while there is data and a buffer; ends by the byte count, the source's end, an error, or at random.
    private func attemptReceives(_ operation: KernelOperation, _ bytesMax: Int) {
        while !operation.isDone, let socket = operation.socket, socket.isReadable {
            guard let buffer = freeBuffers.last else { return complete(operation, -Errno.noBuffers.rawValue) }
            var count = min(bytesMax - operation.broughtBytes, weather.bufferBytes)
            if chance(weather.chanceOfShort) { count = draw(1...count) }
            switch socket.read(count) {
            case .bytes(let bytes):
                freeBuffers.removeLast()
                unsafe bytes.withUnsafeBytes {
                    unsafe buffers[Int(buffer)].copyMemory(from: $0.baseAddress!, byteCount: $0.count)
                }
                operation.broughtBytes += bytes.count
                let isOver = operation.broughtBytes == bytesMax || chance(5)
                complete(
                    operation, Int32(bytes.count), buffer: BufferID(buffer), hasMore: !isOver,
                    hasMoreData: socket.incoming.count > 0)
                touched(socket.peer)
            case .end: complete(operation, 0)
            case .error(let error): complete(operation, -error)
            case .wouldBlock: return
            }
        }
    }

    private func attemptSend(_ operation: KernelOperation, _ bytes: UnsafeRawPointer, _ count: Int, _ mode: SendMode) {
        guard let socket = operation.socket else { return }
        guard socket.hasRoom else {
            if mode != .waiting { complete(operation, -Errno.wouldBlock.rawValue) }
            return
        }
        let part = chance(weather.chanceOfShort) ? draw(1...count) : count
        let copy = unsafe Array(UnsafeRawBufferPointer(start: bytes, count: part))
        complete(operation, Int32(socket.write(copy[...])))
        touched(socket.peer)
    }

    // MARK: - Descriptors

    func open(_ entry: Entry) -> Int32 {
        openDescriptors += 1
        if let index = table.firstIndex(where: { $0 == nil }) {
            table[index] = entry
            return World.firstNumber + Int32(index)
        }
        table.append(entry)
        return World.firstNumber + Int32(table.count - 1)
    }

    private func entry(_ number: Int32) -> Entry? {
        let index = Int(number - World.firstNumber)
        return table.indices.contains(index) ? table[index] : nil
    }

    /// The socket of a number that the worker uses now.
    func socket(_ number: Int32, for what: StaticString) -> SimulatedSocket? {
        guard case .socket(let socket) = entry(number), !closing.contains(number) else {
            fault("\(what) at descriptor \(number), which is no open socket")
            return nil
        }
        return socket
    }

    /// A listener is told by what stands in the file that came over the link.
    func listener(_ number: Int32) -> Listener? {
        if closing.contains(number) { fault("listener \(number) is used after its close") }
        if let known = listenerNumbers[number] { return known }
        guard let bytes = try? Memory.readSealed(number, bytesMax: 4), bytes.count == 4 else {
            fault("\(number) is no listener")
            return nil
        }
        let identity = bytes.reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        guard let listener = listenersByIdentity[identity] else { return nil }
        listenerNumbers[number] = listener
        return listener
    }

    func queueClose(_ number: Int32) {
        if listenerNumbers[number] == nil, entry(number) == nil { fault("close of \(number), which is not open") }
        if !closing.insert(number).inserted { fault("\(number) is closed twice") }
        if case .socket(let socket) = entry(number) { socket.isDescriptorClosed = true }
        submissions.append(.close(number))
    }

    private func closeNow(_ number: Int32) {
        closing.remove(number)
        if let listener = listenerNumbers.removeValue(forKey: number) {
            Descriptors.close(number)
            return close(listener)
        }
        guard let entry = entry(number) else { return }
        table[Int(number - World.firstNumber)] = nil
        openDescriptors -= 1
        if case .socket(let socket) = entry { closeIfUnused(socket) }
    }

    private func close(_ listener: Listener) {
        listener.isClosed = true
        if listener.accept != nil { fault("listener \(listener.endpoint.text) was closed while accepting") }
        if listenerAt[listener.endpoint] === listener { listenerAt[listener.endpoint] = nil }
        for socket in listener.queue {
            let peer = socket.peer
            socket.close(resets: true, keptBytes: keptBytes)
            touched(peer)
        }
        listener.queue.removeAll()
    }

    /// An operation in flight keeps its socket alive over the close of its number.
    private func closeIfUnused(_ socket: SimulatedSocket) {
        guard socket.isDescriptorClosed, socket.operations.isEmpty, !isInTable(socket) else { return }
        let peer = socket.peer
        socket.close(resets: false, keptBytes: keptBytes)
        touched(peer)
    }

    private func isInTable(_ socket: SimulatedSocket) -> Bool {
        table.contains { entry in
            if case .socket(let other) = entry { return other === socket }
            return false
        }
    }

    // MARK: - Buffers

    private func addBuffers(_ count: Int) {
        for _ in 0..<count where unsafe buffers.count < weather.buffersMax {
            unsafe buffers.append(.allocate(byteCount: weather.bufferBytes, alignment: 16))
            freeBuffers.append(UInt16(unsafe buffers.count - 1))
        }
    }

    func growBuffers() -> Bool {
        guard unsafe buffers.count < weather.buffersMax else { return false }
        addBuffers(max(1, unsafe buffers.count))
        return true
    }

    func bytes(of buffer: BufferID) -> UnsafeRawPointer {
        if !heldBuffers.contains(buffer.number) { fault("buffer \(buffer.number) is read by who has not got it") }
        return unsafe UnsafeRawPointer(buffers[Int(buffer.number)])
    }

    /// What is read afterwards is noticed by its colour.
    func recycle(_ buffer: BufferID) {
        if heldBuffers.remove(buffer.number) == nil { fault("buffer \(buffer.number) is given back twice") }
        unsafe memset(buffers[Int(buffer.number)], 0xDD, weather.bufferBytes)
        freeBuffers.append(buffer.number)
    }

    // MARK: - What the worker must account for

    var heldBufferCount: Int { heldBuffers.count }
    /// Operations of sessions that are with the kernel.
    var inFlightTokens: [Token] { inFlight.values.map(\.token) }
    /// Numbers that are open, known to the worker and not about to be closed.
    var openNumbers: Set<Int32> {
        var numbers: Set<Int32> = []
        for (index, entry) in table.enumerated() where entry != nil {
            let number = World.firstNumber + Int32(index)
            if !closing.contains(number) { numbers.insert(number) }
        }
        // Of these the worker has not heard yet.
        for entry in ready {
            if case .accept = entry.operation.kind { numbers.remove(entry.completion.result) }
        }
        return numbers
    }
    var isSilent: Bool { submissions.isEmpty && ready.isEmpty }

    func pipe(_ number: Int32, for what: StaticString) -> SimulatedPipe? {
        switch entry(number) {
        case .pipeRead(let pipe), .pipeWrite(let pipe):
            if !closing.contains(number) { return pipe }
        default: break
        }
        fault("\(what) at \(number), which is no open pipe")
        return nil
    }
}
