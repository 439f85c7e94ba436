// SPDX-License-Identifier: Apache-2.0
//
// One end of the link between the master and a child: sends and takes messages with at most one descriptor each, never
// waits. Who sends keeps what did not fit and tries again later.

import LinuxIO

/// A message that came, and the descriptor that came with it.
package struct LinkArrival: ~Copyable {
    package let message: LinkMessage
    private var descriptor: Descriptor?

    init(message: LinkMessage, descriptor: consuming Descriptor?) {
        self.message = message
        self.descriptor = descriptor
    }

    /// The descriptor, once; what nobody takes is closed with the arrival.
    package mutating func takeDescriptor() -> Descriptor? { descriptor.take() }
}

package struct LinkEndpoint: ~Copyable, Sendable {
    package enum Reception: ~Copyable {
        case message(LinkArrival)
        case wouldBlock
        /// The other side has gone: closed its end, or died.
        case ended
        /// What came is no message; its descriptor is closed already.
        case malformed(LinkFault)
    }

    private let socket: PacketSocket

    /// Takes over a SOCK_SEQPACKET socket.
    package init(socket: consuming Descriptor) { self.socket = PacketSocket(socket) }

    /// For poll sets and rings.
    package var number: Int32 { socket.number }

    /// Both ends, as numbers: one goes with the child, the other stays, and each process closes the one it does not
    /// own.
    package static func makePair() throws(Errno) -> (master: Int32, child: Int32) {
        let pair = try PacketSocket.makePair()
        return (pair.first, pair.second)
    }

    /// As `PacketSocket.send`.
    package borrowing func send(_ message: LinkMessage, descriptor: Int32? = nil) throws(Errno) -> Bool {
        try socket.send(message.packet, descriptor: descriptor)
    }

    /// The next message. An error is the kernel's; the link is of no use then.
    package borrowing func receive() throws(Errno) -> Reception {
        switch try socket.receive(bytesMax: LinkMessage.packetBytesMax) {
        case .wouldBlock: return .wouldBlock
        case .ended: return .ended
        case .packet(let bytes, let descriptor, let isCut):
            guard !isCut else { return .malformed(.cut) }
            do throws(LinkFault) {
                let message = try LinkMessage(packet: bytes)
                return .message(LinkArrival(message: message, descriptor: descriptor))
            } catch {
                return .malformed(error)
            }
        }
    }
}
