// SPDX-License-Identifier: Apache-2.0
//
// Coming back without a full handshake: by tickets and by the shared cache, at any worker, over a reload; and what
// must not come back.

import Foundation
import Glibc
import TestSupport
import Testing

@Suite("tls: sessions")
struct TLSSessionTests {
    private typealias Version = TLSClientOptions.Version

    /// What a client has of a visit: whether it was a resumed one, and what it may bring along the next time.
    private struct Visit {
        var isReused: Bool
        var session: TLSTestStream.Session
    }

    private static func visit(
        _ port: UInt16, _ options: TLSClientOptions, resuming session: TLSTestStream.Session? = nil
    ) throws -> Visit {
        let client = try TLSTestStream(to: .ipv4(port), options.with { $0.session = session })
        // The server's word is the same as the client's.
        let word = try client.textToEnd()
        guard word == (client.isReused ? "r" : ".") else {
            throw TestFault("the server says \"\(word)\" and the client \(client.isReused)")
        }
        client.close()
        return Visit(isReused: client.isReused, session: client.session)
    }

    /// How many workers have logged a session that was resumed.
    private static func resumingWorkers(_ stage: TLSStage) -> Int {
        Set(lines(of: stage.path("logs/reused")).filter { $0.hasPrefix("r ") }).count
    }

    private static func server(_ port: UInt16, _ more: String = "") -> String {
        """
        server {
            listen 127.0.0.1:\(port) ssl; \(TLSStage.lines()) \(more)
            access_log logs/reused reused;
            return $ssl_session_reused;
        }
        """
    }

    private static let format = "log_format reused '$ssl_session_reused $pid';"

    /// Resumes until three workers have done it, or gives up; each time must succeed.
    private static func resumeEverywhere(
        _ stage: TLSStage, _ port: UInt16, _ options: TLSClientOptions, _ first: Visit
    ) async throws {
        var session = first.session
        for round in 0..<200 {
            let visit = try visit(port, options, resuming: session)
            guard visit.isReused else { throw TestFault("round \(round) was not resumed") }
            // A ticket of TLS 1.3 is good once; one of TLS 1.2, and an id, may come again.
            session = visit.session
            if round > 8, resumingWorkers(stage) == 3 { return }
        }
        throw TestFault("\(resumingWorkers(stage)) of three workers have resumed a session")
    }

    @Test("tickets are good at every worker, in both versions", arguments: [TLSClientOptions.Version.v12, .v13])
    func ticketsEverywhere(_ version: TLSClientOptions.Version) async throws {
        let stage = try await TLSStage()
        let port = try PortRegistry.take()
        try await stage.withWeir(stream: Self.format + Self.server(port), workers: 3) { _ async throws in
            let options = stage.client().only(version)
            let first = try Self.visit(port, options)
            #expect(!first.isReused)
            try await Self.resumeEverywhere(stage, port, options, first)
        }
    }

