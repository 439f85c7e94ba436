// SPDX-License-Identifier: Apache-2.0
//
// A broker inside of the test: it listens, gives each connection a thread with a behaviour, and records what happened.
// The behaviours cover what brokers do when they are well, and what they must never do.

import CLinux
import Foundation
import Glibc
import MQTTWire
import Synchronization

package final class NullBroker: Sendable {
    /// What is done with a connection; its end closes the connection.
    package typealias Behaviour = @Sendable (Session) throws -> Void

    /// One accepted connection and what came over it.
    package final class Session: Sendable {
        package let connection: TCPConnection
        package let peer: String
        private let record = Mutex<[UInt8]>([])
        private let ended = Mutex(false)

        init(_ connection: TCPConnection) {
            self.connection = connection
            peer = connection.peerName
        }

        /// All bytes that were received through `receive`.
        package var received: [UInt8] { record.withLock { $0 } }
        package var isOver: Bool { ended.withLock { $0 } }

        package func receive(upTo count: Int = 65_536, within duration: Duration = .seconds(120)) throws -> [UInt8]? {
            let bytes = try connection.receive(upTo: count, within: duration)
            if let bytes { record.withLock { $0 += bytes } }
            return bytes
        }

        func end() {
            ended.withLock { $0 = true }
            connection.close()
        }
    }

    package let endpoint: Endpoint
    /// A closure that goes in and out of a generic box gets a layer of thunks each time; a struct around it does not.
    private struct Held {
        var behaviour: Behaviour
    }

    private let held: Mutex<Held>
    private let listener = Mutex<Int32?>(nil)
    private let all = Mutex<[Session]>([])

    /// Listens at once. Without an endpoint, on a port of its own.
    package init(at endpoint: Endpoint? = nil, _ behaviour: @escaping Behaviour = NullBroker.mqtt) throws {
        self.endpoint = try endpoint ?? .ipv4(PortRegistry.take())
        held = Mutex(Held(behaviour: behaviour))
        try start()
    }

    deinit {
        stop()
        for session in sessions where !session.isOver { session.connection.interrupt() }
    }

    package var sessions: [Session] { all.withLock { $0 } }
    package var connectionCount: Int { all.withLock(\.count) }
    package var openCount: Int { sessions.count { !$0.isOver } }

    /// For connections from now on.
    package func behave(_ behaviour: @escaping Behaviour) {
        held.withLock { $0.behaviour = behaviour }
    }

    /// Listens again after `stop`.
    package func start() throws {
        let socket = Glibc.socket(endpoint.family, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard socket >= 0 else { throw TestFault.system("socket()", errno) }
        var yes: Int32 = 1
        unsafe setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        if case .unix(let path) = endpoint { unsafe unlink(path) }
        guard unsafe endpoint.withAddress({ unsafe bind(socket, $0, $1) }) == 0, listen(socket, 4096) == 0 else {
            let code = errno
            Glibc.close(socket)
            throw TestFault.system("listen(\(endpoint.text))", code)
        }
        // Workers of Weir may run as another user.
        if case .unix(let path) = endpoint { unsafe chmod(path, 0o777) }
        listener.withLock { $0 = socket }
        let thread = Thread { [weak self] in
            while true {
                let descriptor = cl_accept(socket, nil, nil)
                if descriptor == -EINTR || descriptor == -ECONNABORTED { continue }
                guard descriptor >= 0 else { break }
                guard let self else {
                    Glibc.close(descriptor)
                    break
                }
                serve(descriptor)
            }
            Glibc.close(socket)
        }
        thread.start()
    }

    /// New connections are refused; open ones go on.
    package func stop() {
        listener.withLock { listener in
            if let listener { shutdown(listener, Int32(SHUT_RDWR)) }
            listener = nil
        }
    }

    /// As a broker that dies: no listener and all connections reset.
    package func kill() {
        stop()
        for session in sessions where !session.isOver { session.connection.reset() }
    }

    private func serve(_ descriptor: Int32) {
        let session = Session(TCPConnection(accepted: descriptor))
        all.withLock { $0.append(session) }
        let held = held.withLock { $0 }
        let thread = Thread {
            try? held.behaviour(session)
            session.end()
        }
        thread.stackSize = 256 * 1024
        thread.start()
    }
}

// MARK: - Behaviours

extension NullBroker {
    /// CONNACK 0 to the first bytes, PINGRESP and PUBACK where they belong, else silence.
    package static let mqtt: Behaviour = { session in
        var reader = PacketReader()
        while let bytes = try session.receive() {
            reader.append(bytes)
            while let packet = try reader.next() {
                switch packet.type {
                case .connect where packet.body.count > 6 && packet.body[6] & 0x7F == 5:
                    try session.connection.send([0x20, 3, 0, 0, 0])
                case .connect: try session.connection.send([0x20, 2, 0, 0])
                case .pingreq: try session.connection.send([0xD0, 0])
                case .publish where packet.flags & 0x06 != 0:
                    let length = Int(packet.body[0]) << 8 | Int(packet.body[1])
                    try session.connection.send([0x40, 2, packet.body[2 + length], packet.body[3 + length]])
                default: break
                }
            }
        }
    }

    /// Reads and says nothing.
    package static let silent: Behaviour = { session in
        while try session.receive() != nil {}
    }

    /// Accepts and does not even read.
    package static let stuck: Behaviour = { session in
        while true { Thread.sleep(forTimeInterval: 0.05) }
    }

    /// Sends back what comes, and ends when the other side ends.
    package static let echo: Behaviour = { session in
        while let bytes = try session.receive() { try session.connection.send(bytes, within: .seconds(120)) }
    }

    /// RST as soon as the first bytes are here.
    package static let reset: Behaviour = { session in
        _ = try session.receive()
        session.connection.reset()
    }

    /// Sends `bytes` at once, ends, and waits for the other side's end.
    package static func send(_ bytes: [UInt8]) -> Behaviour {
        { session in
            try session.connection.send(bytes, within: .seconds(120))
            session.connection.endSending()
            while try session.receive() != nil {}
        }
    }

    /// Answers each CONNECT with these bytes and stays silent.
    package static func answer(_ bytes: [UInt8]) -> Behaviour {
        { session in
            guard try session.receive() != nil else { return }
            try session.connection.send(bytes)
            while try session.receive() != nil {}
        }
    }
}
