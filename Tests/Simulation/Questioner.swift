// SPDX-License-Identifier: Apache-2.0
//
// The admin process in a simulation, as it should not be: asks all the time, also nonsense, leaves answers unread for a
// while, ends sessions, goes away and comes back. What it is told is held against what is there.

import ControlLink
import LinuxIO
import SessionCore
import SharedState
import Vocabulary

@testable import DataPlane

final class Questioner {
    private struct Open {
        let number: UInt32
        /// Nil: bytes that are no query.
        let query: SessionQuery?
        /// Sessions that were there when it was asked and have been ever since, and all that were there at some time.
        var steady: Set<UInt64>
        var seen: Set<UInt64>
        var told: [SessionFacts] = []
        var clients: [ReconnectFacts] = []
    }

    private let world: World
    /// Of its own, so that what it does changes nothing of the rest of a run but what the worker does about it.
    private var random: SeededRandom
    private var socket: PacketSocket?
    private var count: UInt32 = 0
    private var open: [Open] = []
    private var quietTurns = 0
    private var answered = 0
    private var told = 0
    private var closed: Set<UInt64> = []

    init(world: World, random: SeededRandom) {
        self.world = world
        self.random = random
    }

    var summary: String { "\(answered) questions, \(told) sessions told of, \(closed.count) ended by them" }

    /// The worker's end of a new pair.
    func connect() throws -> Int32 {
        let pair = try PacketSocket.makePair()
        socket = PacketSocket(Descriptor(pair.first))
        open = []
        return pair.second
    }

    /// Between the worker's turns.
    func act(_ worker: borrowing Worker<SimulatedKernel>) {
        let alive = Self.alive(worker)
        for index in open.indices {
            open[index].steady.formIntersection(alive.keys)
            open[index].seen.formUnion(alive.keys)
        }
        if open.count < 4, chance(2) { ask(worker, alive) }
        if quietTurns > 0 { quietTurns -= 1 } else { hear(alive) }
        if chance(1) { quietTurns = Int(draw(200)) }
    }

    /// What was not answered when the worker ended never is; what was answered must have been right.
    func end() { socket = nil }

    // MARK: - Asking

    private func ask(_ worker: borrowing Worker<SimulatedKernel>, _ alive: [UInt64: Int]) {
        count += 1
        let query = makeQuery(worker, alive)
        var packet = query.packet(number: count)
        var isNonsense = false
        if chance(15) {
            packet[4] = 200
            isNonsense = true
        } else if chance(5) {
            packet += [UInt8](repeating: 7, count: Int(draw(20_000)))
            isNonsense = true
        }
        guard (try? socket?.send(packet)) == true else { return }
        let keys = Set(alive.keys)
        open.append(Open(number: count, query: isNonsense ? nil : query, steady: keys, seen: keys))
    }

    private func makeQuery(_ worker: borrowing Worker<SimulatedKernel>, _ alive: [UInt64: Int]) -> SessionQuery {
        let limit = chance(50) ? SessionQuery.limitMax : 1 + Int(draw(20))
        switch draw(5) {
        case 0: return SessionQuery(.topBytes, limit: limit)
        case 1: return SessionQuery(.topReconnects, limit: limit)
        case 2 where chance(10):
            let number = alive.keys.sorted().first ?? draw(100_000)
            let run = chance(80) ? worker.identity.run : 1
            return SessionQuery(.close(SessionID(run: run, number: number)))
        default:
            var filter = SessionFilter()
            if chance(30) { filter.clientID = Array("c\(draw(250))".utf8) }
            if chance(10) { filter.client = IPAddress(ipv4: 0xC0A8_0000 | UInt32(draw(10)) << 8 | UInt32(draw(250))) }
            if chance(20) { filter.peers = (0..<UInt32(draw(5))).map { $0 } }
            return SessionQuery(.list(filter), cursor: chance(80) ? 0 : UInt32(draw(300)), limit: limit)
        }
    }

    // MARK: - Hearing

