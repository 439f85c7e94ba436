// SPDX-License-Identifier: Apache-2.0
//
// How sessions under TLS end: close_notify and its absence, on either side and through Weir; what comes after it; what
// is no record; a handshake that is asked for again; and early data, which is not to be had.

import MQTTWire
import Synchronization
import TestSupport
import Testing

@Suite("TLS: ends")
struct TLSEndTests {
    // MARK: - The client's end

    @Test("close_notify, FIN without it, and a reset are told apart", arguments: [TLSClientOptions.Version.v12, .v13])
    func clientEnds(version: TLSClientOptions.Version) async throws {
        let broker = try NullBroker()
        try await TLSHostileStage.run(broker: broker) { hostile in
            func open() throws -> TLSTestStream {
                let client = try TLSTestStream(to: hostile.endpoint, hostile.stage.client().only(version))
                #expect(try client.isServed(as: "ends"))
                return client
            }
            let polite = try open()
            var name = polite.connection.localName
            try polite.endSending()
            #expect(try polite.waitForEnd() == .closed)
            try await hostile.expectEnd(of: name, "200 client_closed", "client disconnected")

            let cut = try open()
            name = cut.connection.localName
            cut.connection.endSending()
            // Weir itself is polite to the last.
            #expect(try cut.waitForEnd() == .closed)
            try await hostile.expectEnd(of: name, "200 client_truncated", "client disconnected")

            let rude = try open()
            name = rude.connection.localName
            rude.connection.reset()
            let end = try await hostile.weir.sessionEnd(of: name)
            #expect(end.outcome == "200 client_reset")
            #expect(end.lines.count == 1 && end.lines[0].contains("recv() failed (104: Connection reset by peer)"))
            try hostile.othersAreWell()
        }
    }

    @Test("what comes behind a close_notify reaches nobody")
    func dataBehindTheEnd() async throws {
        let broker = try NullBroker(NullBroker.echo)
        try await TLSHostileStage.run(broker: broker) { hostile in
            let client = try TLSTestStream(to: hostile.endpoint, hostile.stage.client())
            let name = client.connection.localName
            try client.send("before")
            #expect(try client.receive(exactly: 6) == Array("before".utf8))
            try client.endSending()
            // Weir may have closed already.
            try? client.connection.send([0x17, 3, 3, 0, 40] + pattern(40, seed: 1))
            try? client.connection.send("in the clear")
            #expect(try client.waitForEnd() != .truncated)
            try await hostile.expectEnd(of: name, "200 client_closed", "client disconnected")
            #expect(broker.sessions.map(\.received) == [Array("before".utf8)])
        }
    }

    @Test("bytes that are no record of the session end it, and the broker has only what came before")
    func noRecord() async throws {
        let broker = try NullBroker(NullBroker.echo)
        try await TLSHostileStage.run(broker: broker) { hostile in
            let cases: [(String, [UInt8], TLSClientOptions.Version, String)] = [
                ("forged", [0x17, 3, 3, 0, 40] + pattern(40, seed: 2), .v12, "decryption failed or bad record mac"),
                ("forged", [0x17, 3, 3, 0, 40] + pattern(40, seed: 2), .v13, "decryption failed or bad record mac"),
                ("plain", connect("plain"), .v13, "wrong version number"),
                ("too long", [0x17, 3, 3, 0xFF, 0xFF] + pattern(2_000, seed: 3), .v13, "packet length too long"),
            ]
            for (what, bytes, version, reason) in cases {
                let client = try TLSTestStream(to: hostile.endpoint, hostile.stage.client().only(version))
                let name = client.connection.localName
                try client.send(what)
                #expect(try client.receive(exactly: what.utf8.count) == Array(what.utf8))
                try client.connection.send(bytes)
                // An alert, and nothing of the session's any more.
                let end = try client.waitForEnd()
                #expect(end != .truncated && end != .closed, "\(what): \(end)")
                let log = try await hostile.weir.sessionEnd(of: name)
                #expect(log.outcome == "500 tls_broken", "\(what)")
                #expect(log.lines.count == 1, "\(log.lines)")
                let line = log.lines.first ?? ""
                #expect(line.contains("[info]") && line.contains("SSL_read() failed (SSL: error:"), "\(line)")
                #expect(line.contains(reason), "\(line)")
                #expect(line.contains(") while proxying and reading from client, client: 127.0.0.1, "), "\(line)")
                #expect(broker.sessions.last?.received == Array(what.utf8))
                try hostile.othersAreWell()
            }
        }
    }

    // MARK: - Handshakes again

    @Test("a client that asks for another handshake is told no at once, though the broker says nothing")
    func renegotiation() async throws {
        let broker = try NullBroker()
        try await TLSHostileStage.run(broker: broker) { hostile in
            let client = try TLSTestStream(to: hostile.endpoint, hostile.stage.client().only(.v12))
            let name = client.connection.localName
            #expect(try client.isServed(as: "again"))
            try client.renegotiate()
            // OpenSSL's client gives up at a warning that others may heed.
            #expect(try client.waitForEnd(within: .seconds(5)) == .failed("no renegotiation"))
            client.connection.close()
            let end = try await hostile.weir.sessionEnd(of: name)
            #expect(["200 client_truncated", "500 tls_broken"].contains(end.outcome), "\(end)")
            #expect(end.lines.count == 1, "\(end.lines)")
        }
    }

