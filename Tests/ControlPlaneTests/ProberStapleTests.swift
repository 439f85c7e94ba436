// SPDX-License-Identifier: Apache-2.0
//
// The prober and its responders: what is kept for the workers, what is said of what is not, and who is asked when.

import ControlPlane
import LinuxIO
import SharedState
import Testing
import Vocabulary

@Suite("stapling", .serialized)
struct ProberStapleTests {
    private func configuration(_ responder: String?, chain: String = "chain", _ more: String = "") -> String {
        """
        error_log /log notice;
        events {}
        stream {
            server {
                listen 1 ssl;
                ssl_certificate /\(chain).pem;
                ssl_certificate_key /\(chain.split(separator: "-")[0] == "chain" ? "server" : chain.prefix(6)).key;
                ssl_stapling on;
                \(responder.map { "ssl_stapling_responder \($0);" } ?? "")
                \(more)
                return a;
            }
        }
        """
    }

    private func stage(
        _ responders: [Broker], retrySeconds: UInt64 = 300, answerMilliseconds: UInt64 = 60_000
    ) throws -> ProberStage {
        var times = StapleTimes()
        times.retrySeconds = retrySeconds
        times.answerMilliseconds = answerMilliseconds
        let stage = try ProberStage(brokers: responders, stapleTimes: times)
        stage.files = StapleFiles.all
        return stage
    }

    private func url(_ responder: Broker) -> String { "http://127.0.0.1:\(responder.port)" }

    private let verified = "ssl_stapling_verify on; ssl_trusted_certificate /ca.pem;"

    @Test("a response is asked for once, kept, and kept over reloads and over the prober's death", arguments: [0, 1])
    func kept(verifies: Int) throws {
        let responder = try Broker(.answers(StapleFiles.answer("good.der")))
        let stage = try stage([responder])
        let text = configuration(url(responder), verifies == 1 ? verified : "")
        try stage.commit(text)
        try stage.run(until: "a response") { stage.responses.count == 1 && responder.endings.count == 1 }
        #expect(stage.responses[0] == StapleFiles["good.der"])
        try stage.commit(text + "\n# changed")
        try stage.respawn()
        try stage.commit(text)
        responder.behaviour = .silent
        try stage.commit(configuration(url(responder), "ssl_alpn x; \(verifies == 1 ? verified : "")"))
        for _ in 0..<20 { try stage.run(until: "a turn") { true } }
        #expect(responder.endings.count == 1)
        #expect(stage.responses == [StapleFiles["good.der"]])
        #expect(try stage.logLines() == [])
    }

