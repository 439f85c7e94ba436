// SPDX-License-Identifier: Apache-2.0
//
// `weirctl route`: the same brokers as nginx's ring gives, through every way that a configuration leads to a group.

import AdminPlane
import LinuxIO
import ProxyConfig
import Testing
import Vocabulary

@testable import weirctl

@Suite struct RouterTests {
    /// A configuration that is one text.
    private struct TextSource: ConfigurationSource {
        var text: String
        func file(_ path: String) -> Result<[UInt8], SourceFault> { .success(Array(text.utf8)) }
        func expand(_ mask: String) -> Result<[String], SourceFault> { .success([]) }
        func addresses(of host: String) -> Result<[IPAddress], SourceFault> {
            .success([IPAddress(ipv4: 0xC000_0201), IPAddress(ipv4: 0xC000_0202)])
        }
    }

    private func router(
        _ text: String, clientID: String = "sensor-1", userName: String? = nil, dead: Set<String> = []
    ) throws -> Router {
        var source = TextSource(text: text)
        let outcome = ConfigurationBuilder.buildAll(
            &source, options: ConfigurationOptions(file: "/etc/weir.conf", prefix: "/"))
        let configuration = try #require(outcome.configuration, "\(outcome.render())")
        return Router(
            configuration: configuration, client: KnownClient(clientID: clientID, userName: userName), dead: dead)
    }

    private let brokers = """
        upstream brokers {
            hash $mqtt_preread_clientid consistent;
            server 10.0.0.1:1883; server 10.0.0.2:1883; server 10.0.0.3:1883;
        }
        """
    private func server(_ directives: String) -> String {
        "stream { \(brokers)\nserver { listen 1883; \(directives) } }"
    }

    @Test(
        "ids are where nginx's ring has them, which a walk over the points by hand gives, too",
        arguments: ["sensor-1", "sensor-2", "sensor-3", "a", "ÄÖ", "0123456789"])
    func ring(_ clientID: String) throws {
        let routes = try router(server("mqtt_preread on; proxy_pass brokers;"), clientID: clientID).routes(listen: nil)
        #expect(routes.map(\.server) == [Self.byHand(clientID, ["10.0.0.1", "10.0.0.2", "10.0.0.3"])])
        #expect(routes[0].listen == ["0.0.0.0:1883"])
        #expect(routes[0].upstream == "brokers")
        #expect(routes[0].method == "hash $mqtt_preread_clientid consistent")
    }

    /// CRC-32 bit by bit, and the ring of three servers of weight 1.
    private static func byHand(_ key: String, _ hosts: [String]) -> String {
        func crc(_ bytes: [UInt8]) -> UInt32 {
            ~bytes.reduce(UInt32.max) { value, byte in
                (0..<8).reduce(value ^ UInt32(byte)) { value, _ in value >> 1 ^ (value & 1 == 1 ? 0xEDB8_8320 : 0) }
            }
        }
        var points: [(hash: UInt32, host: String)] = []
        for host in hosts {
            var previous: UInt32 = 0
            for _ in 0..<160 {
                let tail = (0..<4).map { UInt8(truncatingIfNeeded: previous >> UInt32($0 * 8)) }
                previous = crc(Array(host.utf8) + [0] + Array("1883".utf8) + tail)
                points.append((previous, host))
            }
        }
        points.sort { $0.hash < $1.hash }
        let hash = crc(Array(key.utf8))
        return (points.first { $0.hash >= hash } ?? points[0]).host + ":1883"
    }

