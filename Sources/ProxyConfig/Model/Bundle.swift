// SPDX-License-Identifier: Apache-2.0
//
// The bundle: all that a configuration read from outside itself, as bytes. The master fills it while it reads files
// and resolves names; every child builds from it alone, so that all processes see the same bytes, need no rights and
// nobody serialises a configuration. Layout of `bytes`: entries of kind (1 byte), key length and value length (8 bytes
// each, little-endian), key, value.

import Vocabulary

/// What was read, in the order of reading; looked up by kind and key.
package struct Bundle: Sendable {
    package enum Kind: UInt8, Sendable, Hashable {
        /// Key: absolute path. Value: the file's bytes.
        case file = 1
        /// Key: an include mask. Value: paths, each ended by NUL.
        case expansion = 2
        /// Key: host name. Value: addresses in text, each ended by NUL.
        case addresses = 3
        /// Key: a fact of the process (`prefix`, `file`, `global`, `hostname`, `cpus`, …). Value: its text.
        case fact = 4
        /// Key: absolute path. Value: the bytes of a file that is no text of the configuration: certificates, keys,
        /// passphrases. Nobody prints them.
        case secret = 5
        /// Key: the name of an upstream. Value: `server` directives that stand in place of its own, since they were
        /// changed at run time.
        case servers = 6
    }
    package struct Key: Hashable, Sendable {
        package var kind: Kind
        package var name: [UInt8]
    }
    package private(set) var entries: [Key: [UInt8]] = [:]
    package private(set) var order: [Key] = []

    package init() {}

    package subscript(kind: Kind, name: String) -> [UInt8]? {
        entries[Key(kind: kind, name: Array(name.utf8))]
    }

    /// What findings in a value of `servers` call their file.
    package static func nameOfServers(of upstream: String) -> String { "servers of upstream \"\(upstream)\"" }

    package mutating func record(_ kind: Kind, _ name: String, _ value: [UInt8]) {
        let key = Key(kind: kind, name: Array(name.utf8))
        if entries.updateValue(value, forKey: key) == nil { order.append(key) }
    }
}

/// Where the parser gets what is outside the text. The master's one asks the system and records; a child's one is a
/// `Bundle`; a test's one is a dictionary.
package protocol ConfigurationSource {
    /// The bytes of a file, or the system's reason why not ("No such file or directory", "Is a directory").
    mutating func file(_ path: String) -> Result<[UInt8], SourceFault>
    /// As `file`, for what nobody may print.
    mutating func secret(_ path: String) -> Result<[UInt8], SourceFault>
    /// The paths that a mask with `*`, `?` or `[` names, sorted; empty is no error (nginx).
    mutating func expand(_ mask: String) -> Result<[String], SourceFault>
    /// The addresses of a host name in the system resolver's order, without repetitions.
    mutating func addresses(of host: String) -> Result<[IPAddress], SourceFault>
}

extension ConfigurationSource {
    package mutating func secret(_ path: String) -> Result<[UInt8], SourceFault> { file(path) }
}

/// Why the outside said no. `code` is the errno where there is one.
package struct SourceFault: Error, Sendable, Equatable {
    package var code: Int32
    package var reason: String
    package init(code: Int32, reason: String) {
        self.code = code
        self.reason = reason
    }
}
