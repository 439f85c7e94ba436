// SPDX-License-Identifier: Apache-2.0
//
// What these tests share: connections over loopback, children that end by themselves, folders that vanish.

import CLinux
import LinuxIO
import Testing
import Vocabulary

enum Loopback {
    static let anyPort = Endpoint.ip(IPEndpoint(address: IPAddress(ipv4: 0x7F00_0001), port: 0))

    /// Both ends of a TCP connection over 127.0.0.1, as numbers.
    static func connect(receiveBufferBytes: Int? = nil) throws -> (client: Int32, server: Int32) {
        var options = ListenOptions()
        options.receiveBufferBytes = receiveBufferBytes
        let listener = try Sockets.listen(at: anyPort, options)
        let address = SocketAddress(try #require(Sockets.localAddress(of: listener.number)))
        let client = try Sockets.makeStream(for: address)
        _ = try Sockets.connect(client.number, to: address)
        let server = try accept(at: listener.number)
        return (client.release(), server)
    }

    /// Waits for a connection in the listener's queue.
    static func accept(at listener: Int32) throws -> Int32 {
        var entries = [PollEntry(listener, .readable)]
        #expect(try Poll.wait(&entries, milliseconds: 5000) == 1)
        var peer = SocketAddress()
        guard let server = try Sockets.accept(listener, from: &peer) else { throw Errno.timedOut }
        return server.release()
    }

    /// Waits until the socket has something to read or has ended.
    static func awaitReadable(_ number: Int32) throws {
        var entries = [PollEntry(number, .readable)]
        #expect(try Poll.wait(&entries, milliseconds: 5000) == 1)
    }
}

/// Runs `body` in a child, whose exit code is the result. All tests share a process and run at once, so the child
/// begins with closing what it inherited from the others: a socket that it kept would not end when its test closes it.
func inChild(keeping kept: [Int32] = [], _ body: () -> Int32) throws -> Int32 {
    switch try Processes.fork() {
    case .child:
        var first: UInt32 = 3
        for number in kept.sorted() {
            _ = cl_close_range(first, UInt32(number) - 1)
            first = UInt32(number) + 1
        }
        _ = cl_close_range(first, .max)
        Processes.exit(body())
    case .parent(let child): return child
    }
}

func withTemporaryDirectory(_ body: (String) throws -> Void) throws {
    let folder = try Files.makeTemporaryDirectory(prefix: "/tmp/weir-linuxio-")
    defer {
        for name in (try? Files.names(in: folder)) ?? [] { try? Files.remove("\(folder)/\(name)") }
        try? Files.removeDirectory(folder)
    }
    try body(folder)
}
