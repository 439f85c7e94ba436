// SPDX-License-Identifier: Apache-2.0
//
// One run: the real worker in the simulated machine, from the first load to its end, with what must hold after each
// turn and at the end.

import CTestTLS
import ControlLink
import EventLoop
import LinuxIO
import ProxyConfig
import SessionCore
import SharedState
import TLSEngine
import Vocabulary

@testable import DataPlane

final class Simulation {
    /// What the master does in the course of a run, by number of its event.
    private enum Order: Int { case reload, abortedReload, refusedReload, reopen, health, quit, stop, deadline }

    private static let turnsMax = 400_000
    /// Timers and slices of a reload make turns of their own, so many at most.
    private static let idleTurnsMax = 5000
    /// Longer than any session may last without progress.
    private static let patience: UInt64 = 400_000

    /// What sort of machine is drawn.
    enum Flavour { case plain, tls }

    let seed: UInt64
    let flavour: Flavour
    let world: World
    private let casting: Casting
    let tlsCasting: TLSCasting
    let tlsText: TLSConfigurationText
    let region: SharedRegion
    let master: MasterSide
    let questioner: Questioner
    let slot = WorkerSlot(index: 0)!
    private(set) var clients: [Int: Actor] = [:]
    private var clientEndpoints: [IPEndpoint: Int] = [:]
    private(set) var brokers: [ObjectIdentifier: Actor] = [:]
    /// OCSP responders that were asked; their sockets do not keep them.
    private var responders: [Actor] = []
    /// With what actors of TLS were cast, by actor.
    var credentials: [ObjectIdentifier: TLSCasting.Credential] = [:]
    /// The worker's ends of all connections that it ever had with brokers, by the worker's end of the client.
    private(set) var pairs: [ObjectIdentifier: [SimulatedSocket]] = [:]
    private(set) var workerEnds: [Int: SimulatedSocket] = [:]
    private var brokerCount = 0
    private var arrivalsLeft = 0
    private var mustBeEmpty = true
    private(set) var turns = 0
    private(set) var loggedLines = 0
    private(set) var endedInOrder = 0
    var intervalLines = 0
    var tally = LineTally()
    var tlsTally = TLSTally()
    /// Turns in a row that brought nothing.
    private var idleTurns = 0

    init(seed: UInt64, flavour: Flavour = .plain) throws {
        self.seed = seed
        self.flavour = flavour
        var random = SeededRandom(seed: seed)
        let weather = Weather.draw(&random)
        world = World(seed: random.next(), weather: weather)
        casting = Casting(world: world, bulkBytes: flavour == .tls ? 30_000...300_000 : 300_000...900_000)
        tlsCasting = TLSCasting(world: world)
        // Of five runs that ask, three get good answers.
        let status = seed % 3 == 0 ? ResponderKnowledge(rawValue: max(0, Int(seed / 3 % 5) - 2)) : nil
        tlsText = TLSConfigurationText(world: world, clientStatus: status, verifiesBrokers: seed % 2 == 0)
        region = try SharedRegion.create(masterPID: 1, wallMilliseconds: World.wallStart)
        region.beginWorker(slot, pid: 2, isRespawn: false, wallMilliseconds: World.wallStart)
        let pair = try LinkEndpoint.makePair()
        master = MasterSide(world: world, region: region, linkNumber: pair.master)
        workerLink = pair.child
        questioner = Questioner(world: world, random: SeededRandom(seed: seed ^ 0x51E5))
    }

    private let workerLink: Int32
    private let connectionsBefore = ctt_connections_alive()

    deinit { region.detach() }

    var faults: [String] { world.faults }
    /// What the worker has logged, for who looks into a fault.
    var errorLog: String { master.logged(ConfigurationText.errorLog) }

    var summary: String {
        let report = region.workerReport(slot)
        return "\(turns) turns, \(loggedLines) sessions, \(intervalLines) interval lines, \(endedInOrder) ended in order, \(report.refused) refused, "
            + "\(world.pumpedBytes) bytes spliced, \(world.cancels) cancels, \(report.buffersStarved) starved, "
            + "\(report.descriptorsStarved) times no descriptor, \(master.committedNumber) generations"
            + ", \(questioner.summary)"
            + (flavour == .tls ? ", \(responders.count) responders asked, \(tlsTally)" : "")
    }

    // MARK: - The run

