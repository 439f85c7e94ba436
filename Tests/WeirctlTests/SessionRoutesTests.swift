// SPDX-License-Identifier: Apache-2.0
//
// A client's broker, found in the lines of an error log.

import Testing

@testable import weirctl

@Suite struct SessionRoutesTests {
    static func routes(_ lines: [String]) -> SessionRoutes {
        var routes = SessionRoutes()
        for line in lines { routes.read("2026/11/24 16:39:24 [info] " + line) }
        return routes
    }

    @Test("client and broker meet by worker and connection number")
    func meet() {
        let routes = Self.routes([
            "12#12: *7 client 127.0.0.1:50001 connected to 127.0.0.1:11883",
            "13#13: *7 client [::1]:50002 connected to [::1]:11883",
            "13#13: *7 proxy 127.0.0.1:40001 connected to 127.0.0.1:18832",
            "12#12: *7 proxy 127.0.0.1:40002 connected to 127.0.0.1:18831, client: 127.0.0.1",
        ])
        #expect(routes.broker(ofClient: "127.0.0.1:50001") == "127.0.0.1:18831")
        #expect(routes.broker(ofClient: "[::1]:50002") == "127.0.0.1:18832")
        #expect(routes.broker(ofClient: "127.0.0.1:50003") == nil)
    }

    @Test("the end of a session forgets it, unless its address has a newer one")
    func end() {
        let first = [
            "12#12: *1 client 127.0.0.1:50001 connected to 127.0.0.1:11883",
            "12#12: *1 proxy 127.0.0.1:40001 connected to 127.0.0.1:18831",
        ]
        let end = "12#12: *1 upstream disconnected, bytes from/to client:1/2, bytes from/to upstream:2/1"
        #expect(Self.routes(first + [end]).broker(ofClient: "127.0.0.1:50001") == nil)
        let second = [
            "13#13: *9 client 127.0.0.1:50001 connected to 127.0.0.1:11883",
            "13#13: *9 proxy 127.0.0.1:40009 connected to 127.0.0.1:18833",
        ]
        #expect(Self.routes(first + second + [end]).broker(ofClient: "127.0.0.1:50001") == "127.0.0.1:18833")
    }

    @Test(
        "other lines, cut lines and lies are passed over",
        arguments: [
            "", " [info] ", "12#12: *7", "12#12: *7 client", "12#12: *7 client 127.0.0.1:50001 connected",
            "12#12: *7 proxy 127.0.0.1:40001 connected to 127.0.0.1:18831",
            "12#12 *7 client 127.0.0.1:50001 connected to 127.0.0.1:11883",
        ])
    func others(_ line: String) {
        let routes = Self.routes([line, "12#12: *7 proxy 127.0.0.1:40001 connected to 127.0.0.1:18831"])
        #expect(routes.broker(ofClient: "127.0.0.1:50001") == nil)
    }
}
