// SPDX-License-Identifier: Apache-2.0
//
// The dashboard over HTTP: the page and all that it names, what browsers are forbidden, and the stream of events.

import Foundation
import HTTPTypes
import NIOCore
import ProxyConfig
import SharedState
import TestSupport
import Testing
import Vocabulary

@testable import AdminPlane

@Suite("dashboard: serving")
struct DashboardServingTests {
    private func withPage(
        at path: String = "/", api: AdminLocation? = .api(write: true), _ body: (AdminStage) async throws -> Void
    ) async throws {
        let locations = [AdminLocation(path: path, content: .dashboard)] + (api.map { [$0] } ?? [])
        try await AdminStage.run(locations, body: body)
    }

    /// Names in quotation marks that look like files beside the page.
    private func namedFiles(in text: String) -> Set<String> {
        Set(text.matches(of: /["'](?:\.\/)?([a-z]+\.(?:js|css|svg))["']/).map { String($0.1) })
    }

    @Test("the page, and every file that it or another of them names, is there with its type")
    func files() async throws {
        try await withPage { stage in
            let page = try await stage.get("/")
            #expect(page.status == 200 && page.field("content-type") == "text/html; charset=utf-8")
            var known = namedFiles(in: page.text)
            var unread = known
            while let name = unread.popFirst() {
                let file = try await stage.get("/\(name)")
                #expect(file.status == 200, "\(name)")
                let type = name.hasSuffix(".js") ? "text/javascript" : name.hasSuffix(".css") ? "text/css" : "image/svg+xml"
                #expect(file.field("content-type")?.hasPrefix(type) == true, "\(name)")
                #expect(file.field("x-content-type-options") == "nosniff")
                let more = namedFiles(in: file.text).subtracting(known)
                known.formUnion(more)
                unread.formUnion(more)
            }
            #expect(known == Set(DashboardFiles.others.keys), "no file is there in vain")
        }
    }

    @Test("the policy allows what is beside the page and nothing else; the page needs no more")
    func policy() async throws {
        try await withPage { stage in
            let page = try await stage.get("/")
            let policy = try #require(page.field("content-security-policy"))
            #expect(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"))
            #expect(!policy.contains("unsafe") && !policy.contains("http") && !policy.contains("*"))
            #expect(page.text.firstMatch(of: /<script(?![^>]*\ssrc=)|\sstyle=|\son[a-z]+=|https?:\/\//) == nil)
        }
    }

    @Test("a location without a slash at its end leads to the page, and others of its names to nothing")
    func places() async throws {
        try await withPage(at: "/weir") { stage in
            let answer = try await stage.get("/weir")
            #expect(answer.status == 308 && answer.field("location") == "/weir/")
            #expect(try await stage.get("/weir/").status == 200)
            #expect(try await stage.get("/weir/theme.css").status == 200)
            #expect(try await stage.get("/weir/nothing.js").status == 404)
            #expect(try await stage.get("/weir/events/more").status == 404)
            let refused = try await stage.ask("POST", "/weir/")
            #expect(refused.status == 405 && refused.field("allow") == "GET, HEAD")
        }
    }

    /// What has come of a stream until it holds `text`.
    private func read(_ connection: TCPConnection, until text: String) throws -> String {
        var bytes: [UInt8] = []
        while !String(decoding: bytes, as: UTF8.self).contains(text) {
            guard let more = try connection.receive(upTo: 65_536, within: .seconds(20)) else {
                throw TestFault("the stream ends before \(text): \(String(decoding: bytes, as: UTF8.self))")
            }
            bytes += more
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test("the stream begins with what the server offers, goes on with states, and a reload ends it with a word")
    func stream() async throws {
        try await withPage { stage in
            let endpoint = stage.endpoint
            let connection = try TCPConnection(to: endpoint)
            defer { connection.close() }
            let begin = try await blocking {
                try connection.send(Array("GET /events HTTP/1.1\r\nHost: \(endpoint.text)\r\n\r\n".utf8))
                return try read(connection, until: "event: state")
            }
            #expect(begin.hasPrefix("HTTP/1.1 200 "))
            #expect(begin.lowercased().contains("content-type: text/event-stream"))
            #expect(begin.contains(#"event: hello"# + "\n" + #"data: {"api":{"#))
            #expect(begin.contains(#""canWrite":true"#))
            try await stage.reload { $0.admin?.servers[0].locations.removeLast() }
            let end = try await blocking { try read(connection, until: "0\r\n\r\n") }
            #expect(end.contains("event: again\n"))
            let later = try TCPConnection(to: endpoint)
            defer { later.close() }
            let anew = try await blocking {
                try later.send(Array("GET /events HTTP/1.1\r\nHost: \(endpoint.text)\r\n\r\n".utf8))
                return try read(later, until: "event: state")
            }
            #expect(anew.contains("event: hello\ndata: {}\n"), "there is no API any more")
        }
    }

    @Test("a viewer that leaves is forgotten, and nobody looks for it any more")
    func leaving() async throws {
        // The region goes with its stage.
        let stage = try DashboardFeedTests.Stage()
        defer { withExtendedLifetime(stage) {} }
        let context = stage.context
        let feed = DashboardFeed(context: context)
        let handler = DashboardHandler(context: context, feed: feed)
        do {
            let request = AdminRequest(
                method: .get, path: "/events", location: "/", segments: ["events"], query: [], headers: [:],
                body: .init(), isWritable: false, requester: "", localAddress: "")
            let response = await handler.respond(to: request)
            #expect(await feed.viewerCount == 1)
            withExtendedLifetime(response) {}
        }
        try await eventually("it is gone") { await feed.viewerCount == 0 }
    }
}
