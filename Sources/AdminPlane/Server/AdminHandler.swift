// SPDX-License-Identifier: Apache-2.0
//
// What a location of `http {}` does: a request comes in that is allowed to be answered, a response goes out. One
// handler for each kind of content; the server has seen to access, passwords, other sites, sizes and times before.

import HTTPTypes
import HummingbirdCore
import NIOCore

package protocol AdminHandler: Sendable {
    /// Never throws: what goes wrong is a response, too. A body that goes on (server-sent events) is
    /// `ResponseBody { writer in … }`; its closure ends when the client leaves, because `write` throws then, or when
    /// its task is cancelled, because the process ends.
    func respond(to request: AdminRequest) async -> Response
}

/// A request that has passed the location's rules. Its body is whole and small.
package struct AdminRequest: Sendable {
    package var method: HTTPRequest.Method
    /// The path as it was asked for, without the query: for texts and links.
    package var path: String
    /// The location's own path: what links to other parts of the same content begin with.
    package var location: String
    /// The segments of the path behind the location's own, decoded; a slash at the end leaves no empty segment.
    package var segments: [String]
    package var query: [QueryItem]
    package var headers: HTTPFields
    package var body: ByteBuffer
    /// True where the location allows changes (`api write=on`).
    package var isWritable: Bool
    /// The API of the same server, if it has one.
    package var api: API?
    /// Who asks, for the log: a user's name, or an address.
    package var requester: String
    /// The address that the client asked at, without the port; empty for a unix socket.
    package var localAddress: String

    package struct API: Sendable, Equatable {
        /// Ends with a slash.
        package var path: String
        package var isWritable: Bool
    }

    /// The first value of a name.
    package func queryValue(_ name: String) -> String? { query.first { $0.name == name }?.value }
}
