// SPDX-License-Identifier: Apache-2.0
//
// The HTTP server over real sockets: which location answers, who is let in, and what every answer carries.

import LinuxIO
import ProxyConfig
import TestSupport
import Testing
import Vocabulary

@testable import AdminPlane

@Suite("Admin server") struct ServerTests {
    @Test("an exact location comes first, then the longest prefix; what none has is 404")
    func locations() async throws {
        let locations: [AdminLocation] = [
            .text("a", at: "/a/"), .text("long", at: "/a/b"), .text("exact", at: "/a/b/c", isExact: true),
        ]
        try await AdminStage.run(locations) { stage in
            for (target, text) in [
                ("/a/", "a"), ("/a/x", "a"), ("/a/b", "long"), ("/a/bc", "long"), ("/a/b/c", "exact"),
                ("/a/b/c/", "long"), ("/a/%62/../b/c?x", "exact"),
            ] {
                let answer = try await stage.get(target)
                #expect(answer.status == 200 && answer.text == text, "\(target): \(answer.status) \(answer.text)")
            }
            let missing = try await stage.get("/b")
            #expect(missing.status == 404 && missing.text.contains("<h1>404 Not Found</h1>"))
            #expect(try await stage.get("/a").status == 404)
        }
    }

    @Test("return answers with its code, its text or its page, and redirects")
    func returns() async throws {
        let locations: [AdminLocation] = [
            AdminLocation(path: "/gone", content: .respond(status: 410, text: "")),
            AdminLocation(path: "/no", content: .respond(status: 403, text: "no\n")),
            AdminLocation(path: "/", content: .redirect(status: 302, target: "/dashboard/")),
        ]
        try await AdminStage.run(locations) { stage in
            let gone = try await stage.get("/gone")
            #expect(gone.status == 410 && gone.text.contains("410 Gone"))
            let no = try await stage.get("/no")
            #expect(no.status == 403 && no.text == "no\n")
            let moved = try await stage.get("/")
            #expect(moved.status == 302 && moved.field("location") == "/dashboard/")
        }
    }

    @Test("allow and deny decide by the client's address")
    func access() async throws {
        var closed = AdminLocation.text("closed", at: "/closed")
        closed.accessRules = [.init(isAllowed: false, source: .all)]
        var open = AdminLocation.text("open", at: "/open")
        open.accessRules = [
            .init(isAllowed: true, source: .network(IPAddress(ipv4: 0x7F00_0000), prefixLength: 8)),
            .init(isAllowed: false, source: .all),
        ]
        try await AdminStage.run([closed, open]) { stage in
            let refused = try await stage.get("/closed")
            let allowed = try await stage.get("/open")
            #expect(refused.status == 403 && !refused.text.contains("closed"))
            #expect(allowed.status == 200 && allowed.text == "open")
        }
    }

    @Test("a password is asked for after the address was let in, and its kind is told")
    func password() async throws {
        var location = AdminLocation.text("secret", at: "/")
        location.basicAuth = BasicAuth(
            realm: "Weir \"west\"", usersPath: "/users", usersBytes: Array("ann:{PLAIN}one\n".utf8))
        try await AdminStage.run([location]) { stage in
            let asked = try await stage.get("/")
            #expect(asked.status == 401 && !asked.text.contains("secret"))
            #expect(asked.field("www-authenticate") == #"Basic realm="Weir \"west\"""#)
            // printf 'ann:one' | base64
            let welcome = try await stage.get("/", fields: ["Authorization": "Basic YW5uOm9uZQ=="])
            #expect(welcome.status == 200 && welcome.text == "secret")
            #expect(try await stage.get("/", fields: ["Authorization": "Basic YW5uOm90aGVy"]).status == 401)
        }
    }

    @Test("every answer carries what keeps a browser from misusing it")
    func headers() async throws {
        try await AdminStage.run([.api()]) { stage in
            for target in ["/api/9/nginx", "/nowhere"] {
                let answer = try await stage.get(target)
                #expect(answer.field("x-content-type-options") == "nosniff")
                #expect(answer.field("x-frame-options") == "DENY")
                #expect(answer.field("content-security-policy")?.contains("default-src 'none'") ?? false)
                #expect(answer.field("cross-origin-resource-policy") == "same-origin")
                #expect(answer.field("server") == "weir")
                #expect(answer.field("date")?.hasSuffix(" GMT") ?? false)
                #expect(answer.field("access-control-allow-origin") == nil)
            }
        }
    }

