// SPDX-License-Identifier: Apache-2.0
//
// Where an id belongs by the configuration alone. That the ring is nginx's is BalancingTests' matter.

import ProxyConfig
import Testing
import Vocabulary

@testable import AdminPlane

@Suite("Placement") struct PlacementTests {
    private func upstream(_ count: Int, key: [Template.Part] = [.variable(.builtin(.mqttPrereadClientID))]) -> Upstream {
        var upstream = Upstream(name: "brokers")
        upstream.method = .hash(key: Template(parts: key), isConsistent: true)
        upstream.peers = (1...count).map { number in
            let address = IPAddress(ipv4: 0x0A00_0000 + UInt32(number))
            return Peer(
                serverText: "\(address.text):1883", endpoint: .ip(IPEndpoint(address: address, port: 1883)),
                ringHost: address.text, ringPort: "1883")
        }
        return upstream
    }

    /// Of a configuration without variables of its own.
    private func server(
        of id: String, by placement: Placement, isOpen: (Int) -> Bool = { _ in true }
    ) throws -> Int {
        try placement.server(of: KnownClient(clientID: id), in: Configuration(), isOpen: isOpen)
    }

    @Test("a server that goes takes only its own ids along")
    func stability() throws {
        let placement = try Placement(upstream(5))
        var used: Set<Int> = []
        for number in 0..<200 {
            let before = try server(of: "sensor-\(number)", by: placement)
            let after = try server(of: "sensor-\(number)", by: placement) { $0 != 2 }
            used.insert(before)
            #expect(after != 2 && (before == 2 || after == before))
        }
        #expect(used == Set(0..<5))
    }

    @Test("every name of the client id is known, and text around it counts")
    func keys() throws {
        let plain = try Placement(upstream(5))
        for variable in [BuiltinVariable.mqttClientID, .mqttClientIDShort] {
            let other = try Placement(upstream(5, key: [.variable(.builtin(variable))]))
            for number in 0..<50 { #expect(try server(of: "\(number)", by: other) == server(of: "\(number)", by: plain)) }
        }
        let around = try Placement(
            upstream(5, key: [.literal(Array("a-".utf8)), .variable(.builtin(.mqttPrereadClientID))]))
        for number in 0..<50 { #expect(try server(of: "\(number)", by: around) == server(of: "a-\(number)", by: plain)) }
    }

    @Test("what an id does not tell is said")
    func unknown() throws {
        var other = upstream(2)
        other.method = .leastConnections
        #expect(throws: Placement.Unknown.notByKey) { try Placement(other) }
        var empty = upstream(1)
        empty.peers = []
        #expect(throws: Placement.Unknown.noServers) { try Placement(empty) }
        let byAddress = try Placement(upstream(2, key: [.variable(.builtin(.remoteAddress))]))
        #expect(throws: Placement.Unknown.keyIsUnknown("$remote_addr")) { try server(of: "x", by: byAddress) }
        let closed = try Placement(upstream(2))
        #expect(throws: Placement.Unknown.noServers) { try server(of: "x", by: closed) { _ in false } }
    }

    @Test("an id belongs to its server also while that drains or is down")
    func outOfService() throws {
        let all = try Placement(upstream(5))
        var changed = upstream(5)
        changed.peers[2].isDraining = true
        changed.peers[3].isDown = true
        let placement = try Placement(changed)
        for number in 0..<100 {
            #expect(try server(of: "\(number)", by: placement) == server(of: "\(number)", by: all))
        }
    }

    @Test("map and set make the key as for a worker; servers that set differently leave it open")
    func variables() throws {
        func configuration(_ keys: [String]) -> Configuration {
            var configuration = Configuration()
            configuration.assignedVariables = ["site"]
            configuration.upstreams = [upstream(5, key: [.variable(.assigned(0))])]
            configuration.servers = keys.map { key in
                var server = Server(origin: "", content: .proxy(upstream: 0))
                server.assignments = [
                    .init(
                        variable: 0,
                        value: Template(parts: [.literal(Array(key.utf8)), .variable(.builtin(.mqttPrereadClientID))]))
                ]
                return server
            }
            return configuration
        }
        func place(_ configuration: Configuration) throws -> Int {
            try Placement(configuration.upstreams[0]).server(of: KnownClient(clientID: "x"), in: configuration)
        }
        let plain = try Placement(upstream(5))
        #expect(try place(configuration(["a-"])) == server(of: "a-x", by: plain))
        #expect(try place(configuration(["a-", "a-"])) == server(of: "a-x", by: plain))
        let different = Placement.Unknown.keyIsUnknown("something that servers set differently")
        #expect(throws: different) { try place(configuration(["a-", "b-"])) }
        #expect(throws: Placement.Unknown.keyIsUnknown("$site")) { try place(configuration([])) }
    }
}
