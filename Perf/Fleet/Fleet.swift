// SPDX-License-Identifier: Apache-2.0
//
// Thousands of simulated devices and the broker behind the proxy, in one thread: one loop over all their sockets, so
// that a single CPU carries the whole load and nothing is measured but the proxy between them. The devices' work stands
// in Fleet+Churn, +Sessions, +Messages and +Bulk, their TLS in Fleet+TLS, the broker's in Fleet+Broker.
//
// Every call of a job runs until that job is done: CPU time taken before and after it belongs to what it counted.
// Invariant: `connections[n].role` is not `.free` exactly while descriptor n is open and belongs to this fleet.

import Glibc
import LinuxIO
import MQTTWire
import TLSEngine
import Vocabulary

/// Where a fleet lives.
package struct FleetPlan: Sendable {
    /// The null broker listens at each.
    package var brokers: [IPEndpoint]
    /// Devices connect to these in turn; nil: straight to the brokers.
    package var targets: [IPEndpoint]?
    /// Devices that speak TLS connect to this; nil: there are none.
    package var secureTarget: IPEndpoint?
    /// Devices connect from these in turn, so that there are ports enough.
    package var sources: [IPAddress]

    package init(
        brokers: [IPEndpoint], targets: [IPEndpoint]?, secureTarget: IPEndpoint? = nil, sources: [IPAddress]
    ) {
        self.brokers = brokers
        self.targets = targets
        self.secureTarget = secureTarget
        self.sources = sources
    }
}

/// One descriptor's slot.
struct Connection {
    enum Role: UInt8 { case free, listener, broker, device }
    enum State: UInt8 { case connecting, handshaking, awaitingConnack, open }

    var role = Role.free
    var state = State.connecting
    var generation: UInt32 = 0
    var scanner = PacketScanner()
    /// A device's TLS, from the moment it is connected; nil: it speaks none.
    var session: TLSConnection?
    /// Under which its session is kept to be resumed, and whether one was there when the handshake began.
    var sessionName: UInt16?
    var isResuming = false
    /// Of a device, in the order of all: it is in the client id.
    var deviceNumber = 0
    /// Position in `Fleet.sessions`; for a device that churns, nothing.
    var sessionIndex = 0
    /// Messages of the running job, and how many of them were answered.
    var sentCount = 0
    var answeredCount = 0
    /// When the message in flight was sent, of a job without a schedule.
    var sentAt: UInt64 = 0
    /// Messages that are due and wait for an answer to an earlier one.
    var owedCount = 0
    /// Bulk bytes that are still to be sent, and how many were.
    var bulkLeft = 0
    var bulkSent = 0
}

