// SPDX-License-Identifier: Apache-2.0
//
// One declaration a directive: where it may stand, how many words it takes, and what it does. Everything that can be
// checked without knowing the directive (place, number of words, repetition, `;` or block) is checked from here.

/// Where a directive may stand.
package struct Contexts: OptionSet, Sendable {
    package let rawValue: UInt16
    package init(rawValue: UInt16) { self.rawValue = rawValue }
    package static let main = Contexts(rawValue: 1)
    package static let events = Contexts(rawValue: 2)
    package static let stream = Contexts(rawValue: 4)
    package static let server = Contexts(rawValue: 8)
    package static let upstream = Contexts(rawValue: 16)
    package static let match = Contexts(rawValue: 32)
    package static let map = Contexts(rawValue: 64)
    package static let http = Contexts(rawValue: 128)
    /// `server` in `http`, which has nothing of one in `stream` but the name.
    package static let httpServer = Contexts(rawValue: 256)
    package static let location = Contexts(rawValue: 512)
    package static let levels: Contexts = [.stream, .server]
    /// Of the admin process.
    package static let adminLevels: Contexts = [.http, .httpServer, .location]

    /// The names for messages and documentation.
    package var names: [String] {
        let all: [(Contexts, String)] = [
            (.main, "main"), (.events, "events"), (.stream, "stream"), (.server, "server"), (.upstream, "upstream"),
            (.match, "match"), (.map, "map"), (.http, "http"), (.httpServer, "http server"), (.location, "location"),
        ]
        return all.filter { contains($0.0) }.map(\.1)
    }
}

/// A statement whose directive is known. `words[0]` is the directive.
struct Statement {
    var words: [Word]
    var name: Word { words[0] }
    var arguments: ArraySlice<Word> { words[1...] }
    /// The first argument; the table guarantees it where a directive takes one.
    var first: Word { words[1] }
}

struct Directive: Sendable {
    enum Shape: Sendable { case simple, block }

    var name: String
    var contexts: Contexts
    var arguments: ClosedRange<Int>
    var shape = Shape.simple
    var isRepeatable = false
    var apply: @Sendable (inout Assembler, Statement) -> Void

    static let any = 1...Int.max

    // MARK: - Shorthands

    static func simple(
        _ name: String, _ contexts: Contexts, _ arguments: ClosedRange<Int>,
        _ apply: @escaping @Sendable (inout Assembler, Statement) -> Void
    ) -> Directive {
        Directive(name: name, contexts: contexts, arguments: arguments, apply: apply)
    }

    static func repeatable(
        _ name: String, _ contexts: Contexts, _ arguments: ClosedRange<Int>,
        _ apply: @escaping @Sendable (inout Assembler, Statement) -> Void
    ) -> Directive {
        Directive(name: name, contexts: contexts, arguments: arguments, isRepeatable: true, apply: apply)
    }

    static func block(
        _ name: String, _ contexts: Contexts, _ arguments: ClosedRange<Int>, isRepeatable: Bool = true,
        _ apply: @escaping @Sendable (inout Assembler, Statement) -> Void
    ) -> Directive {
        Directive(
            name: name, contexts: contexts, arguments: arguments, shape: .block, isRepeatable: isRepeatable,
            apply: apply)
    }

    static func flag(
        _ name: String, _ contexts: Contexts, _ set: @escaping @Sendable (inout Assembler, Bool) -> Void
    ) -> Directive {
        simple(name, contexts, 1...1) { assembler, statement in
            if let value = assembler.flag(statement) { set(&assembler, value) }
        }
    }

    static func number(
        _ name: String, _ contexts: Contexts, in range: ClosedRange<Int> = 0...Int.max,
        _ set: @escaping @Sendable (inout Assembler, Int) -> Void
    ) -> Directive {
        simple(name, contexts, 1...1) { assembler, statement in
            if let value = assembler.number(statement, in: range) { set(&assembler, value) }
        }
    }

    static func time(
        _ name: String, _ contexts: Contexts, _ set: @escaping @Sendable (inout Assembler, Int) -> Void
    ) -> Directive {
        simple(name, contexts, 1...1) { assembler, statement in
            if let value = assembler.milliseconds(statement) { set(&assembler, value) }
        }
    }

    static func seconds(
        _ name: String, _ contexts: Contexts, _ set: @escaping @Sendable (inout Assembler, Int) -> Void
    ) -> Directive {
        simple(name, contexts, 1...1) { assembler, statement in
            if let value = Quantity.seconds(statement.first.bytes) {
                set(&assembler, value)
            } else {
                assembler.error(
                    "\"\(statement.name.text)\" directive invalid value", at: statement.first,
                    hint: Assembler.secondsHint)
            }
        }
    }

    static func size(
        _ name: String, _ contexts: Contexts, in range: ClosedRange<Int>,
        _ set: @escaping @Sendable (inout Assembler, Int) -> Void
    ) -> Directive {
        simple(name, contexts, 1...1) { assembler, statement in
            if let value = assembler.size(statement, in: range) { set(&assembler, value) }
        }
    }

    /// Accepted without effect. With a `reason`, ignoring it changes something, and a warning says so.
    static func ignored(
        _ name: String, _ contexts: Contexts, _ arguments: ClosedRange<Int>, reason: String? = nil
    ) -> Directive {
        repeatable(name, contexts, arguments) { assembler, statement in
            guard let reason else { return }
            assembler.warn("\"\(statement.name.text)\" directive is ignored", at: statement.name, hint: reason)
        }
    }
}