    @Test("ssl_session_cache shared: is one cache for all workers; without tickets and cache nothing is resumed")
    func sharedCache() async throws {
        let stage = try await TLSStage()
        let ports = try PortRegistry.take(count: 3)
        let stream = [
            Self.format,
            Self.server(ports[0], "ssl_session_tickets off; ssl_session_cache shared:sessions:1m;"),
            Self.server(ports[1], "ssl_session_tickets off;"),
            Self.server(ports[2], "ssl_session_tickets off; ssl_session_cache off;"),
        ].joined(separator: "\n")
        try await stage.withWeir(stream: stream, workers: 3) { _ async throws in
            let options = stage.client().only(.v12)
            let first = try Self.visit(ports[0], options)
            #expect(!first.isReused)
            try await Self.resumeEverywhere(stage, ports[0], options, first)
            // Under TLS 1.3 the cache stands behind the tickets, which are then only numbers.
            let modern = stage.client().only(.v13)
            #expect(try Self.visit(ports[0], modern, resuming: Self.visit(ports[0], modern).session).isReused)

            for port in ports[1...] {
                let visit = try Self.visit(port, options)
                for _ in 0..<4 { #expect(try !Self.visit(port, options, resuming: visit.session).isReused) }
            }
        }
    }

    @Test("ssl_session_cache builtin: resumes within a worker, over a reload, and keeps no more sessions than it says")
    func builtinCache() async throws {
        let stage = try await TLSStage()
        let ports = try PortRegistry.take(count: 2)
        let stream = [
            Self.format, Self.server(ports[0], "ssl_session_tickets off; ssl_session_cache builtin:4;"),
            Self.server(ports[1], "ssl_session_tickets off; ssl_session_cache builtin;"),
        ].joined(separator: "\n")
        try await stage.withWeir(stream: stream) { weir in
            for version in [Version.v12, .v13] {
                let options = stage.client().only(version)
                let visits = try (0..<5).map { _ in try Self.visit(ports[0], options) }
                let others = try (0..<5).map { _ in try Self.visit(ports[1], options) }
                try await weir.reload()
                // The oldest of five had to go where there is room for four.
                #expect(try !Self.visit(ports[0], options, resuming: visits[0].session).isReused)
                #expect(try Self.visit(ports[0], options, resuming: visits[4].session).isReused)
                for visit in others { #expect(try Self.visit(ports[1], options, resuming: visit.session).isReused) }
            }
        }
    }

    @Test("builtin: is each worker's own, and a shared: one beside it is everybody's")
    func builtinBesideShared() async throws {
        let stage = try await TLSStage()
        let ports = try PortRegistry.take(count: 2)
        let stream = [
            Self.format, Self.server(ports[0], "ssl_session_tickets off; ssl_session_cache builtin:100;"),
            Self.server(ports[1], "ssl_session_tickets off; ssl_session_cache builtin:100 shared:sessions:1m;"),
        ].joined(separator: "\n")
        try await stage.withWeir(stream: stream, workers: 3) { _ in
            let options = stage.client().only(.v12)
            let first = try Self.visit(ports[0], options)
            // With the session of the first visit, to whichever worker it comes: only the one that made it knows it.
            var reused: [Bool] = []
            try await eventually("the session is resumed once and made anew once") {
                reused.append(try Self.visit(ports[0], options, resuming: first.session).isReused)
                return reused.contains(true) && reused.contains(false)
            }
            #expect(Self.resumingWorkers(stage) == 1)
            try await Self.resumeEverywhere(stage, ports[1], options, Self.visit(ports[1], options))
        }
    }

    @Test("sessions outlive a reload, by tickets and in the shared cache; with a new certificate they are made anew")
    func overReload() async throws {
        let stage = try await TLSStage()
        let ports = try PortRegistry.take(count: 2)
        let stream = [
            Self.format, Self.server(ports[0]),
            Self.server(ports[1], "ssl_session_tickets off; ssl_session_cache shared:sessions:1m;"),
        ].joined(separator: "\n")
        try await stage.withWeir(stream: stream, workers: 2) { weir in
            let old = stage.client().only(.v12)
            let modern = stage.client().only(.v13)
            let ticket = try Self.visit(ports[0], modern)
            let second = try Self.visit(ports[0], modern)
            let oldTicket = try Self.visit(ports[0], old)
            let cached = try Self.visit(ports[1], old)

            try await weir.reload()
            #expect(try Self.visit(ports[0], modern, resuming: second.session).isReused)
            #expect(try Self.visit(ports[0], old, resuming: oldTicket.session).isReused)
            #expect(try Self.visit(ports[1], old, resuming: cached.session).isReused)

            try stage.replacePair("server", with: "renewed")
            try await weir.reload()
            // As in nginx: a session belongs to the certificate that it began with.
            #expect(try !Self.visit(ports[0], modern, resuming: ticket.session).isReused)
            #expect(try !Self.visit(ports[0], old, resuming: oldTicket.session).isReused)
            #expect(try !Self.visit(ports[1], old, resuming: cached.session).isReused)
        }
    }

    @Test("a revocation ends a session's second life: what was made before the new list is not resumed after it")
    func revoked() async throws {
        let stage = try await TLSStage()
        let port = try PortRegistry.take()
        // A list that revokes nobody yet: the client's own authority is new.
        let authority = try await CertificateAuthority("fresh", in: stage.directory)
        let pair = try await authority.issue("mobile", subject: "/CN=mobile", for: .client)
        try await authority.writeList()
        let stream = Self.format
            + Self.server(port, "ssl_verify_client on; ssl_client_certificate fresh.pem; ssl_crl fresh.crl;")
        try await stage.withWeir(stream: stream) { weir in
            let options = stage.client().with { $0.pair = pair }
            let first = try Self.visit(port, options)
            #expect(try Self.visit(port, options, resuming: first.session).isReused)
            let second = try Self.visit(port, options)

            try await authority.revoke(pair)
            try await authority.writeList()
            try await weir.reload()
            let client = try TLSTestStream(to: .ipv4(port), options.with { $0.session = second.session })
            #expect(try client.textToEnd() == "")
            try await weir.errorLine(with: "client SSL certificate verify error: (23:certificate revoked)")
        }
    }

    @Test("ticket key files: the first makes tickets, the others read them, and one that is gone ends them")
    func ticketKeys() async throws {
        let stage = try await TLSStage()
        let port = try PortRegistry.take()
        for (name, count) in [("a.key", 80), ("b.key", 48), ("c.key", 80)] {
            let bytes = Data((0..<count).map { _ in UInt8.random(in: 0...255) })
            try bytes.write(to: URL(fileURLWithPath: stage.path(name)))
        }
        func stream(_ keys: String...) -> String {
            Self.format + Self.server(port, keys.map { "ssl_session_ticket_key \($0).key;" }.joined(separator: " "))
        }
        try await stage.withWeir(stream: stream("a"), workers: 2, expecting: ["d.key\""]) { weir in
            for version in [Version.v12, .v13] {
                let options = stage.client().only(version)
                try await weir.reload(stream: stream("a"), workers: 2)
                let first = try Self.visit(port, options)
                // Rotation: the new key in front, the old one still read, and what it opened is made anew.
                try await weir.reload(stream: stream("b", "a"), workers: 2)
                let second = try Self.visit(port, options, resuming: first.session)
                #expect(second.isReused)
                try await weir.reload(stream: stream("c", "b"), workers: 2)
                #expect(try Self.visit(port, options, resuming: second.session).isReused)
                #expect(try !Self.visit(port, options, resuming: first.session).isReused)
            }
            // A key of another length refuses the reload.
            try stage.directory.write("short", to: "d.key")
            try weir.rewrite(stream: stream("d"), workers: 2)
            weir.send(SIGHUP)
            try await weir.errorLine(with: "[emerg]", "\"\(stage.path("d.key"))\" must be 48 or 80 bytes")
        }
    }
}
