// SPDX-License-Identifier: Apache-2.0
//
// The setting of the talk that Weir was made after, whole: devices in plaintext on an IPv6 port, applications with
// client certificates on an IPv4 one, all balanced by client id onto the same three brokers.

import TestSupport
import Testing

@Suite("tls: devices and applications")
struct TLSSettingTests {
    private static func stream(_ trio: MosquittoTrio, plain: UInt16, secure: UInt16) -> String {
        """
        upstream brokers { hash $mqtt_preread_clientid consistent; \(trio.servers()) }
        mqtt_preread on;
        server { listen [::1]:\(plain); proxy_pass brokers; }
        server {
            listen 127.0.0.1:\(secure) ssl;
            \(TLSStage.lines()) \(TLSStage.mutualLines)
            proxy_pass brokers;
        }
        """
    }

    @Test("one client id comes to one Mosquitto, with TLS and without, and the ids spread over all three")
    func sameBroker() async throws {
        let stage = try await TLSStage()
        let trio = try await MosquittoTrio()
        let ports = try PortRegistry.take(count: 2)
        let stream = Self.stream(trio, plain: ports[0], secure: ports[1])
        try await stage.withWeir(stream: stream, workers: 2) { weir in
            let ids = (0..<24).map { "meter-\($0)" }
            for id in ids {
                let device = try MQTTTestClient.connected(to: .ipv6(ports[0]), id: id)
                try device.ping()
                device.disconnect()
                let application = try MQTTTestClient.connected(
                    to: .ipv4(ports[1]), id: id, tls: stage.client("app"))
                try application.ping()
                application.disconnect()
            }
            try await eventually("every id came twice: \(trio.brokers.map(\.connectedIDs))") {
                trio.brokers.map(\.connectedIDs.count).reduce(0, +) == ids.count * 2
            }
            for broker in trio.brokers {
                let seen = broker.connectedIDs
                #expect(!seen.isEmpty)
                for id in Set(seen) { #expect(seen.count { $0 == id } == 2, "\(id) at \(broker.port)") }
            }
            let log = try await weir.accessLines(atLeast: ids.count * 2)
            #expect(log.allSatisfy { $0.contains(" 200 client_closed ") || $0.contains(" 200 broker_closed ") })
        }
    }

    @Test("Mosquitto's own clients switch a device's LED through TLS, and are refused without a certificate")
    func mosquittoClients() async throws {
        let stage = try await TLSStage()
        let trio = try await MosquittoTrio()
        let ports = try PortRegistry.take(count: 2)
        let stream = Self.stream(trio, plain: ports[0], secure: ports[1])
        try await stage.withWeir(stream: stream, workers: 2) { weir in
            let words = ["-h", "::1", "-p", "\(ports[0])", "-i", "sensor-1", "-t", "led/1", "-C", "1", "-W", "15"]
            let device = try ManagedProcess("mosquitto_sub", words)
            let home = try await eventually("the device is somewhere\n\(weir.report)") { trio.place(of: "sensor-1") }
            try await eventually("the device has subscribed") { trio.brokers[home].log.contains("SUBACK to sensor-1") }

            // An application whose id belongs to the same broker.
            func publish(as id: String, _ certificate: String?) async throws -> ManagedProcess.Ending {
                let words = stage.mosquittoWords(ports[1], certificate)
                return try await ManagedProcess.run(
                    "mosquitto_pub", words + ["-i", id, "-t", "led/1", "-m", "on", "-q", "1"]
                ).ending
            }
            var index = 0
            repeat {
                index += 1
                #expect(try await publish(as: "office-\(index)", "app") == .exited(0), "\(weir.report)")
            } while trio.place(of: "office-\(index)") != home && index < 100
            #expect(try await device.wait() == .exited(0))
            #expect(device.output == "on\n")
            // Mosquitto says goodbye in TLS, too.
            try await eventually("the applications' sessions end well\n\(weir.report)") {
                let ends = weir.accessLines.filter { $0.hasPrefix("office-") }
                return ends.count == index
                    && ends.allSatisfy { $0.contains(" 200 client_closed ") || $0.contains(" 200 broker_closed ") }
            }

            let before = trio.brokers.map(\.connectedIDs.count)
            #expect(try await publish(as: "intruder", nil) != .exited(0))
            try await weir.errorLine(
                with: "[info]", " client sent no required SSL certificate while SSL handshaking, client: 127.0.0.1",
                ", server: 127.0.0.1:\(ports[1])")
            try await weir.ended("tls_client_refused", 1)
            #expect(try await publish(as: "impostor", "stranger") != .exited(0))
            try await weir.errorLine(
                with: "[info]", " client SSL certificate verify error: (", ") while SSL handshaking, client: 127.0.0.1")
            try await weir.ended("tls_client_refused", 2)
            #expect(trio.brokers.map(\.connectedIDs.count) == before)
            #expect(weir.accessLines.count { $0.hasPrefix("- 500 tls_client_refused - 0 ") } == 2, "\(weir.report)")
        }
    }

    @Test("large messages cross TLS both ways, whole and in order")
    func bulk() async throws {
        let stage = try await TLSStage()
        let broker = try NullBroker(NullBroker.echo)
        let port = try PortRegistry.take()
        let stream = """
            server { listen 127.0.0.1:\(port) ssl; \(TLSStage.lines()) proxy_pass \(broker.endpoint.text); }
            """
        try await stage.withWeir(stream: stream) { weir in
            for version in [TLSClientOptions.Version.v12, .v13] {
                let client = try TLSTestStream(to: .ipv4(port), stage.client().only(version))
                // An echo holds no more than the sockets do, so the two directions take turns.
                for (round, count) in [1, 16_384, 16_385, 60_000, 100_000].enumerated() {
                    let bytes = pattern(count, seed: UInt64(round + 1))
                    try client.send(bytes)
                    #expect(try client.receive(exactly: count) == bytes)
                }
                client.close()
            }
            try await weir.ended("client_closed", 2)
            // Plaintext is counted, as in nginx.
            #expect(weir.accessLines.count { $0.contains(" 192770 192770 ") } == 2, "\(weir.report)")
        }
    }
}
