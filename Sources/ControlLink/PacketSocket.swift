// SPDX-License-Identifier: Apache-2.0
//
// One end of a SOCK_SEQPACKET pair: whole packets in and out, with at most one descriptor each. Never waits.

import CLinux
import LinuxIO

package struct PacketSocket: ~Copyable, Sendable {
    package enum Reception: ~Copyable {
        /// `isCut`: it was larger than the reader's room, or came with more than one descriptor.
        case packet([UInt8], Descriptor?, isCut: Bool)
        case wouldBlock
        /// The other side has gone: closed its end, or died.
        case ended
    }

    /// Room for some hundreds of packets, each of which the kernel counts with more than a kilobyte of its own.
    private static let bufferBytes = 1 << 20

    private let socket: Descriptor

    /// Takes over a SOCK_SEQPACKET socket.
    package init(_ socket: consuming Descriptor) { self.socket = socket }

    /// For poll sets and rings.
    package var number: Int32 { socket.number }

    /// Both ends, as numbers.
    package static func makePair() throws(Errno) -> (first: Int32, second: Int32) {
        let pair = try Sockets.makePair(keepsPackets: true)
        let first = Descriptor(pair.first)
        let second = Descriptor(pair.second)
        try Sockets.setSendBufferForced(first.number, bytes: bufferBytes)
        try Sockets.setSendBufferForced(second.number, bytes: bufferBytes)
        return (first.release(), second.release())
    }

    /// True: sent, and the caller may close its descriptor, which is the receiver's now as well. False: no room now;
    /// try again when the socket is writable, or later: the kernel also bounds how many descriptors of a user are under
    /// way (RLIMIT_NOFILE, unix(7)), and tells nobody when there is room again. `brokenPipe` or `connectionReset`: the
    /// other side has gone.
    package borrowing func send(_ packet: [UInt8], descriptor: Int32? = nil) throws(Errno) -> Bool {
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

    /// The next packet, of at most `bytesMax` bytes. An error is the kernel's; the socket is of no use then.
    package borrowing func receive(bytesMax: Int) throws(Errno) -> Reception {
        var bytes = [UInt8](repeating: 0, count: bytesMax)
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
            // The other side has ended and left packets unread. The kernel says so once, and before what that side has
            // sent (seen with Linux 6.18): its last words come with the next call, and the end behind them.
            case .connectionReset: return try receive(bytesMax: bytesMax)
            default: throw error
            }
        }
        // No packet is empty, so no bytes are the end of the stream.
        guard status > 0 else { return .ended }
        bytes.removeLast(bytes.count - Int(status))
        return .packet(bytes, descriptor.take(), isCut: isCut)
    }
}
