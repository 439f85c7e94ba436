// SPDX-License-Identifier: Apache-2.0
//
// `syslog:server=…,facility=…,severity=…,tag=…,nohostname`, the destination of a log over RFC 3164 datagrams.

import Vocabulary

extension Assembler {
    private static let facilities = [
        "kern", "user", "mail", "daemon", "auth", "intern", "lpr", "news", "uucp", "clock", "authpriv", "ftp", "ntp",
        "audit", "alert", "cron", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
    ]
    private static let severities = ["emerg", "alert", "crit", "error", "warn", "notice", "info", "debug"]
    private static let tagBytesMax = 32
    private static let syslogParameters = ["server=", "facility=", "severity=", "tag=", "nohostname"]

    mutating func syslog(_ word: Word) -> LogDestinationDraft.Kind? {
        var server: AddressText? = nil
        // The endpoint is known when the name is looked up.
        var syslog = LogDestination.Syslog(server: .unix(""))
        for parameter in word.fields(from: 7) {
            if parameter.hasPrefix("server=") {
                guard server == nil else {
                    error(
                        "duplicate syslog \"server\"", at: parameter,
                        hint: "a log goes to one server; write a second log")
                    return nil
                }
                guard let parsed = syslogServer(parameter) else { return nil }
                server = parsed
            } else if parameter.equals("nohostname") {
                syslog.hasHostname = false
            } else if !readSyslog(parameter, into: &syslog) {
                return nil
            }
        }
        guard let server else {
            error(
                "no syslog server specified", at: word,
                hint: "write syslog:server=192.0.2.1 or syslog:server=unix:/dev/log")
            return nil
        }
        return .syslog(syslog, server: server)
    }

    private mutating func readSyslog(_ parameter: Word, into syslog: inout LogDestination.Syslog) -> Bool {
        if parameter.hasPrefix("facility=") {
            let name = String(decoding: parameter.bytes.dropFirst(9), as: UTF8.self)
            guard let facility = Assembler.facilities.firstIndex(of: name) else {
                return refuseSyslog("unknown syslog facility", name, parameter, Assembler.facilities)
            }
            syslog.facility = facility
        } else if parameter.hasPrefix("severity=") {
            let name = String(decoding: parameter.bytes.dropFirst(9), as: UTF8.self)
            guard let severity = Assembler.severities.firstIndex(of: name) else {
                return refuseSyslog("unknown syslog severity", name, parameter, Assembler.severities)
            }
            syslog.severity = severity
        } else if parameter.hasPrefix("tag=") {
            let tag = Array(parameter.bytes.dropFirst(4))
            guard !tag.isEmpty, tag.count <= Assembler.tagBytesMax, tag.allSatisfy(Assembler.isVariableByte) else {
                error(
                    tag.count > Assembler.tagBytesMax
                        ? "syslog \"tag\" length exceeds \(Assembler.tagBytesMax)"
                        : "syslog \"tag\" only allows alphanumeric characters and underscore",
                    at: parameter, hint: "write up to \(Assembler.tagBytesMax) letters, digits and \"_\"")
                return false
            }
            syslog.tag = String(decoding: tag, as: UTF8.self)
        } else {
            error(
                "unknown syslog parameter \"\(shown(parameter.bytes))\"", at: parameter,
                hint: Assembler.parameterHint(parameter, known: Assembler.syslogParameters))
            return false
        }
        return true
    }

    private mutating func refuseSyslog(
        _ message: String, _ name: String, _ parameter: Word, _ known: [String]
    ) -> Bool {
        error(
            "\(message) \"\(shown(Array(name.utf8)))\"", at: parameter,
            hint: Suggestion.nearest(to: Array(name.utf8), in: known).map { "did you mean \"\($0)\"?" }
                ?? "there are \(known.joined(separator: ", "))")
        return false
    }

    private mutating func syslogServer(_ parameter: Word) -> AddressText? {
        let text = Array(parameter.bytes.dropFirst(7))
        do throws(AddressText.Fault) {
            return try AddressText.parse(text, isListen: false)
        } catch {
            self.error("\(error.reason) in syslog server \"\(shown(text))\"", at: parameter, hint: error.remedy)
            return nil
        }
    }
}
