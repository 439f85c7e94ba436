// SPDX-License-Identifier: Apache-2.0
//
// The name and password for `auth_basic`: from the environment or a netrc file, never from the command line, where
// everybody who may list processes would read it.

import Foundation
import LinuxIO

struct Credentials: Equatable {
    static let variable = "WEIR_API_AUTH"

    var user: String
    var password: String

    /// For the `Authorization` field (RFC 7617).
    var field: String { "Basic " + Data("\(user):\(password)".utf8).base64EncodedString() }

    /// `WEIR_API_AUTH=user:password`, else the machine's entry of the file. A file that is named must be there; without
    /// a name it is `~/.netrc`, which may be missing.
    static func find(for machine: String, netrc named: String?) throws(CommandFault) -> Credentials? {
        if let text = Processes.environmentValue(variable) {
            guard let colon = text.firstIndex(of: ":") else {
                throw CommandFault("\(variable) is not of the form user:password")
            }
            return Credentials(user: String(text[..<colon]), password: String(text[text.index(after: colon)...]))
        }
        guard let path = named ?? Processes.environmentValue("HOME").map({ $0 + "/.netrc" }) else { return nil }
        guard FileManager.default.fileExists(atPath: path) else {
            if named == nil { return nil }
            throw CommandFault("there is no file \(path)")
        }
        let mode = (try? FileManager.default.attributesOfItem(atPath: path)[.posixPermissions]) as? Int
        guard let mode, mode & 0o077 == 0 else {
            // Only whoever asked for this very file has to hear of it.
            if named == nil { return nil }
            throw CommandFault("\(path) has passwords, and others may read it: chmod 600 \(path)")
        }
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
            throw CommandFault("\(path) cannot be read")
        }
        return find(machine, in: text)
    }

    /// `machine NAME login USER password PASSWORD`, in any lines; `default` stands for every machine.
    static func find(_ machine: String, in text: String) -> Credentials? {
        let words = text.split(separator: "\n").flatMap { line in
            line.split { $0 == " " || $0 == "\t" || $0 == "\r" }.prefix { !$0.hasPrefix("#") }
        }
        var isMeant = false
        var user: String? = nil
        var index = 0
        while index < words.count {
            let value = index + 1 < words.count ? String(words[index + 1]) : nil
            switch words[index] {
            case "machine":
                isMeant = value == machine
                user = nil
                index += 1
            case "default":
                isMeant = true
                user = nil
            case "login":
                user = value
                index += 1
            case "password":
                if isMeant, let user, let value { return Credentials(user: user, password: value) }
                index += 1
            default: break
            }
            index += 1
        }
        return nil
    }
}