    private func hear(_ alive: [UInt64: Int]) {
        while true {
            guard let reception = try? socket?.receive(bytesMax: SessionAnswer.packetBytesMax) else { return }
            guard case .packet(let bytes, _, let isCut) = consume reception else { return }
            guard !isCut, let (number, answer) = SessionAnswer.read(bytes) else {
                return world.fault("the worker answered with what is no answer")
            }
            guard let first = open.first, number == first.number else {
                return world.fault("an answer to question \(number), \(open.map(\.number)) are asked")
            }
            take(answer, alive)
        }
    }

    private func take(_ answer: SessionAnswer, _ alive: [UInt64: Int]) {
        switch (answer, open[0].query) {
        case (.refused, nil):
            answered += 1
            open.removeFirst()
        case (.sessions(let sessions), .some): open[0].told += sessions
        case (.reconnects(let clients), .some): open[0].clients += clients
        case (.end(let next), .some(let query)):
            answered += 1
            check(open.removeFirst(), query, next, alive)
        case (.refused, .some(let query)): world.fault("the worker refused \(query)")
        case (_, nil): world.fault("the worker answered nonsense with \(answer)")
        }
    }

    private func check(_ open: Open, _ query: SessionQuery, _ next: UInt32?, _ alive: [UInt64: Int]) {
        told += open.told.count
        let numbers = open.told.map(\.id.number)
        if numbers.count > query.limit { world.fault("\(numbers.count) sessions, \(query.limit) were asked for") }
        if Set(numbers).count != numbers.count { world.fault("a session was told of twice: \(query)") }
        for number in numbers where !open.seen.contains(number) {
            world.fault("session \(number) was told of and never was: \(query)")
        }
        switch query.subject {
        case .list(let filter): checkList(open, filter, query, next)
        case .close(let id):
            if numbers == [id.number] {
                closed.insert(id.number)
                if alive[id.number] != nil { world.fault("session \(id.number) was ended and is still there") }
            } else if !numbers.isEmpty || alive[id.number] != nil && open.steady.contains(id.number) && id.run != 1 {
                world.fault("session \(id.number) was to be ended, \(numbers) were")
            }
        case .topBytes:
            // They go on moving bytes while they are told of, so the order need not show any more.
            let isComplete = query.limit == SessionQuery.limitMax
            if isComplete, !open.steady.isSubset(of: numbers) { world.fault("sessions are missing among all") }
        case .topReconnects:
            if open.clients.contains(where: { $0.count < 2 }) { world.fault("who came once is no reconnect") }
            if zip(open.clients, open.clients.dropFirst()).contains(where: { $0.count < $1.count }) {
                world.fault("client ids are out of order")
            }
        }
    }

    private func checkList(_ open: Open, _ filter: SessionFilter, _ query: SessionQuery, _ next: UInt32?) {
        for facts in open.told {
            if let wanted = filter.clientID, facts.clientID != wanted { world.fault("another client id: \(facts)") }
            if let wanted = filter.client, facts.client?.address != wanted { world.fault("another address: \(facts)") }
            let isThere = filter.peers.isEmpty || filter.peers.contains(facts.peer ?? .max)
            if !isThere { world.fault("another peer: \(facts)") }
        }
        let isWhole = next == nil && query.cursor == 0 && filter == SessionFilter()
        if isWhole, !open.steady.isSubset(of: open.told.map(\.id.number)) {
            world.fault("sessions that were there all the time are missing")
        }
        if next != nil, open.told.count != query.limit { world.fault("a list ends early: \(open.told.count) sessions") }
    }

    // MARK: - Small things

    /// Slots by number of who is there.
    private static func alive(_ worker: borrowing Worker<SimulatedKernel>) -> [UInt64: Int] {
        var numbers: [UInt64: Int] = [:]
        for slot in 0..<worker.sessions.highWater {
            switch worker.sessions[slot].machine.state {
            case .free, .closing: break
            default: numbers[worker.sessions[slot].number] = slot
            }
        }
        return numbers
    }

    private func chance(_ ofHundred: UInt64) -> Bool { random.next() % 100 < ofHundred }
    private func draw(_ below: UInt64) -> UInt64 { random.next() % below }
}
