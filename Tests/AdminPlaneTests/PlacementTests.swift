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

    @Test("a server that goes takes only its own ids along")
    func stability() throws {
        let placement = try Placement(upstream(5))
        var used: Set<Int> = []
        for number in 0..<200 {
            let before = try placement.server(of: "sensor-\(number)")
            let after = try placement.server(of: "sensor-\(number)") { $0 != 2 }
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
            for number in 0..<50 { #expect(try other.server(of: "\(number)") == plain.server(of: "\(number)")) }
        }
        let around = try Placement(
            upstream(5, key: [.literal(Array("a-".utf8)), .variable(.builtin(.mqttPrereadClientID))]))
        for number in 0..<50 { #expect(try around.server(of: "\(number)") == plain.server(of: "a-\(number)")) }
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
        #expect(throws: Placement.Unknown.keyIsUnknown("$remote_addr")) { try byAddress.server(of: "x") }
        let closed = try Placement(upstream(2))
        #expect(throws: Placement.Unknown.noServers) { try closed.server(of: "x") { _ in false } }
    }
}
