// SPDX-License-Identifier: Apache-2.0
//
// What a page of another site can make a browser send, and what it cannot do with it.

import HTTPTypes
import Testing

@testable import AdminPlane

@Suite("Cross-site defence") struct CrossSiteTests {
    private func request(_ host: String, origin: String? = nil, site: String? = nil) -> HTTPRequest {
        var request = HTTPRequest(method: .post, scheme: "http", authority: host, path: "/api/9/")
        request.headerFields[.origin] = origin
        request.headerFields[.secFetchSite] = site
        return request
    }

    @Test("a program, and a page of this server, may change things")
    func allowed() {
        for request in [
            request("weir.example:8080"), request("127.0.0.1:8080", origin: "http://127.0.0.1:8080"),
            request("[::1]:8080", origin: "http://[::1]:8080", site: "same-origin"),
            request("LOCALHOST:8080", origin: "http://localhost:8080"),
            request("admin.example", origin: "https://admin.example", site: "none"),
        ] {
            #expect(CrossSite.refusal(ofChange: request, names: ["admin.example"]) == nil, "\(request)")
        }
    }

    @Test("a page of another site, of another port, of no site, and of a rebound name may not")
    func refused() {
        for request in [
            request("127.0.0.1:8080", origin: "https://evil.example"),
            request("127.0.0.1:8080", origin: "http://127.0.0.1:8081"),
            request("127.0.0.1:8080", origin: "null"), request("127.0.0.1:8080", origin: ""),
            request("127.0.0.1:8080", site: "cross-site"), request("127.0.0.1:8080", site: "same-site"),
            request("evil.example:8080", origin: "http://evil.example:8080", site: "same-origin"),
        ] {
            #expect(CrossSite.refusal(ofChange: request, names: ["admin.example"]) != nil, "\(request)")
        }
    }

    @Test("Host is an address, localhost or a name of the server")
    func hosts() {
        let names = ["admin.example", "*.lab.example", ".home.example", "weir.*"]
        for host in [
            "127.0.0.1", "10.1.2.3:80", "[::1]:80", "localhost:1", "x.localhost", "ADMIN.example:8080", "a.lab.example",
            "home.example", "b.home.example", "weir.anything",
        ] {
            #expect(CrossSite.refusal(ofHost: host, names: names) == nil, "\(host)")
        }
        for host in ["", "evil.example", "admin.example.evil.example", "lab.example", "127.0.0.1.evil.example"] {
            #expect(CrossSite.refusal(ofHost: host, names: names) != nil, "\(host)")
        }
    }
}
