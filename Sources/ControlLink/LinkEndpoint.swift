// SPDX-License-Identifier: Apache-2.0
//
// One end of the link between the master and a child: sends and takes messages with at most one descriptor each, never
// waits. Who sends keeps what did not fit and tries again later.

import CLinux
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

package struct LinkEndpoint: ~Copyable {
    package enum Reception: ~Copyable {
        case message(LinkArrival)
        case wouldBlock
        /// The other side has gone: closed its end, or died.
        case ended
        /// What came is no message; its descriptor is closed already.
        case malformed(LinkFault)
    }

    /// Room for some hundreds of messages, each of which the kernel counts with more than a kilobyte of its own.
    private static let bufferBytes = 1 << 20

    private let socket: Descriptor

    /// Takes over a SOCK_SEQPACKET socket.
    package init(socket: consuming Descriptor) { self.socket = socket }

    /// For poll sets and rings.
    package var number: Int32 { socket.number }

    /// Both ends, as numbers: one goes with the child, the other stays, and each process closes the one it does not
    /// own.
    package static func makePair() throws(Errno) -> (master: Int32, child: Int32) {
        let pair = try Sockets.makePair(keepsPackets: true)
        let master = Descriptor(pair.first)
        let child = Descriptor(pair.second)
        try Sockets.setSendBufferForced(master.number, bytes: bufferBytes)
        try Sockets.setSendBufferForced(child.number, bytes: bufferBytes)
        return (master.release(), child.release())
    }

    /// True: sent, and the caller may close its descriptor, which is the receiver's now as well. False: no room now;
    /// try again when the socket is writable, or later: the kernel also bounds how many descriptors of a user are under
    /// way (RLIMIT_NOFILE, unix(7)), and tells nobody when there is room again. `brokenPipe` or `connectionReset`: the
    /// other side has gone.
    package borrowing func send(_ message: LinkMessage, descriptor: Int32? = nil) throws(Errno) -> Bool {
        let packet = message.packet
        let number = socket.number
        let status = unsafe packet.withUnsafeBytes { bytes in
            unsafe cl_send_packet(number, bytes.baseAddress, UInt64(bytes.count), descriptor ?? -1)
        }
        if status >= 0 { return true }
        let error = Errno(rawValue: Int32(truncatingIfNeeded: -status))
        switch error {
        case .wouldBlock, .tooManyReferences, .noBuffers, .interrupted: return false
        default: throw error
        }
    }

    /// The next message. An error is the kernel's; the link is of no use then.
    package borrowing func receive() throws(Errno) -> Reception {
        var bytes = [UInt8](repeating: 0, count: LinkMessage.packetBytesMax)
        var number: Int32 = -1
        var isCut = false
        let socket = socket.number
        let status = unsafe bytes.withUnsafeMutableBytes { buffer in
            unsafe cl_receive_packet(socket, buffer.baseAddress, UInt64(buffer.count), &number, &isCut)
        }
        var descriptor: Descriptor? = number >= 0 ? Descriptor(number) : nil
        guard status >= 0 else {
            let error = Errno(rawValue: Int32(truncatingIfNeeded: -status))
            switch error {
            case .wouldBlock, .interrupted: return .wouldBlock
            case .connectionReset: return .ended
            default: throw error
            }
        }
        // No message is empty, so no bytes are the end of the stream.
        guard status > 0 else { return .ended }
        guard !isCut else { return .malformed(.cut) }
        bytes.removeLast(bytes.count - Int(status))
        do throws(LinkFault) {
            let message = try LinkMessage(packet: bytes)
            return .message(LinkArrival(message: message, descriptor: descriptor.take()))
        } catch {
            return .malformed(error)
        }
    }
}
