// SPDX-License-Identifier: Apache-2.0
//
// Targets of requests: what a location is compared with is what nginx would compare.

import Testing

@testable import AdminPlane

@Suite("Request targets") struct RequestPathTests {
    @Test("a path is decoded, its slashes are merged and its dots resolved", arguments: [
        ("/", "/"), ("/api/9/nginx", "/api/9/nginx"), ("//api///9/", "/api/9/"), ("/api/./9", "/api/9"),
        ("/api/x/../9", "/api/9"), ("/api/%2e%2e/metrics", "/metrics"), ("/%61pi/", "/api/"), ("/api/..", "/"),
        ("/api?x=/../..", "/api"), ("/a%2Fb", "/a/b"),
    ])
    func paths(target: String, path: String) throws {
        #expect(try #require(RequestPath(target: target)).text == path)
    }

    @Test("what is no path in origin form is no path", arguments: [
        "", "api", "http://other/api", "*", "/..", "/a/../../b", "/%", "/%4", "/%zz", "/a%00b", "/%ff", "/?x=%zz",
    ])
    func refused(target: String) {
        #expect(RequestPath(target: target) == nil)
    }

    @Test("a slash that is written %2F stays inside its segment")
    func slashInSegment() throws {
        let path = try #require(RequestPath(target: "/api/weir/clients/floor%2F2"))
        #expect(path.segments == ["api", "weir", "clients", "floor/2"])
    }

    @Test("a query is names and values, decoded")
    func query() throws {
        let path = try #require(RequestPath(target: "/x?client_id=a%26b+c&fields=&flag&fields=second"))
        #expect(path.query == [
            QueryItem(name: "client_id", value: "a&b c"), QueryItem(name: "fields", value: ""),
            QueryItem(name: "flag", value: ""), QueryItem(name: "fields", value: "second"),
        ])
    }
}
