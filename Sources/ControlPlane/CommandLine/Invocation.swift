// SPDX-License-Identifier: Apache-2.0
//
// The command line: nginx's flags with nginx's grammar (letters may stand together, `-tq`; a value may follow its
// letter at once, `-sreload`), read into a value that says what to do. Pure: it prints nothing and touches no file.

/// What a command line asks for.
package enum Invocation: Sendable, Equatable {
    /// The first argument is no flag: `weirctl` gets all arguments.
    case companion([String])
    case run(Options)
    /// The message that nginx would print, without the program's name.
    case misuse(String)

    /// `-s`.
    package enum Signal: String, Sendable, CaseIterable { case stop, quit, reopen, reload }

    package struct Options: Sendable, Equatable {
        package var showsVersion = false
        package var showsBuild = false
        package var showsHelp = false
        package var isTest = false
        package var isDump = false
        package var isQuiet = false
        package var signal: Signal? = nil
        package var prefix: String? = nil
        package var errorLog: String? = nil
        package var configurationFile: String? = nil
        package var globalDirectives: String? = nil
        package init() {}
    }

    /// Takes the arguments after the program's name.
    package init(arguments: [String]) {
        if let first = arguments.first, !first.hasPrefix("-") {
            self = .companion(arguments)
            return
        }
        var options = Options()
        var index = 0
        while index < arguments.count {
            let argument = arguments[index]
            index += 1
            guard argument.hasPrefix("-") else {
                self = .misuse("invalid option: \"\(argument)\"")
                return
            }
            var letters = argument.dropFirst()
            while let letter = letters.popFirst() {
                guard let value = ValueFlag(rawValue: letter) else {
                    guard options.takeSwitch(letter) else {
                        self = .misuse("invalid option: \"\(letter)\"")
                        return
                    }
                    continue
                }
                // The rest of the argument is the value, else the next argument is.
                var text = String(letters)
                letters = ""
                if text.isEmpty {
                    guard index < arguments.count else {
                        self = .misuse("option \"-\(letter)\" requires \(value.wants)")
                        return
                    }
                    text = arguments[index]
                    index += 1
                }
                guard options.take(text, for: value) else {
                    self = .misuse("invalid option: \"-\(letter) \(text)\"")
                    return
                }
            }
        }
        self = .run(options)
    }
}

/// A flag that takes a value.
private enum ValueFlag: Character {
    case prefix = "p"
    case errorLog = "e"
    case configurationFile = "c"
    case globalDirectives = "g"
    case signal = "s"

    var wants: String {
        switch self {
        case .prefix: "directory name"
        case .errorLog, .configurationFile: "file name"
        case .globalDirectives, .signal: "parameter"
        }
    }
}

extension Invocation.Options {
    /// False when there is no such flag.
    fileprivate mutating func takeSwitch(_ letter: Character) -> Bool {
        switch letter {
        case "?", "h":
            showsVersion = true
            showsHelp = true
        case "v": showsVersion = true
        case "V":
            showsVersion = true
            showsBuild = true
        case "t": isTest = true
        case "T":
            isTest = true
            isDump = true
        case "q": isQuiet = true
        default: return false
        }
        return true
    }

    /// False when the value is none that the flag takes.
    fileprivate mutating func take(_ text: String, for flag: ValueFlag) -> Bool {
        switch flag {
        case .prefix: prefix = text
        case .errorLog: errorLog = text
        case .configurationFile: configurationFile = text
        case .globalDirectives: globalDirectives = text
        case .signal:
            guard let signal = Invocation.Signal(rawValue: text) else { return false }
            self.signal = signal
        }
        return true
    }
}
