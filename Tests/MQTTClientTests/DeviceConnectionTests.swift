// SPDX-License-Identifier: Apache-2.0
//
// The client on a real socket, against a listener of the test that plays broker by bytes.

import LinuxIO
import MQTTClient
import MQTTWire
import Testing
import Vocabulary

@Suite struct DeviceConnectionTests {
    static let loopback = IPAddress(ipv4: 0x7F00_0001)

    /// A listener on a port that the kernel chose.
    struct Listener: ~Copyable {
        let descriptor: Descriptor
        let endpoint: IPEndpoint

        init() throws {
            let listener = try Sockets.listen(
                at: .ip(IPEndpoint(address: DeviceConnectionTests.loopback, port: 0)), ListenOptions())
            endpoint = try #require(Sockets.localAddress(of: listener.number))
            descriptor = listener
        }

        /// The next connection, within a second.
        func accept() throws -> Descriptor {
            var entries = [PollEntry(descriptor.number, .readable)]
            _ = try Poll.wait(&entries, milliseconds: 1000)
            var address = SocketAddress()
            guard let peer = try Sockets.accept(descriptor.number, from: &address) else { throw Errno.timedOut }
            return peer
        }
    }

    /// Drives the device until `isDone`, for two seconds at most, and gives the events.
    static func drive(
        _ device: inout DeviceConnection, until isDone: ([DeviceEvent]) -> Bool
    ) throws -> [DeviceEvent] {
        var events: [DeviceEvent] = []
        let deadline = monotonicMilliseconds() + 2000
        while true {
            while let event = device.nextEvent() { events.append(event) }
            let now = monotonicMilliseconds()
            if isDone(events) || now >= deadline { return events }
            var entries = [device.pollEntry]
            _ = try Poll.wait(&entries, milliseconds: 10)
            device.handle(entries[0].happened, now: monotonicMilliseconds())
            device.tick(now: monotonicMilliseconds())
        }
    }

    @Test("CONNECT arrives from the address asked for, and CONNACK connects")
    func connect() throws {
        let listener = try Listener()
        let settings = DeviceSettings(clientID: "one")
        let source = IPAddress(ipv4: 0x7F00_0005)
        var device = DeviceConnection(
            to: listener.endpoint, from: source, settings, now: monotonicMilliseconds())
        let peer = try listener.accept()
        let from = Sockets.peerAddress(of: peer.number)
        let local = device.localAddress
        #expect(from?.address == source)
        #expect(local == from)
        _ = try Self.drive(&device) { _ in (try? Descriptors.readableBytes(peer.number)) ?? 0 > 0 }
        var bytes: [UInt8] = []
        _ = try Sockets.receive(peer.number, appendingTo: &bytes, bytesMax: 1000)
        #expect(bytes == settings.connect.bytes)
        _ = try Sockets.send(peer.number, [0x20, 2, 1, 0][...])
        let events = try Self.drive(&device) { !$0.isEmpty }
        #expect(events == [.connected(isSessionPresent: true)])
        device.disconnect()
        let state = device.state
        #expect(state == .closed(.requested))
    }

    @Test("the peer's end and the peer's reset are told apart", arguments: [false, true])
    func peerGone(byReset: Bool) throws {
        let listener = try Listener()
        var device = DeviceConnection(
            to: listener.endpoint, DeviceSettings(clientID: "one"), now: monotonicMilliseconds())
        let peer = try listener.accept()
        _ = try Self.drive(&device) { _ in (try? Descriptors.readableBytes(peer.number)) ?? 0 > 0 }
        var bytes: [UInt8] = []
        _ = try Sockets.receive(peer.number, appendingTo: &bytes, bytesMax: 1000)
        if byReset { try Sockets.setResetOnClose(peer.number) }
        try peer.close()
        let events = try Self.drive(&device) { !$0.isEmpty }
        #expect(events == [.closed(byReset ? .failed(.connectionReset) : .peerClosed)])
    }

    @Test("nobody listening is an event, not a trap")
    func refused() throws {
        let endpoint: IPEndpoint
        do { endpoint = try Listener().endpoint }
        var device = DeviceConnection(to: endpoint, DeviceSettings(clientID: "one"), now: monotonicMilliseconds())
        let events = try Self.drive(&device) { !$0.isEmpty }
        #expect(events == [.closed(.failed(.connectionRefused))])
        let watched = device.pollEntry.number
        #expect(watched == -1)
    }
}
