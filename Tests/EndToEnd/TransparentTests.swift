// SPDX-License-Identifier: Apache-2.0
//
// `proxy_bind … transparent`: a broker sees an address that is not of this machine, and its answers come back.

import Glibc
import TestSupport
import Testing

@Suite("transparent proxy")
struct TransparentTests {
    /// A documentation address (RFC 5737). Answers to it go to loopback by a table that the kernel does not consult
    /// when it asks whether an address is its own, so a bind that is not transparent fails: that is the counter-proof.
    private static let foreign = "198.51.100.7"

    @Test(
        "a broker sees the address that proxy_bind names, though the workers are nobody; without the word it cannot be",
        .enabled("\(NetworkNamespace.need)") { await NetworkNamespace.isAvailable })
    func foreignSource() async throws {
        let network = try await NetworkNamespace()
        try await network.ip("route", "add", "local", "198.51.100.0/24", "dev", "lo", "table", "100")
        try await network.ip("rule", "add", "from", "127.0.0.1", "to", "198.51.100.0/24", "lookup", "100")
        let broker = try await MosquittoBroker(namespace: network)
        let ports = try PortRegistry.take(count: 2)
        let text = WeirInstance.configuration(
            main: "user nobody nogroup;",
            stream: """
                map $mqtt_preread_username $source { default \(Self.foreign); }
                mqtt_preread on;
                server {
                    listen 127.0.0.1:\(ports[0]);
                    proxy_bind $source transparent;
                    proxy_pass \(broker.endpoint.text);
                }
                server { listen 127.0.0.1:\(ports[1]); proxy_bind $source; proxy_pass \(broker.endpoint.text); }
                """)
        let weir = try await WeirInstance.start(in: TemporaryDirectory(), configuration: text, namespace: network)
        func publish(_ id: String, to port: UInt16) async throws -> ManagedProcess.Ending {
            let words = ["-h", "127.0.0.1", "-p", "\(port)", "-i", id, "-t", "room", "-m", "hello", "-q", "1"]
            return try await ManagedProcess.run("mosquitto_pub", words, namespace: network).ending
        }
        #expect(try await publish("traveller", to: ports[0]) == .exited(0), "\(weir.report)")
        #expect(broker.log.contains("New client connected from \(Self.foreign):"), "\(broker.log)")
        #expect(broker.connectedIDs == ["traveller"])

        #expect(try await publish("pretender", to: ports[1]) != .exited(0))
        try await weir.errorLine(
            with: "[crit]", "bind(\(Self.foreign):0) failed (99: Cannot assign requested address) while connecting to upstream")
        #expect(broker.connectedIDs == ["traveller"])
        try await weir.stop()
    }
}
