// SPDX-License-Identifier: Apache-2.0
//
// Brokers that die, freeze, hang up, take connections and say nothing, or cannot be reached at all.

import Foundation
import Glibc
import TestSupport
import Testing

extension Faults {
    @Suite("of brokers")
    struct Brokers {
        @Test("a killed broker ends its own sessions only, new ones go past it, and come back when it does")
        func killedBroker() async throws {
            let brokers = [try await MosquittoBroker(), try await MosquittoBroker()]
            let port = try PortRegistry.take()
            let servers = brokers.map { "server \($0.endpoint.text) max_fails=1 fail_timeout=1s;" }.joined()
            let stream = """
                upstream brokers { zone brokers 64k; \(servers) }
                server { listen 127.0.0.1:\(port); mqtt_preread on; proxy_pass brokers; }
                """
            try await withHurtWeir(stream: stream, workers: 2) { weir in
                let clients = try (0..<10).map { try MQTTTestClient.connected(to: .ipv4(port), id: "standing-\($0)") }
                let there = Set(brokers[0].connectedIDs)
                #expect(there.count == 5)
                brokers[0].kill()
                for client in clients {
                    if there.contains(client.id) { _ = try client.connection.waitForEnd() } else { try client.ping() }
                }
                try await eventually("each end names the broker\n\(weir.report)") {
                    weir.ends("broker_closed") + weir.ends("broker_reset") == there.count
                }
                for number in 0..<10 {
                    try MQTTTestClient.connected(to: .ipv4(port), id: "past-\(number)").disconnect()
                }
                try await weir.errorLine(with: "connect() failed (111: Connection refused)", brokers[0].endpoint.text)
                try await weir.errorLine(with: "[warn]", "temporarily disabled", brokers[0].endpoint.text)

                try await brokers[0].start()
                try await eventually("sessions go to it again") {
                    try MQTTTestClient.connected(to: .ipv4(port), id: "back").disconnect()
                    return brokers[0].connectedIDs.contains("back")
                }
                for client in clients where !there.contains(client.id) { try client.ping() }
            }
        }

