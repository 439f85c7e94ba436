// SPDX-License-Identifier: Apache-2.0
//
// No input traps or hangs. Method: seeded mutations of sample texts (bytes changed, cut, doubled, moved, tokens of the
// language put in), each built to its end, and a few monsters. The seed of a failing run is its test argument.

import Testing

@testable import ProxyConfig

@Suite("robustness")
struct RobustnessTests {
    private struct Random {
        var state: UInt64
        mutating func next(below bound: Int) -> Int {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return Int(state % UInt64(max(1, bound)))
        }
    }

    private static let pieces = [
        "{", "}", ";", "\"", "'", "\\", "$", "${", "#", "\n", "\r\n", "\0", "\u{FEFF}", "~", "~*(", "*", "include a;",
        "include *;", "include /etc/weir/weir.conf;", "listen 1-65535;", "server {", "upstream x {", "map $a $b {",
        "99999999999999999999",
        "-1", "[::", "]:", "unix:", "\\x", "\\x4", "$1", "on", "off", "error_log", "syslog:server=", "so_keepalive=::",
        "http {", "location / {", "location = /x {", "api write=on;", "auth_basic a;", "auth_basic_user_file a;",
        "return 301 /;", "state a;", "state b;", "zone z;", "deny all;", "drain", "slow_start=1s",
    ]

    private func mutate(_ text: [UInt8], _ random: inout Random) -> [UInt8] {
        var text = text
        for _ in 0...random.next(below: 4) {
            let place = random.next(below: text.count)
            switch random.next(below: 6) {
            case 0 where !text.isEmpty: text[place] = UInt8(random.next(below: 256))
            case 1: text.removeSubrange(place..<min(text.count, place + 1 + random.next(below: 40)))
            case 2: text.insert(contentsOf: text[place..<min(text.count, place + random.next(below: 80))], at: place)
            case 3: text = Array(text[..<place])
            default:
                let piece = RobustnessTests.pieces[random.next(below: RobustnessTests.pieces.count)]
                text.insert(contentsOf: piece.utf8, at: place)
            }
        }
        return text
    }

    @Test("mutations of the sample are built or refused", arguments: 1...8 as ClosedRange<UInt64>)
    func mutations(_ seed: UInt64) {
        var random = Random(state: seed &* 0x9E37_79B9_7F4A_7C15 | 1)
        let sample = Array(sampleText.utf8)
        for _ in 0..<40 {
            var source = DictionarySource()
            source.files[testOptions.file] = mutate(sample, &random)
            source.files["/etc/weir/a"] = mutate(
                Array("include b;\nserver { listen 5; return \"$status\"; }".utf8), &random)
            source.files["/etc/weir/b"] = mutate(Array("allow all; include a;".utf8), &random)
            source.files["/srv/weir/a"] = mutate(Array("server 192.0.2.1:1 drain; server 192.0.2.2:2;".utf8), &random)
            let outcome = ConfigurationBuilder.buildAll(&source, options: testOptions)
            #expect((outcome.configuration == nil) == (outcome.errorCount > 0))
            #expect(outcome.diagnostics.allSatisfy { $0.sourceLine.utf8.count < 2000 && !$0.render().isEmpty })
            #expect(outcome.diagnostics.allSatisfy { !$0.hint.isEmpty })
        }
    }

    @Test("every end of the sample is refused or built")
    func cuts() {
        let sample = Array(sampleText.utf8)
        for count in stride(from: 0, to: sample.count, by: 7) {
            var source = DictionarySource()
            source.files[testOptions.file] = Array(sample[..<count])
            _ = ConfigurationBuilder.buildAll(&source, options: testOptions)
        }
    }

    @Test("bytes of every value, in every place of a directive")
    func everyByte() {
        for byte in UInt8.min...UInt8.max {
            var source = DictionarySource()
            let text =
                "pid ".utf8 + [byte] + "a; ".utf8 + [byte] + " x; stream { log_format f $".utf8 + [byte] + "; }".utf8
            source.files[testOptions.file] = Array(text)
            _ = ConfigurationBuilder.buildAll(&source, options: testOptions)
        }
    }

    enum Monster: CaseIterable {
        case line, comment, quote, openBraces, closingBraces, words, nulBytes
        var text: String {
            switch self {
            case .line: String(repeating: "x", count: 10 << 20)
            case .comment: "#" + String(repeating: "x", count: 2 << 20)
            case .quote: "pid \"" + String(repeating: "x", count: 2 << 20)
            case .openBraces: String(repeating: "a{", count: 1 << 18)
            case .closingBraces: String(repeating: "}", count: 1 << 18)
            case .words: "events " + String(repeating: "x ", count: 1 << 18)
            case .nulBytes: String(repeating: "\0", count: 1 << 18)
            }
        }
    }

    @Test("a line of 10 MB and other monsters end with few errors and short messages", arguments: Monster.allCases)
    func monsters(_ monster: Monster) {
        let outcome = build(monster.text)
        #expect(outcome.errorCount > 0 || monster == .comment)
        #expect(outcome.diagnostics.count <= 51)
        #expect(outcome.render().utf8.count < 60_000)
    }
}
