// SPDX-License-Identifier: Apache-2.0
//
// Addresses and sockets, over loopback.

import Testing
import Vocabulary

@testable import LinuxIO

@Suite struct SocketAddressTests {
    static let endpoints = [
        IPEndpoint(address: IPAddress(text: "127.0.0.1")!, port: 1883),
        IPEndpoint(address: IPAddress(text: "255.254.253.252")!, port: 65535),
        IPEndpoint(address: IPAddress(text: "::")!, port: 0),
        IPEndpoint(address: IPAddress(text: "2001:db8:1:2:3:4:5:6")!, port: 8883),
        IPEndpoint(address: IPAddress(text: "::ffff:10.1.2.3")!, port: 1),
    ]

    @Test("an IP endpoint survives the way through a socket address", arguments: endpoints)
    func roundTrip(_ endpoint: IPEndpoint) { #expect(SocketAddress(endpoint).endpoint == endpoint) }

    @Test("a unix path up to 107 bytes fits, a longer one is refused")
    func unixPath() throws {
        let longest = try SocketAddress(.unix("/" + String(repeating: "a", count: 106)))
        #expect(longest.endpoint == nil)
        #expect(longest.byteCount == 110)
        #expect(throws: Errno.nameTooLong) { try SocketAddress(.unix("/" + String(repeating: "a", count: 107))) }
    }

    @Test("an empty address is no endpoint") func empty() { #expect(SocketAddress().endpoint == nil) }
}

@Suite struct SocketTests {
    @Test("bytes and the end of the stream cross a connection, and both sides know both addresses")
    func connection() throws {
        let (client, server) = try Loopback.connect()
        defer { Descriptors.close(server) }
        #expect(Sockets.peerAddress(of: server) == Sockets.localAddress(of: client))
        #expect(Sockets.peerAddress(of: client) == Sockets.localAddress(of: server))
        #expect(try Sockets.takeError(client) == nil)
        #expect(throws: Errno.wouldBlock) {
            var bytes: [UInt8] = []
            return try Sockets.receive(server, appendingTo: &bytes, bytesMax: 10)
        }
        #expect(try Sockets.send(client, Array("hello".utf8)[...]) == 5)
        try Sockets.shutdown(client, .sending)
        try Loopback.awaitReadable(server)
        var bytes: [UInt8] = Array("> ".utf8)
        #expect(try Sockets.receive(server, appendingTo: &bytes, bytesMax: 100) == 5)
        #expect(bytes == Array("> hello".utf8))
        try Loopback.awaitReadable(server)
        #expect(try Sockets.receive(server, appendingTo: &bytes, bytesMax: 100) == 0)
        #expect(bytes.count == 7)
        Descriptors.close(client)
    }

    @Test("a connect to a port nobody listens at is refused, now or as the socket's error")
    func refused() throws {
        let silent = try Sockets.makeStream(for: SocketAddress(Loopback.anyPort))
        try Sockets.bind(silent.number, to: SocketAddress(Loopback.anyPort))
        let address = SocketAddress(try #require(Sockets.localAddress(of: silent.number)))
        let client = try Sockets.makeStream(for: address)
        do throws(Errno) {
            #expect(try Sockets.connect(client.number, to: address) == .inProgress)
            var entries = [PollEntry(client.number, .writable)]
            #expect(try Poll.wait(&entries, milliseconds: 5000) == 1)
            #expect(try Sockets.takeError(client.number) == .connectionRefused)
        } catch {
            #expect(error == .connectionRefused)
        }
    }

    @Test("a reset shows as such")
    func reset() throws {
        let (client, server) = try Loopback.connect()
        defer { Descriptors.close(server) }
        try Sockets.setResetOnClose(client)
        Descriptors.close(client)
        try Loopback.awaitReadable(server)
        var bytes: [UInt8] = []
        #expect(throws: Errno.connectionReset) { try Sockets.receive(server, appendingTo: &bytes, bytesMax: 10) }
        #expect(bytes.isEmpty)
        #expect(Sockets.peerAddress(of: server) == nil)
    }

    @Test("an address in use says which call failed and why")
    func inUse() throws {
        let listener = try Sockets.listen(at: Loopback.anyPort, ListenOptions())
        let taken = Endpoint.ip(try #require(Sockets.localAddress(of: listener.number)))
        #expect(throws: CallFault(call: "bind()", error: .addressInUse)) {
            _ = try Sockets.listen(at: taken, ListenOptions()).close()
        }
    }

    @Test("every option of a listener is taken")
    func options() throws {
        var options = ListenOptions()
        options.isReusePort = true
        options.receiveBufferBytes = 65536
        options.sendBufferBytes = 65536
        options.fastOpenQueue = 16
        options.isDeferred = true
        options.isKeepAlive = true
        options.keepAliveIdleSeconds = 77
        options.keepAliveIntervalSeconds = 7
        options.keepAliveProbes = 3
        options.isIPv6Only = false
        let any = IPEndpoint(address: IPAddress(text: "::")!, port: 0)
        let listener = try Sockets.listen(at: .ip(any), options)
        let tcp: Int32 = 6
        #expect(try Sockets.integerOption(listener.number, tcp, 4) == 77)
        #expect(try Sockets.integerOption(listener.number, tcp, 5) == 7)
        #expect(try Sockets.integerOption(listener.number, tcp, 6) == 3)
        #expect(try Sockets.integerOption(listener.number, tcp, 9) > 0)
        #expect(try Sockets.integerOption(listener.number, 41, 26) == 0)
        // Not IPv6-only: an IPv4 client gets in and shows as a mapped address.
        let port = try #require(Sockets.localAddress(of: listener.number)).port
        let address = SocketAddress(IPEndpoint(address: IPAddress(text: "127.0.0.1")!, port: port))
        let client = try Sockets.makeStream(for: address)
        _ = try Sockets.connect(client.number, to: address)
        _ = try Sockets.send(client.number, [1][...])
        let server = try Loopback.accept(at: listener.number)
        defer { Descriptors.close(server) }
        #expect(Sockets.peerAddress(of: server)?.address.unmapped == IPAddress(text: "127.0.0.1"))
    }

    @Test("a broker's socket takes a source address without a port, and a foreign one when transparent")
    func outgoing() throws {
        let listener = try Sockets.listen(at: Loopback.anyPort, ListenOptions())
        let address = SocketAddress(try #require(Sockets.localAddress(of: listener.number)))
        let client = try Sockets.makeStream(for: address)
        try Sockets.setNoDelay(client.number)
        try Sockets.setBindWithoutPort(client.number)
        let source = IPAddress(text: "127.0.0.77")!
        try Sockets.bind(client.number, to: SocketAddress(IPEndpoint(address: source, port: 0)))
        _ = try Sockets.connect(client.number, to: address)
        let server = try Loopback.accept(at: listener.number)
        defer { Descriptors.close(server) }
        #expect(Sockets.peerAddress(of: server)?.address == source)
        guard Processes.isRoot else { return }
        let transparent = try Sockets.makeStream(for: address)
        try Sockets.setTransparent(transparent.number, isIPv6: false)
        let foreign = IPAddress(text: "192.0.2.1")!
        try Sockets.bind(transparent.number, to: SocketAddress(IPEndpoint(address: foreign, port: 0)))
    }

    @Test("a unix listener is open to all, has no IP addresses, and its path stays in use")
    func unixListener() throws {
        try withTemporaryDirectory { folder in
            let endpoint = Endpoint.unix("\(folder)/socket")
            let listener = try Sockets.listen(at: endpoint, ListenOptions())
            let address = try SocketAddress(endpoint)
            let client = try Sockets.makeStream(for: address)
            #expect(try Sockets.connect(client.number, to: address) == .connected)
            let server = try Loopback.accept(at: listener.number)
            defer { Descriptors.close(server) }
            #expect(Sockets.peerAddress(of: server) == nil)
            #expect(Sockets.localAddress(of: server) == nil)
            try listener.close()
            #expect(throws: CallFault(call: "bind()", error: .addressInUse)) {
                _ = try Sockets.listen(at: endpoint, ListenOptions()).close()
            }
        }
    }

    @Test("a datagram keeps its borders")
    func datagram() throws {
        try withTemporaryDirectory { folder in
            let address = try SocketAddress(.unix("\(folder)/log"))
            #expect(throws: Errno.notFound) { _ = try Sockets.makeDatagram(to: address).close() }
        }
        let pair = try Sockets.makePair(keepsPackets: true)
        defer {
            Descriptors.close(pair.first)
            Descriptors.close(pair.second)
        }
        _ = try Sockets.send(pair.first, [1, 2][...])
        _ = try Sockets.send(pair.first, [3][...])
        var bytes: [UInt8] = []
        #expect(try Sockets.receive(pair.second, appendingTo: &bytes, bytesMax: 10) == 2)
        #expect(try Sockets.receive(pair.second, appendingTo: &bytes, bytesMax: 10) == 1)
    }
}

@Suite struct SteeringTests {
    // Three listeners of one group. Steered to the first one, fifty connections all wait there; by the kernel's hash
    // that would happen once in 10^23 runs.
    @Test("a steered group sends every new connection to its first members")
    func steering() throws {
        var options = ListenOptions()
        options.isReusePort = true
        let first = try Sockets.listen(at: Loopback.anyPort, options)
        let endpoint = try #require(Sockets.localAddress(of: first.number))
        let second = try Sockets.listen(at: .ip(endpoint), options)
        let third = try Sockets.listen(at: .ip(endpoint), options)
        try Sockets.steerGroup(of: third.number, toFirst: 1)
        for _ in 0..<50 {
            let client = try Sockets.makeStream(for: SocketAddress(endpoint))
            _ = try Sockets.connect(client.number, to: SocketAddress(endpoint))
            let server = try Loopback.accept(at: first.number)
            Descriptors.close(server)
        }
        var peer = SocketAddress()
        let isSecondEmpty = try Sockets.accept(second.number, from: &peer) == nil
        let isThirdEmpty = try Sockets.accept(third.number, from: &peer) == nil
        #expect(isSecondEmpty && isThirdEmpty)
        try Sockets.unsteerGroup(of: second.number)
        #expect(throws: Errno.notFound) { try Sockets.unsteerGroup(of: second.number) }
        #expect(throws: Errno.invalid) { try Sockets.steerGroup(of: first.number, toFirst: 0) }
    }
}
