// SPDX-License-Identifier: Apache-2.0
//
// A server block of `http {}` made ready to serve: its locations in the order of choice, each with the handler of its
// content and the users that may come in.

import NIOSSL
import ProxyConfig

struct ServedSite: Sendable {
    struct Location: Sendable {
        var settings: AdminLocation
        /// Nil: the content is a fixed answer.
        var handler: (any AdminHandler)?
        var users: UserFile?
    }

    let names: [String]
    let tls: NIOSSLContext?
    /// What a page of this server may ask.
    let api: AdminRequest.API?
    private let exact: [String: Location]
    /// The longest path first.
    private let prefixes: [Location]

    init(_ server: AdminServer, isTLS: Bool, handlers: Handlers) throws(AdminFault) {
        names = server.names
        if isTLS {
            guard let settings = server.tls?.value else {
                throw AdminFault("no ssl_certificate is defined in the http server in \(server.origin)")
            }
            tls = try ServerTLS.context(for: settings, origin: server.origin)
        } else {
            tls = nil
        }
        api = server.locations.lazy.compactMap { location in
            guard case .api(let isWritable) = location.content, !location.isExact else { return nil }
            let path = location.path.hasSuffix("/") ? location.path : location.path + "/"
            return AdminRequest.API(path: path, isWritable: isWritable)
        }.first
        let locations = server.locations.map { settings in
            Location(
                settings: settings, handler: handlers.handler(for: settings.content),
                users: settings.basicAuth.map { UserFile($0) })
        }
        exact = Dictionary(
            locations.filter(\.settings.isExact).map { ($0.settings.path, $0) },
            uniquingKeysWith: { first, _ in first })
        prefixes = locations.filter { !$0.settings.isExact }
            .sorted { $0.settings.path.utf8.count > $1.settings.path.utf8.count }
    }

    /// Exact before the longest prefix, as nginx chooses. Nil: 404.
    func location(for path: String) -> Location? {
        exact[path] ?? prefixes.first { path.hasPrefix($0.settings.path) }
    }
}

/// One handler for each kind of content, for the life of the process.
struct Handlers: Sendable {
    let api: any AdminHandler
    let metrics: any AdminHandler
    let dashboard: any AdminHandler

    func handler(for content: AdminLocation.Content) -> (any AdminHandler)? {
        switch content {
        case .api: api
        case .prometheus: metrics
        case .dashboard: dashboard
        case .respond, .redirect: nil
        }
    }
}
