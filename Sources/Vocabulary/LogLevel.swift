// SPDX-License-Identifier: Apache-2.0
//
// The severities of the error log, in nginx's names and nginx's order: a log at a level takes that level and all above.

/// Severity of an error log line; `debug` is the least severe. nginx: `error_log FILE LEVEL`.
package enum LogLevel: UInt8, Sendable, Comparable, CaseIterable {
    case debug = 0
    case info, notice, warn, error, crit, alert, emerg

    package static func < (left: LogLevel, right: LogLevel) -> Bool { left.rawValue < right.rawValue }

    /// The word that stands in the configuration and between brackets in the log.
    package var name: String {
        switch self {
        case .debug: "debug"
        case .info: "info"
        case .notice: "notice"
        case .warn: "warn"
        case .error: "error"
        case .crit: "crit"
        case .alert: "alert"
        case .emerg: "emerg"
        }
    }

    package init?(name: String) {
        guard let level = LogLevel.allCases.first(where: { $0.name == name }) else { return nil }
        self = level
    }
}