    @Test("a dead broker's ids go elsewhere, and no others move")
    func dead() throws {
        let text = server("mqtt_preread on; proxy_pass brokers;")
        for number in 0..<50 {
            let clientID = "device-\(number)"
            let before = try router(text, clientID: clientID).routes(listen: nil)[0].server
            let after = try router(text, clientID: clientID, dead: ["10.0.0.2:1883"]).routes(listen: nil)[0].server
            #expect(after != "10.0.0.2:1883")
            if before != "10.0.0.2:1883" { #expect(after == before) }
        }
    }

    @Test("map, set and proxy_pass with variables lead where a worker would go")
    func variables() throws {
        let text = """
            stream {
                map $mqtt_preread_clientid $site { ~^(?<hall>hall\\d+)- $hall; default none; }
                map $site $pool { hall1 first; hall2 second; default 10.9.9.9:1883; }
                upstream first { hash $key; server 10.0.1.1:1; server 10.0.1.2:1; }
                upstream second { hash $site consistent; server 10.0.2.1:1 down; server 10.0.2.2:1; }
                server { listen 1; mqtt_preread on; set $key "$site/x"; proxy_pass $pool; }
            }
            """
        let first = try router(text, clientID: "hall1-7").routes(listen: nil)
        #expect(first[0].upstream == "first")
        // Both ids have one key.
        #expect(first[0].server == (try router(text, clientID: "hall1-8").routes(listen: nil)[0].server))
        let second = try router(text, clientID: "hall2-7").routes(listen: nil)
        #expect(second.map(\.server) == ["10.0.2.2:1"])
        let other = try router(text, clientID: "door").routes(listen: nil)
        #expect(other == [Route(listen: ["0.0.0.0:1"], server: "10.9.9.9:1883", name: "10.9.9.9:1883")])
    }

    @Test(
        "where the id does not decide, that is the answer",
        arguments: [
            ("least_conn;", "the method does not look at the client"), ("", "the method does not look at the client"),
            ("random two;", "the method does not look at the client"),
            ("hash $remote_addr;", "the key needs $remote_addr"),
            ("hash $mqtt_preread_username consistent;", "the key needs $mqtt_preread_username"),
        ])
    func undecided(_ method: String, _ reason: String) throws {
        let text = "stream { upstream u { \(method) server 10.0.0.1:1; server 10.0.0.2:1; } }"
        let route = try router(text).route(upstream: "u")
        #expect(route.server == nil)
        #expect(route.reason?.hasPrefix(reason) == true, "\(route.reason ?? "")")
    }

    @Test("a user name, a server that is the only one left, and addresses of a name")
    func known() throws {
        let byUser = "stream { upstream u { hash $mqtt_preread_username; server 10.0.0.1:1; server 10.0.0.2:1; } }"
        #expect(try router(byUser, userName: "ada").route(upstream: "u").server != nil)
        let only =
            "stream { upstream u { least_conn; server 10.0.0.1:1; server 10.0.0.2:1 drain; server 10.0.0.3:1 backup; } }"
        #expect(try router(only).route(upstream: "u").server == "10.0.0.1:1")
        #expect(try router(only, dead: ["10.0.0.1:1"]).route(upstream: "u").server == "10.0.0.3:1")
        let none = try router(only, dead: ["10.0.0.1:1", "10.0.0.3:1"]).route(upstream: "u")
        #expect(none.server == nil)
        let named = "stream { upstream u { hash $mqtt_client_id consistent; server b.example:1; } }"
        let route = try router(named).route(upstream: "u")
        #expect(route.name == "b.example:1")
        #expect(["192.0.2.1:1", "192.0.2.2:1"].contains(route.server))
    }

    @Test("an address or a port says which server is meant")
    func listen() throws {
        let text =
            "stream { \(brokers) server { listen 1883; listen [::1]:18830; proxy_pass brokers; } "
            + "server { listen 127.0.0.1:8883; proxy_pass 10.0.0.9:1; } server { listen 99; return a; } }"
        let router = try router(text)
        #expect(try router.routes(listen: nil).map(\.upstream) == ["brokers", "10.0.0.9:1"])
        #expect(try router.routes(listen: "8883").map(\.server) == ["10.0.0.9:1"])
        #expect(try router.routes(listen: "[::1]:18830").map(\.upstream) == ["brokers"])
        #expect(throws: CommandFault("no server that proxies listens at 883", .nothingFound)) {
            try router.routes(listen: "883")
        }
        #expect(throws: CommandFault("no upstream is called \"x\"", .nothingFound)) { try router.route(upstream: "x") }
    }
}
