// SPDX-License-Identifier: Apache-2.0
//
// Health checks of brokers that speak TLS: a check trusts, shows and asks for what the server block's sessions do, and
// a broker that devices could not reach is unhealthy, with the reason.

import TestSupport
import Testing

@Suite("TLS: health checks")
struct TLSHealthTests {
    @Test("a check goes through TLS; who shows a wrong certificate, or no TLS, is unhealthy, and the log says why")
    func checks() async throws {
        let stage = try await TLSStage()
        let authority = stage.path("ca.pem")
        async let starting = MosquittoBroker(tls: .init(stage.pair("broker"), clientAuthority: authority))
        async let startingForeign = MosquittoBroker(tls: .init(stage.pair("foreign")))
        let (good, foreign) = try await (starting, startingForeign)
        let plain = try NullBroker(NullBroker.answer(connect("a mirror")))
        let misnamed = try NullBroker(TLSTestServer(stage.pair("second")).behaviour())
        let silent = try NullBroker(NullBroker.silent)
        let port = try PortRegistry.take()
        let endpoints = [good.endpoint, foreign.endpoint, plain.endpoint, misnamed.endpoint, silent.endpoint]
        let addresses = endpoints.map(\.text)
        let stream = """
            \(talkMatch)
            upstream brokers {
                zone brokers 64k;
                \(addresses.map { "server \($0) max_fails=0;" }.joined(separator: "\n"))
            }
            server {
                listen 127.0.0.1:\(port);
                mqtt_preread on;
                proxy_ssl on;
                proxy_ssl_verify on;
                proxy_ssl_trusted_certificate ca.pem;
                proxy_ssl_name broker.test;
                proxy_ssl_certificate app.pem;
                proxy_ssl_certificate_key app.key;
                proxy_pass brokers;
                health_check interval=200ms match=mqtt;
                health_check_timeout 400ms;
            }
            """
        try await stage.withWeir(stream: stream) { weir in
            let reasons = [
                "handshake failed: certificate (21:unable to verify the first certificate)",
                "wrong version number",
                "upstream SSL certificate does not match \"broker.test\"",
                "handshake timed out",
            ]
            for (address, reason) in zip(addresses.dropFirst(), reasons) {
                let line = try await weir.errorLine(with: "peer is unhealthy", "peer \(address) ", reason)
                #expect(line.contains("[warn]") && line.contains("while SSL handshaking to upstream"), "\(line)")
            }
            // The good one is checked as itself, and all sessions are its own.
            try await eventually("checks are connected: \(good.log)") { good.log.contains("p2, c1, k0") }
            for number in 0..<8 {
                let client = try MQTTTestClient.connected(to: .ipv4(port), id: "meter-\(number)")
                try client.ping()
                client.disconnect()
            }
            #expect((0..<8).allSatisfy { good.connectedIDs.contains("meter-\($0)") })
            #expect(!weir.errorLines.contains { $0.contains("peer is unhealthy") && $0.contains(good.endpoint.text) })

            // It is lost and found again.
            good.kill()
            try await weir.errorLine(with: "peer is unhealthy", good.endpoint.text)
            try await good.start()
            try await weir.errorLine(with: "peer is healthy", good.endpoint.text)
        }
    }

    @Test("a new authority in a reload is what the next check trusts")
    func reload() async throws {
        let stage = try await TLSStage()
        let foreign = try await MosquittoBroker(tls: .init(stage.pair("foreign")))
        let port = try PortRegistry.take()
        func stream(_ authority: String) -> String {
            """
            \(talkMatch)
            upstream brokers { zone brokers 64k; server \(foreign.endpoint.text); }
            server {
                listen 127.0.0.1:\(port);
                proxy_ssl on;
                proxy_ssl_verify on;
                proxy_ssl_trusted_certificate \(authority);
                proxy_ssl_name server.test;
                proxy_pass brokers;
                health_check interval=200ms match=mqtt;
            }
            """
        }
        try await stage.withWeir(stream: stream("ca.pem")) { weir in
            try await weir.errorLine(with: "peer is unhealthy", "unable to verify the first certificate")
            try await weir.reload(stream: stream("other.pem"))
            try await weir.errorLine(with: "peer is healthy", foreign.endpoint.text)
            let client = try MQTTTestClient.connected(to: .ipv4(port), id: "after")
            client.disconnect()
        }
    }
}