    @Test("what is no good answer is not kept, and the line says why, where it came from and what it is about")
    func refused() throws {
        let cases: [(answer: [UInt8], settings: String, words: String)] = [
            (StapleFiles.answer("revoked.der"), "", "certificate status \"revoked\" in the OCSP response"),
            (StapleFiles.answer("stranger.der"), verified, "OCSP_basic_verify() failed"),
            (StapleFiles.answer(Array("rubbish".utf8)), "", "d2i_OCSP_RESPONSE() failed"),
            (StapleFiles.answer([], status: "500 No"), "", "OCSP responder sent status 500"),
            (
                StapleFiles.answer([], type: "text/\u{1B}html"), "",
                "OCSP responder sent invalid \"Content-Type\" header: \"text/?html\""
            ),
            (Array("SSH-2.0-x\r\n".utf8), "", "OCSP responder sent invalid response"),
            (StapleFiles.answer([UInt8](repeating: 0, count: 70_000)), "", "OCSP responder sent too large response"),
        ]
        for (answer, settings, words) in cases {
            let responder = try Broker(.answers(answer))
            let stage = try stage([responder])
            try stage.commit(configuration(url(responder), settings))
            var lines: [String] = []
            try stage.run(until: "a line about \(words)") {
                lines += try stage.logLines()
                return !lines.isEmpty
            }
            #expect(lines.count == 1 && lines[0].contains("[error]"), "\(lines)")
            #expect(lines[0].contains(": \(words)"), "\(lines)")
            #expect(
                lines[0].hasSuffix(
                    " while requesting certificate status, responder: 127.0.0.1, peer: 127.0.0.1:\(responder.port), "
                        + "certificate: \"/chain.pem\""), "\(lines)")
            #expect(stage.responses == [])
        }
    }

    @Test("without verification anybody may sign")
    func unverified() throws {
        let responder = try Broker(.answers(StapleFiles.answer("stranger.der")))
        let stage = try stage([responder])
        try stage.commit(configuration(url(responder)))
        try stage.run(until: "a response") { stage.responses == [StapleFiles["stranger.der"]] }
        // A server that verifies has a place of its own, which this response does not come to.
        try stage.commit(configuration(url(responder), verified))
        try stage.run(until: "a line") { try stage.logLines().contains { $0.contains("OCSP_basic_verify() failed") } }
        #expect(stage.responses.count == 1)
    }

    @Test("a good response stays when the next answer is bad")
    func badAfterGood() throws {
        let responder = try Broker(.answers(StapleFiles.answer("good.der")))
        let stage = try stage([responder])
        try stage.commit(configuration(url(responder)))
        try stage.run(until: "a response") { stage.responses.count == 1 }
        // As the next prober finds it when its time has come.
        let key = try #require(stage.keys.first)
        let place = try #require(stage.staples.place(of: key))
        stage.staples.put(StapleFiles["good.der"], key, at: place, holdsUntil: .max, askAt: 1)
        responder.behaviour = .answers(StapleFiles.answer("revoked.der"))
        try stage.respawn()
        try stage.commit(configuration(url(responder)))
        try stage.run(until: "a line") { try stage.logLines().contains { $0.contains("status \"revoked\"") } }
        #expect(stage.responses == [StapleFiles["good.der"]])
    }

    @Test("a responder that is down is asked again, by a reload at once and otherwise when the time has come")
    func down() throws {
        let port = try Broker.closedPort()
        let stage = try stage([], retrySeconds: 1)
        try stage.commit(configuration("http://127.0.0.1:\(port)"))
        var lines: [String] = []
        try stage.run(until: "two lines") {
            lines += try stage.logLines()
            return lines.count >= 2
        }
        let words = "connect() to 127.0.0.1:\(port) failed (111: Connection refused) while requesting"
        #expect(lines.allSatisfy { $0.contains(words) })

        let patient = try self.stage([])
        try patient.commit(configuration("http://127.0.0.1:\(port)"))
        try patient.run(until: "a line") { try !patient.logLines().isEmpty }
        try patient.commit(configuration("http://127.0.0.1:\(port)"))
        try patient.run(until: "another line") { try !patient.logLines().isEmpty }
    }

    @Test("the addresses of a name are tried in turn")
    func addresses() throws {
        let responder = try Broker(.answers(StapleFiles.answer("good.der")))
        let stage = try stage([responder])
        stage.names["responder.test"] = [IPAddress(text: "::1")!, IPAddress(text: "127.0.0.1")!]
        try stage.commit(configuration("http://responder.test:\(responder.port)/"))
        try stage.run(until: "a response") { stage.responses.count == 1 }
        let lines = try stage.logLines()
        #expect(lines.count == 1)
        #expect(
            lines[0].hasSuffix(
                "connect() to [::1]:\(responder.port) failed (111: Connection refused) while requesting certificate "
                    + "status, responder: responder.test, peer: [::1]:\(responder.port), certificate: \"/chain.pem\""))
    }

    @Test("what cannot be asked about is warned of, and the generation is good nevertheless")
    func warnings() throws {
        for (chain, responder, words) in [
            ("server", nil, "issuer certificate not found for certificate \"/server.pem\""),
            ("silent-chain", nil, "no OCSP responder URL in the certificate \"/silent-chain.pem\""),
            (
                "secure-chain", nil,
                "invalid URL prefix in OCSP responder \"https://responder.test/\" in the certificate "
                    + "\"/secure-chain.pem\""
            ),
            (
                "chain", nil,
                "host not found in OCSP responder \"http://responder.test/status\" in the certificate \"/chain.pem\""
            ),
            (
                "chain", "http://127.0.0.1:x/",
                "invalid port in OCSP responder \"http://127.0.0.1:x/\" in the certificate \"/chain.pem\""
            ),
        ] {
            let stage = try stage([])
            try stage.commit(configuration(responder, chain: chain))
            #expect(stage.stapleWarnings == ["\"ssl_stapling\" ignored, \(words)"])
            #expect(stage.responses == [])
        }
        // The issuer may be among those that are trusted, and whom a name leads to is known from the bundle.
        let stage = try stage([])
        stage.names["responder.test"] = [IPAddress(text: "127.0.0.1")!]
        try stage.commit(configuration(nil, chain: "server", "ssl_trusted_certificate /ca.pem;"))
        #expect(stage.stapleWarnings == [])
    }

    @Test("a responder that says nothing keeps no other question waiting, and neither does one that is in the middle")
    func silent() throws {
        let silent = try Broker(.silent)
        let halting = try Broker(.answers(StapleFiles.answer("good.der").dropLast(10) + []))
        let good = try Broker(.answers(StapleFiles.answer("good.der")))
        let stage = try stage([silent, halting, good])
        let servers = [silent, halting, good].enumerated().map { index, responder in
            """
            server {
                listen \(index + 1) ssl; return a; ssl_certificate /chain.pem; ssl_certificate_key /server.key;
                ssl_stapling on; ssl_stapling_responder \(url(responder))/;
            }
            """
        }
        try stage.commit("error_log /log notice; events {} stream { \(servers.joined()) }")
        try stage.run(until: "the good one's response") { stage.responses.count == 1 && good.endings.count == 1 }
        #expect(silent.endings == [] && halting.endings == [])
        // What nobody wants any more is given up.
        try stage.commit("error_log /log notice; events {} stream { \(servers[2]) }")
        try stage.run(until: "the others are let go") { silent.endings.count == 1 && halting.endings.count == 1 }
        #expect(stage.responses == [StapleFiles["good.der"]])
        #expect(try stage.logLines() == [])
    }

    @Test("a responder that is too slow is given up, and the next address is asked")
    func slow() throws {
        let silent = try Broker(.silent)
        let stage = try stage([silent], answerMilliseconds: 50)
        stage.names["responder.test"] = ["127.0.0.1", "127.0.0.2"].map { IPAddress(text: $0)! }
        try stage.commit(configuration("http://responder.test:\(silent.port)/"))
        try stage.run(until: "both have had their time") { silent.endings.count == 2 }
        let lines = try stage.logLines()
        #expect(lines.count == 2)
        for (line, address) in zip(lines, ["127.0.0.1", "127.0.0.2"]) {
            #expect(
                line.hasSuffix(
                    "OCSP responder timed out (110: Connection timed out) while requesting certificate status, "
                        + "responder: responder.test, peer: \(address):\(silent.port), certificate: \"/chain.pem\""),
                "\(line)")
        }
    }

    @Test("more than sixteen questions are all asked, and a certificate of two servers is one")
    func several() throws {
        let responder = try Broker(.answers(StapleFiles.answer("good.der")))
        let stage = try stage([responder])
        let server = { (port: Int, path: String) in
            """
            server {
                listen \(port) ssl; return a; ssl_certificate /chain.pem; ssl_certificate_key /server.key;
                ssl_stapling on; ssl_alpn a\(port); ssl_stapling_responder \(self.url(responder))/\(path);
            }
            """
        }
        let servers = (1...20).map { server($0, "\($0)") } + [server(21, "1"), server(22, "2")]
        try stage.commit("error_log /log notice; events {} stream { \(servers.joined()) }")
        try stage.run(until: "all responses") { stage.responses.count == 20 }
        try stage.run(until: "all connections have ended") { responder.endings.count == 20 }
        #expect(try stage.logLines() == [])
    }
}

extension ProberStage {
    /// Every key that has a response now.
    fileprivate var keys: [[UInt8]] {
        // The reach of every sixteenth home is the whole table.
        (0..<64).flatMap { block in
            let home = [UInt8(truncatingIfNeeded: block * 16), UInt8(block / 16)]
            return staples.places(for: home + [UInt8](repeating: 0, count: 30))
        }.compactMap { staples.key(at: $0) }
    }

    fileprivate var responses: [[UInt8]] {
        keys.compactMap { staples.response($0, nowSeconds: wallMilliseconds() / 1000) }
    }
}
