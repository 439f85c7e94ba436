// SPDX-License-Identifier: Apache-2.0
//
// What a match needs beside its expression: room for captures, limits, a stack for compiled expressions. Whoever
// matches owns one and lends it to each match, so that a match allocates nothing; it is noncopyable and not Sendable,
// so that two threads never write to one. No subject, however made, keeps a match going: steps, memory and depth are
// bounded.

import CPCRE2

package enum PatternOutcome: Sendable, Equatable {
    case matched
    case unmatched
    /// Given up before the answer was known: steps, depth or memory ran out, or the subject is longer than 64 KiB.
    /// Whoever asks must treat it as no match.
    case limitReached
}

@safe package struct PatternMatcher: ~Copyable {
    /// Steps that one match may take over all of its starting positions: some tens of milliseconds where PCRE2
    /// interprets, a few where it compiles. A client id of 100 bytes may still take 20,000 at each of its bytes.
    private static let stepsMax = 2_000_000
    /// Below this, the budget of one starting position would refuse honest expressions over long subjects.
    private static let stepsPerPositionMin = 200
    /// A run over plain bytes (`[ab]*`) takes time and no steps, so that time grows with the square of the subject's
    /// length: at 16 KiB, the largest buffer there is by default, it is 0.2 s at worst. A subject that is longer than
    /// this is not looked at.
    private static let subjectBytesMax = 65_536
    /// Backtracking points in memory at once, and their memory: a repeated group needs one for each repetition, so
    /// 16 KiB of health check answer, the longest subject there is by default, must fit.
    private static let depthMax: UInt32 = 65_536
    private static let heapKibibytesMax: UInt32 = 8_192
    private static let compiledStackBytesMin = 32 * 1024
    private static let compiledStackBytesMax = 1024 * 1024

    private var data: OpaquePointer
    private var groupsMax: Int
    private let context: OpaquePointer
    /// Nil where there is none to be had: then compiled expressions use 32 KiB of this thread's own stack.
    private let compiledStack: OpaquePointer?
    /// Groups of the expression that matched last; 0 after anything but a match.
    private var groupsMatched = 0

    /// Room for `captureCountMax` groups; an expression with more of them makes it grow once.
    package init(captureCountMax: Int) {
        groupsMax = max(captureCountMax, 0) + 1
        // Each of the two is a few hundred bytes at start-up: without them there is nothing to go on with.
        guard let data = unsafe pcre2_match_data_create_8(UInt32(clamping: groupsMax), nil),
            let context = unsafe pcre2_match_context_create_8(nil)
        else { preconditionFailure("no memory for a pattern matcher") }
        unsafe self.data = unsafe data
        unsafe self.context = unsafe context
        unsafe compiledStack = pcre2_jit_stack_create_8(
            PatternMatcher.compiledStackBytesMin, PatternMatcher.compiledStackBytesMax, nil)
        if let compiledStack = unsafe compiledStack {
            unsafe pcre2_jit_stack_assign_8(context, nil, UnsafeMutableRawPointer(compiledStack))
        }
        _ = unsafe pcre2_set_depth_limit_8(context, PatternMatcher.depthMax)
        _ = unsafe pcre2_set_heap_limit_8(context, PatternMatcher.heapKibibytesMax)
    }

    deinit {
        unsafe pcre2_match_data_free_8(data)
        unsafe pcre2_match_context_free_8(context)
        unsafe pcre2_jit_stack_free_8(compiledStack)
    }

    package mutating func match(_ pattern: borrowing Pattern, _ bytes: [UInt8]) -> PatternOutcome {
        match(pattern, bytes.span)
    }

    /// The bytes are read during the call only; `capture` gives places, not bytes.
    package mutating func match(_ pattern: borrowing Pattern, _ bytes: UnsafeRawBufferPointer) -> PatternOutcome {
        unsafe match(pattern, bytes.bindMemory(to: UInt8.self).span)
    }

    package mutating func match(_ pattern: borrowing Pattern, _ bytes: Span<UInt8>) -> PatternOutcome {
        groupsMatched = 0
        guard bytes.count <= PatternMatcher.subjectBytesMax, holdRoom(forGroups: pattern.captureCount + 1) else {
            return .limitReached
        }
        let positions = pattern.starts.count(in: bytes)
        let steps = max(PatternMatcher.stepsMax / positions, PatternMatcher.stepsPerPositionMin)
        _ = unsafe pcre2_set_match_limit_8(context, UInt32(clamping: steps))
        let result = unsafe bytes.withUnsafeBufferPointer { subject in
            unsafe pcre2_match_8(pattern.code, subject.baseAddress, subject.count, 0, 0, data, context)
        }
        switch result {
        case 0...:
            groupsMatched = pattern.captureCount + 1
            return .matched
        case PCRE2_ERROR_MATCHLIMIT, PCRE2_ERROR_DEPTHLIMIT, PCRE2_ERROR_HEAPLIMIT, PCRE2_ERROR_JIT_STACKLIMIT,
            PCRE2_ERROR_NOMEMORY, PCRE2_ERROR_RECURSELOOP:
            return .limitReached
        default:
            // PCRE2_ERROR_NOMATCH, or a subject that is no UTF-8 under `(*UTF)`.
            return .unmatched
        }
    }

    /// Where a group of the last match lies in its subject; 0 is the whole match. Nil for a group that took no part,
    /// that the expression does not have, and after anything but a match.
    package func capture(_ group: Int) -> Range<Int>? {
        guard group >= 0, group < groupsMatched, let offsets = unsafe pcre2_get_ovector_pointer_8(data) else {
            return nil
        }
        let start = unsafe offsets[2 * group]
        let end = unsafe offsets[2 * group + 1]
        // Unset is PCRE2_UNSET, all ones: -1 here. `\K` can put a start behind its end.
        guard start >= 0, end >= start else { return nil }
        return start..<end
    }

    /// False without memory; what was held before stays.
    private mutating func holdRoom(forGroups groups: Int) -> Bool {
        guard groups > groupsMax else { return true }
        guard let larger = unsafe pcre2_match_data_create_8(UInt32(clamping: groups), nil) else { return false }
        unsafe pcre2_match_data_free_8(data)
        unsafe data = unsafe larger
        groupsMax = groups
        return true
    }
}