package final class Fleet {
    /// What the devices are at.
    enum Job {
        /// Sessions open, stay and close.
        case sessions
        case churn
        case paced(Schedule)
        case saturated
        case bulk
    }

    enum Received { case bytes(Int), nothing, ended, failed(Errno) }

    static let descriptorsMax = 20_000
    static let receivedBytesMax = 256 * 1024

    package internal(set) var tally = Tally()
    /// Where the broker listens, with the ports that the kernel chose where the plan had none.
    package private(set) var brokers: [IPEndpoint] = []
    /// How devices speak that start from now on.
    package var transport = Transport.plain

    var job = Job.sessions
    /// No new connection, no new message: the job comes to its end.
    var isStopping = false
    var connections = [Connection](repeating: Connection(), count: Fleet.descriptorsMax)
    /// Descriptors of the devices that stay; -1 where a session was lost.
    var sessions: [Int32] = []
    var record = Record()

    var epoll: Epoll
    private var listeners: [Int32] = []
    private let sources: [SocketAddress]
    private var targets: [SocketAddress] = []
    private var startedCount = 0
    private var connectPacket: [UInt8]
    var received = [UInt8](repeating: 0, count: Fleet.receivedBytesMax + TLSConnection.openSlack)
    var security: Security?
    var replies: [UInt8] = []
    var publishPacket = Fleet.makePublishPacket()
    let bulkTile = Fleet.makeBulkTile()

    /// Listens; raises this process's limit of descriptors as far as it may.
    package init(_ plan: FleetPlan) throws {
        let limit = try Processes.limit(of: .descriptors)
        try Processes.setLimit(
            of: .descriptors, .init(soft: min(UInt(Self.descriptorsMax), limit.hard), hard: limit.hard))
        epoll = try Epoll()
        sources = plan.sources.map { SocketAddress(IPEndpoint(address: $0, port: 0)) }
        connectPacket = ConnectPacket(version: .v311, clientID: "device-0000000000000000").bytes
        replies.reserveCapacity(64 * 1024)
        var options = ListenOptions()
        options.backlog = 4096
        for endpoint in plan.brokers {
            let number = try Sockets.listen(at: .ip(endpoint), options).release()
            try take(number, as: .listener, wantsRoom: false)
            listeners.append(number)
            brokers.append(Sockets.localAddress(of: number) ?? endpoint)
        }
        targets = (plan.targets ?? brokers).map { SocketAddress($0) }
        security = try plan.secureTarget.map { try Security(target: $0) }
    }

    deinit {
        for number in connections.indices where connections[number].role != .free { close(Int32(number)) }
        security?.free()
    }

    /// The errors so far; counting starts anew.
    package func takeTally() -> Tally {
        defer { tally = Tally() }
        return tally
    }

    // MARK: The loop

    /// Waits for events until `deadline` at the latest, and handles those that have come.
    func turn(until deadline: UInt64) {
        let now = monotonicNanoseconds()
        let count = epoll.wait(nanoseconds: deadline > now ? deadline - now : 0)
        for index in 0..<count { handle(epoll.event(index)) }
    }

    /// Turns until `condition` holds. False when `deadline` passes first.
    func turn(until deadline: UInt64, _ condition: () -> Bool) -> Bool {
        while !condition() {
            if monotonicNanoseconds() >= deadline { return false }
            turn(until: deadline)
        }
        return true
    }

    private func handle(_ event: Epoll.Event) {
        let slot = Int(event.number)
        guard connections[slot].generation == event.generation else { return }
        switch connections[slot].role {
        case .free: break
        case .listener: acceptAll(event.number)
        case .broker: serveBroker(event)
        case .device: serveDevice(event)
        }
    }

    // MARK: Slots

    func take(_ number: Int32, as role: Connection.Role, wantsRoom: Bool) throws(Errno) {
        let slot = Int(number)
        precondition(slot < Self.descriptorsMax && connections[slot].role == .free)
        let generation = connections[slot].generation
        try epoll.add(number, generation: generation, wantsRoom: wantsRoom)
        connections[slot] = Connection(role: role, generation: generation)
    }

    func close(_ number: Int32) {
        let slot = Int(number)
        precondition(connections[slot].role != .free)
        connections[slot].role = .free
        connections[slot].generation &+= 1
        connections[slot].session?.free()
        connections[slot].session = nil
        Descriptors.close(number)
    }

    func setWantsRoom(_ number: Int32, _ wantsRoom: Bool) {
        do throws(Errno) {
            try epoll.change(number, generation: connections[Int(number)].generation, wantsRoom: wantsRoom)
        } catch {
            preconditionFailure("a socket that is open and was added can be changed: \(error.text)")
        }
    }

    // MARK: Bytes

    /// Reads once; `nextPacket` goes through what came.
    func receive(_ number: Int32) -> Received {
        unsafe received.withUnsafeMutableBytes { bytes in
            do throws(Errno) {
                let room = unsafe UnsafeMutableRawBufferPointer(rebasing: bytes[..<Self.receivedBytesMax])
                let count = try unsafe Sockets.receive(number, into: room)
                return count == 0 ? .ended : .bytes(count)
            } catch Errno.wouldBlock {
                return .nothing
            } catch {
                return .failed(error)
            }
        }
    }

    func nextPacket(of number: Int32, in count: Int, at offset: inout Int) -> PassedPacket? {
        let bytes = received
        return connections[Int(number)].scanner.next(in: bytes.span.extracting(0..<count), at: &offset)
    }

    /// Sends a packet that always fits, because few of them are under way at a time.
    func sendSmall(_ number: Int32, _ bytes: [UInt8]) -> Bool {
        connections[Int(number)].session == nil ? sendWhole(number, bytes[...]) : sealAndSend(number, bytes)
    }

    func sendWhole(_ number: Int32, _ bytes: ArraySlice<UInt8>) -> Bool {
        do throws(Errno) {
            if try Sockets.send(number, bytes) == bytes.count { return true }
            tally.shortSends += 1
        } catch Errno.wouldBlock {
            tally.shortSends += 1
        } catch {
            tally.lastError = error.text
        }
        return false
    }

    // MARK: Devices

    /// Starts one more device: its number in the order of all is in its client id.
    @discardableResult
    func startDevice() -> Int32? {
        let source = sources[startedCount % sources.count]
        let target =
            if transport != .plain, let security { security.target } else { targets[startedCount % targets.count] }
        startedCount += 1
        do throws(Errno) {
            let owner = try Sockets.makeStream(for: target)
            try Sockets.setNoDelay(owner.number)
            try Sockets.setBindWithoutPort(owner.number)
            try Sockets.bind(owner.number, to: source)
            let outcome = try Sockets.connect(owner.number, to: target)
            let number = owner.release()
            try take(number, as: .device, wantsRoom: outcome == .inProgress)
            connections[Int(number)].deviceNumber = startedCount
            if outcome == .connected { reachedTarget(number) }
            return number
        } catch {
            tally.failedConnects += 1
            tally.lastError = error.text
            return nil
        }
    }

    private func reachedTarget(_ number: Int32) {
        if transport == .plain { sendConnect(number) } else { startHandshake(number) }
    }

    func sendConnect(_ number: Int32) {
        var digits = connections[Int(number)].deviceNumber
        for place in 1...8 {
            connectPacket[connectPacket.count - place] = UInt8(ascii: "0") + UInt8(digits % 10)
            digits /= 10
        }
        connections[Int(number)].state = .awaitingConnack
        if !sendSmall(number, connectPacket) { end(number, nil) }
    }

    private func serveDevice(_ event: Epoll.Event) {
        let number = event.number
        if connections[Int(number)].state == .connecting {
            do throws(Errno) {
                if let error = try Sockets.takeError(number) { return end(number, error) }
            } catch {
                return end(number, error)
            }
            setWantsRoom(number, false)
            return reachedTarget(number)
        }
        if event.isWritable, connections[Int(number)].bulkLeft > 0 { pump(number) }
        guard event.isReadable, connections[Int(number)].role == .device else { return }
        switch receiveOpened(number) {
        case .nothing: break
        case .ended: end(number, nil)
        case .failed(let error): end(number, error)
        case .bytes(let count):
            let generation = connections[Int(number)].generation
            var offset = 0
            while let packet = nextPacket(of: number, in: count, at: &offset) {
                deviceReceived(packet, number)
                if connections[Int(number)].generation != generation { return }
            }
        }
    }

    private func deviceReceived(_ packet: PassedPacket, _ number: Int32) {
        switch packet {
        case .connack(let code):
            guard connections[Int(number)].state == .awaitingConnack else { return wrong(number) }
            guard code == 0 else {
                tally.refusedConnects += 1
                return close(number)
            }
            connections[Int(number)].state = .open
            deviceConnected(number)
        case .puback(let packetID): answered(number, packetID)
        case .publish(packetID: nil): record.bulkPackets += 1
        case .suback: record.subscribed += 1
        case .publish, .connect, .subscribe, .pingRequest, .disconnect, .fault: wrong(number)
        }
    }

    private func deviceConnected(_ number: Int32) {
        record.connected += 1
        guard case .churn = job else {
            connections[Int(number)].sessionIndex = sessions.count
            return sessions.append(number)
        }
        hangUp(number)
        churnOn()
    }

    func wrong(_ number: Int32) {
        tally.wrongPackets += 1
        end(number, nil)
    }

    /// A device's connection ended, and not because the device wanted it to.
    func end(_ number: Int32, _ error: Errno?) {
        if let error { tally.lastError = error.text }
        let slot = Int(number)
        if connections[slot].state == .open {
            tally.lostSessions += 1
            sessions[connections[slot].sessionIndex] = -1
        } else {
            tally.failedConnects += 1
        }
        close(number)
        record.endedEarly += 1
        if case .churn = job { churnOn() }
    }
}
