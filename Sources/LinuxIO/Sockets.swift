// SPDX-License-Identifier: Apache-2.0
//
// Stream and datagram sockets: made non-blocking and close-on-exec from the start, because splice(2) on them must never
// block and the master execs other programs.

import CLinux
import Glibc
import Vocabulary

package enum Sockets {
    /// Half of a connection, for `shutdown`.
    package enum Half: Sendable { case receiving, sending, both }

    /// Outcome of a connect that does not wait.
    package enum ConnectOutcome: Sendable, Equatable { case connected, inProgress }

    // MARK: Making

    /// An unconnected stream socket for the family of `address`.
    package static func makeStream(for address: SocketAddress, isMultipath: Bool = false) throws(Errno) -> Descriptor {
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let isIP = address.family == AF_INET || address.family == AF_INET6
        let transport = isMultipath && isIP ? multipathTCP : 0
        return Descriptor(try answer { socket(address.family, type, transport) })
    }

    /// A datagram socket connected to `address` (syslog).
    package static func makeDatagram(to address: SocketAddress) throws(Errno) -> Descriptor {
        let type = Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let owner = Descriptor(try answer { socket(address.family, type, 0) })
        _ = try answer { unsafe address.withPointer { unsafe Glibc.connect(owner.number, $0, $1) } }
        return owner
    }

    /// A connected pair. `keepsPackets`: SOCK_SEQPACKET instead of a stream.
    package static func makePair(keepsPackets: Bool) throws(Errno) -> (first: Int32, second: Int32) {
        let kind = keepsPackets ? SOCK_SEQPACKET : SOCK_STREAM
        let type = Int32(kind.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        var numbers: (Int32, Int32) = (-1, -1)
        _ = try answer {
            unsafe withUnsafeMutableBytes(of: &numbers) { bytes in
                unsafe socketpair(AF_UNIX, type, 0, bytes.baseAddress!.assumingMemoryBound(to: Int32.self))
            }
        }
        return (numbers.0, numbers.1)
    }

    // MARK: Life of a connection

    package static func bind(_ number: Int32, to address: SocketAddress) throws(Errno) {
        _ = try answer { unsafe address.withPointer { unsafe Glibc.bind(number, $0, $1) } }
    }

    package static func connect(_ number: Int32, to address: SocketAddress) throws(Errno) -> ConnectOutcome {
        do throws(Errno) {
            _ = try answer { unsafe address.withPointer { unsafe Glibc.connect(number, $0, $1) } }
            return .connected
        } catch Errno.inProgress {
            return .inProgress
        }
    }

    /// The next connection of a listener's queue with the peer's address, or nil when the queue is empty.
    package static func accept(_ listener: Int32, from address: inout SocketAddress) throws(Errno) -> Descriptor? {
        do throws(Errno) {
            return Descriptor(try result { unsafe address.withRoom { unsafe cl_accept(listener, $0, $1) } })
        } catch Errno.wouldBlock {
            return nil
        }
    }

    package static func shutdown(_ number: Int32, _ half: Half) throws(Errno) {
        let how: Int32 =
            switch half {
            case .receiving: Int32(SHUT_RD)
            case .sending: Int32(SHUT_WR)
            case .both: Int32(SHUT_RDWR)
            }
        _ = try answer { Glibc.shutdown(number, how) }
    }

    /// What a connect in progress came to, and clears it (SO_ERROR); nil is success.
    package static func takeError(_ number: Int32) throws(Errno) -> Errno? {
        let code = try integerOption(number, SOL_SOCKET, SO_ERROR)
        return code == 0 ? nil : Errno(rawValue: code)
    }

    // MARK: Addresses

    /// Nil for a unix socket. A peer that has reset the connection before it was accepted still has its address, and
    /// may have left bytes to be read; getpeername(2) does not tell it any more, SO_PEERNAME does.
    package static func peerAddress(of number: Int32) -> IPEndpoint? {
        var address = SocketAddress()
        if unsafe address.withRoom({ unsafe getpeername(number, $0, $1) }) == 0 { return address.endpoint }
        // The room must not be larger than the address.
        for size in [MemoryLayout<sockaddr_in6>.size, MemoryLayout<sockaddr_in>.size] {
            let isKnown = unsafe address.withRoom { name, length in
                unsafe length.pointee = socklen_t(size)
                return unsafe getsockopt(number, SOL_SOCKET, SO_PEERNAME, name, length) == 0
            }
            if isKnown { return address.endpoint }
        }
        return nil
    }

    /// Nil for a unix socket.
    package static func localAddress(of number: Int32) -> IPEndpoint? {
        var address = SocketAddress()
        guard unsafe address.withRoom({ unsafe getsockname(number, $0, $1) }) == 0 else { return nil }
        return address.endpoint
    }

    // MARK: Bytes

    /// 0 is the end of the stream; `wouldBlock` is thrown when nothing is there.
    package static func receive(_ number: Int32, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Int {
        try answer { unsafe recv(number, buffer.baseAddress, buffer.count, Int32(MSG_DONTWAIT)) }
    }

    /// Appends at most `bytesMax` bytes to `bytes`; the same answers.
    package static func receive(_ number: Int32, appendingTo bytes: inout [UInt8], bytesMax: Int) throws(Errno) -> Int {
        // Room that is not filled with zeros first: that took 20 ms for 64 KiB in a debug build.
        var failure: Errno? = nil
        let received = unsafe [UInt8](unsafeUninitializedCapacity: bytesMax) { room, count in
            do throws(Errno) {
                count = try unsafe receive(number, into: UnsafeMutableRawBufferPointer(room))
            } catch {
                failure = error
            }
        }
        if let failure { throw failure }
        bytes.append(contentsOf: received)
        return received.count
    }

    /// How many bytes the kernel took; no SIGPIPE.
    package static func send(_ number: Int32, _ bytes: UnsafeRawBufferPointer) throws(Errno) -> Int {
        let flags = Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL)
        return try answer { unsafe Glibc.send(number, bytes.baseAddress, bytes.count, flags) }
    }

    package static func send(_ number: Int32, _ bytes: ArraySlice<UInt8>) throws(Errno) -> Int {
        let flags = Int32(MSG_DONTWAIT) | Int32(MSG_NOSIGNAL)
        return try answer {
            unsafe bytes.withUnsafeBytes { unsafe Glibc.send(number, $0.baseAddress, $0.count, flags) }
        }
    }

    /// IPPROTO_MPTCP (linux/in.h), which glibc 2.36 knows but Swift's module need not.
    private static let multipathTCP: Int32 = 262
}