    @Test("a session goes on after each request for new keys, on both sides")
    func keyUpdate() async throws {
        let broker = try NullBroker(NullBroker.echo)
        try await TLSHostileStage.run(broker: broker) { hostile in
            let client = try TLSTestStream(to: hostile.endpoint, hostile.stage.client().only(.v13))
            for round in 0..<5 {
                try client.send("round \(round)")
                #expect(try client.receive(exactly: 7) == Array("round \(round)".utf8))
                // Weir's own keys change with its next record, whose bytes are counted as before.
                try client.updateKeys()
            }
            let name = client.connection.localName
            client.close()
            try await hostile.expectEnd(of: name, "200 client_closed", "client disconnected")
            #expect(broker.sessions.map(\.received.count) == [35])
        }
    }

    @Test("early data is not offered, and what a client sends of it all the same is dropped")
    func earlyData() async throws {
        let broker = try NullBroker(NullBroker.echo)
        try await TLSHostileStage.run(broker: broker) { hostile in
            let options = hostile.stage.client().only(.v13)
            let first = try TLSTestStream(to: hostile.endpoint, options)
            try first.send("first")
            #expect(try first.receive(exactly: 5) == Array("first".utf8))
            #expect(first.fact(.earlyDataMax) == "0")
            let session = first.session
            first.close()

            let client = try TLSTestStream(
                over: hostile.connect(),
                options.with {
                    $0.session = session
                    $0.earlyDataMax = 16_384
                })
            try client.sendEarly(Array("too early".utf8))
            try client.handshake()
            #expect(client.isReused)
            #expect(client.fact(.earlyData) == "rejected")
            try client.send("in time")
            #expect(try client.receive(exactly: 7) == Array("in time".utf8))
            let name = client.connection.localName
            client.close()
            try await hostile.expectEnd(of: name, "200 client_closed", "client disconnected")
            #expect(broker.sessions.map(\.received) == ["first", "in time"].map { Array($0.utf8) })
        }
    }

    // MARK: - Through Weir

    /// A server block with TLS on both sides, and the broker behind it.
    private static func twoSided(
        _ settings: String, _ broker: @escaping @Sendable (TLSTestStream) throws -> Void,
        _ body: (TLSStage, WeirInstance, Endpoint) async throws -> Void
    ) async throws {
        let stage = try await TLSStage()
        let server = try TLSTestServer(stage.pair("broker"))
        let nullBroker = try NullBroker(server.behaviour(broker))
        let port = try PortRegistry.take()
        let stream = """
            \(weirEndingLog)
            server {
                listen 127.0.0.1:\(port) ssl;
                \(TLSStage.lines())
                proxy_ssl on;
                \(settings)
                proxy_pass \(nullBroker.endpoint.text);
            }
            """
        try await stage.withWeir(stream: stream) { try await body(stage, $0, .ipv4(port)) }
    }

    @Test("with proxy_half_close, close_notify of the client reaches the broker, whose answer still comes back")
    func halfCloseOfClient() async throws {
        let answer = pattern(300_000, seed: 5)
        try await Self.twoSided("proxy_half_close on;") { stream in
            var question: [UInt8] = []
            while let more = try stream.receive() { question += more }
            // Only a whole question is answered.
            if question == Array("question".utf8) { try stream.send(answer) }
        } _: { stage, weir, endpoint in
            let client = try TLSTestStream(to: endpoint, stage.client())
            let name = client.connection.localName
            try client.send("question")
            try client.endSending()
            #expect(try client.receive(exactly: answer.count) == answer)
            #expect(try client.waitForEnd() == .closed)
            client.connection.close()
            #expect(try await weir.sessionEnd(of: name).outcome == "200 client_closed")
        }
    }

    @Test("with proxy_half_close, close_notify of the broker reaches the client, who may go on speaking")
    func halfCloseOfBroker() async throws {
        let heard = Mutex<[UInt8]>([])
        try await Self.twoSided("proxy_half_close on;") { stream in
            try stream.send("that is all")
            try stream.endSending()
            while let more = try stream.receive() { heard.withLock { $0 += more } }
        } _: { stage, weir, endpoint in
            let client = try TLSTestStream(to: endpoint, stage.client())
            let name = client.connection.localName
            #expect(try client.receive(exactly: 11) == Array("that is all".utf8))
            #expect(try client.waitForEnd() == .closed)
            try client.send("I see")
            client.close()
            #expect(try await weir.sessionEnd(of: name).outcome == "200 client_closed")
            try await eventually("the broker hears it: \(heard.withLock { $0 })") {
                heard.withLock { $0 } == Array("I see".utf8)
            }
        }
    }

    @Test("a broker's close_notify is the client's; FIN without one and a reset are no proper end for the client, either")
    func brokerEnds() async throws {
        typealias End = @Sendable (TLSTestStream) throws -> Void
        let cases: [(String, End, String, TLSTestStream.End)] = [
            ("closes", { try $0.endSending() }, "200 broker_closed", .closed),
            ("cuts", { $0.connection.endSending() }, "200 broker_truncated", .truncated),
            ("resets", { $0.connection.reset() }, "200 broker_reset", .truncated),
        ]
        for (what, end, outcome, heard) in cases {
            try await Self.twoSided("") { stream in
                _ = try stream.receive()
                try stream.send("last words")
                // What was sent must have arrived before a reset.
                _ = try stream.receive()
                try end(stream)
                _ = try? stream.waitForEnd()
            } _: { stage, weir, endpoint in
                let client = try TLSTestStream(to: endpoint, stage.client())
                let name = client.connection.localName
                try client.send("hello")
                #expect(try client.receive(exactly: 10) == Array("last words".utf8))
                try client.send("now")
                #expect(try client.waitForEnd() == heard, "\(what)")
                client.connection.close()
                let log = try await weir.sessionEnd(of: name)
                #expect(log.outcome == outcome, "\(what)")
                #expect(log.lines.count == 1, "\(what): \(log.lines)")
            }
        }
    }
}
