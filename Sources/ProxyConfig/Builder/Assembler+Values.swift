// SPDX-License-Identifier: Apache-2.0
//
// Arguments as values: numbers, times, sizes and flags of a statement or of a `name=value` parameter, refused in
// nginx's words.

extension Assembler {
    static let timeHint = "write a time like 500ms, 30s, 10m or 1h30m"
    static let secondsHint = "write a time in whole seconds or more, like 10s or 1m; ms is too fine here"
    static let sizeHint = "write a size like 4096, 16k or 1m"

    mutating func flag(_ statement: Statement) -> Bool? {
        if statement.first.equals("on") { return true }
        if statement.first.equals("off") { return false }
        error(
            "invalid value \"\(shown(statement.first.bytes))\" in \"\(statement.name.text)\" directive, "
                + "it must be \"on\" or \"off\"", at: statement.first, hint: "write on or off")
        return nil
    }

    mutating func number(_ statement: Statement, in range: ClosedRange<Int>) -> Int? {
        if let value = Quantity.number(statement.first.bytes), range.contains(value) { return value }
        let bounds =
            range.upperBound == Int.max
            ? "a number from \(range.lowerBound) on" : "a number from \(range.lowerBound) to \(range.upperBound)"
        error("\"\(statement.name.text)\" directive invalid number", at: statement.first, hint: "write \(bounds)")
        return nil
    }

    mutating func milliseconds(_ statement: Statement) -> Int? {
        if let value = Quantity.milliseconds(statement.first.bytes) { return value }
        error("\"\(statement.name.text)\" directive invalid value", at: statement.first, hint: Assembler.timeHint)
        return nil
    }

    mutating func size(_ statement: Statement, in range: ClosedRange<Int>) -> Int? {
        guard let value = Quantity.size(statement.first.bytes) else {
            error("\"\(statement.name.text)\" directive invalid value", at: statement.first, hint: Assembler.sizeHint)
            return nil
        }
        guard range.contains(value) else {
            error(
                "\"\(statement.name.text)\" directive invalid value", at: statement.first,
                hint: "it takes \(range.lowerBound) to \(range.upperBound) bytes")
            return nil
        }
        return value
    }

    /// A number, or nil with the whole parameter refused.
    mutating func number(_ parameter: Word, after prefix: Int, in range: ClosedRange<Int>) -> Int? {
        if let value = Quantity.number(parameter.bytes.dropFirst(prefix)), range.contains(value) { return value }
        let bounds =
            range.upperBound == Int.max
            ? "a number from \(range.lowerBound) on" : "a number from \(range.lowerBound) to \(range.upperBound)"
        invalidParameter(parameter, hint: "after \"=\" stands \(bounds)")
        return nil
    }

    mutating func seconds(_ parameter: Word, after prefix: Int) -> Int? {
        if let value = Quantity.seconds(parameter.bytes.dropFirst(prefix)) { return value }
        invalidParameter(parameter, hint: Assembler.secondsHint)
        return nil
    }

    mutating func milliseconds(_ parameter: Word, after prefix: Int) -> Int? {
        if let value = Quantity.milliseconds(parameter.bytes.dropFirst(prefix)) { return value }
        invalidParameter(parameter, hint: Assembler.timeHint)
        return nil
    }

    /// The name after `$` of a directive that makes a variable, in lower case as nginx keeps it.
    mutating func variableName(_ word: Word) -> [UInt8]? {
        let name = word.bytes.dropFirst()
        guard word.bytes.first == UInt8(ascii: "$"), !name.isEmpty, name.allSatisfy(Assembler.isVariableByte) else {
            error(
                "invalid variable name \"\(shown(word.bytes))\"", at: word,
                hint: "a variable is written as $name, with letters, digits and \"_\"")
            return nil
        }
        return Array(name).lowercasedASCII
    }

    static func isVariableByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
            true
        default: false
        }
    }

    /// The path of a log or the pid file, absolute.
    func logPath(_ word: Word) -> String { options.pathBelowPrefix(word.text) }

    /// What may follow a wrong parameter: the nearest of those that there are.
    static func parameterHint(_ word: Word, known: [String]) -> String {
        let name = word.bytes.prefix { $0 != UInt8(ascii: "=") }
        let names = known.map { String($0.prefix { $0 != "=" }) }
        if let near = Suggestion.nearest(to: Array(name), in: names), near != String(decoding: name, as: UTF8.self),
            let full = known.first(where: { $0 == near || $0.hasPrefix(near + "=") })
        {
            return "did you mean \"\(full)\"?"
        }
        return "there are \(known.joined(separator: ", "))"
    }
}