    func run(clients count: Int) throws {
        prepare(count)
        let tickets = flavour == .tls && world.chance(50) ? try TicketKeyRegion.create(nowMilliseconds: world.now) : nil
        var worker = Worker(
            kernel: SimulatedKernel(world: world), region: region, tickets: tickets.map(TicketKeySource.init),
            staples: nil,
            identity: WorkerIdentity(
                slot: slot, processID: 2, hostname: Array("sim".utf8), descriptorLimit: 4000, seed: seed,
                region: region),
            link: LinkEndpoint(socket: Descriptor(workerLink)), signals: try SignalQueue([]))
        worker.watchLink()
        worker.watchSignals()
        master.introduce(try questioner.connect())
        master.load(text(), .commit)
        var isEnding = false
        while !worker.isDone {
            worker.turn()
            turns += 1
            master.hear()
            questioner.act(worker)
            notePairs(worker)
            checkTurn(worker)
            if turns % 32 == 0 { checkTables(worker) }
            isEnding = obey(worker, isEnding)
            if !isEnding, arrivalsLeft == 0, worker.sessions.count == 0, world.actorsAlive == 0 || world.isStuck,
                master.isIdle, !worker.hasSlices
            {
                checkTables(worker)
                checkQuiet(worker)
                isEnding = true
                master.quit()
            }
            guard faults.isEmpty, turns < Simulation.turnsMax else { break }
        }
        if turns >= Simulation.turnsMax { world.fault("the run does not end: \(worker.sessions.count) sessions") }
        guard faults.isEmpty else { return }
        worker.sinks.writeAll()
        checkTables(worker)
        questioner.end()
        checkLogs()
        checkEvents()
        checkBytes()
        checkRegion()
        checkCounts()
    }

    private func prepare(_ count: Int) {
        world.arrivals = { [unowned self] number in self.arrive(number) }
        world.meetsBroker = { [unowned self] address, socket in self.meetBroker(address, socket) }
        world.connectFate = { [casting] address in casting.fate(of: address) }
        arrivalsLeft = count
        let span: UInt64 = world.chance(30) ? 500 : 20_000
        for number in 0..<count { world.schedule(.arrival(number), at: world.now + 50 + world.pause(0...span)) }
        let orders: [Order] = [.reload, .reload, .abortedReload, .refusedReload, .reopen, .health, .health, .health]
        for order in orders where world.chance(50) {
            world.schedule(.master(order.rawValue), at: world.now + 100 + world.pause(0...span))
        }
        if world.chance(20) {
            let order = world.chance(50) ? Order.quit : .stop
            world.schedule(.master(order.rawValue), at: world.now + 1000 + world.pause(0...span))
            mustBeEmpty = false
        }
        world.schedule(.master(Order.deadline.rawValue), at: world.now + span + Simulation.patience)
    }

    /// Nobody is left by now but who still moves bytes, however slowly: true where there are such.
    private func checkTimeouts(_ worker: borrowing Worker<SimulatedKernel>) -> Bool {
        var movesBytes = false
        for slot in 0..<worker.sessions.highWater where worker.sessions[slot].machine.state != .free {
            let machine = worker.sessions[slot].machine
            if machine.state == .forwarding, worker.idleDeadline(of: slot) + 1000 > world.now {
                movesBytes = true
            } else {
                world.fault("a session outlives its timeouts: \(machine.state), in flight \(machine.inFlight)")
            }
        }
        return movesBytes
    }

    private func text() -> String { flavour == .tls ? tlsText.make() : ConfigurationText.make(world) }

    private func obey(_ worker: borrowing Worker<SimulatedKernel>, _ isEnding: Bool) -> Bool {
        var isEnding = isEnding
        let orders = world.masterEvents
        world.masterEvents = []
        for number in orders {
            guard let order = Order(rawValue: number), !isEnding || order == .deadline else { continue }
            switch order {
            case .reload: master.load(text(), .commit)
            case .abortedReload: master.load(text(), .abort)
            case .refusedReload: master.load(text(), .withoutSlots)
            case .reopen: master.reopenLogs()
            case .health: master.flipHealth()
            case .quit, .stop:
                guard master.isIdle else {
                    world.schedule(.master(number), at: world.now + 50)
                    continue
                }
                isEnding = true
                if order == .quit { master.quit() } else { master.stop() }
            case .deadline:
                if checkTimeouts(worker) { world.schedule(.master(number), at: world.now + Simulation.patience) }
            }
        }
        return isEnding
    }

