// SPDX-License-Identifier: Apache-2.0
//
// Why a health check failed, in the words of the log line that reports it.

/// What the kernel said: an errno and its text. Both are given by the caller, as this floor knows no operating system.
package struct SystemFault: Sendable, Equatable {
    package let code: Int32
    package let text: String

    package init(code: Int32, text: String) {
        self.code = code
        self.text = text
    }

    /// nginx's form, `111: Connection refused`.
    fileprivate var words: String { "\(code): \(text)" }
}

package enum HealthFault: Error, Sendable, Equatable {
    case connectFailed(SystemFault)
    case connectTimedOut
    /// In the words of the TLS library, nginx's form; what the certificate check said is among them.
    case handshakeFailed(String)
    case handshakeTimedOut
    /// After the handshake: a record that cannot be opened, or an alert, such as one about our certificate.
    case sessionFailed(String)
    case sendFailed(SystemFault)
    /// What was to be sent did not fit into the socket in time: the peer does not read.
    case sendTimedOut
    case receiveFailed(SystemFault)
    /// Connected and sent, and not one byte came before `health_check_timeout`.
    case noAnswer
    /// The peer closed without one byte of an answer.
    case closedEarly
    /// Bytes came, the expected ones are not among them, and no more can be waited for.
    case wrongAnswer(AnswerExcerpt, AnswerEnd)
    /// The expression of `expect` was given up over this answer (`PatternOutcome.limitReached`).
    case expressionTooCostly(AnswerExcerpt)

    /// For the end of a log line: no capital, no full stop, printable ASCII as far as it comes from the peer.
    package var text: String {
        switch self {
        case .connectFailed(let fault): "connect() failed (\(fault.words))"
        case .connectTimedOut: "connecting timed out"
        case .handshakeFailed(let words): "handshake failed: \(HealthFault.reason(in: words))"
        case .handshakeTimedOut: "handshake timed out"
        case .sessionFailed(let words): "TLS failed: \(HealthFault.reason(in: words))"
        case .sendFailed(let fault): "send() failed (\(fault.words))"
        case .sendTimedOut: "sending timed out"
        case .receiveFailed(let fault): "recv() failed (\(fault.words))"
        case .noAnswer: "no answer in time"
        case .closedEarly: "closed without an answer"
        case .wrongAnswer(let answer, let end): "unexpected answer \(answer.text), \(end.text)"
        case .expressionTooCostly(let answer): "\"expect\" took too many steps over answer \(answer.text)"
        }
    }
}

extension HealthFault {
    /// OpenSSL's reason without what stands around it: the shared region keeps 64 bytes. "SSL_do_handshake() failed
    /// (SSL: error:0A000086:SSL routines::certificate verify failed)" is "certificate verify failed", and what the
    /// check of a certificate said is nginx's bracket.
    private static func reason(in words: String) -> String {
        let refusal = "upstream SSL certificate verify error: "
        if words.hasPrefix(refusal) { return "certificate \(words.dropFirst(refusal.count))" }
        let mark = Array(" routines::".utf8)
        let bytes = Array(words.utf8)
        guard bytes.count > mark.count,
            let start = (0..<bytes.count - mark.count).first(where: { bytes[$0..<$0 + mark.count].elementsEqual(mark) })
        else { return words }
        let rest = bytes[(start + mark.count)...]
        return String(decoding: rest.prefix { $0 != UInt8(ascii: ")") && $0 != UInt8(ascii: ":") }, as: UTF8.self)
    }
}

/// Why no more of an answer is waited for.
package enum AnswerEnd: Sendable, Equatable {
    case closed
    case failed(SystemFault)
    case timedOut
    /// As many bytes as are looked at (`proxy_buffer_size`) have come.
    case full

    fileprivate var text: String {
        switch self {
        case .closed: "then closed"
        case .failed(let fault): "then recv() failed (\(fault.words))"
        case .timedOut: "then nothing more in time"
        case .full: "as much as \"proxy_buffer_size\" lets through"
        }
    }
}
