// SPDX-License-Identifier: Apache-2.0
//
// Where things are when nobody says otherwise, and how a name becomes a path. Relative names hang on the prefix, as in
// nginx; the prefix itself hangs on the working directory, so that it still holds after a daemon has left it.

/// The paths that the command line decides.
package struct Places: Sendable, Equatable {
    package static let defaultPrefix = "/usr/local/weir/"
    package static let defaultConfigurationFile = "conf/weir.conf"
    package static let defaultErrorLog = "logs/error.log"
    package static let defaultPIDFile = "logs/weir.pid"

    /// Absolute, with a slash at its end.
    package var prefix: String
    /// Absolute.
    package var configurationFile: String
    /// Absolute, or `stderr`.
    package var errorLog: String
    /// Absolute.
    package var pidFile: String

    package init(_ options: Invocation.Options, workingDirectory: String) {
        var prefix = options.prefix ?? Places.defaultPrefix
        if !prefix.hasPrefix("/") {
            prefix = (workingDirectory.hasSuffix("/") ? workingDirectory : workingDirectory + "/") + prefix
        }
        if !prefix.hasSuffix("/") { prefix += "/" }
        self.prefix = prefix
        configurationFile = Places.path(options.configurationFile ?? Places.defaultConfigurationFile, under: prefix)
        let log = options.errorLog ?? Places.defaultErrorLog
        errorLog = log == "stderr" ? log : Places.path(log, under: prefix)
        pidFile = Places.path(Places.defaultPIDFile, under: prefix)
    }

    package static func path(_ name: String, under prefix: String) -> String {
        name.hasPrefix("/") ? name : prefix + name
    }
}