    private func arrive(_ number: Int) {
        arrivalsLeft -= 1
        let port =
            flavour == .tls
            ? tlsText.drawDoor().rawValue
            : ConfigurationText.firstPort + UInt16(world.draw(0...ConfigurationText.ports - 1))
        let local = IPEndpoint(address: IPAddress(ipv4: 0), port: port)
        guard let listener = world.listenerAt[local], listener.queue.count < 511 else { return }
        let remote = IPEndpoint(
            address: IPAddress(ipv4: 0xC0A8_0000 | UInt32(number % 10) << 8 | UInt32(number % 250)),
            port: UInt16(10_000 + number))
        clientEndpoints[remote] = number
        let bufferBytes = world.chance(20) ? world.draw(300...3000) : world.draw(3000...200_000)
        let workerEnd = SimulatedSocket(bufferBytes: world.draw(1000...200_000), local: local, remote: remote)
        let ownEnd = SimulatedSocket(bufferBytes: bufferBytes, local: remote, remote: local)
        ownEnd.join(workerEnd)
        workerEnds[number] = workerEnd
        world.actorsAlive += 1
        let actor = casting.makeClient(number, ownEnd)
        if let door = Door(rawValue: port), let (channel, credential) = tlsCasting.client(at: door, ownEnd) {
            actor.channel = channel
            credentials[ObjectIdentifier(actor)] = credential
            actor.name += " (TLS at \(door))"
        }
        clients[number] = actor
        world.schedule(actor, at: world.now)
        world.offer(workerEnd, to: listener)
    }

    private func meetBroker(_ address: IPEndpoint, _ workerEnd: SimulatedSocket) {
        brokerCount += 1
        let bufferBytes = world.chance(20) ? world.draw(300...3000) : world.draw(3000...200_000)
        let ownEnd = SimulatedSocket(bufferBytes: bufferBytes, local: address, remote: workerEnd.local)
        ownEnd.join(workerEnd)
        world.actorsAlive += 1
        if address.port == TLSConfigurationText.responderPort, let knowledge = tlsText.clientStatus {
            let responder = tlsCasting.responder(brokerCount, ownEnd, knowledge)
            responders.append(responder)
            return world.schedule(responder, at: world.now)
        }
        let actor = casting.makeBroker(brokerCount, ownEnd)
        if address.port == TLSConfigurationText.brokerPort {
            let (channel, credential) = tlsCasting.broker(ownEnd)
            actor.channel = channel
            credentials[ObjectIdentifier(actor)] = credential
            actor.name += " (TLS)"
        }
        brokers[ObjectIdentifier(workerEnd)] = actor
        world.schedule(actor, at: world.now)
    }

    // MARK: - After each turn

    private func notePairs(_ worker: borrowing Worker<SimulatedKernel>) {
        for slot in 0..<worker.sessions.highWater {
            let broker = worker.sessions[slot].broker
            guard broker >= 0 else { continue }
            switch worker.sessions[slot].machine.state {
            case .connecting, .securing, .forwarding:
                guard let client = world.socket(worker.sessions[slot].client, for: "pair"),
                    let socket = world.socket(broker, for: "pair")
                else { continue }
                if pairs[ObjectIdentifier(client)]?.last !== socket {
                pairs[ObjectIdentifier(client), default: []].append(socket)
            }
            default: break
            }
        }
    }

    private func checkTurn(_ worker: borrowing Worker<SimulatedKernel>) {
        idleTurns = world.batchCount == 0 ? idleTurns + 1 : 0
        if idleTurns == Simulation.idleTurnsMax { world.fault("\(idleTurns) turns in a row for nothing") }
        if !worker.starved.isEmpty { world.fault("sessions are left to starve") }
        let active = region.workerReport(slot).active
        if active != UInt64(worker.sessions.count) {
            world.fault("the region shows \(active) sessions of \(worker.sessions.count)")
        }
    }

