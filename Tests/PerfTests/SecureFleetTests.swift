// SPDX-License-Identifier: Apache-2.0
//
// Devices with TLS against a real Mosquitto: handshakes are full or resumed as asked for, messages go through, nothing
// is left over. Nothing is timed here.

import Fleet
import Histogram
import TestSupport
import Testing
import Vocabulary

@Suite("the fleet, over TLS", .serialized)
struct SecureFleetTests {
    private let directory: TemporaryDirectory
    private let broker: MosquittoBroker
    private let fleet: Fleet

    init() async throws {
        directory = try TemporaryDirectory()
        let (certificate, key) = (directory.path("certificate.pem"), directory.path("key.pem"))
        let made = try await ManagedProcess.run(
            "openssl",
            [
                "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-sha256",
                "-subj", "/CN=localhost", "-days", "2", "-keyout", key, "-out", certificate,
            ])
        try #require(made.ending == .exited(0), "\(made.output)")
        broker = try await MosquittoBroker(settings: "certfile \(certificate)\nkeyfile \(key)\ntls_version tlsv1.3")
        let target = IPEndpoint(address: IPAddress(ipv4: 0x7F00_0001), port: broker.port)
        let sources = [IPAddress(ipv4: 0x7F00_0101)]
        fleet = try Fleet(FleetPlan(brokers: [], targets: [], secureTarget: target, sources: sources))
        fleet.transport = .full
    }

    @Test("devices come and go, each with a full handshake")
    func full() {
        let result = fleet.churn(atOnce: 4, seconds: 0.1)
        #expect(result.count >= 4)
        #expect(fleet.resumedCount == 0)
        #expect(fleet.takeTally() == Tally())
    }

    @Test("all but the first devices take up the sessions of others")
    func resumed() {
        fleet.transport = .resumed
        let result = fleet.churn(atOnce: 4, seconds: 0.2)
        #expect(result.count > 4)
        #expect(fleet.resumedCount == result.count - 4)
        #expect(fleet.takeTally() == Tally())
    }

    @Test("messages over standing sessions are all answered")
    func messages() {
        #expect(fleet.openSessions(20).count == 20)
        var latencies = Latencies.empty
        #expect(fleet.publish(perSecond: 1000, seconds: 0.2, into: &latencies).count == 200)
        #expect(fleet.saturate(seconds: 0.1, into: &latencies).count >= 20)
        fleet.closeSessions()
        #expect(fleet.takeTally() == Tally())
    }

    @Test("handshakes that were prepared begin all at once")
    func prepared() {
        fleet.prepareHandshakes(30)
        #expect(fleet.openSessions(30, atOnce: 30).count == 30)
        #expect(fleet.openSessionCount == 30)
        fleet.closeSessions()
        #expect(fleet.takeTally() == Tally())
    }
}
