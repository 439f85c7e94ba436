// SPDX-License-Identifier: Apache-2.0
//
// The door to the simulated machine: what the real worker calls instead of io_uring.

import EventLoop
import LinuxIO
import Vocabulary

struct SimulatedKernel: Kernel, ~Copyable {
    private let world: World
    private(set) var nowMilliseconds: UInt64
    private(set) var wallMilliseconds: UInt64

    /// Each look at it finds a third of a slice gone, so that work takes several turns, and the same for one seed.
    private var workClock: UInt64 = 0

    init(world: World) {
        self.world = world
        nowMilliseconds = world.now
        wallMilliseconds = World.wallStart + world.now
    }

    mutating func workNanoseconds() -> UInt64 {
        workClock += WorkPace.sliceNanoseconds / 3
        return workClock
    }

    var pressure: KernelPressure { KernelPressure() }

    mutating func turn(until deadline: UInt64?) {
        world.turn(until: deadline)
        nowMilliseconds = world.now
        wallMilliseconds = World.wallStart + world.now
    }

    mutating func nextCompletion() -> Completion? { world.nextCompletion() }

    // MARK: - Queued operations

    mutating func queueAccept(listener: Int32, token: Token) {
        guard let listener = world.listener(listener) else { return }
        world.queue(KernelOperation(token: token, kind: .accept(listener), socket: nil))
    }

    mutating func queueReceive(socket: Int32, bytesMax: Int, expectsData: Bool, token: Token) {
        if bytesMax <= 0 { world.fault("a receive of \(bytesMax) bytes") }
        world.queue(
            KernelOperation(
                token: token, kind: .receive(bytesMax: max(1, bytesMax)),
                socket: world.socket(socket, for: "receive")))
    }

    /// Old and new kernels take turns, by seed.
    var armsReceives: Bool { world.weather.armsReceives }

    mutating func queueReceives(socket: Int32, bytesMax: Int, token: Token) {
        if bytesMax <= 0 { world.fault("receives of \(bytesMax) bytes") }
        if !armsReceives { world.fault("an armed receive at a kernel that has none") }
        world.queue(
            KernelOperation(
                token: token, kind: .receives(bytesMax: max(1, bytesMax)),
                socket: world.socket(socket, for: "receives")))
    }

    mutating func queueSend(socket: Int32, bytes: UnsafeRawPointer, count: Int, mode: SendMode, token: Token) {
        if count <= 0 { world.fault("a send of \(count) bytes") }
        world.queue(
            KernelOperation(
                token: token, kind: unsafe .send(bytes, count: max(1, count), mode),
                socket: world.socket(socket, for: "send")), linksNext: mode == .linked)
        if mode == .quiet || mode == .linked { world.quietSends += 1 }
    }

    mutating func heedSend() { world.quietSends = max(0, world.quietSends - 1) }

    mutating func queueConnect(socket: Int32, address: SocketAddress, linksNext: Bool, token: Token) {
        guard let endpoint = address.endpoint else { return world.fault("a connect to no IP address") }
        world.queue(
            KernelOperation(token: token, kind: .connect(endpoint), socket: world.socket(socket, for: "connect")),
            linksNext: linksNext)
    }

    mutating func queuePoll(descriptor: Int32, events: PollEvents, token: Token) {
        if descriptor < World.firstNumber {
            world.queue(KernelOperation(token: token, kind: .pollReal(descriptor, events), socket: nil))
        } else {
            world.queue(KernelOperation(token: token, kind: .poll(events), socket: world.socket(descriptor, for: "poll")))
        }
    }

    mutating func queueCancel(target: Token) { world.queueCancel(target) }
    mutating func queueClose(descriptor: Int32) { world.queueClose(descriptor) }

    // MARK: - Buffers

    func bytes(of buffer: BufferID) -> UnsafeRawPointer { unsafe world.bytes(of: buffer) }
    mutating func recycle(_ buffer: BufferID) { world.recycle(buffer) }
    mutating func growBuffers() -> Bool { world.growBuffers() }

    // MARK: - Sockets

