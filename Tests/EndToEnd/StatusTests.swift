// SPDX-License-Identifier: Apache-2.0
//
// `ssl_ocsp` from a client's certificate to its responder and back: who comes in, who does not and what the log says
// of it, how often is asked, and that nothing of a question stays behind.

import Foundation
import TestSupport
import Testing

@Suite("certificate status at a responder", .serialized)
struct StatusTests {
    @Test("good comes in, revoked does not, and each of them is asked about where its certificate says")
    func verdicts() async throws {
        let stage = try await StatusStage()
        let responder = try await stage.respond()
        try await stage.withWeir("ssl_ocsp on;") { weir, port in
            #expect(try await stage.ask(port, as: "good").contains("<SUCCESS CN=good>"))
            #expect(try await stage.ask(port, as: "good", arguments: ["-tls1_2"]).contains("<SUCCESS CN=good>"))
            #expect(try await !stage.ask(port, as: "revoked").contains("<"))
            try await weir.errorLine(
                with: "[info]", "client SSL certificate verify error: certificate revoked while SSL handshaking")
            let lines = try await stage.statusLines(weir, atLeast: 3)
            #expect(lines[0].hasPrefix("SUCCESS 200 returned \"-\""), "\(lines)")
            #expect(lines[2].hasPrefix("FAILED:certificate revoked 500 tls_client_refused \"-\""), "\(lines)")
        }
        #expect(responder.output.contains("1st line: GET /M"), "\(responder.output)")
    }

    @Test("a responder that does not know a certificate keeps it out")
    func unknown() async throws {
        let stage = try await StatusStage()
        let responder = try stage.respond(NullBroker.answer(stage.answer("unknown")))
        try await stage.withWeir("ssl_ocsp on;", verification: "optional") { weir, port in
            #expect(try await !stage.ask(port, as: "good").contains("<"))
            try await weir.errorLine(with: "client SSL certificate verify error: certificate status unknown")
            #expect(try await stage.statusLines(weir, atLeast: 1)[0].hasPrefix("FAILED:certificate status unknown 500"))
            // Who shows no certificate is not asked about.
            #expect(try await stage.ask(port, as: nil).contains("<NONE >"))
        }
        #expect(responder.connectionCount == 1)
    }

    @Test("a responder that is not there keeps its clients out", arguments: ["on", "optional"])
    func down(verification: String) async throws {
        let stage = try await StatusStage()
        try await stage.withWeir("ssl_ocsp on;", verification: verification) { weir, port in
            #expect(try await !stage.ask(port, as: "good").contains("<"))
            try await weir.errorLine(
                with: "[error]", "connect() failed (111: Connection refused) while requesting certificate status, "
                    + "responder: 127.0.0.1, peer: 127.0.0.1:\(stage.ports[0])")
            try await weir.errorLine(
                with: "client SSL certificate verify error: certificate status request failed while SSL handshaking")
            let line = try await stage.statusLines(weir, atLeast: 1)[0]
            #expect(line.hasPrefix("FAILED:certificate status request failed 500 tls_client_refused \"-\""), "\(line)")
        }
    }

    static let garbage: [(String, String)] = [
        ("hello", "OCSP responder sent invalid response while requesting certificate status, responder: 127.0.0.1"),
        ("", "OCSP responder prematurely closed connection"),
        ("HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\nshort", "OCSP responder prematurely closed connection"),
        ("HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n", "invalid \"Content-Type\" header: \"text/html\""),
        ("HTTP/1.0 503 Busy\r\n\r\n", "OCSP responder sent status 503"),
        ("HTTP/1.0 200 OK\r\n\r\nnonsense", "d2i_OCSP_RESPONSE() failed (SSL: error:"),
        ("HTTP/1.0 200 OK\r\n\r\n0\u{3}\n\u{1}\u{6}", "OCSP response not successful (6: unauthorized)"),
    ]