    @Test("HEAD is GET without the body, and OPTIONS names the methods")
    func otherMethods() async throws {
        try await AdminStage.run([.api()]) { stage in
            let whole = try await stage.get("/api/9/processes")
            let text = try await stage.raw(
                "HEAD /api/9/processes HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            #expect(text.hasPrefix("HTTP/1.1 200 OK\r\n") && text.hasSuffix("\r\n\r\n"))
            #expect(text.lowercased().contains("content-length: \(whole.body.count)\r\n"))
            let options = try await stage.ask("OPTIONS", "/api/9/processes")
            #expect(options.status == 204 && options.field("allow") == "GET, HEAD, OPTIONS")
        }
    }

    @Test("by loopback only names of ours are answered, so that a rebound name reads nothing")
    func rebinding() async throws {
        try await AdminStage.run([.api()], names: ["weir.example"]) { stage in
            for (host, status) in [("weir.example:1", 200), ("localhost", 200), ("evil.example", 421)] {
                let text = try await stage.raw(
                    "GET /api/9/processes HTTP/1.1\r\nHost: \(host)\r\nConnection: close\r\n\r\n")
                #expect(text.hasPrefix("HTTP/1.1 \(status) "), "\(host): \(text.prefix(40))")
                #expect(text.contains("respawned") == (status == 200))
            }
        }
    }

    @Test("a change needs write=on, and no page of another site may make one")
    func changes() async throws {
        try await AdminStage.run([.api(at: "/api/"), .api(write: true, at: "/write/")]) { stage in
            let readOnly = try await stage.ask("DELETE", "/api/9/processes")
            #expect(readOnly.status == 405 && readOnly.text.contains("MethodDisabled"))
            #expect(try await stage.ask("DELETE", "/write/9/processes").status == 204)
            let foreign = try await stage.ask(
                "DELETE", "/write/9/processes", fields: ["Origin": "https://evil.example"])
            #expect(foreign.status == 403)
            let own = try await stage.ask(
                "DELETE", "/write/9/processes", fields: ["Origin": "http://\(stage.endpoint.text)"])
            #expect(own.status == 204)
        }
    }

    @Test("a reload changes what an open connection gets from its next request on")
    func reload() async throws {
        try await AdminStage.run([.text("before", at: "/")]) { stage in
            let endpoint = stage.endpoint
            let connection = try TCPConnection(to: endpoint)
            defer { connection.close() }
            let request = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
            #expect(try await exchange(connection, request).hasSuffix("before"))
            try await stage.reload { $0.admin?.servers[0].locations = [.text("afterwards", at: "/")] }
            #expect(try await exchange(connection, request).hasSuffix("afterwards"))
        }
    }

    @Test("an address that the configuration has no more is closed")
    func closedAddress() async throws {
        try await AdminStage.run([.text("x", at: "/")]) { stage in
            #expect(try await stage.get("/").status == 200)
            try await stage.reload { $0.admin = AdminSettings() }
            let endpoint = stage.endpoint
            await #expect(throws: TestFault.self) { try await blocking { _ = try TCPConnection(to: endpoint) } }
        }
    }

    @Test("a unix socket is served, and its clients have no address")
    func unixSocket() async throws {
        let folder = try TemporaryDirectory()
        var location = AdminLocation.text("unix", at: "/")
        location.accessRules = [.init(isAllowed: true, source: .unix), .init(isAllowed: false, source: .all)]
        try await AdminStage.run([location], at: .unix(folder.path("admin.sock"))) { stage in
            let answer = try await stage.get("/")
            #expect(answer.text == "unix")
        }
    }

    /// What came until the other side waits for more.
    private func exchange(_ connection: TCPConnection, _ request: String) async throws -> String {
        try await blocking {
            try connection.send(request)
            let bytes = try connection.receive(within: AdminStage.patience) { bytes in
                let text = String(decoding: bytes, as: UTF8.self)
                guard let head = text.firstRange(of: "\r\n\r\n"),
                    let length = text.lowercased().firstRange(of: "content-length: ")
                else { return false }
                let count = Int(text.lowercased()[length.upperBound...].prefix { $0.isNumber }) ?? 0
                return text[head.upperBound...].utf8.count >= count
            }
            return String(decoding: bytes, as: UTF8.self)
        }
    }
}
