// SPDX-License-Identifier: Apache-2.0
//
// ngx_stream_upstream_hc_module: active checks of the servers of a group, and what an answer has to look like.

import Patterns
import Vocabulary

extension DirectiveTable {
    static let healthDirectives: [Directive] = [
        .repeatable("health_check", .server, 0...Int.max) { $0.addHealthCheck($1) },
        .time("health_check_timeout", .levels) { $0.settings.healthCheckTimeoutMilliseconds = $1 },
        .block("match", .stream, 1...1) { $0.openMatch($1) },
        .simple("send", .match, 1...1) { assembler, statement in
            guard let bytes = assembler.literal(statement.first) else { return }
            assembler.matches[assembler.matches.count - 1].send = bytes
        },
        .simple("expect", .match, 1...2) { $0.setExpectation($1) },
    ]
}

extension Assembler {
    private static let checkParameters = [
        "interval=", "jitter=", "fails=", "passes=", "mandatory", "persistent", "match=", "port=",
    ]

    mutating func addHealthCheck(_ statement: Statement) {
        var draft = HealthCheckDraft(position: statement.name.position)
        var persistent: Word? = nil
        for word in statement.arguments {
            if word.hasPrefix("interval=") {
                draft.check.intervalMilliseconds = interval(word) ?? draft.check.intervalMilliseconds
            } else if word.hasPrefix("jitter=") {
                draft.check.jitterMilliseconds = milliseconds(word, after: 7) ?? draft.check.jitterMilliseconds
            } else if word.hasPrefix("fails=") {
                draft.check.fails = number(word, after: 6, in: 1...Int(Int32.max)) ?? draft.check.fails
            } else if word.hasPrefix("passes=") {
                draft.check.passes = number(word, after: 7, in: 1...Int(Int32.max)) ?? draft.check.passes
            } else if word.hasPrefix("port=") {
                draft.check.port = number(word, after: 5, in: 1...65535).map { UInt16($0) }
            } else if word.hasPrefix("match=") {
                draft.match = word.dropFirst(6)
            } else if word.equals("mandatory") {
                draft.check.isMandatory = true
            } else if word.equals("persistent") {
                draft.check.isPersistent = true
                persistent = word
            } else if word.equals("udp") {
                error(
                    "Weir does not have the \"udp\" parameter of \"health_check\" yet", at: word,
                    hint: "take it out; servers are checked over TCP until then")
            } else {
                invalidParameter(word, hint: Assembler.parameterHint(word, known: Assembler.checkParameters))
            }
        }
        if let persistent, !draft.check.isMandatory {
            invalidParameter(persistent, hint: "it goes with mandatory: health_check mandatory persistent;")
        }
        server.healthChecks.append(draft)
    }

    private mutating func interval(_ word: Word) -> Int? {
        guard let value = milliseconds(word, after: 9) else { return nil }
        if value > 0 { return value }
        invalidParameter(word, hint: "the time between two checks is more than 0")
        return nil
    }

    mutating func openMatch(_ statement: Statement) {
        let name = statement.first
        if matchByName[name.bytes] != nil {
            error(
                "duplicate match \"\(shown(name.bytes))\"", at: name, hint: "give one of them another name")
        } else {
            matchByName[name.bytes] = matches.count
        }
        matches.append(HealthMatch(name: name.text))
        openBlock(.match, statement)
    }

    mutating func setExpectation(_ statement: Statement) {
        let last = matches.count - 1
        var word = statement.first
        if word.bytes.first == UInt8(ascii: "~") {
            let ignoresCase = word.hasPrefix("~*")
            word = word.dropFirst(ignoresCase ? 2 : 1)
            if statement.arguments.count == 2 {
                guard word.bytes.isEmpty else {
                    invalidParameter(statement.first, hint: "write expect ~ expression; or expect ~* expression;")
                    return
                }
                word = statement.words[2]
            } else {
                word = Word(bytes: Array(word.bytes.drop { $0 == UInt8(ascii: " ") }), position: word.position)
            }
            guard pattern(word, ignoresCase: ignoresCase) != nil else { return }
            matches[last].expect = .pattern(word.text, ignoresCase: ignoresCase)
            return
        }
        guard statement.arguments.count == 1 else {
            invalidParameter(
                statement.words[2], hint: "put what has spaces between quotes; an expression begins with ~")
            return
        }
        guard let bytes = literal(word) else { return }
        matches[last].expect = .literal(bytes)
    }

    /// The bytes of `send` and `expect`: `\xHH` stands for the byte.
    mutating func literal(_ word: Word) -> [UInt8]? {
        var output: [UInt8] = []
        var index = 0
        while index < word.bytes.count {
            guard word.bytes[index] == UInt8(ascii: "\\"), index + 1 < word.bytes.count,
                word.bytes[index + 1] == UInt8(ascii: "x")
            else {
                output.append(word.bytes[index])
                index += 1
                continue
            }
            guard index + 3 < word.bytes.count, let high = hexDigitValue(word.bytes[index + 2]),
                let low = hexDigitValue(word.bytes[index + 3])
            else {
                let end = min(index + 4, word.bytes.count)
                error(
                    "invalid value \"\(shown(Array(word.bytes[index..<end])))\"",
                    at: word.place(of: index, count: end - index) ?? word.position,
                    hint: "after \\x stand two hexadecimal digits: \\x0a")
                return nil
            }
            output.append(high << 4 | low)
            index += 4
        }
        return output
    }

    /// A regular expression, refused in nginx's words.
    mutating func pattern(_ word: Word, ignoresCase: Bool) -> Pattern? {
        do throws(PatternFault) {
            return try Pattern(word.text, ignoresCase: ignoresCase)
        } catch {
            let rest = word.bytes.dropFirst(error.offset)
            let place = rest.isEmpty ? "" : " at \"\(shown(Array(rest)))\""
            self.error(
                "pcre2_compile() failed: \(error.message) in \"\(shown(word.bytes))\"\(place)",
                at: word.place(of: min(error.offset, word.bytes.count), count: 1) ?? word.position,
                hint: "the expression makes no sense from here on; a \"\\\" before a special character makes it plain")
            return nil
        }
    }
}
