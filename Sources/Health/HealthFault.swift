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
