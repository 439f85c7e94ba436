// SPDX-License-Identifier: Apache-2.0
//
// Peers that send what no peer should, at any offset: a fault with nginx's words, no crash, no memory left behind, no
// endless work.

import CTestTLS
import ProxyConfig
import TLSEngine
import Testing
import Vocabulary

/// The client of CTestTLS against our server.
@safe struct Misbehaving {
    let client: UnsafeMutableRawPointer
    var server: Side

    init(version: Int32, _ settings: TLSServerSettings = .with("server")) throws {
        unsafe client = ctt_client_new(version)
        server = Side(
            connection: TLSConnection.accept(
                try TLSServerContext(settings, tickets: nil, cache: nil), isChoosingByName: false)!)
        for _ in 0..<4 {
            unsafe _ = ctt_client_handshake(client)
            server.handshake(take())
            feed(server.takeOutput())
        }
        #expect(server.progress == .done)
    }

    func free() {
        unsafe ctt_client_free(client)
        server.connection.free()
    }

    func take() -> [UInt8] {
        unsafe [UInt8](unsafeUninitializedCapacity: 1 << 20) { buffer, count in
            count = unsafe ctt_client_take(client, buffer.baseAddress, buffer.count)
        }
    }

    func feed(_ bytes: [UInt8]) { unsafe ctt_client_feed(client, bytes, bytes.count) }
}

@Suite("hostile peers")
struct HostileTests {
    /// The first name leads to a server, the second would be what variables show.
    @Test(
        "the ClientHello that answers a HelloRetryRequest keeps its name, or has none again",
        arguments: [("a.test", "a.test", true), ("a.test", "b.test", false), (nil, "b.test", false)]
            as [(String?, String, Bool)])
    func rename(first: String?, second: String, isGood: Bool) throws {
        let context = try TLSServerContext(.with("server") { $0.curves = "X25519" }, tickets: nil, cache: nil)
        // The client guesses a group that the server has not got.
        let raw = unsafe "P-521:X25519".withCString { groups in
            var settings = unsafe ctt_settings()
            unsafe settings.groups = groups
            return unsafe ctt_client_configured(&settings)!
        }
        defer { unsafe ctt_client_free(raw) }
        var side = Side(connection: TLSConnection.accept(context, isChoosingByName: true)!)
        defer { side.connection.free() }
        if let first { unsafe ctt_client_rename(raw, first) }
        for round in 0..<4 {
            unsafe _ = ctt_client_handshake(raw)
            let sent = unsafe [UInt8](unsafeUninitializedCapacity: 1 << 16) { buffer, count in
                count = unsafe ctt_client_take(raw, buffer.baseAddress, buffer.count)
            }
            if side.handshake(sent) == .choose {
                #expect(round == 0)
                side.handshake()
            }
            let answer = side.takeOutput()
            unsafe ctt_client_feed(raw, answer, answer.count)
            if round == 0 { unsafe ctt_client_rename(raw, second) }
        }
        #expect(side.progress == (isGood ? .done : .failed))
        if isGood { #expect(side.value(.tlsServerName) == "a.test") }
    }

    @Test(
        "bytes of other protocols are told apart as nginx tells them",
        arguments: [
            ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "http request"),
            ("CONNECT x:1 HTTP/1.1\r\n\r\n", "https proxy request"),
            ("\u{10}\u{16}\0\u{4}MQTT\u{4}\u{2}\0\u{3C}\0\u{A}sensor-001", "wrong version number"),
        ])
    func plain(text: String, reason: String) throws {
        var side = Side(
            connection: TLSConnection.accept(
                try TLSServerContext(.with("server"), tickets: nil, cache: nil), isChoosingByName: true)!)
        defer { side.connection.free() }
        #expect(side.handshake(Array(text.utf8)) == .failed)
        #expect(side.connection.fault?.message.hasPrefix("SSL_do_handshake() failed (SSL: error:0A0") == true)
        #expect(side.connection.fault?.message.contains(reason) == true, "\(side.connection.fault as Any)")
        #expect(side.connection.isClientFault)
        #expect(side.handshake([1]) == .failed)
        #expect(side.open([1]).0 == .failed)
        #expect(side.seal([1]) == nil)
        side.connection.closeWriting()
    }

