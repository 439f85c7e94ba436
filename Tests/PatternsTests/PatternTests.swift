// SPDX-License-Identifier: Apache-2.0
//
// Expressions over bytes: what matches where, what does not compile, and that no subject keeps a match going.

import Patterns
import Testing

struct PatternTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let text: String
        let subject: [UInt8]
        let groups: [Range<Int>?]?
        let ignoresCase: Bool

        init(_ text: String, _ subject: String, _ groups: [Range<Int>?]?, ignoresCase: Bool = false) {
            self.init(text, Array(subject.utf8), groups, ignoresCase: ignoresCase)
        }

        init(_ text: String, _ subject: [UInt8], _ groups: [Range<Int>?]?, ignoresCase: Bool = false) {
            self.text = text
            self.subject = subject
            self.groups = groups
            self.ignoresCase = ignoresCase
        }

        var testDescription: String { "\(text) over \(subject)" }
    }

    static let cases = [
        Case("^sensor-", "sensor-17", [0..<7]),
        Case("^sensor-", "Sensor-17", nil),
        Case("^SENSOR-", "sensor-17", [0..<7], ignoresCase: true),
        Case("(\\d+)(x)?", "a12", [1..<3, 1..<3, nil]),
        Case("^$", "", [0..<0]),
        Case("a", "", nil),
        // Bytes, not characters, and NUL among them.
        Case("^.$", [0xC3, 0xA4], nil),
        Case("(*UTF)^.$", [0xC3, 0xA4], [0..<2]),
        Case("(*UTF).", [0xC3], nil),
        Case("\\x20\\x02\\x00\\x00", [0x20, 2, 0, 0], [0..<4]),
        Case("^\\xff\\x00", [0xFF, 0, 0xFF], [0..<2]),
        // `\K` moves the start of what matched.
        Case("ab\\Kc", "abc", [2..<3]),
    ]

    @Test("an expression matches its bytes, and says where each group lies", arguments: cases)
    func matches(_ given: Case) throws {
        let pattern = try Pattern(given.text, ignoresCase: given.ignoresCase)
        var matcher = PatternMatcher(captureCountMax: 0)
        let outcome = matcher.match(pattern, given.subject)
        #expect(outcome == (given.groups == nil ? .unmatched : .matched))
        for (group, range) in (given.groups ?? []).enumerated() {
            #expect(matcher.capture(group) == range)
        }
        #expect(matcher.capture(given.groups?.count ?? 0) == nil)
        #expect(matcher.capture(-1) == nil)
        #expect(pattern.matches(given.subject) == (given.groups != nil))
        let raw = unsafe given.subject.withUnsafeBytes { unsafe matcher.match(pattern, $0) }
        #expect(raw == outcome)
    }

    @Test("named groups come with their numbers")
    func names() throws {
        let pattern = try Pattern("^(?<site>\\w+)-(\\d)(?<kind>[ab])?", ignoresCase: false)
        #expect(pattern.captureCount == 3)
        #expect(pattern.captureNames.map(\.name) == ["kind", "site"])
        #expect(pattern.captureNames.map(\.group) == [3, 1])
        #expect(try Pattern("a", ignoresCase: false).captureNames.isEmpty)
    }

    @Test(
        "a wrong expression is refused with PCRE2's words and the place",
        arguments: [
            ("(", "missing closing parenthesis", 1),
            ("ab[", "missing terminating ] for character class", 3),
            ("*", "quantifier does not follow a repeatable item", 0),
            ("\\", "\\ at end of pattern", 1),
            (String(repeating: "(", count: 10_000), "parentheses are too deeply nested", 251),
            ("\u{0}(", "missing closing parenthesis", 2),
        ])
    func faults(text: String, message: String, offset: Int) {
        let fault = #expect(throws: PatternFault.self) { try Pattern(text, ignoresCase: false) }
        #expect(fault?.message == message)
        #expect(fault?.offset == offset)
    }

    @Test("one matcher serves many expressions, and a failed match leaves no captures behind")
    func reuse() throws {
        let many = try Pattern("(a)(b)(c)(d)", ignoresCase: false)
        let few = try Pattern("(x)", ignoresCase: false)
        var matcher = PatternMatcher(captureCountMax: 1)
        #expect(matcher.match(many, Array("abcd".utf8)) == .matched)
        #expect(matcher.capture(4) == 3..<4)
        #expect(matcher.match(few, Array("x".utf8)) == .matched)
        #expect(matcher.capture(2) == nil)
        #expect(matcher.match(few, Array("y".utf8)) == .unmatched)
        #expect(matcher.capture(0) == nil)
    }

    /// Each of these takes minutes to years without a limit, or seconds because it begins anew at each byte.
    static let catastrophes: [(String, Int)] = [
        ("(a+)+[bc]", 40), ("^(a|aa)+$x?y|z", 100), ("(?:a|b)*[cd]", 16_384), ("a*a*a*a*a*[bc]", 4_096),
        ("(a*)*[bc]", 16_384), ("^(?:(?=(a+))a)*[bc]", 16_384), ("(?R)?a(?R)?[bc]", 1_000), ("[ab]*[cd]", 16_384),
        ("a*[bc]", 65_537),
    ]

    @Test("a catastrophic expression ends soon, compiled or interpreted", arguments: catastrophes, ["", "(*NO_JIT)"])
    func bounded(_ catastrophe: (text: String, count: Int), prefix: String) throws {
        let pattern = try Pattern(prefix + catastrophe.text, ignoresCase: false)
        var matcher = PatternMatcher(captureCountMax: 4)
        let subject = [UInt8](repeating: UInt8(ascii: "a"), count: catastrophe.count)
        let elapsed = ContinuousClock().measure {
            #expect(matcher.match(pattern, subject) != .matched)
        }
        // The worst takes 0.2 s; the rest is for a machine that does other things as well.
        #expect(elapsed < .seconds(3))
    }

    @Test("a subject that is too long is given up at once")
    func longSubject() throws {
        let pattern = try Pattern("a", ignoresCase: false)
        var matcher = PatternMatcher(captureCountMax: 0)
        #expect(matcher.match(pattern, [UInt8](repeating: UInt8(ascii: "a"), count: 65_536)) == .matched)
        #expect(matcher.match(pattern, [UInt8](repeating: UInt8(ascii: "a"), count: 65_537)) == .limitReached)
    }

    @Test(
        "honest expressions over 16 KiB reach no limit",
        arguments: ["^HTTP/1\\.[01] 200", "200 OK.*end$", "(?s)OK.*</html> end$", "(?s)^(?:.|\\n)*end$", "l>\\s+end"],
        ["", "(*NO_JIT)"])
    func honest(_ text: String, prefix: String) throws {
        let pattern = try Pattern(prefix + text, ignoresCase: false)
        var matcher = PatternMatcher(captureCountMax: 4)
        let line = "HTTP/1.1 200 OK, and here some words: "
        let subject = Array((String(repeating: line, count: 430) + "</html> end").utf8)
        #expect(matcher.match(pattern, subject) == .matched)
    }
}