        @Test(
            "sessions of a frozen broker wait and go on, others do not notice, new ones go past it once checks see it")
        func frozenBroker() async throws {
            let brokers = [try await MosquittoBroker(), try await MosquittoBroker()]
            let port = try PortRegistry.take()
            let stream = """
                upstream brokers { zone brokers 64k; \(brokers.map { "server \($0.endpoint.text);" }.joined()) }
                \(talkMatch)
                server {
                    listen 127.0.0.1:\(port);
                    mqtt_preread on;
                    proxy_pass brokers;
                    health_check interval=200ms match=mqtt;
                    health_check_timeout 300ms;
                }
                """
            try await withHurtWeir(stream: stream, workers: 2) { weir in
                let clients = try (0..<6).map { try MQTTTestClient.connected(to: .ipv4(port), id: "standing-\($0)") }
                let there = Set(brokers[0].connectedIDs)
                brokers[0].freeze()
                try await weir.errorLine(with: "peer is unhealthy", brokers[0].endpoint.text)
                for number in 0..<10 {
                    try MQTTTestClient.connected(to: .ipv4(port), id: "past-\(number)").disconnect()
                }
                for client in clients where !there.contains(client.id) { try client.ping(within: .seconds(2)) }
                for client in clients where there.contains(client.id) { #expect(client.connection.isQuiet) }
                brokers[0].thaw()
                for client in clients { try client.ping() }
                try await weir.errorLine(with: "peer is healthy", brokers[0].endpoint.text)
            }
        }

        @Test("a broker that accepts and never answers costs its clients proxy_timeout and nobody else anything")
        func stuckBroker() async throws {
            let stuck = try NullBroker(NullBroker.stuck)
            let well = try NullBroker()
            let ports = try PortRegistry.take(count: 2)
            let stream = """
                server {
                    listen 127.0.0.1:\(ports[0]);
                    mqtt_preread on;
                    proxy_pass \(stuck.endpoint.text);
                    proxy_timeout 1s;
                }
                server { listen 127.0.0.1:\(ports[1]); mqtt_preread on; proxy_pass \(well.endpoint.text); }
                """
            try await withHurtWeir(stream: stream) { weir in
                let waiting = try (0..<30).map { try TCPConnection(to: .ipv4(ports[0])).sent(connect("waits-\($0)")) }
                let other = try MQTTTestClient.connected(to: .ipv4(ports[1]), id: "well")
                try other.ping(within: .seconds(1))
                for client in waiting { #expect(try client.waitForEnd() == .closed) }
                try await weir.ended("idle_timeout", 30)
                try other.ping(within: .seconds(1))
                stuck.kill()
            }
        }

        @Test("a broker that closes or resets at once ends each session once, and nothing is left of them")
        func closingBroker() async throws {
            let broker = try NullBroker { _ in }
            let port = try PortRegistry.take()
            let stream = "server { listen 127.0.0.1:\(port); mqtt_preread on; proxy_pass \(broker.endpoint.text); }"
            try await withHurtWeir(stream: stream, workers: 2) { weir in
                for number in 0..<100 {
                    if number == 50 { broker.behave { $0.connection.reset() } }
                    _ = try TCPConnection(to: .ipv4(port)).sent(connect("brief-\(number)")).waitForEnd()
                }
                try await eventually("100 ends\n\(weir.report)") {
                    weir.ends("broker_closed") + weir.ends("broker_reset") + weir.ends("connect_failed") == 100
                }
                #expect(weir.accessLines.count == 100)
            }
        }

        @Test("a broker address without a route is a connect error and the next server gets the session")
        func noRoute() async throws {
            let broker = try NullBroker()
            let ports = try PortRegistry.take(count: 2)
            // From a loopback address the kernel lets nothing leave the machine.
            let stream = """
                proxy_bind 127.0.0.1;
                mqtt_preread on;
                upstream both { zone both 64k; server 198.51.100.1:1883 weight=9; server \(broker.endpoint.text); }
                server { listen 127.0.0.1:\(ports[0]); proxy_pass 198.51.100.1:1883; }
                server { listen 127.0.0.1:\(ports[1]); proxy_pass both; }
                """
            try await withHurtWeir(stream: stream) { weir in
                let alone = try TCPConnection(to: .ipv4(ports[0])).sent(connect("alone"))
                #expect(try alone.receiveToEnd() == [])
                try await weir.ended("connect_failed", 1)
                try await weir.errorLine(with: "[error]", "connect() failed", "198.51.100.1:1883")
                let client = try MQTTTestClient.connected(to: .ipv4(ports[1]), id: "next")
                try client.ping()
            }
        }

        @Test("a broker that answers no SYN is left after proxy_connect_timeout, also when the client goes meanwhile")
        func blackHole() async throws {
            let hole = try BlackHole()
            let broker = try NullBroker()
            let ports = try PortRegistry.take(count: 2)
            let stream = """
                mqtt_preread on;
                proxy_connect_timeout 500ms;
                upstream both { zone both 64k; server \(hole.endpoint.text) weight=9; server \(broker.endpoint.text); }
                server { listen 127.0.0.1:\(ports[0]); proxy_pass \(hole.endpoint.text); }
                server { listen 127.0.0.1:\(ports[1]); proxy_pass both; }
                """
            try await withHurtWeir(stream: stream) { weir in
                let clients = try (0..<20).map { try TCPConnection(to: .ipv4(ports[0])).sent(connect("hole-\($0)")) }
                for client in clients.prefix(10) { client.reset() }
                let next = try MQTTTestClient.connected(to: .ipv4(ports[1]), id: "next")
                try next.ping()
                for client in clients.suffix(10) { #expect(try client.receiveToEnd() == []) }
                try await weir.ended("connect_timeout", 20)
                try await weir.errorLine(
                    with: "[error]", "upstream timed out (110: Connection timed out)", hole.endpoint.text)
            }
        }

        @Test("an absent syslog server loses its lines with one alert, and holds nobody")
        func absentSyslog() async throws {
            let broker = try NullBroker()
            let ports = try PortRegistry.take(count: 2)
            let stream = """
                access_log logs/access.log end;
                access_log syslog:server=127.0.0.1:\(ports[1]) end;
                server { listen 127.0.0.1:\(ports[0]); mqtt_preread on; proxy_pass \(broker.endpoint.text); }
                """
            let loss = "lines could not be written to syslog server"
            try await withHurtWeir(stream: stream, expecting: [loss]) { weir in
                for number in 0..<50 { try MQTTTestClient.connected(to: .ipv4(ports[0]), id: "\(number)").disconnect() }
                _ = try await weir.accessLines(atLeast: 50)
                try await weir.errorLine(with: "[alert]", loss)
                #expect(weir.errorLines.count { $0.contains(loss) } == 1)
            }
        }
    }
}