    mutating func openBrokerSocket(_ request: BrokerSocketRequest) -> Int32 {
        guard world.openDescriptors < world.weather.descriptorsMax, !world.chance(world.weather.chanceOfNoDescriptor)
        else { return -Errno.descriptorsUsedUp.rawValue }
        let socket = SimulatedSocket(
            bufferBytes: request.receiveBufferBytes > 0 ? Int(request.receiveBufferBytes) : world.draw(2000...200_000),
            local: IPEndpoint(address: IPAddress(ipv4: 0x0A00_0001), port: 40_000), remote: request.address.endpoint)
        return world.open(.socket(socket))
    }

    func peerAddress(of socket: Int32) -> IPEndpoint? { world.socket(socket, for: "getpeername")?.remote }
    func localAddress(of socket: Int32) -> IPEndpoint? { world.socket(socket, for: "getsockname")?.local }

    mutating func sendNow(socket: Int32, _ bytes: [UInt8]) -> Int {
        guard let socket = world.socket(socket, for: "send") else { return 0 }
        let most = world.chance(world.weather.chanceOfNoRoom) ? world.draw(0...bytes.count - 1) : bytes.count
        let count = most == 0 ? 0 : max(0, socket.write(bytes[..<most]))
        socket.heardSent += count
        world.touched(socket.peer)
        return count
    }

    mutating func acceptQueued(listener: Int32) -> Int32 {
        guard let listener = world.listener(listener) else { return -Errno.badDescriptor.rawValue }
        let number = world.acceptFrom(listener)
        if number >= 0 { world.acceptedCount += 1 }
        return number
    }

    mutating func setListenerNoDelay(_ listener: Int32, isOn: Bool) { _ = world.listener(listener) }

    mutating func shutdownWriting(socket: Int32) {
        guard let socket = world.socket(socket, for: "shutdown") else { return }
        socket.shutWriting()
        world.touched(socket.peer)
    }

    // MARK: - Splicing

    mutating func openPipe() -> PipeDescriptors? {
        guard world.openDescriptors + 1 < world.weather.descriptorsMax, !world.chance(world.weather.chanceOfNoPipe)
        else { return nil }
        let pipe = SimulatedPipe(capacity: world.chance(20) ? 4096 : 65536)
        return PipeDescriptors(readEnd: world.open(.pipeRead(pipe)), writeEnd: world.open(.pipeWrite(pipe)))
    }

    mutating func closePipe(_ pipe: PipeDescriptors) {
        world.queueClose(pipe.readEnd)
        world.queueClose(pipe.writeEnd)
    }

    mutating func pump(source: Int32, pipe: PipeDescriptors, target: Int32, budget: Int, pending: Int) -> PumpResult {
        var result = PumpResult(received: 0, sent: 0, isSourceEnded: false, sourceError: 0, targetError: 0)
        guard let source = world.socket(source, for: "splice"), let target = world.socket(target, for: "splice"),
            let tube = world.pipe(pipe.readEnd, for: "splice"), world.pipe(pipe.writeEnd, for: "splice") === tube
        else { return result }
        if tube.bytes.count != pending {
            world.fault("a pipe holds \(tube.bytes.count) bytes where the session counts \(pending)")
        }
        defer {
            world.pumpedBytes += result.sent
            source.heardReceived += result.received
            target.heardSent += result.sent
            world.touched(source.peer)
            world.touched(target.peer)
        }
        while true {
            while tube.bytes.count > 0 {
                // The bytes stay in the pipe until the target has taken them.
                guard target.hasRoom else { return result }
                let room = target.peer.map { $0.incoming.room } ?? tube.bytes.count
                let part = tube.bytes.read(min(max(1, room), tube.bytes.count))
                let count = target.write(part)
                guard count >= 0 else {
                    tube.bytes.write(part)
                    result.targetError = Int32(-count)
                    return result
                }
                if count < part.count { world.fault("the simulated pipe lost bytes") }
                result.sent += count
            }
            guard result.received < budget else { return result }
            var chunk = min(tube.bytes.capacity, budget - result.received)
            if world.chance(world.weather.chanceOfShort) { chunk = world.draw(1...chunk) }
            switch source.read(chunk) {
            case .bytes(let bytes):
                tube.bytes.write(bytes)
                result.received += bytes.count
            case .end:
                result.isSourceEnded = true
                return result
            case .error(let error):
                result.sourceError = error
                return result
            case .wouldBlock: return result
            }
        }
    }
}
