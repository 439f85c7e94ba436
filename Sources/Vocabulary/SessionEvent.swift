// SPDX-License-Identifier: Apache-2.0
//
// The moments in a session's life that `access_log … events=` chooses from, in their order.

package enum SessionEvent: UInt8, Sendable, CaseIterable {
    /// A server was chosen and its connection stands.
    case connect
    /// Some time has passed since; the session goes on.
    case interval
    case close

    /// The word for `$session_event` and for the configuration.
    package var name: String {
        switch self {
        case .connect: "connect"
        case .interval: "interval"
        case .close: "close"
        }
    }
}
