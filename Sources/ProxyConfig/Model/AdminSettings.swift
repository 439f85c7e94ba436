// SPDX-License-Identifier: Apache-2.0
//
// `http { … }`: what the admin process serves, where, and to whom. It says nothing of any session. Inheritance is done:
// a location has its own rules, or those of the server, or those of http.

import Vocabulary

package struct AdminSettings: Sendable {
    /// Distinct addresses, opened by the master. `Listener.server` indexes `servers`; one address is one server's, so
    /// there are no names to tell servers apart by. With `isTLS` the server has `tls`.
    package var listeners: [Listener] = []
    package var servers: [AdminServer] = []
    /// `error_log` of http, or the main ones.
    package var errorLogs: [ErrorLog] = []

    package init() {}
}

/// A `server` block of `http`.
package struct AdminServer: Sendable {
    /// `file:line` of the block, for messages.
    package var origin: String
    /// `server_name`: for people, since an address has one server only.
    package var names: [String] = []
    /// Nil where no address of the server has `ssl`. Certificates have no variables here.
    package var tls: Shared<TLSServerSettings>? = nil
    package var locations: [AdminLocation] = []

    package init(origin: String) { self.origin = origin }
}

/// What is served below one path.
package struct AdminLocation: Sendable {
    package enum Content: Sendable, Equatable {
        /// `api [write=on|off]`.
        case api(isWritable: Bool)
        case prometheus
        case dashboard
        /// `return CODE [text]`.
        case respond(status: Int, text: String)
        /// `return CODE URL` with a code from 301 on that redirects; `return URL` is 302.
        case redirect(status: Int, target: String)
    }

    /// Begins with `/`.
    package var path: String
    /// `location = PATH`. Otherwise every path that begins with `path` is meant; the longest such location has it.
    package var isExact = false
    package var content: Content
    /// The first rule that fits the client's address decides; none that fits lets it in.
    package var accessRules: [Server.AccessRule] = []
    /// Asked for after the address was let in. Nil: nobody has to say who they are.
    package var basicAuth: BasicAuth? = nil

    package init(path: String, content: Content) {
        self.path = path
        self.content = content
    }
}

/// `auth_basic` and `auth_basic_user_file`. Its text for people is the path alone: the bytes are secrets.
package struct BasicAuth: Sendable, Hashable, CustomStringConvertible {
    package var realm: String
    /// Absolute.
    package var usersPath: String
    /// Lines `name:password[:comment]` as the master read them, with passwords as crypt(3), `{PLAIN}`, `{SHA}` or
    /// `{SSHA}` have them.
    package var usersBytes: [UInt8]
    package init(realm: String, usersPath: String, usersBytes: [UInt8]) {
        self.realm = realm
        self.usersPath = usersPath
        self.usersBytes = usersBytes
    }
    package var description: String { usersPath }
}