    @Test("what is no answer lets nobody in, and the log says why")
    func unfitAnswers() async throws {
        let stage = try await StatusStage()
        let responder = try stage.respond(NullBroker.silent)
        try await stage.withWeir("ssl_ocsp on;") { weir, port in
            for (answer, line) in Self.garbage {
                responder.behave { session in
                    _ = try session.receive()
                    try session.connection.send(answer)
                }
                #expect(try await !stage.ask(port, as: "good").contains("<"), "\(answer)")
                try await weir.errorLine(with: "[error]", line)
            }
            responder.behave(NullBroker.reset)
            #expect(try await !stage.ask(port, as: "good").contains("<"))
            try await weir.errorLine(with: "recv() failed (104: Connection reset by peer) while requesting")
            // Somebody else's certificate was asked about.
            responder.behave(NullBroker.answer(try stage.answer("revoked")))
            #expect(try await !stage.ask(port, as: "good").contains("<"))
            try await weir.errorLine(with: "certificate status not found in the OCSP response while requesting")
            // All these were questions, and the next one is as good as ever.
            responder.behave(NullBroker.answer(try stage.answer("good")))
            #expect(try await stage.ask(port, as: "good").contains("<SUCCESS CN=good>"))
        }
        #expect(responder.openCount == 0)
    }

    @Test("an answer is put together from its bytes, and ends with its length or with the connection")
    func slowAnswers() async throws {
        let stage = try await StatusStage()
        let responder = try stage.respond(NullBroker.silent)
        try await stage.withWeir("ssl_ocsp on;") { weir, port in
            for hasLength in [true, false] {
                let answer = try stage.answer("good", hasLength: hasLength)
                responder.behave { session in
                    _ = try session.receive()
                    for start in stride(from: 0, to: answer.count, by: 97) {
                        try session.connection.send(Array(answer[start..<min(start + 97, answer.count)]))
                        Thread.sleep(forTimeInterval: 0.002)
                    }
                    // With a length it is Weir that ends.
                    if hasLength { while try session.receive() != nil {} }
                }
                #expect(try await stage.ask(port, as: "good").contains("<SUCCESS CN=good>"))
            }
        }
    }

    @Test("a responder that says nothing costs the handshake's time, and nothing stays of it, whoever leaves first")
    func silence() async throws {
        let stage = try await StatusStage()
        let responder = try stage.respond(NullBroker.silent)
        var last: ManagedProcess?
        try await stage.withWeir("ssl_ocsp on; ssl_handshake_timeout 1s;") { weir, port in
            let before = try await weir.settledDescriptors()
            #expect(try await !stage.ask(port, as: "good").contains("<"))
            try await weir.errorLine(
                with: "[error]", "OCSP responder timed out (110: Connection timed out) while requesting certificate "
                    + "status, responder: 127.0.0.1, peer: 127.0.0.1:\(stage.ports[0])")
            let line = try await stage.statusLines(weir, atLeast: 1)[0]
            #expect(line.hasPrefix("FAILED:certificate status request failed 500 tls_handshake_timeout \"-\""), "\(line)")
            // Clients that are killed while they are asked about, and a Weir that is told to end meanwhile.
            let clients = try (0..<4).map { _ in try stage.start(port, as: "good") }
            try await eventually("all are asked about") { responder.connectionCount == 5 }
            for client in clients { client.kill() }
            _ = try await stage.statusLines(weir, atLeast: 5)
            try await eventually("workers hold \(before)", within: .seconds(15)) {
                weir.workers.allSatisfy { Descriptors($0).isAtMost(before) }
            }
            try await eventually("the responder is left") { responder.openCount == 0 }
            last = try stage.start(port, as: "good")
            try await eventually("a last one is asked about") { responder.connectionCount == 6 }
        }
        try await eventually("the responder is left") { responder.openCount == 0 }
        #expect(try await last?.wait(within: .seconds(10)) != nil)
    }

