// SPDX-License-Identifier: Apache-2.0
//
// The grammar, in tables: what words a text has, and where its faults are. The expectations follow what nginx 1.22 does
// with the same text (`nginx -t`).

import Testing

@testable import ProxyConfig

@Suite("tokens")
struct TokenizerTests {
    /// Statements as `word|word;`, `word{`, `}`.
    private func shape(_ text: String) -> (text: String, faults: [TokenFault]) {
        var tokenizer = Tokenizer(bytes: Array(text.utf8), file: 0)
        var words: [Word] = []
        var faults: [TokenFault] = []
        var output = ""
        while true {
            var fault: TokenFault? = nil
            let end = tokenizer.next(into: &words, fault: &fault)
            if let fault { faults.append(fault) }
            output += words.map { String(decoding: $0.bytes, as: UTF8.self) }.joined(separator: "|")
            switch end {
            case .semicolon: output += ";"
            case .blockStart: output += "{"
            case .blockEnd: output += "}"
            case .endOfFile: return (output, faults)
            }
        }
    }

    @Test(
        "words, quotes, escapes and comments",
        arguments: [
            ("a b;c\td\r\n;", "a|b;c|d;"),
            ("a{b c;}", "a{b|c;}"),
            ("a # x;y\n b;", "a|b;"),
            ("a#b c;", "a#b|c;"),
            ("a 'b c' \"d;{}\" ;", "a|b c|d;{};"),
            ("a '' \"\";", "a||;"),
            (#"a "q\"q" 'q\'q' b\ c;"#, #"a|q"q|q'q|b\ c;"#),
            (#"a \x10\x0c \\ "\x10";"#, #"a|\x10\x0c|\|\x10;"#),
            (#"a b\tc "d\re\nf";"#, "a|b\tc|d\re\nf;"),
            (#"a b\;c d\{e;"#, #"a|b\;c|d\{e;"#),
            ("a ${b}c $d{", "a|${b}c|$d{"),
            ("a ${b ;", "a|${b;"),
            ("a b};", "a|b};"),
            (#"\a b;"#, #"\a|b;"#),
            ("a \"multi\nline\" b;", "a|multi\nline|b;"),
            ("\u{FEFF}a b;", "a|b;"),
            ("", ""), ("  # only\n\n", ""), ("# no newline", ""),
            ("a 'b') c;", "a|b|)|c;"),
        ])
    func words(_ text: String, _ expected: String) {
        let result = shape(text)
        #expect(result.text == expected)
        #expect(result.faults.isEmpty)
    }

    @Test(
        "faults have a place and do not end the reading",
        arguments: [
            (";a;", TokenFault.Kind.unexpected(UInt8(ascii: ";")), 1, 1),
            ("a;\n {b;}", .unexpected(UInt8(ascii: "{")), 2, 2),
            ("a 'b'c;", .unexpected(UInt8(ascii: "c")), 1, 6),
            ("a b }", .missingSemicolon, 1, 5),
            ("a b", .endOfFile, 1, 4),
            ("a\n  'b c", .openQuote(UInt8(ascii: "'")), 2, 3),
            ("a \"b\\\"", .openQuote(UInt8(ascii: "\"")), 1, 3),
            ("a b\0c;", .nul, 1, 3),
        ])
    func faults(_ text: String, _ kind: TokenFault.Kind, _ line: Int, _ column: Int) throws {
        let fault = try #require(shape(text).faults.first)
        #expect(fault.kind == kind)
        #expect(fault.position.line == line)
        #expect(fault.position.column == column)
    }

    @Test("after a fault the next statements are read")
    func recovery() {
        #expect(shape("; a 'b'c; d e } f;").text == ";a|b|c;d|e;}f;")
    }

    @Test("a word knows its line, column and length, quotes included")
    func positions() {
        var tokenizer = Tokenizer(bytes: Array("a\r\n\t'b c'\n  d;".utf8), file: 7)
        var words: [Word] = []
        var fault: TokenFault? = nil
        #expect(tokenizer.next(into: &words, fault: &fault) == .semicolon)
        #expect(words.map(\.position.line) == [1, 2, 3])
        #expect(words.map(\.position.column) == [1, 2, 3])
        #expect(words.map(\.position.length) == [1, 5, 1])
        #expect(words.allSatisfy { $0.position.file == 7 })
    }

    @Test("a word is bounded; the rest of the text is still read")
    func longWord() {
        let long = String(repeating: "x", count: Tokenizer.wordBytesMax + 1)
        let result = shape("a \(long); b c;")
        #expect(result.faults.map(\.kind) == [.tooLong])
        #expect(result.text == "a|;b|c;")
        #expect(shape("a \(long.dropLast());").faults.isEmpty)
    }
}