    /// A ClientHello as bytes.
    static func clientHello() throws -> [UInt8] {
        var client = Side(
            connection: TLSConnection.connect(
                try TLSClientContext(.with { $0.sendsServerName = true }), name: Array("server.test".utf8),
                resuming: nil, key: [])!)
        defer { client.connection.free() }
        client.handshake()
        return client.takeOutput()
    }

    @Test("a ClientHello cut anywhere waits; with any byte changed it goes on or fails")
    func everyOffset() throws {
        let context = try TLSServerContext(.with("server"), tickets: nil, cache: nil)
        let hello = try Self.clientHello()
        var random = SeededRandom(seed: 4)
        for offset in hello.indices {
            var side = Side(connection: TLSConnection.accept(context, isChoosingByName: true)!)
            #expect(side.handshake(Array(hello[..<offset])) == .wantsInput)
            side.connection.free()

            var changed = hello
            changed[offset] ^= UInt8.random(in: 1...255, using: &random)
            side = Side(connection: TLSConnection.accept(context, isChoosingByName: true)!)
            for _ in 0..<3 {
                side.handshake(changed)
                changed = []
                if side.progress == .failed {
                    #expect(side.connection.fault != nil)
                    break
                }
            }
            #expect(side.progress != .done)
            side.connection.free()
        }
    }

    @Test("a record with any byte changed ends the connection, and the peer gets an alert")
    func everyRecordByte() throws {
        for version in [TLSProtocols.tls12, .tls13] {
            let client = try TLSClientContext(.with())
            let server = try TLSServerContext(
                .with("server") { $0.common.protocols = version }, tickets: nil, cache: nil)
            for offset in 0..<30 {
                var link = Link(client, server)
                defer { link.free() }
                link.handshake()
                var sealed = try #require(link.client.seal([1, 2, 3, 4, 5, 6, 7, 8]))
                sealed[min(offset, sealed.count - 1)] ^= 0x41
                let (opened, plain) = link.server.open(sealed)
                #expect(plain.isEmpty)
                // A longer length waits for more; everything else is broken.
                if opened == .failed {
                    #expect(link.server.connection.isClientFault, "\(offset) \(link.server.connection.fault as Any)")
                    #expect(link.server.connection.outputBytes > 0)
                } else {
                    #expect(offset == 3 || offset == 4)
                }
            }
        }
    }

    @Test("garbage after the handshake, of any length, fails or waits, and never yields a byte")
    func garbage() throws {
        var random = SeededRandom(seed: 11)
        let client = try TLSClientContext(.with())
        let server = try TLSServerContext(.with("server"), tickets: nil, cache: nil)
        for _ in 0..<200 {
            var link = Link(client, server)
            defer { link.free() }
            link.handshake()
            let count = Int.random(in: 1...20_000, using: &random)
            let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
            #expect(link.server.open(bytes).1.isEmpty)
        }
    }