    @Test("without a cache each handshake asks, a resumed one as well")
    func uncached() async throws {
        let stage = try await StatusStage()
        let responder = try stage.respond(NullBroker.answer(stage.answer("good")))
        try await stage.withWeir("ssl_ocsp on;") { weir, port in
            let session = stage.directory.path("session.pem")
            #expect(
                try await stage.ask(port, as: "good", arguments: ["-tls1_2", "-sess_out", session])
                    .contains("<SUCCESS CN=good>"))
            #expect(
                try await stage.ask(port, as: "good", arguments: ["-tls1_2", "-sess_in", session])
                    .contains("<SUCCESS CN=good>"))
            #expect(try await stage.statusLines(weir, atLeast: 2).map { $0.last } == [".", "r"])
            responder.behave(NullBroker.answer(try stage.answer("unknown")))
            #expect(
                try await !stage.ask(port, as: "good", arguments: ["-tls1_2", "-sess_in", session]).contains("<"))
        }
        #expect(responder.connectionCount == 3)
    }

    @Test("with a cache a certificate is asked about once for all workers, over reloads, good or not")
    func cached() async throws {
        let stage = try await StatusStage()
        let responder = try stage.respond(NullBroker.answer(stage.answer("good")))
        try await stage.withWeir("ssl_ocsp on; ssl_ocsp_cache shared:status:1m;", workers: 2) { weir, port in
            for _ in 0..<6 { #expect(try await stage.ask(port, as: "good").contains("<SUCCESS CN=good>")) }
            #expect(responder.connectionCount == 1)
            try await weir.reload()
            #expect(try await stage.ask(port, as: "good").contains("<SUCCESS CN=good>"))
            #expect(responder.connectionCount == 1)
            responder.behave(NullBroker.answer(try stage.answer("revoked")))
            for _ in 0..<3 { #expect(try await !stage.ask(port, as: "revoked").contains("<")) }
            #expect(responder.connectionCount == 2)
            let lines = try await stage.statusLines(weir, atLeast: 10)
            #expect(lines.suffix(3).allSatisfy { $0.hasPrefix("FAILED:certificate revoked 500 tls_client_refused") })
        }
    }

    @Test("the configured responder comes before the certificate's, and each of its addresses is tried")
    func configured() async throws {
        let stage = try await StatusStage()
        // Not where the certificate says; and a name that may stand for ::1 first, where nobody listens.
        let responder = try NullBroker(NullBroker.answer(stage.answer("good")))
        let url = responder.endpoint.text.replacingOccurrences(of: "127.0.0.1", with: "localhost")
        try await stage.withWeir("ssl_ocsp on; ssl_ocsp_responder http://\(url)/deep/er;") { weir, port in
            let text = try await stage.ask(port, as: "good")
            #expect(text.contains("<SUCCESS CN=good>"))
        }
        let request = String(decoding: try #require(responder.sessions.first).received, as: UTF8.self)
        #expect(request.hasPrefix("GET /deep/er/M"))
        #expect(request.hasSuffix(" HTTP/1.0\r\nHost: localhost\r\n\r\n"))
    }

    @Test("on asks about all but the root, leaf about the client's certificate alone")
    func chains() async throws {
        let stage = try await StatusStage()
        let below = try await stage.respond(for: "sub", signer: "sub")
        try await stage.withWeir("ssl_ocsp leaf;") { _, port in
            let text = try await stage.ask(port, as: "deep")
            #expect(text.contains("<SUCCESS CN=deep>"))
        }
        try await stage.withWeir("ssl_ocsp on;") { weir, port in
            #expect(try await !stage.ask(port, as: "deep").contains("<"))
            try await weir.errorLine(with: "connect() failed (111: Connection refused) while requesting certificate")
            let above = try await stage.respond()
            #expect(try await stage.ask(port, as: "deep").contains("<SUCCESS CN=deep>"))
            #expect(above.output.contains("1st line: GET /M"))
        }
        #expect(below.output.components(separatedBy: "1st line: GET /M").count == 4)
    }

    static let places: [(String, String)] = [
        ("mute", "no OCSP responder URL in certificate while SSL handshaking"),
        ("secret", "invalid URL prefix in OCSP responder \"https://127.0.0.1/\" in certificate while SSL handshaking"),
        (
            "named",
            "no resolver defined to resolve ocsp.test while requesting certificate status, responder: ocsp.test"
        ),
    ]

    @Test("a certificate whose responder cannot be found is not let in")
    func places() async throws {
        let stage = try await StatusStage()
        try await stage.withWeir("ssl_ocsp on;") { weir, port in
            for (name, line) in Self.places {
                #expect(try await !stage.ask(port, as: name).contains("<"))
                try await weir.errorLine(with: "[error]", line)
            }
        }
        let responder = try stage.respond(NullBroker.silent)
        try await stage.withWeir("ssl_ocsp off;") { _, port in
            let text = try await stage.ask(port, as: "revoked")
            #expect(text.contains("<SUCCESS CN=revoked>"))
        }
        #expect(responder.connectionCount == 0)
    }
}
