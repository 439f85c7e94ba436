// SPDX-License-Identifier: Apache-2.0
//
// A change of servers as text: what the parser reads of it is the group with the change, and a fault has nginx's code.

import ControlLink
import ProxyConfig
import Testing
import Vocabulary

@testable import ControlPlane

@Suite("changes of servers as text")
struct MembershipEditTests {
    private static let stream = """
        events { }
        stream {
            upstream a { server 192.0.2.9:1; }
            upstream b {
                zone b 64k;
                server two.example:1883 weight=3 max_fails=0;
                server two.example:1883 weight=3 max_fails=0;
                server 192.0.2.5:1883 max_conns=7 fail_timeout=3s;
                server "unix:/run/a b;c.sock" backup;
            }
            server { listen 1883; proxy_pass b; }
        }
        """

    private struct Source: ConfigurationSource {
        let text: String
        func file(_ path: String) -> Result<[UInt8], SourceFault> {
            path == "/weir.conf" ? .success(Array(text.utf8)) : .failure(SourceFault(code: 2, reason: "no"))
        }
        func expand(_ mask: String) -> Result<[String], SourceFault> { .success([]) }
        func addresses(of host: String) -> Result<[IPAddress], SourceFault> {
            guard host == "two.example" else { return .failure(SourceFault(code: -2, reason: "no such name")) }
            return .success(["192.0.2.1", "192.0.2.2"].compactMap { IPAddress(text: $0) })
        }
    }

    private static func build(_ text: String) -> ConfigurationOutcome {
        var source = Source(text: text)
        return ConfigurationBuilder.buildAll(&source, options: ConfigurationOptions(file: "/weir.conf", prefix: "/"))
    }

    private static func configuration() throws -> Configuration { try #require(build(stream).configuration) }

    /// Ids are the peers' indices plus 100.
    private static func edit(
        _ operation: MembershipChange.Operation, _ parameters: ServerParameters = ServerParameters(),
        upstream: String = "b"
    ) throws -> MembershipEdit {
        let change = MembershipChange(operation, upstream: upstream, parameters: parameters, requester: "test")
        return try MembershipEdit(change, in: try configuration()) { _, id in
            (100..<106).contains(id) ? id - 100 : nil
        }
    }

    /// What the parser makes of a group's text.
    private static func peers(_ listing: ServerListing) throws -> [Peer] {
        let outcome = build("events { } stream { upstream b { zone b 64k; \(listing.text) } }")
        return try #require(outcome.configuration, "\(outcome.render())").upstreams[0].peers
    }

    @Test("a group written and read again is the same group, also where lines and addresses repeat")
    func roundTrip() throws {
        let upstream = try Self.configuration().upstreams[1]
        let listing = ServerListing(upstream)
        #expect(listing.lines.count == 4)
        #expect(listing.lineOfPeer == [0, 0, 1, 1, 2, 3])
        let again = try Self.peers(listing)
        #expect(again.map { "\($0)" } == upstream.peers.map { "\($0)" })
    }

    @Test("an added server stands last with what was said of it")
    func add() throws {
        var parameters = ServerParameters()
        parameters.weight = 2
        parameters.failTimeout = "1m"
        parameters.slowStart = "30s"
        parameters.isDraining = true
        let edit = try Self.edit(.add(server: "192.0.2.7:1884"), parameters)
        let peer = try #require(try Self.peers(edit.listing).last)
        #expect(peer.serverText == "192.0.2.7:1884")
        #expect(peer.weight == 2 && peer.failTimeoutSeconds == 60 && peer.slowStartMilliseconds == 30_000)
        #expect(peer.isDraining && !peer.isBackup)
        #expect(edit.line == 4 && edit.peers == [])
    }

    @Test("a set server is all addresses of its line, and keeps what is not said")
    func set() throws {
        var parameters = ServerParameters()
        parameters.isDown = true
        let edit = try Self.edit(.set(id: 103), parameters)
        #expect(edit.peers == [2, 3])
        let peers = try Self.peers(edit.listing)
        #expect(peers.map(\.isDown) == [false, false, true, true, false, false])
        #expect(peers.allSatisfy { $0.serverText != "two.example:1883" || ($0.weight == 3 && $0.maxFails == 0) })
    }

    @Test("a removed server is gone, with all of its addresses")
    func remove() throws {
        let edit = try Self.edit(.remove(id: 100))
        #expect(edit.line == nil && edit.peers == [0, 1])
        #expect(try Self.peers(edit.listing).map(\.endpoint.text).count == 4)
    }

    @Test("what cannot be asked for is refused by nginx's codes")
    func refused() throws {
        func code(_ body: () throws -> MembershipEdit) -> AdminRefusal.Code? {
            do { _ = try body() } catch { return (error as? AdminRefusal)?.code }
            return nil
        }
        #expect(code { try Self.edit(.remove(id: 100), upstream: "c") } == .upstreamNotFound)
        #expect(code { try Self.edit(.remove(id: 100), upstream: "a") } == .upstreamStatic)
        #expect(code { try Self.edit(.remove(id: 106)) } == .serverNotFound)
        var parameters = ServerParameters()
        parameters.isBackup = true
        #expect(code { try Self.edit(.set(id: 104), parameters) } == .serverImmutable)
        #expect(code { try Self.edit(.set(id: 105), parameters) } == nil, "it is one already")
    }

    @Test(
        "the parser's finding gets the code of the word that it is about",
        arguments: [
            (Fault.server("192.0.2.7"), AdminRefusal.Code.badAddress, "no port in upstream"),
            (.server("nowhere.example:1"), .badAddress, "host not found in upstream"),
            (.server("1:2; server 3:4"), .badAddress, ""),
            (.weight(-1), .badWeight, "invalid"), (.weight(0), .badWeight, "invalid"),
            (.maxFails(-1), .format, "invalid"), (.failTimeout("soon"), .format, "invalid"),
            (.failTimeout("1s; } server {"), .format, "invalid"),
        ])
    func codes(fault: Fault, code: AdminRefusal.Code, words: String) throws {
        var parameters = ServerParameters()
        var server = "192.0.2.7:1884"
        switch fault {
        case .server(let text): server = text
        case .weight(let weight): parameters.weight = weight
        case .maxFails(let fails): parameters.maxFails = fails
        case .failTimeout(let text): parameters.failTimeout = text
        }
        let edit = try Self.edit(.add(server: server), parameters)
        // Lines count from the group's first directive, as in the bundle.
        var diagnostics = Self.build("events{}stream{upstream b{zone b;\n\(edit.listing.text)}}").diagnostics
        for index in diagnostics.indices { diagnostics[index].line -= 1 }
        let finding = try #require(diagnostics.first { $0.level == .emerg })
        let refusal = edit.refusal(for: finding, in: "/weir.conf")
        #expect(refusal.code == code, "\(refusal.text)")
        #expect(refusal.text.contains(words), "\(refusal.text)")
    }

    enum Fault: Sendable {
        case server(String), weight(Int), maxFails(Int), failTimeout(String)
    }
}