    @Test("a flood of KeyUpdate ends the connection; a few are answered")
    func keyUpdates() throws {
        let pair = try Misbehaving(version: 13)
        defer { pair.free() }
        for _ in 0..<8 { #expect(unsafe ctt_client_update_key(pair.client) == 1) }
        #expect(unsafe ctt_client_write(pair.client, [1, 2] as [UInt8], 2) == 2)
        #expect(pair.server.open(pair.take()).1 == [1, 2])
        pair.feed(try #require(pair.server.seal([9])))
        var byte: UInt8 = 0
        #expect(unsafe ctt_client_read(pair.client, &byte, 1) == 1)
        #expect(byte == 9)
        for _ in 0..<2_000 { #expect(unsafe ctt_client_update_key(pair.client) == 1) }
        #expect(pair.server.open(pair.take()).0 == .failed)
        #expect(pair.server.connection.fault?.message == "peer sends only handshake messages")
        #expect(pair.server.connection.isClientFault)
    }

    @Test("a client that wants to negotiate again is told no, and may go on")
    func renegotiation() throws {
        let pair = try Misbehaving(version: 12)
        defer { pair.free() }
        unsafe _ = ctt_client_renegotiate(pair.client)
        let (opened, plain) = pair.server.open(pair.take())
        #expect(opened == .bytes(0))
        #expect(plain.isEmpty)
        // A send may take a part of what waits; the rest goes on waiting.
        let waiting = pair.server.connection.waitingOutput
        #expect(waiting.count > 5 && pair.server.connection.outputBytes == waiting.count)
        pair.server.connection.dropOutput(5)
        #expect(pair.server.connection.waitingOutput == Array(waiting[5...]))
        pair.feed(Array(waiting[..<5]) + pair.server.takeOutput())
        #expect(pair.server.connection.waitingOutput.isEmpty)
        var byte: UInt8 = 0
        #expect(unsafe ctt_client_read(pair.client, &byte, 1) == -1)
    }

    @Test("data right behind the handshake is not lost, however little room there is")
    func dataWithFinished() throws {
        for version in [TLSProtocols.tls12, .tls13] {
            try withLink(.with(), .with("server") { $0.common.protocols = version }) { link in
                let large = [UInt8](repeating: 3, count: 20_000)
                link.client.handshake()
                for _ in 0..<4 where link.client.progress != .done {
                    link.server.handshake(link.client.takeOutput())
                    link.client.handshake(link.server.takeOutput())
                }
                let input =
                    version == .tls13
                    ? link.client.takeOutput() + (try #require(link.client.seal(large)))
                    : try #require(link.client.seal(large))
                var plain: [UInt8] = []
                if link.server.progress != .done {
                    #expect(link.server.handshake(input) == .done)
                    #expect(link.server.connection.hasInput)
                } else {
                    plain += link.server.open(input, room: 100).1
                }
                while link.server.connection.hasInput { plain += link.server.open([], room: 1_000).1 }
                #expect(plain == large)
            }
        }
    }

    @Test("close_notify goes both ways, once, and each side may still be told things after its own")
    func closing() throws {
        for version in [TLSProtocols.tls12, .tls13] {
            try withLink(.with(), .with("server") { $0.common.protocols = version }) { link in
                link.handshake()
                let last = try #require(link.client.seal([5]))
                link.client.connection.closeWriting()
                link.client.connection.closeWriting()
                let close = link.client.takeOutput()
                #expect(!close.isEmpty)
                #expect(link.server.open(last + close).0 == .closed(1))
                #expect(link.send([7, 7], toServer: false) == [7, 7])
                link.server.connection.closeWriting()
                #expect(link.client.open(link.server.takeOutput()).0 == .closed(0))
                #expect(link.server.open(last).1.isEmpty)
            }
        }
    }

    @Test("what does not fit into the output waits, and nothing is lost or out of order")
    func narrow() throws {
        try withLink(.with(), .with("server")) { link in
            link.client.handshake()
            link.server.handshake(link.client.takeOutput())
            link.client.handshake(link.server.takeOutput())
            link.server.handshake(link.client.takeOutput())
            // Two tickets wait.
            let waiting = link.server.connection.outputBytes
            #expect(waiting > 0)
            let large = (0..<20_000).map { UInt8(truncatingIfNeeded: $0) }
            var wire = try #require(link.server.seal(large, room: 1_000))
            #expect(wire.count == 1_000)
            while link.server.connection.outputBytes > 0 { wire += link.server.takeOutput(piece: 333) }
            #expect(link.client.open(wire).1 == large)
        }
    }
}
