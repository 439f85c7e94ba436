// SPDX-License-Identifier: Apache-2.0
//
// What is wrong with a configuration, where, and what to do about it. `render` writes nginx's line first, since people
// and scripts search for it, then the line of the file and a caret.

/// One finding.
package struct Diagnostic: Sendable, Equatable {
    package enum Level: Sendable, Equatable {
        case emerg, warn
        package var name: String {
            switch self {
            case .emerg: "emerg"
            case .warn: "warn"
            }
        }
    }

    package var level: Level
    /// nginx's words, without place.
    package var message: String
    /// Empty for `-g`, whose place is the command line.
    package var file = ""
    /// Counts from 1; 0 where there is no place in a file.
    package var line = 0
    /// Counts bytes from 1; 0 where there is no place.
    package var column = 0
    /// The line, cut around the place, with control bytes made visible.
    package var sourceLine = ""
    /// Characters of `sourceLine` before the caret, and under it.
    package var caretOffset = 0
    package var caretLength = 1
    /// The way out.
    package var hint: String

    package init(level: Level, message: String, hint: String) {
        self.level = level
        self.message = message
        self.hint = hint
    }

    /// nginx's form: `unknown directive "x" in FILE:LINE`.
    package var headline: String {
        if line == 0 { return message }
        return file.isEmpty ? message + " in command line" : "\(message) in \(file):\(line)"
    }

    /// The lines for a terminal, each ended by a newline.
    package func render() -> String {
        var text = "weir: [\(level.name)] \(headline)\n"
        guard line > 0 else {
            if !hint.isEmpty { text += "        \(hint)\n" }
            return text
        }
        let number = String(line)
        let gutter = String(repeating: " ", count: max(0, 5 - number.utf8.count)) + number
        text += "\(gutter) | \(sourceLine)\n"
        text += String(repeating: " ", count: gutter.utf8.count) + " | "
        text +=
            String(repeating: " ", count: caretOffset) + "^" + String(repeating: "~", count: max(0, caretLength - 1))
        text += hint.isEmpty ? "\n" : " \(hint)\n"
        return text
    }
}
