// SPDX-License-Identifier: Apache-2.0
//
// What decides a configuration besides its files: the command line and the machine. It travels in the bundle as facts,
// so that a child needs the bundle and nothing else.

package struct ConfigurationOptions: Sendable, Equatable {
    /// Absolute path of the configuration file (`-c`). Includes are relative to its directory.
    package var file: String
    /// Absolute path of the prefix (`-p`). Logs and the pid file are relative to it.
    package var prefix: String
    /// `-g`.
    package var globalDirectives: String
    /// `-e`: the error log where the configuration names none; relative to the prefix, or `stderr`.
    package var defaultErrorLog: String
    /// For `server_name $hostname`.
    package var hostname: String
    /// By the name of an upstream: directives in place of its own.
    package var servers: [String: [UInt8]] = [:]

    package init(
        file: String, prefix: String, globalDirectives: String = "", defaultErrorLog: String = "logs/error.log",
        hostname: String = ""
    ) {
        self.file = file
        self.prefix = prefix
        self.globalDirectives = globalDirectives
        self.defaultErrorLog = defaultErrorLog
        self.hostname = hostname
    }

    /// The options that were recorded, or nil where a fact is missing.
    package init?(bundle: Bundle) {
        func fact(_ name: String) -> String? { bundle[.fact, name].map { String(decoding: $0, as: UTF8.self) } }
        guard let file = fact("file"), let prefix = fact("prefix"), let globalDirectives = fact("global"),
            let defaultErrorLog = fact("error_log"), let hostname = fact("hostname")
        else { return nil }
        self.init(
            file: file, prefix: prefix, globalDirectives: globalDirectives, defaultErrorLog: defaultErrorLog,
            hostname: hostname)
        for key in bundle.order where key.kind == .servers {
            servers[String(decoding: key.name, as: UTF8.self)] = bundle.entries[key]
        }
    }

    package func record(into bundle: inout Bundle) {
        bundle.record(.fact, "file", Array(file.utf8))
        bundle.record(.fact, "prefix", Array(prefix.utf8))
        bundle.record(.fact, "global", Array(globalDirectives.utf8))
        bundle.record(.fact, "error_log", Array(defaultErrorLog.utf8))
        bundle.record(.fact, "hostname", Array(hostname.utf8))
    }

    /// A path of the configuration, made absolute below the prefix.
    func pathBelowPrefix(_ path: String) -> String {
        absolute(path, below: prefix)
    }

    /// A path of an include or of TLS, made absolute below the directory of the configuration file.
    package func pathBesideFile(_ path: String) -> String {
        let slash = file.utf8.lastIndex(of: UInt8(ascii: "/"))
        return absolute(path, below: slash.map { String(file[...$0]) } ?? "")
    }

    private func absolute(_ path: String, below directory: String) -> String {
        if path.hasPrefix("/") { return path }
        return directory.isEmpty || directory.hasSuffix("/") ? directory + path : directory + "/" + path
    }
}
