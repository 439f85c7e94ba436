// SPDX-License-Identifier: Apache-2.0
//
// error_log, access_log and log_format: where lines go and what stands in them.

import Vocabulary

/// A destination before the name of a syslog server is looked up.
struct LogDestinationDraft {
    enum Kind {
        case file(String)
        case keyLog(String)
        case standardError
        case syslog(LogDestination.Syslog, server: AddressText)
    }
    var kind: Kind
    /// Nil for the default error log.
    var word: Word?
}

extension DirectiveTable {
    static let logDirectives: [Directive] = [
        .repeatable("error_log", [.main, .stream, .server, .http], Directive.any) { $0.addErrorLog($1) },
        .repeatable("access_log", .levels, Directive.any) { $0.addAccessLog($1) },
        .repeatable("log_format", .stream, 2...Int.max) { $0.addLogFormat($1) },
    ]
}

extension Assembler {
    private static let logParameters = ["buffer=", "flush=", "if=", "events="]

    // MARK: - error_log

    mutating func addErrorLog(_ statement: Statement) {
        let target = statement.first
        if target.hasPrefix("memory:") {
            error(
                "Weir does not have \"memory:\" logs yet", at: target, hint: "write a file, stderr or syslog:server=…")
            return
        }
        guard let destination = logDestination(target, takesStandardError: true) else { return }
        var level: LogLevel? = nil
        for word in statement.arguments.dropFirst() {
            if word.equals("json") {
                error(
                    "Weir does not have the \"json\" parameter of \"error_log\" yet", at: word,
                    hint: "take it out until then")
                return
            }
            guard let named = LogLevel(name: word.text) else {
                let levels = LogLevel.allCases.map(\.name)
                error(
                    "invalid log level \"\(shown(word.bytes))\"", at: word,
                    hint: Suggestion.nearest(to: word.bytes, in: levels).map { "did you mean \"\($0)\"?" }
                        ?? "levels are \(levels.joined(separator: ", "))")
                return
            }
            guard level == nil else {
                error(
                    "duplicate log level \"\(named.name)\"", at: word,
                    hint: "a log has one level: the least severe it takes")
                return
            }
            level = named
        }
        let log = ErrorLog(destination: destination, level: level ?? .error)
        if context == .main { main.errorLogs.append(log) } else { settings.errorLogs.append(log) }
    }

    // MARK: - access_log

    mutating func addAccessLog(_ statement: Statement) {
        let target = statement.first
        if target.equals("off") {
            if statement.arguments.count > 1 {
                invalidParameter(statement.words[2], hint: "access_log off; takes nothing else")
                return
            }
            settings.isAccessLogOff = true
            return
        }
        guard statement.arguments.count > 1 else {
            error(
                "log format is not specified", at: statement.name,
                hint: "name a log_format after the path: access_log \(shown(target.bytes)) NAME;")
            return
        }
        if target.bytes.contains(UInt8(ascii: "$")) {
            error(
                "Weir does not have variables in the path of \"access_log\" yet", at: target,
                hint: "write one path; if= chooses what is written to it")
            return
        }
        guard let destination = logDestination(target, takesStandardError: false) else { return }
        var draft = AccessLogDraft(destination: destination, format: statement.words[2])
        for word in statement.arguments.dropFirst(2) {
            guard readLogParameter(word, into: &draft) else { return }
        }
        if draft.bufferBytes != nil, target.hasPrefix("syslog:") {
            error("logs to syslog cannot be buffered", at: target, hint: "take buffer= and flush= out")
            return
        }
        if draft.flushMilliseconds != nil, draft.bufferBytes == nil {
            error(
                "no buffer is defined for access_log \"\(shown(target.bytes))\"", at: target,
                hint: "flush= goes with buffer=: buffer=32k flush=5s")
            return
        }
        settings.accessLogs.append(draft)
    }

    private mutating func readLogParameter(_ word: Word, into draft: inout AccessLogDraft) -> Bool {
        if word.hasPrefix("buffer=") {
            guard let size = Quantity.size(word.bytes.dropFirst(7)), DirectiveTable.bufferBytes.contains(size) else {
                error(
                    "invalid buffer size \"\(shown(Array(word.bytes.dropFirst(7))))\"", at: word,
                    hint: Assembler.sizeHint)
                return false
            }
            draft.bufferBytes = size
        } else if word.hasPrefix("flush=") {
            guard let time = Quantity.milliseconds(word.bytes.dropFirst(6)), time > 0 else {
                error(
                    "invalid flush time \"\(shown(Array(word.bytes.dropFirst(6))))\"", at: word,
                    hint: Assembler.timeHint)
                return false
            }
            draft.flushMilliseconds = time
        } else if word.hasPrefix("if=") {
            draft.condition = word.dropFirst(3)
        } else if word.hasPrefix("events=") {
            guard draft.events == nil else {
                error("duplicate \"events\" parameter", at: word, hint: "write all events in one, with commas")
                return false
            }
            draft.events = logEvents(word)
            return draft.events != nil
        } else if word.equals("gzip") || word.hasPrefix("gzip=") {
            error(
                "Weir does not have the \"gzip\" parameter of \"access_log\" yet", at: word,
                hint: "write buffer=64k instead, and compress when rotating")
            return false
        } else {
            invalidParameter(word, hint: Assembler.parameterHint(word, known: Assembler.logParameters))
            return false
        }
        return true
    }

    // MARK: - log_format

    mutating func addLogFormat(_ statement: Statement) {
        let name = statement.first
        guard formatByName[name.bytes] == nil else {
            error(
                "duplicate \"log_format\" name \"\(shown(name.bytes))\"", at: name,
                hint: "give one of them another name")
            return
        }
        var draft = FormatDraft(name: name, escape: .standard, strings: Array(statement.arguments.dropFirst()))
        if let word = draft.strings.first, word.hasPrefix("escape=") {
            let value = word.dropFirst(7)
            if value.equals("json") {
                draft.escape = .json
            } else if value.equals("none") {
                draft.escape = .none
            } else if !value.equals("default") {
                error(
                    "unknown log format escaping \"\(shown(value.bytes))\"", at: value,
                    hint: "write escape=default, escape=json or escape=none")
                return
            }
            draft.strings.removeFirst()
            if draft.strings.isEmpty {
                error(
                    "invalid number of arguments in \"log_format\" directive", at: statement.name,
                    hint: "what to write stands after escape=")
                return
            }
        }
        formatByName[name.bytes] = formatDrafts.count
        formatDrafts.append(draft)
    }

    // MARK: - Destinations

    /// The index of a destination; the same words name the same one.
    mutating func logDestination(_ word: Word, takesStandardError: Bool) -> Int? {
        let kind: LogDestinationDraft.Kind
        if takesStandardError, word.equals("stderr") {
            kind = .standardError
        } else if word.hasPrefix("syslog:") {
            guard let syslog = syslog(word) else { return nil }
            kind = syslog
        } else if word.bytes.isEmpty {
            error("invalid value \"\"", at: word, hint: "write a file, stderr or syslog:server=…")
            return nil
        } else {
            kind = .file(logPath(word))
        }
        var key = word.bytes
        if case .file(let path) = kind { key = Array(path.utf8) }
        return destination(kind, key: key, word)
    }

    mutating func destination(_ kind: LogDestinationDraft.Kind, key: [UInt8], _ word: Word?) -> Int {
        if let known = destinationByKey[key] { return known }
        destinationByKey[key] = destinationDrafts.count
        destinationDrafts.append(LogDestinationDraft(kind: kind, word: word))
        return destinationDrafts.count - 1
    }
}
