// SPDX-License-Identifier: Apache-2.0
//
// One end of a stream socket, client or accepted, for threads that may block: every call has a deadline and says what
// it waited for. Also the rude things: half a close, a reset, raw bytes, tiny windows, sources other than 127.0.0.1.

import Glibc
import Synchronization

package final class TCPConnection: Sendable {
    /// How a stream ended.
    package enum End: Sendable, Equatable { case closed, reset }

    private let descriptor: Int32
    private let isOpen = Mutex(true)

    init(accepted descriptor: Int32) { self.descriptor = descriptor }

    /// `source` is an IPv4 address of this machine; a small `receiveBuffer` makes a slow reader slow at once.
    package init(
        to endpoint: Endpoint, from source: String? = nil, receiveBuffer: Int32? = nil,
        within duration: Duration = .seconds(5)
    ) throws {
        descriptor = socket(endpoint.family, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw TestFault.system("socket()", errno) }
        if let receiveBuffer { set(SOL_SOCKET, SO_RCVBUF, receiveBuffer) }
        if let source {
            set(Int32(IPPROTO_IP), IP_BIND_ADDRESS_NO_PORT, 1)
            guard unsafe Endpoint.ipv4(0, host: source).withAddress({ unsafe bind(descriptor, $0, $1) }) == 0 else {
                throw TestFault.system("bind(\(source))", errno)
            }
        }
        set(nonBlocking: true)
        if unsafe endpoint.withAddress({ unsafe connect(descriptor, $0, $1) }) != 0 {
            guard errno == EINPROGRESS else { throw TestFault.system("connect(\(endpoint.text))", errno) }
            try wait(Int16(POLLOUT), Deadline(in: duration), "connect(\(endpoint.text))")
            var code: Int32 = 0
            var size = socklen_t(MemoryLayout<Int32>.size)
            unsafe getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &code, &size)
            guard code == 0 else { throw TestFault.system("connect(\(endpoint.text))", code) }
        }
        if endpoint.family != AF_UNIX { set(Int32(IPPROTO_TCP), TCP_NODELAY, 1) }
    }

    deinit { close() }

    // MARK: Out

    package func send(_ bytes: [UInt8], within duration: Duration = .seconds(20)) throws {
        let deadline = Deadline(in: duration)
        var sent = 0
        while sent < bytes.count {
            let count = unsafe bytes[sent...].withUnsafeBytes {
                unsafe Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
            }
            if count >= 0 {
                sent += count
            } else if errno == EAGAIN {
                try wait(Int16(POLLOUT), deadline, "send after \(sent) of \(bytes.count) bytes")
            } else if errno != EINTR {
                throw TestFault.system("send() after \(sent) of \(bytes.count) bytes", errno)
            }
        }
    }

    package func send(_ text: String) throws { try send(Array(text.utf8)) }

    // MARK: In

    /// What is there, at least one byte; nil at the end of the stream.
    package func receive(upTo count: Int = 65_536, within duration: Duration = .seconds(30)) throws -> [UInt8]? {
        try receive(upTo: count, Deadline(in: duration))
    }

    private func receive(upTo count: Int, _ deadline: Deadline) throws -> [UInt8]? {
        while true {
            var code: Int32 = 0
            let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
                let got = unsafe recv(descriptor, buffer.baseAddress, count, Int32(MSG_DONTWAIT))
                if got < 0 { code = errno }
                filled = max(got, 0)
            }
            if code == 0 { return bytes.isEmpty ? nil : bytes }
            if code == EAGAIN {
                try wait(Int16(POLLIN), deadline, "receive")
            } else if code != EINTR {
                throw TestFault.system("recv()", code)
            }
        }
    }

    /// Exactly `count` bytes.
    package func receive(exactly count: Int, within duration: Duration = .seconds(30)) throws -> [UInt8] {
        let deadline = Deadline(in: duration)
        var bytes: [UInt8] = []
        while bytes.count < count {
            guard let more = try receive(upTo: min(count - bytes.count, 262_144), deadline) else {
                throw TestFault("the stream ended after \(bytes.count) of \(count) bytes")
            }
            bytes += more
        }
        return bytes
    }

    /// Everything up to the end of the stream, or until `isEnough` of all bytes so far.
    package func receiveToEnd(
        within duration: Duration = .seconds(30), orUntil isEnough: ([UInt8]) -> Bool = { _ in false }
    ) throws -> [UInt8] {
        let deadline = Deadline(in: duration)
        var bytes: [UInt8] = []
        while !isEnough(bytes), let more = try receive(upTo: 262_144, deadline) { bytes += more }
        return bytes
    }

    /// Reads on until `isEnough` of all bytes so far.
    package func receive(
        within duration: Duration = .seconds(30), until isEnough: ([UInt8]) -> Bool
    ) throws -> [UInt8] {
        let deadline = Deadline(in: duration)
        var bytes: [UInt8] = []
        while !isEnough(bytes) {
            guard let more = try receive(upTo: 65_536, deadline) else {
                throw TestFault("the stream ended after \"\(String(decoding: bytes, as: UTF8.self))\"")
            }
            bytes += more
        }
        return bytes
    }

    /// Drops what still comes, and says how the stream ended.
    package func waitForEnd(within duration: Duration = .seconds(30)) throws -> End {
        let deadline = Deadline(in: duration)
        do {
            while try receive(upTo: 65_536, deadline) != nil {}
            return .closed
        } catch let fault as TestFault {
            if fault.isReset { return .reset }
            throw fault
        }
    }

    /// True when nothing has ended the stream and nothing waits to be read.
    package var isQuiet: Bool {
        var byte: UInt8 = 0
        let got = unsafe recv(descriptor, &byte, 1, Int32(MSG_PEEK | MSG_DONTWAIT))
        return got < 0 && errno == EAGAIN
    }

    // MARK: Ends

    package func endSending() { shutdown(descriptor, Int32(SHUT_WR)) }

    package func close() {
        isOpen.withLock { isOpen in
            if isOpen { Glibc.close(descriptor) }
            isOpen = false
        }
    }

    /// RST instead of FIN, at once: while another thread waits in a call, close(2) would end nothing before that
    /// returns, and leave that thread with a number that is somebody else's. So the socket is disconnected, and closed
    /// by its owner.
    package func reset() {
        let isDone = isOpen.withLock { isOpen in
            guard isOpen else { return true }
            var unspecified = sockaddr()
            unspecified.sa_family = sa_family_t(AF_UNSPEC)
            return unsafe connect(descriptor, &unspecified, socklen_t(MemoryLayout<sockaddr>.size)) == 0
        }
        // Not TCP.
        if !isDone { close() }
    }

    /// Ends both directions, and what another thread waits for with them.
    package func interrupt() { shutdown(descriptor, Int32(SHUT_RDWR)) }

    // MARK: Names

    /// Our own address, e.g. 127.0.0.2:40000.
    package var localName: String { unsafe name { unsafe getsockname(descriptor, $0, $1) } }
    package var peerName: String { unsafe name { unsafe getpeername(descriptor, $0, $1) } }

    private func name(_ ask: (UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32) -> String {
        var storage = sockaddr_storage()
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        var host = [CChar](repeating: 0, count: 256)
        var port = [CChar](repeating: 0, count: 32)
        let isKnown = unsafe withUnsafeMutablePointer(to: &storage) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                unsafe ask(address, &size) == 0
                    && getnameinfo(
                        address, size, &host, socklen_t(host.count), &port, socklen_t(port.count),
                        NI_NUMERICHOST | NI_NUMERICSERV) == 0
            }
        }
        guard isKnown else { return "" }
        return text(host) + ":" + text(port)
    }

    private func wait(_ events: Int16, _ deadline: Deadline, _ what: String) throws {
        while true {
            var entry = pollfd(fd: descriptor, events: events, revents: 0)
            let count = unsafe poll(&entry, 1, deadline.millisecondsLeft)
            if count > 0 { return }
            if count == 0, deadline.hasPassed { throw TestFault("deadline: \(what)") }
            if count < 0, errno != EINTR { throw TestFault.system("poll()", errno) }
        }
    }

    private func set(nonBlocking: Bool) {
        let flags = fcntl(descriptor, F_GETFL)
        _ = fcntl(descriptor, F_SETFL, nonBlocking ? flags | O_NONBLOCK : flags & ~O_NONBLOCK)
    }

    private func set(_ level: Int32, _ option: Int32, _ value: Int32) {
        var value = value
        unsafe setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
    }
}

/// The text of a C string in a buffer.
func text(_ buffer: [CChar]) -> String {
    String(decoding: buffer.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
}
