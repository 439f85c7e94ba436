// SPDX-License-Identifier: Apache-2.0
//
// The other side of a pair, which the test plays: a master or a worker, as correct or as odd as the test wants it.

import ControlLink
import Glibc
import LinuxIO
import TestSupport
import Vocabulary

final class FarSide: Sendable {
    private let socket: PacketSocket

    /// Takes over a SOCK_SEQPACKET socket.
    init(_ number: Int32) { socket = PacketSocket(Descriptor(number)) }

    /// A pair; the second is what the admin process has.
    static func make() throws -> (far: FarSide, near: Int32) {
        let pair = try PacketSocket.makePair()
        return (FarSide(pair.first), pair.second)
    }

    /// As one that dies: it says and hears nothing more.
    func end() { shutdown(socket.number, Int32(SHUT_RDWR)) }

    // MARK: Packets

    func send(_ packet: [UInt8], descriptor: Int32? = nil) throws {
        guard try socket.send(packet, descriptor: descriptor) else { throw TestFault("no room for a packet") }
    }

    func packet() async throws -> [UInt8] {
        try await eventually("a packet comes", value: { () -> [UInt8]? in
            switch try socket.receive(bytesMax: 16_384) {
            case .packet(let bytes, _, _): return bytes
            case .wouldBlock: return nil
            case .ended: throw TestFault("the other side has ended")
            }
        })
    }

    // MARK: As a master

    func say(_ message: LinkMessage, descriptor: Int32? = nil) throws {
        try send(message.packet, descriptor: descriptor)
    }

    func message() async throws -> LinkMessage { try LinkMessage(packet: try await packet()) }

    // MARK: As a worker

    func query() async throws -> (number: UInt32, query: SessionQuery) {
        let packet = try await packet()
        guard let number = SessionQuery.number(ofPacket: packet), let query = SessionQuery(packet: packet) else {
            throw TestFault("no query: \(packet)")
        }
        return (number, query)
    }

    func answer(_ number: UInt32, _ answers: SessionAnswer...) throws {
        for answer in answers { try send(answer.packet(number: number)) }
    }
}

extension SessionFacts {
    init(number: UInt64) { self.init(id: SessionID(run: 1, number: number), phase: .forwarding) }
}