    /// Every descriptor, buffer, pipe and operation has its owner, and only one.
    private func checkTables(_ worker: borrowing Worker<SimulatedKernel>) {
        var numbers = Set(worker.idlePipes.flatMap { [$0.readEnd, $0.writeEnd] })
        for pipe in worker.idlePipes where world.pipe(pipe.readEnd, for: "idle")?.bytes.count != 0 {
            world.fault("a pipe that waits for its next session still holds bytes of the last one")
        }
        var buffers: [UInt16] = []
        var operations = 0
        var living = 0
        var pipes = worker.idlePipes.count
        var atPeers = 0
        var connections = 0
        var sealedBuffers = 0
        var intervals = 0
        var asking = 0
        var brokers = 0
        var waiting = 0
        for slot in 0..<worker.sessions.highWater {
            let state = worker.sessions[slot].machine.state
            guard state != .free else { continue }
            living += 1
            operations += worker.sessions[slot].machine.inFlight.rawValue.nonzeroBitCount
            for side in [worker.sessions[slot].clientTLS, worker.sessions[slot].brokerTLS] where side != nil {
                connections += 1
            }
            if worker.sessions[slot].inquiry >= 0 { asking += 1 }
            for way in [Way.upload, .download] {
                if worker.sessions[slot, way].sealed != nil { sealedBuffers += 1 }
                if let buffer = worker.sessions[slot, way].buffer { buffers.append(buffer.number) }
                if let pipe = worker.sessions[slot, way].pipe {
                    pipes += 1
                    numbers.formUnion([pipe.readEnd, pipe.writeEnd])
                }
            }
            if worker.sessions[slot].intervalLinesUntil != nil {
                intervals += 1
                if state != .forwarding { world.fault("a session has interval lines while \(state)") }
            }
            guard state != .closing else { continue }
            numbers.insert(worker.sessions[slot].client)
            if worker.sessions[slot].isWaiting { waiting += 1 }
            if worker.sessions[slot].broker >= 0 {
                brokers += 1
                numbers.insert(worker.sessions[slot].broker)
            }
            if worker.sessions[slot].peer != nil { atPeers += 1 }
        }
        if living != worker.sessions.count { world.fault("\(living) slots are taken by \(worker.sessions.count) sessions") }
        if numbers != world.openNumbers {
            let lost = world.openNumbers.subtracting(numbers)
            world.fault("descriptors nobody owns: \(lost); owned but not open: \(numbers.subtracting(world.openNumbers))")
        }
        if Set(buffers).count != buffers.count || buffers.count != world.heldBufferCount {
            world.fault("\(world.heldBufferCount) buffers are out, sessions name \(buffers)")
        }
        if worker.tlsBuffers.inUse != sealedBuffers {
            world.fault("\(worker.tlsBuffers.inUse) buffers of TLS are out, sessions name \(sealedBuffers)")
        }
        if worker.intervalTimers.armedCount != intervals {
            world.fault("\(worker.intervalTimers.armedCount) interval timers for \(intervals) sessions")
        }
        if worker.inquiries.count != asking {
            world.fault("\(worker.inquiries.count) inquiries are under way, sessions name \(asking)")
        }
        let alive = ctt_connections_alive() - connectionsBefore
        if flavour == .tls, alive != connections + world.channelsAlive {
            world.fault("\(alive) connections of TLS, sessions name \(connections), actors \(world.channelsAlive)")
        }
        let inKernel = world.inFlightTokens.count {
            Operation(rawValue: $0.operation)?.inFlight != nil
        }
        if operations != inKernel { world.fault("sessions know of \(operations) operations, the kernel of \(inKernel)") }
        if brokers != worker.brokerSocketCount {
            world.fault("\(worker.brokerSocketCount) sockets of brokers are counted, \(brokers) are there")
        }
        if waiting != worker.waitingCount {
            world.fault("\(worker.waitingCount) sessions wait for their first packet, \(waiting) are there")
        }
        if pipes != worker.pipeCount { world.fault("\(worker.pipeCount) pipes are counted, \(pipes) are there") }
        let shown = region.groupReports(onlyCommitted: false).flatMap(\.peers).reduce(0) { $0 + $1.active }
        if shown != UInt64(atPeers) { world.fault("the region shows \(shown) sessions at peers, there are \(atPeers)") }
    }

    /// Without sessions only the present configuration is left.
    private func checkQuiet(_ worker: borrowing Worker<SimulatedKernel>) {
        guard let committed = master.committed else { return world.fault("nothing was ever committed") }
        if worker.settingsTable.count != committed.servers.count {
            world.fault("\(worker.settingsTable.count) settings are left of \(committed.servers.count) servers")
        }
        if worker.generations.count != 1 { world.fault("\(worker.generations.count) generations are left") }
        if !worker.dueHandshakes.isEmpty { world.fault("\(worker.dueHandshakes.count) handshakes are due for nobody") }
        if worker.timers.armedCount != 0 { world.fault("\(worker.timers.armedCount) timers are armed for nobody") }
        if worker.intervalTimers.armedCount != 0 {
            world.fault("\(worker.intervalTimers.armedCount) interval lines are due for nobody")
        }
        let listening = worker.listeners.count { $0.descriptor >= 0 }
        if listening != committed.listeners.count { world.fault("\(listening) of \(committed.listeners.count) listen") }
    }

