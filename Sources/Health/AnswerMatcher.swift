// SPDX-License-Identifier: Apache-2.0
//
// One answer to one health check: takes it in pieces as they come and tells as early as it can be told whether it is
// the expected one. `expect` asks for bytes anywhere in the answer, so that a wrong answer is known to be wrong only
// when no more can come: at its end, at the deadline, at the limit of what is looked at. Bounded in memory by that
// limit, in time by the bounds of a `PatternMatcher` and by how often an expression is tried.

import Patterns

package enum AnswerVerdict: Sendable, Equatable {
    case needsMore
    case matched
    case mismatched(HealthFault)
}

/// Transitions: `feed` waiting → waiting, decided; `end` waiting → decided. Decided stays as it is.
package struct AnswerMatcher: Sendable {
    package enum Expectation: Sendable {
        /// The answer contains these bytes.
        case literal([UInt8])
        case pattern(Pattern)
    }

    /// An expression is tried over all bytes so far with each of the first pieces of an answer. A peer that sends byte
    /// by byte would make that a square of the answer's length; later it is tried when the answer has grown by half,
    /// and at its end in any case.
    private static let eagerTriesMax = 64

    private let expectation: Expectation
    private let bytesMax: Int
    private var answer: [UInt8] = []
    private var tries = 0
    /// An expression is not tried before the answer has as many bytes.
    private var nextTryBytes = 0
    package private(set) var verdict = AnswerVerdict.needsMore

    /// `bytesMax`: how much of the answer is looked at, `proxy_buffer_size`.
    package init(_ expectation: Expectation, bytesMax: Int) {
        self.expectation = expectation
        self.bytesMax = max(bytesMax, 1)
    }

    /// The next piece of the answer; bytes beyond `bytesMax` are not looked at.
    package mutating func feed(_ bytes: Span<UInt8>, with matcher: inout PatternMatcher) -> AnswerVerdict {
        guard verdict == .needsMore, !bytes.isEmpty else { return verdict }
        let former = answer.count
        let taken = min(bytes.count, bytesMax - former)
        for index in 0..<taken { answer.append(bytes[index]) }
        switch expectation {
        case .literal(let literal):
            // The expected bytes may have begun in a former piece.
            if AnswerMatcher.contains(literal, in: answer, from: max(0, former - literal.count + 1)) {
                verdict = .matched
            }
        case .pattern(let pattern):
            if answer.count >= nextTryBytes, answer.count < bytesMax {
                attempt(pattern, with: &matcher)
                nextTryBytes = tries < AnswerMatcher.eagerTriesMax ? 0 : answer.count + answer.count / 2
            }
        }
        return answer.count == bytesMax ? end(.full, with: &matcher) : verdict
    }

    /// No more will come, or be waited for.
    package mutating func end(_ end: AnswerEnd, with matcher: inout PatternMatcher) -> AnswerVerdict {
        guard verdict == .needsMore else { return verdict }
        if case .pattern(let pattern) = expectation, !answer.isEmpty { attempt(pattern, with: &matcher) }
        guard verdict == .needsMore else { return verdict }
        verdict = .mismatched(fault(at: end))
        return verdict
    }

    private mutating func attempt(_ pattern: Pattern, with matcher: inout PatternMatcher) {
        tries += 1
        switch matcher.match(pattern, answer) {
        case .matched: verdict = .matched
        case .unmatched: break
        case .limitReached: verdict = .mismatched(.expressionTooCostly(AnswerExcerpt(of: answer)))
        }
    }

    private func fault(at end: AnswerEnd) -> HealthFault {
        guard answer.isEmpty else { return .wrongAnswer(AnswerExcerpt(of: answer), end) }
        return switch end {
        case .closed: .closedEarly
        case .failed(let fault): .receiveFailed(fault)
        case .timedOut: .noAnswer
        case .full: preconditionFailure("an empty answer is full")
        }
    }

    private static func contains(_ literal: [UInt8], in answer: [UInt8], from start: Int) -> Bool {
        var place = start
        while place + literal.count <= answer.count {
            var matched = 0
            while matched < literal.count, answer[place + matched] == literal[matched] { matched += 1 }
            if matched == literal.count { return true }
            place += 1
        }
        return false
    }
}
