// SPDX-License-Identifier: Apache-2.0
//
// The client through TLS, against a listener of the test that plays broker: who is let in, who is not, and how each end
// is told apart.

import Certificates
import LinuxIO
import MQTTClient
import MQTTWire
import ProxyConfig
import TLSEngine
import Testing
import Vocabulary

@Suite struct SecureConnectionTests {
    /// One authority, a server for 127.0.0.1, and a client.
    struct Authority {
        let own: Certificate
        let server: TLSServerContext

        init() throws {
            own = try #require(Certificate(.authority, commonName: "Tests"))
            let certificate = try #require(
                Certificate(.server, commonName: "server", names: "IP:127.0.0.1", issuer: own))
            var settings = TLSServerSettings()
            settings.common.certificates = [Self.files(certificate)]
            settings.clientVerification = .on
            settings.clientCertificates = TLSFile(path: "ca.pem", bytes: own.bytes)
            server = try TLSServerContext(settings, tickets: nil, cache: nil)
        }

        static func files(_ certificate: Certificate) -> TLSCertificate {
            TLSCertificate(
                chain: TLSFile(path: "a.pem", bytes: certificate.bytes),
                key: TLSFile(path: "a.key", bytes: certificate.keyBytes))
        }

        func client(hasCertificate: Bool = true, expecting name: String = "127.0.0.1") throws -> DeviceSecurity {
            var settings = TLSClientSettings()
            settings.verifies = true
            settings.common.trustedCertificates = TLSFile(path: "ca.pem", bytes: own.bytes)
            if hasCertificate {
                let certificate = try #require(Certificate(.client, commonName: "client", issuer: own))
                settings.common.certificates = [Self.files(certificate)]
            }
            return DeviceSecurity(try TLSClientContext(settings), serverName: name)
        }
    }

    /// The server's side of one connection; `turn` moves what can be moved.
    final class Peer {
        let socket: Int32
        let tls: TLSConnection
        var isOpen = false
        var plain: [UInt8] = []
        var hasGoodbye = false
        var isAtEnd = false

        init(_ socket: Int32, _ context: TLSServerContext) throws {
            self.socket = socket
            tls = try #require(TLSConnection.accept(context, isChoosingByName: false))
        }

        deinit { tls.free() }

        func turn() throws {
            var bytes: [UInt8] = []
            do throws(Errno) {
                isAtEnd = try Sockets.receive(socket, appendingTo: &bytes, bytesMax: 100_000) == 0
            } catch {
                guard error == .wouldBlock else { throw error }
                return
            }
            var output = [UInt8](repeating: 0, count: bytes.count + TLSConnection.openSlack)
            if !isOpen, unsafe bytes.withUnsafeBytes({ unsafe tls.handshake($0) }) == .done {
                isOpen = true
                bytes = []
            }
            if isOpen {
                let opened = unsafe bytes.withUnsafeBytes { bytes in
                    unsafe output.withUnsafeMutableBytes { unsafe tls.open(bytes, into: $0) }
                }
                switch opened {
                case .bytes(let count): plain += output[..<count]
                case .closed(let count):
                    plain += output[..<count]
                    hasGoodbye = true
                case .failed: break
                }
            }
            try flush()
        }

        func send(_ bytes: [UInt8]) throws {
            var sealed = [UInt8](repeating: 0, count: bytes.count + TLSConnection.sealSlack)
            let count = unsafe bytes.withUnsafeBytes { bytes in
                unsafe sealed.withUnsafeMutableBytes { unsafe tls.seal(bytes, into: $0) }
            }
            _ = try Sockets.send(socket, sealed[..<(try #require(count))])
        }

        func flush() throws {
            var output = [UInt8](repeating: 0, count: tls.outputBytes)
            let count = unsafe output.withUnsafeMutableBytes { unsafe tls.takeOutput($0) }
            if count > 0 { _ = try Sockets.send(socket, output[..<count]) }
        }
    }

    /// Drives the device, and the peer if there is one, until `isDone`, for five seconds at most.
    static func drive(
        _ device: inout DeviceConnection, _ peer: Peer?, until isDone: ([DeviceEvent]) -> Bool
    ) throws -> [DeviceEvent] {
        var events: [DeviceEvent] = []
        let deadline = monotonicMilliseconds() + 5000
        while true {
            while let event = device.nextEvent() { events.append(event) }
            if isDone(events) || monotonicMilliseconds() >= deadline { return events }
            var entries = [device.pollEntry]
            _ = try Poll.wait(&entries, milliseconds: 5)
            device.handle(entries[0].happened, now: monotonicMilliseconds())
            device.tick(now: monotonicMilliseconds())
            try peer?.turn()
        }
    }

    static let connack: [UInt8] = [0x20, 2, 0, 0]

    @Test("CONNECT, CONNACK and a publish of many records go through, and the end is said in both protocols")
    func connect() throws {
        let authority = try Authority()
        let listener = try DeviceConnectionTests.Listener()
        let settings = DeviceSettings(clientID: "one")
        var device = DeviceConnection(
            to: listener.endpoint, secured: try authority.client(), settings, now: monotonicMilliseconds())
        let socket = try listener.accept()
        let peer = try Peer(socket.number, authority.server)
        let connect = settings.connect.bytes
        _ = try Self.drive(&device, peer) { _ in peer.plain.count >= connect.count }
        #expect(peer.plain == connect)
        #expect(peer.tls.clientRefusal == nil)
        try peer.send(Self.connack)
        let events = try Self.drive(&device, peer) { !$0.isEmpty }
        #expect(events == [.connected(isSessionPresent: false)])
        peer.plain = []
        let payload = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 / 7) }
        try device.publish(topic: "t", payload: payload, now: monotonicMilliseconds())
        _ = try Self.drive(&device, peer) { _ in peer.plain.count >= payload.count + 7 }
        #expect(peer.plain.suffix(payload.count) == payload[...])
        device.disconnect()
        _ = try Self.drive(&device, peer) { _ in peer.isAtEnd }
        #expect(peer.plain.suffix(2) == [0xE0, 0])
        #expect(peer.hasGoodbye)
    }

    @Test("a client without a certificate meets the server's refusal")
    func noCertificate() throws {
        let authority = try Authority()
        let listener = try DeviceConnectionTests.Listener()
        var device = DeviceConnection(
            to: listener.endpoint, secured: try authority.client(hasCertificate: false),
            DeviceSettings(clientID: "one"), now: monotonicMilliseconds())
        let socket = try listener.accept()
        let peer = try Peer(socket.number, authority.server)
        _ = try Self.drive(&device, peer) { _ in peer.isOpen }
        #expect(peer.tls.clientRefusal == "client sent no required SSL certificate")
        peer.tls.closeWriting()
        try peer.flush()
        let events = try Self.drive(&device, nil) { !$0.isEmpty }
        #expect(events == [.closed(.peerClosed)])
    }

    @Test("a server of another authority, or of another name, is not believed", arguments: [false, true])
    func distrust(hasRightAuthority: Bool) throws {
        let authority = try Authority()
        let client =
            if hasRightAuthority { try authority.client(expecting: "127.0.0.2") } else { try Authority().client() }
        let listener = try DeviceConnectionTests.Listener()
        var device = DeviceConnection(
            to: listener.endpoint, secured: client, DeviceSettings(clientID: "one"), now: monotonicMilliseconds())
        let socket = try listener.accept()
        let peer = try Peer(socket.number, authority.server)
        let events = try Self.drive(&device, peer) { !$0.isEmpty }
        guard case .closed(.tlsFailed(let words)) = events.last else {
            Issue.record("\(events)")
            return
        }
        #expect(words.hasPrefix("upstream SSL certificate "))
        #expect(peer.plain.isEmpty)
    }

    @Test("the end of the stream without close_notify is a cut", arguments: [false, true])
    func end(hasGoodbye: Bool) throws {
        let authority = try Authority()
        let listener = try DeviceConnectionTests.Listener()
        var device = DeviceConnection(
            to: listener.endpoint, secured: try authority.client(), DeviceSettings(clientID: "one"),
            now: monotonicMilliseconds())
        let socket = try listener.accept()
        let peer = try Peer(socket.number, authority.server)
        _ = try Self.drive(&device, peer) { _ in !peer.plain.isEmpty }
        if hasGoodbye {
            peer.tls.closeWriting()
            try peer.flush()
        }
        try Sockets.shutdown(socket.number, .sending)
        let events = try Self.drive(&device, nil) { !$0.isEmpty }
        #expect(events == [.closed(hasGoodbye ? .peerClosed : .truncated)])
    }

    @Test("a peer that speaks no TLS is found out at its first words")
    func plainPeer() throws {
        let authority = try Authority()
        let listener = try DeviceConnectionTests.Listener()
        var device = DeviceConnection(
            to: listener.endpoint, secured: try authority.client(), DeviceSettings(clientID: "one"),
            now: monotonicMilliseconds())
        let socket = try listener.accept()
        _ = try Sockets.send(socket.number, Array("HTTP/1.1 400 Bad Request\r\n".utf8)[...])
        let events = try Self.drive(&device, nil) { !$0.isEmpty }
        guard case .closed(.tlsFailed(let words)) = events.last else {
            Issue.record("\(events)")
            return
        }
        #expect(words.contains("wrong version number"))
    }
}
