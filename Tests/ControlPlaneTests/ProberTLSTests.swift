// SPDX-License-Identifier: Apache-2.0
//
// Health checks over TLS: the handshake is part of the check, `match` talks inside, and a failure says why.

import ControlPlane
import LinuxIO
import ProxyConfig
import SharedState
import TLSEngine
import Testing

@Suite("health checks over TLS", .serialized)
struct ProberTLSTests {
    private func configuration(_ ports: [UInt16], _ check: String, name: String = "broker.test") -> String {
        """
        error_log /log notice;
        events {}
        stream {
            match mqtt {
                send \\x10\\x0c\\x00\\x04\\x4d\\x51\\x54\\x54\\x04\\x02\\x00\\x00\\x00\\x00;
                expect \\x20\\x02\\x00\\x00;
            }
            upstream brokers { zone brokers 64k; \(ports.map { "server 127.0.0.1:\($0); " }.joined()) }
            server {
                listen 1;
                proxy_pass brokers;
                proxy_ssl on;
                proxy_ssl_verify on;
                proxy_ssl_trusted_certificate /broker.test.pem;
                proxy_ssl_name \(name);
                health_check interval=50ms \(check);
                health_check_timeout 300ms;
            }
        }
        """
    }

    private func stage(_ brokers: [Broker]) throws -> ProberStage {
        let stage = try ProberStage(brokers: brokers)
        stage.files["/broker.test.pem"] = TLSFiles.broker.certificate.bytes
        return stage
    }

    private let accepts = Broker.Behaviour.answers([0x20, 0x02, 0x00, 0x00])

    @Test("a broker that accepts inside of TLS is up and gets a DISCONNECT; others are unhealthy, with the reason")
    func states() throws {
        let good = try Broker(accepts, tls: TLSFiles.broker.context())
        let bad = try Broker(.answers([0x20, 0x02, 0x00, 0x05]), tls: TLSFiles.broker.context())
        let stranger = try Broker(accepts, tls: TLSFiles.stranger.context())
        let plain = try Broker(.answers(Array("HTTP/1.1 400 Bad Request\r\n".utf8)))
        let silent = try Broker(.silent)
        let brokers = [good, bad, stranger, plain, silent]
        let stage = try self.stage(brokers)
        try stage.commit(configuration(brokers.map(\.port), "match=mqtt"))
        try stage.run(until: "all checks have ended") {
            good.endings.count > 1 && brokers.dropFirst().allSatisfy { stage.report($0.port).health == .unhealthy }
        }
        #expect(stage.report(good.port).health == .up)
        #expect(stage.report(good.port).lastCheckPassed)
        #expect(good.endings.allSatisfy { $0 == .orderly(lastBytes: [0xE0, 0x00]) })
        #expect(stage.report(bad.port).reason.hasPrefix("unexpected answer 20 02 00 05 (CONNACK return code 5"))
        #expect(stage.report(stranger.port).reason == "handshake failed: certificate (18:self-signed certificate)")
        #expect(stage.report(plain.port).reason == "handshake failed: wrong version number")
        #expect(stage.report(silent.port).reason == "handshake timed out")
        let lines = try stage.logLines()
        #expect(
            lines.contains {
                $0.contains("peer is unhealthy while SSL handshaking to upstream")
                    && $0.hasSuffix("handshake failed: certificate (18:self-signed certificate)")
            })
    }

    @Test("without match the handshake is the check, and a peer with another name does not pass it")
    func handshakeAlone() throws {
        let broker = try Broker(.silent, tls: TLSFiles.broker.context())
        let stage = try self.stage([broker])
        try stage.commit(configuration([broker.port], "mandatory"))
        try stage.run(until: "two checks have ended") { broker.endings.count > 1 }
        #expect(stage.report(broker.port).health == .up)
        #expect(broker.endings.allSatisfy { $0 == .orderly(lastBytes: []) })
        try stage.commit(configuration([broker.port], "mandatory", name: "other.test"))
        try stage.run(until: "unhealthy") { stage.report(broker.port).health == .unhealthy }
        #expect(stage.report(broker.port).reason.hasPrefix("handshake failed: "))
    }
}
