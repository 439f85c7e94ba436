// SPDX-License-Identifier: Apache-2.0
//
// Answers to health checks, in one piece and byte by byte, and the words for those that were wrong.

import Health
import Patterns
import Testing

struct AnswerMatcherTests {
    /// The talk's check: CONNECT 3.1.1 with clean session must be answered by `20 02 00 00`.
    static let accepted: [UInt8] = [0x20, 0x02, 0x00, 0x00]

    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var expectation: AnswerMatcher.Expectation
        var answer: [UInt8]
        var end = AnswerEnd.closed
        var bytesMax = 16_384
        /// Nil: matched.
        var fault: String?
        var testDescription: String { name }
    }

    static func expression(_ text: String, ignoresCase: Bool = false) -> AnswerMatcher.Expectation {
        guard let pattern = try? Pattern(text, ignoresCase: ignoresCase) else { preconditionFailure(text) }
        return .pattern(pattern)
    }

    static let reset = AnswerEnd.failed(SystemFault(code: 104, text: "Connection reset by peer"))

    static let cases = [
        Case(name: "accepted", expectation: .literal(accepted), answer: accepted, fault: nil),
        Case(
            name: "accepted behind other bytes", expectation: .literal(accepted),
            answer: [0x20, 0x20, 0x02] + accepted,
            fault: nil),
        Case(
            name: "code 5, closed", expectation: .literal(accepted), answer: [0x20, 2, 0, 5],
            fault: "unexpected answer 20 02 00 05 (CONNACK return code 5, not authorized), then closed"),
        Case(
            name: "code 3, silent", expectation: .literal(accepted), answer: [0x20, 2, 0, 3], end: .timedOut,
            fault: "unexpected answer 20 02 00 03 (CONNACK return code 3, server unavailable), "
                + "then nothing more in time"),
        Case(
            name: "code 4, reset", expectation: .literal(accepted), answer: [0x20, 2, 0, 4], end: reset,
            fault: "unexpected answer 20 02 00 04 (CONNACK return code 4, bad user name or password), "
                + "then recv() failed (104: Connection reset by peer)"),
        Case(
            name: "an unknown code", expectation: .literal(accepted), answer: [0x20, 2, 0, 77],
            fault: "unexpected answer 20 02 00 4d (CONNACK return code 77), then closed"),
        Case(
            name: "an old session", expectation: .literal(accepted), answer: [0x20, 2, 1, 0],
            fault: "unexpected answer 20 02 01 00 (CONNACK return code 0, accepted, session present), then closed"),
        Case(
            name: "MQTT 5", expectation: .literal(accepted), answer: [0x20, 3, 0, 0x87, 0],
            fault: "unexpected answer 20 03 00 87 00 (CONNACK reason code 0x87, not authorized), then closed"),
        Case(
            name: "MQTT 5, a length of two bytes", expectation: .literal(accepted),
            answer: [0x20, 0x83, 0x01, 0, 0x9C] + [UInt8](repeating: 0x26, count: 128),
            fault: "unexpected answer 20 83 01 00 9c 26 26 26 26 26 26 26 26 26 26 26 ... "
                + "(CONNACK reason code 0x9c, use another server), 133 bytes, then closed"),
        Case(
            name: "a length without end", expectation: .literal(accepted),
            answer: [0x20, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF],
            fault: "unexpected answer 20 ff ff ff ff ff, then closed"),
        Case(
            name: "half a CONNACK", expectation: .literal(accepted), answer: [0x20, 2, 0],
            fault: "unexpected answer 20 02 00, then closed"),
        Case(
            name: "another protocol", expectation: .literal(accepted),
            answer: Array("HTTP/1.1 400 Bad Request\r\n".utf8),
            fault: "unexpected answer 48 54 54 50 2f 31 2e 31 20 34 30 30 20 42 61 64 ... "
                + "(\"HTTP/1.1 400 Bad\"), 26 bytes, then closed"),
        Case(
            name: "a quote is no text", expectation: .literal(accepted), answer: Array("\"x".utf8),
            fault: "unexpected answer 22 78, then closed"),
        Case(name: "nothing, closed", expectation: .literal(accepted), answer: [], fault: "closed without an answer"),
        Case(
            name: "nothing in time", expectation: .literal(accepted), answer: [], end: .timedOut,
            fault: "no answer in time"),
        Case(
            name: "nothing, reset", expectation: .literal(accepted), answer: [], end: reset,
            fault: "recv() failed (104: Connection reset by peer)"),
        Case(
            name: "within the limit", expectation: .literal(accepted), answer: [1] + accepted, bytesMax: 5, fault: nil),
        Case(
            name: "beyond the limit", expectation: .literal(accepted), answer: [1, 1] + accepted, bytesMax: 5,
            fault: "unexpected answer 01 01 20 02 00, as much as \"proxy_buffer_size\" lets through"),
        Case(
            name: "an expression", expectation: expression("^\\x20\\x02[\\x00\\x01]\\x00"), answer: [0x20, 2, 1, 0],
            fault: nil),
        Case(
            name: "an expression that takes no part of it", expectation: expression("^\\x20\\x02.\\x00"),
            answer: [0x20, 2, 0, 2],
            fault: "unexpected answer 20 02 00 02 (CONNACK return code 2, identifier rejected), then closed"),
        Case(
            name: "either case", expectation: expression("http/1\\.[01] 200", ignoresCase: true),
            answer: Array("HTTP/1.1 200 OK".utf8), fault: nil),
        Case(
            name: "one case", expectation: expression("http"), answer: Array("HTTP".utf8),
            fault: "unexpected answer 48 54 54 50 (\"HTTP\"), then closed"),
        Case(
            name: "an expression at the limit", expectation: expression("b"), answer: Array("aaab".utf8), bytesMax: 4,
            fault: nil),
        Case(
            name: "an expression behind many pieces", expectation: expression("b$"),
            answer: [UInt8](repeating: UInt8(ascii: "a"), count: 1_000) + [UInt8(ascii: "b")], fault: nil),
    ]

    @Test("an answer is judged the same in whatever pieces it comes", arguments: cases, [1, 2, 3, 1_500])
    func judged(_ given: Case, pieceBytes: Int) {
        var scratch = PatternMatcher(captureCountMax: 0)
        var matcher = AnswerMatcher(given.expectation, bytesMax: given.bytesMax)
        var place = 0
        while place < given.answer.count {
            let piece = Array(given.answer[place..<min(place + pieceBytes, given.answer.count)])
            _ = matcher.feed(piece.span, with: &scratch)
            place += piece.count
        }
        let verdict = matcher.end(given.end, with: &scratch)
        #expect(matcher.verdict == verdict)
        switch verdict {
        case .needsMore: Issue.record("undecided at its end")
        case .matched: #expect(given.fault == nil)
        case .mismatched(let fault): #expect(fault.text == given.fault)
        }
    }

    @Test("a match is told with the byte that completes it, a mismatch only at the end", arguments: [5, 0] as [UInt8])
    func early(code: UInt8) {
        var scratch = PatternMatcher(captureCountMax: 0)
        var matcher = AnswerMatcher(.literal(AnswerMatcherTests.accepted), bytesMax: 16)
        #expect(matcher.feed([0x20, 2, 0].span, with: &scratch) == .needsMore)
        #expect(matcher.feed([code].span, with: &scratch) == (code == 0 ? .matched : .needsMore))
        // What was decided stays.
        let verdict = matcher.end(.closed, with: &scratch)
        #expect((verdict == .matched) == (code == 0))
        #expect(matcher.feed(AnswerMatcherTests.accepted.span, with: &scratch) == verdict)
    }

    @Test("an expression that takes too many steps fails the check with that reason")
    func tooCostly() {
        var scratch = PatternMatcher(captureCountMax: 0)
        var matcher = AnswerMatcher(AnswerMatcherTests.expression("(a+)+[bc]"), bytesMax: 16_384)
        let verdict = matcher.feed([UInt8](repeating: UInt8(ascii: "a"), count: 60).span, with: &scratch)
        guard case .mismatched(let fault) = verdict else {
            Issue.record("\(verdict)")
            return
        }
        #expect(fault.text.hasPrefix("\"expect\" took too many steps over answer 61 61 "))
    }

    @Test("a peer that sends byte by byte costs no square of tries")
    func drip() {
        var scratch = PatternMatcher(captureCountMax: 0)
        var matcher = AnswerMatcher(AnswerMatcherTests.expression("(*NO_JIT)[ab]*[cd]"), bytesMax: 16_384)
        let elapsed = ContinuousClock().measure {
            for _ in 0..<16_383 { #expect(matcher.feed([UInt8(ascii: "a")].span, with: &scratch) == .needsMore) }
        }
        #expect(elapsed < .seconds(3))
        #expect(matcher.feed([UInt8(ascii: "c")].span, with: &scratch) == .matched)
    }

    static let words: [(HealthFault, String)] = [
        (.connectFailed(SystemFault(code: 113, text: "No route to host")), "connect() failed (113: No route to host)"),
        (.connectTimedOut, "connecting timed out"),
        (.sendFailed(SystemFault(code: 32, text: "Broken pipe")), "send() failed (32: Broken pipe)"),
        (.sendTimedOut, "sending timed out"),
        (.handshakeTimedOut, "handshake timed out"),
        (
            .handshakeFailed(
                "SSL_do_handshake() failed (SSL: error:0A000086:SSL routines::certificate verify failed)"),
            "handshake failed: certificate verify failed"
        ),
        (
            .handshakeFailed("upstream SSL certificate verify error: (10:certificate has expired)"),
            "handshake failed: certificate (10:certificate has expired)"
        ),
        (.handshakeFailed("peer closed connection in SSL handshake"),
            "handshake failed: peer closed connection in SSL handshake"),
        (.sessionFailed("SSL_read() failed (SSL: error:0A000412:SSL routines::sslv3 alert bad certificate:SSL alert number 42)"),
            "TLS failed: sslv3 alert bad certificate"),
    ]

    @Test("what the kernel said is in the line", arguments: words)
    func systemWords(_ fault: HealthFault, text: String) { #expect(fault.text == text) }
}
