// SPDX-License-Identifier: Apache-2.0
//
// `dashboard`: the page for people, its files, and `events`, the stream that keeps it alive.

import Foundation
import HTTPTypes
import HummingbirdCore
import NIOCore

package struct DashboardHandler: AdminHandler {
    private let context: AdminContext
    private let feed: DashboardFeed

    package init(context: AdminContext) { self.init(context: context, feed: DashboardFeed(context: context)) }

    init(context: AdminContext, feed: DashboardFeed) {
        self.context = context
        self.feed = feed
    }

    package func respond(to request: AdminRequest) async -> Response {
        guard request.method == .get || request.method == .head else { return .methodNotAllowed(allow: "GET, HEAD") }
        switch request.segments.first {
        case nil where request.path.hasSuffix("/"): return DashboardFiles.index
        // The page names its files and the stream relative to itself.
        case nil: return Response(status: .permanentRedirect, headers: [.location: request.path + "/"])
        case "events" where request.segments.count == 1: return await events(request)
        case let name? where request.segments.count == 1: return DashboardFiles.others[name] ?? .page(.notFound)
        default: return .page(.notFound)
        }
    }

    /// First what this server offers beside the page, then a state a second. A reload ends the stream with a word, and
    /// the page asks again: the new configuration may let in others, and offer other things.
    private func events(_ request: AdminRequest) async -> Response {
        let headers: HTTPFields = [.contentType: "text/event-stream; charset=utf-8", .cacheControl: "no-store"]
        guard request.method == .get else { return Response(status: .ok, headers: headers) }
        let revision = context.revision
        guard let viewer = await feed.watch() else { return .page(.serviceUnavailable) }
        let greeting = Self.greeting(request.api)
        return Response(
            status: .ok, headers: headers,
            body: ResponseBody { [context] writer in
                try await writer.write(greeting)
                for await message in viewer {
                    try await writer.write(message)
                    guard context.revision == revision else {
                        try await writer.write(Self.again)
                        break
                    }
                }
                try await writer.finish(nil)
            })
    }

    /// Where the page can ask for a device and change a server.
    private struct Greeting: Encodable {
        struct API: Encodable {
            var path: String
            var canWrite: Bool
        }
        var api: API?
    }

    private static func greeting(_ api: AdminRequest.API?) -> ByteBuffer {
        let greeting = Greeting(api: api.map { Greeting.API(path: $0.path, canWrite: $0.isWritable) })
        var bytes = ByteBuffer(string: "event: hello\ndata: ")
        do { bytes.writeBytes(try JSONEncoder().encode(greeting)) } catch {
            preconditionFailure("a path and a flag are JSON: \(error)")
        }
        bytes.writeString("\n\n")
        return bytes
    }

    private static let again = ByteBuffer(string: "event: again\ndata: reload\n\n")
}
