// SPDX-License-Identifier: Apache-2.0
//
// Clients that mean harm or know no better: two requests in one, endless ones, slow ones, many idle ones. Each costs a
// bounded time and memory, and the next client is served.

import NIOCore
import ProxyConfig
import TestSupport
import Testing

@testable import AdminPlane

@Suite("Hostile HTTP clients") struct HostileTests {
    private static let locations: [AdminLocation] = [.api(write: true), .text("alive", at: "/alive")]

    private func isAlive(_ stage: AdminStage) async throws -> Bool { try await stage.get("/alive").text == "alive" }

    @Test("a request that two readers may read differently is refused, and nothing behind it is answered", arguments: [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        "Content-Length: -1\r\n\r\n",
        "Content-Length: 0x10\r\n\r\n",
        " folded: x\r\n\r\n",
        "Host: second\r\n\r\n",
        "Bad\u{1}Name: x\r\n\r\n",
    ])
    func smuggling(rest: String) async throws {
        try await AdminStage.run(Self.locations) { stage in
            let text = try await stage.raw(
                "POST /api/9/ HTTP/1.1\r\nHost: localhost\r\n" + rest
                    + "GET /alive HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            #expect(text.isEmpty || text.hasPrefix("HTTP/1.1 400 "), "\(text.prefix(60))")
            #expect(!text.contains("alive"))
            #expect(try await isAlive(stage))
        }
    }

    @Test("what is no HTTP gets 400 or nothing", arguments: ["\u{16}\u{3}\u{1}\u{2}\r\n\r\n", "GET\r\n\r\n", "\r\n\r\nx y\r\n\r\n"])
    func noise(text: String) async throws {
        try await AdminStage.run(Self.locations) { stage in
            let answer = try await stage.raw(text)
            #expect(answer.isEmpty || answer.hasPrefix("HTTP/1.1 400 "), "\(answer.prefix(60))")
            #expect(try await isAlive(stage))
        }
    }

    @Test("a head that is larger than its bound ends the connection")
    func largeHead() async throws {
        try await AdminStage.run(Self.locations) { stage in
            for head in [
                "GET /" + String(repeating: "a", count: 200_000) + " HTTP/1.1\r\n",
                "GET /alive HTTP/1.1\r\nX: " + String(repeating: "a", count: 200_000) + "\r\n",
                "GET /alive HTTP/1.1\r\n" + String(repeating: "X: a\r\n", count: 2000),
            ] {
                // It may be closed while we are still sending.
                let answer = (try? await stage.raw(head + "Host: localhost\r\n\r\n")) ?? ""
                #expect(!answer.contains("alive"), "\(head.prefix(30))")
            }
            let isAlive = try await isAlive(stage)
            #expect(isAlive)
        }
    }

    @Test("a body that is larger than its bound is 413, with and without a length")
    func largeBody() async throws {
        var limits = AdminService.Limits.patient
        limits.bodyBytes = 1000
        try await AdminStage.run(Self.locations, limits: limits) { stage in
            let target = "POST /api/9/stream/upstreams/u/servers HTTP/1.1\r\nHost: localhost\r\n"
            let long = String(repeating: "x", count: 2000)
            for rest in ["Content-Length: 2000\r\n\r\n\(long)", "Transfer-Encoding: chunked\r\n\r\n7d0\r\n\(long)\r\n0\r\n\r\n"] {
                let answer = try await stage.raw(target + rest)
                #expect(answer.hasPrefix("HTTP/1.1 413 "), "\(answer.prefix(60))")
            }
            #expect(try await isAlive(stage))
        }
    }

    @Test("a body that nobody asked for ends the connection behind its answer")
    func unwantedBody() async throws {
        try await AdminStage.run(Self.locations) { stage in
            let text = try await stage.raw(
                "GET /alive HTTP/1.1\r\nHost: localhost\r\nContent-Length: 37\r\n\r\n"
                    + "GET /api/9/nginx HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(text.contains("alive") && text.lowercased().contains("connection: close"))
            #expect(text.ranges(of: "HTTP/1.1 ").count == 1, "one answer")
        }
    }

    @Test("requests that come in one piece are answered in their order")
    func pipelining() async throws {
        let locations = (0..<20).map { AdminLocation.text("answer \($0).", at: "/\($0)", isExact: true) }
        try await AdminStage.run(locations) { stage in
            let requests = (0..<20).map { "GET /\($0) HTTP/1.1\r\nHost: localhost\r\n" }
            let text = try await stage.raw(
                requests.dropLast().map { $0 + "\r\n" }.joined() + requests[19] + "Connection: close\r\n\r\n")
            let places = (0..<20).compactMap { text.firstRange(of: "answer \($0).")?.lowerBound }
            #expect(places.count == 20 && places == places.sorted())
        }
    }

    @Test("who is too slow with a head, or with a body, is closed")
    func slow() async throws {
        var limits = AdminService.Limits.patient
        limits.idle = .milliseconds(300)
        limits.body = .milliseconds(300)
        try await AdminStage.run(Self.locations, limits: limits) { stage in
            for start in [
                "", "GET /alive HTTP/1.1\r\nHost: local",
                "POST /api/9/stream/upstreams/u/servers HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n123",
            ] {
                let answer = try await stage.raw(start)
                #expect(!answer.contains("alive"), "\(start)")
            }
            #expect(try await isAlive(stage))
        }
    }

    @Test("a client that asks and does not read is closed")
    func stalledReader() async throws {
        var limits = AdminService.Limits.patient
        limits.reader = .milliseconds(300)
        let large = String(repeating: "x", count: 8 << 20)
        try await AdminStage.run([.text(large, at: "/large"), .text("alive", at: "/alive")], limits: limits) { stage in
            let endpoint = stage.endpoint
            let connection = try await blocking {
                let connection = try TCPConnection(to: endpoint, receiveBuffer: 4096)
                try connection.send("GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n")
                return connection
            }
            defer { connection.close() }
            try await eventually("it is there", within: AdminStage.patience) { stage.process.service.connections.count == 1 }
            try await eventually("it is closed", within: AdminStage.patience) { stage.process.service.connections.count == 0 }
            #expect(try await isAlive(stage))
        }
    }

    @Test("a thousand idle connections leave room to be served; beyond the bound one is closed at once")
    func idleConnections() async throws {
        var limits = AdminService.Limits.patient
        limits.connections = 1002
        try await AdminStage.run(Self.locations, limits: limits) { stage in
            let endpoint = stage.endpoint
            let idle = try await blocking { try (0..<1000).map { _ in try TCPConnection(to: endpoint) } }
            defer { for connection in idle { connection.close() } }
            #expect(try await isAlive(stage))
            let more = try await blocking { try (0..<40).map { _ in try TCPConnection(to: endpoint) } }
            defer { for connection in more { connection.close() } }
            _ = try await blocking { try more[39].waitForEnd(within: AdminStage.patience) }
            for connection in idle + more { connection.close() }
            try await eventually("there is room again", within: AdminStage.patience) {
                (try? await stage.get("/alive").text) == "alive"
            }
        }
    }
}
