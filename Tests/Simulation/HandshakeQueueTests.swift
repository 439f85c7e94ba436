// SPDX-License-Identifier: Apache-2.0
//
// A storm of handshakes at one worker, in a calm machine: a turn does a few of them, the others wait in the order in
// which they came, and the message of a device that is connected does not wait at all.

import ControlLink
import EventLoop
import LinuxIO
import ProxyConfig
import SharedState
import Testing
import Vocabulary

@testable import DataPlane

@Suite("a storm of handshakes")
struct HandshakeQueueTests {
    /// What the worker does in one turn.
    private static let stepsMax = 4
    private static let storm = 11

    @Test("a turn does no more of them than the bound, in their order, and a connected device's message goes at once")
    func bound() throws {
        _ = Credentials.shared
        let machine = try CalmMachine()
        defer { machine.region.detach() }
        var worker = try machine.makeWorker()
        try machine.settle(&worker) { machine.master.committed != nil }
        let device = machine.arrive("device", at: CalmMachine.plainPort)
        try machine.settle(&worker) { machine.broker != nil }
        let broker = try #require(machine.broker)

        // All their ClientHellos are here before the worker looks for the first.
        let clients = (0..<Self.storm).map { machine.arrive("client \($0)", at: CalmMachine.tlsPort, speaksTLS: true) }
        try machine.settle(&worker) { machine.world.acceptedCount == Self.storm + 1 }
        machine.say([7], device)

        var answered = 0
        var turns = 0
        while answered < Self.storm {
            let queue = worker.dueHandshakes.map(\.slot)
            worker.turn()
            turns += 1
            let now = clients.count(where: machine.isAnswered)
            #expect(now - answered <= Self.stepsMax)
            answered = now
            // Those who came first are served; whoever comes meanwhile stands behind the others.
            let waiting = worker.dueHandshakes.map(\.slot)
            #expect(waiting.starts(with: queue.dropFirst(Self.stepsMax)))
            if turns == 1 { #expect(answered == Self.stepsMax && waiting.count == Self.storm - Self.stepsMax) }
            // What came in the first turn is on its way in the second.
            if turns == 2 { #expect(broker.received + machine.unread(broker) == [7] && !waiting.isEmpty) }
            try #require(turns < 20)
        }
        #expect(turns >= 3)
        try machine.settle(&worker) { clients.allSatisfy { $0.channel?.isOpen == true } }
        #expect(machine.world.faults.isEmpty, "\(machine.world.faults)")
    }
}

/// A worker in a machine where nothing is late, short or lacking; a plain listener with one broker, and one with TLS.
private final class CalmMachine {
    static let plainPort: UInt16 = 1883
    static let tlsPort: UInt16 = 8883
    private static let configuration = """
        error_log /sim/error.log info;
        events { }
        stream {
            server { listen \(plainPort); proxy_pass 10.1.0.1:1883; }
            server {
                listen \(tlsPort) ssl;
                ssl_certificate tls/default.test-1.pem; ssl_certificate_key tls/default.test-1.key;
                proxy_pass 10.1.0.1:1883;
            }
        }
        """

    let world: World
    let region: SharedRegion
    let master: MasterSide
    private(set) var broker: Actor?
    private let workerLink: Int32
    private let slot = WorkerSlot(index: 0)!
    private let context = Credentials.shared.context(isServer: false, version: 13, nil)
    private var clientCount: UInt16 = 0

    init() throws {
        var weather = Weather()
        weather.chanceOfShort = 0
        weather.chanceOfDelay = 0
        weather.chanceOfAcceptEnd = 0
        world = World(seed: 1, weather: weather)
        region = try SharedRegion.create(masterPID: 1, wallMilliseconds: World.wallStart)
        region.beginWorker(slot, pid: 2, isRespawn: false, wallMilliseconds: World.wallStart)
        let pair = try LinkEndpoint.makePair()
        master = MasterSide(world: world, region: region, linkNumber: pair.master)
        workerLink = pair.child
        world.meetsBroker = { [unowned self] address, workerEnd in
            let broker = actor("broker", local: address, workerEnd)
            self.broker = self.broker ?? broker
        }
    }

    func makeWorker() throws -> Worker<SimulatedKernel> {
        var worker = Worker(
            kernel: SimulatedKernel(world: world), region: region, tickets: nil, staples: nil,
            identity: WorkerIdentity(
                slot: slot, processID: 2, hostname: Array("sim".utf8), descriptorLimit: 1000, seed: 1,
                region: region),
            link: LinkEndpoint(socket: Descriptor(workerLink)), signals: try SignalQueue([]))
        worker.watchLink()
        worker.watchSignals()
        master.load(Self.configuration, .commit)
        return worker
    }

    /// Turns until something is so.
    func settle(_ worker: inout Worker<SimulatedKernel>, _ isSo: () -> Bool) throws {
        for _ in 0..<1000 where !isSo() {
            worker.turn()
            master.hear()
        }
        try #require(isSo(), "\(world.faults)")
    }

    /// A client whose first bytes are in its socket.
    func arrive(_ name: String, at port: UInt16, speaksTLS: Bool = false) -> Actor {
        clientCount += 1
        let local = IPEndpoint(address: IPAddress(ipv4: 0), port: port)
        let remote = IPEndpoint(address: IPAddress(ipv4: 0xC0A8_0001), port: 10_000 + clientCount)
        let workerEnd = SimulatedSocket(bufferBytes: 65_536, local: local, remote: remote)
        let client = actor(name, local: remote, workerEnd)
        if speaksTLS {
            var manners = TLSChannel.Manners()
            manners.chanceOfCut = 0
            client.channel = TLSChannel(
                context: context, name: nil, resumes: false, manners: manners, socket: client.socket, world: world)
        }
        client.step()
        if let listener = world.listenerAt[local] { world.offer(workerEnd, to: listener) }
        return client
    }

    private func actor(_ name: String, local: IPEndpoint, _ workerEnd: SimulatedSocket) -> Actor {
        let ownEnd = SimulatedSocket(bufferBytes: 65_536, local: local, remote: workerEnd.local)
        ownEnd.join(workerEnd)
        return Actor(name: name, socket: ownEnd, world: world, script: [], reading: .fast, ending: .waits)
    }

    func say(_ bytes: [UInt8], _ actor: Actor) {
        actor.script.append(Utterance(bytes: bytes, pause: 0))
        actor.step()
    }

    /// The server's first flight has come.
    func isAnswered(_ client: Actor) -> Bool { client.socket.incoming.count > 0 || client.channel?.isOpen == true }

    /// What is in the socket, still.
    func unread(_ actor: Actor) -> [UInt8] { Array(actor.socket.incoming.read(Int.max)) }
}