    // MARK: - At the end

    private func checkLogs() {
        var seen: Set<Int> = []
        for line in master.logged(ConfigurationText.accessLog).split(separator: "\n") {
            loggedLines += 1
            let fields = line.split(separator: " ", omittingEmptySubsequences: false)
            tally.count(fields)
            guard fields.count >= 9, let number = clientNumber(fields[0]) else {
                world.fault("no access line: \(line)")
                continue
            }
            if !seen.insert(number).inserted { world.fault("client \(number) has two lines") }
            let received = Int(fields[3]) ?? -1
            let sent = Int(fields[4]) ?? -1
            guard let end = workerEnds[number] else { continue }
            if flavour == .tls { tlsTally.count(line) }
            if isSealed(number) {
                checkPlainCounts(number, received, sent, line)
            } else if received != end.heardReceived || sent != end.heardSent {
                world.fault("the line says \(received)/\(sent), the socket \(end.heardReceived)/\(end.heardSent): \(line)")
            }
            checkEnd(number, reason: fields[2], line)
        }
        let report = region.workerReport(slot)
        if report.accepted != UInt64(world.acceptedCount) { world.fault("\(report.accepted) accepted of \(world.acceptedCount)") }
        if report.accepted - report.refused != UInt64(loggedLines) {
            world.fault("\(report.accepted) accepted, \(report.refused) refused, \(loggedLines) lines")
        }
        if report.closed.reduce(0, +) != UInt64(loggedLines) { world.fault("\(report.closed) closed, \(loggedLines) lines") }
        for line in master.logged(ConfigurationText.errorLog).split(separator: "\n") {
            let isAlarm = line.contains("[alert]") || line.contains("[emerg]")
            if isAlarm && !line.contains("worker_connections are not enough") { world.fault("alarm: \(line)") }
        }
    }

    private func clientNumber(_ text: Substring) -> Int? {
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else { return nil }
        return Int(port) - 10_000
    }

    /// A session that ended in order has lost nothing.
    private func checkEnd(_ number: Int, reason: Substring, _ line: Substring) {
        if flavour == .tls { checkTLSEnd(number, String(reason), line) }
        guard let client = clients[number], let end = workerEnds[number],
            let brokerEnd = pairs[ObjectIdentifier(end)]?.last, let broker = brokers[ObjectIdentifier(brokerEnd)]
        else { return }
        guard !hasHeardHello(broker) else { return }
        if reason == "client_closed", client.hasSpokenOut, broker.farewell == .orderly, broker.received != client.sent {
            world.fault("\(client.name) sent \(client.sent.count), \(broker.name) got \(broker.received.count): \(line)")
        }
        if reason == "broker_closed", broker.hasSpokenOut, client.farewell == .orderly, client.received != broker.sent {
            world.fault("\(broker.name) sent \(broker.sent.count), \(client.name) got \(client.received.count): \(line)")
        }
        if client.farewell == .orderly || broker.farewell == .orderly { endedInOrder += 1 }
    }

    /// Whatever happened, what arrived is the beginning of what was sent.
    private func checkBytes() {
        for (number, client) in clients {
            guard let end = workerEnds[number] else { continue }
            let met = (pairs[ObjectIdentifier(end)] ?? []).compactMap { brokers[ObjectIdentifier($0)] }
            let talked = met.filter { !$0.received.isEmpty && !hasHeardHello($0) }
            if talked.count > 1 { world.fault("\(client.name) was given to \(talked.map(\.name))") }
            for broker in talked where !isBeginning(broker.received, of: client.sent) {
                world.fault("\(broker.name) got \(broker.received.count) other bytes than \(client.name) sent")
            }
            guard let broker = met.last(where: { !$0.sent.isEmpty }) else { continue }
            // `return` and refusals speak for themselves; behind a broker every byte is the broker's.
            if !isBeginning(client.received, of: broker.sent) {
                world.fault("\(client.name) got other bytes than \(broker.name) sent")
            }
        }
    }

    /// Array comparison is one memcmp; `starts(with:)` is a call for each byte.
    private func isBeginning(_ bytes: [UInt8], of whole: [UInt8]) -> Bool {
        bytes.count <= whole.count && bytes == Array(whole[..<bytes.count])
    }

    private func checkRegion() {
        let report = region.workerReport(slot)
        if report.active != 0 { world.fault("\(report.active) sessions stay in the region") }
    }
}
