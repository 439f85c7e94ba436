// SPDX-License-Identifier: Apache-2.0
//
// Options of sockets, as the kernel tells of them: ss(8) shows the timer of each socket, Weir's, too. How often a peer
// is asked, and how many times, is not to be seen from outside.

import Foundation
import TestSupport
import Testing

@Suite("socket options")
struct SocketOptionTests {
    /// The timer that runs on a socket, `keepalive,29min,0`. Nil: none does.
    private func timer(from local: String, to peer: String) async throws -> String? {
        let words = ["-Htno", "state", "established", "src", local, "dst", peer]
        let (ending, output) = try await ManagedProcess.run("ss", words)
        guard ending == .exited(0), output.split(separator: "\n").count == 1 else {
            throw TestFault("ss \(words): \(output)")
        }
        return output.firstMatch(of: /timer:\(([^)]*)\)/).map { String($0.1) }
    }

    /// Of `keepalive,1min30sec,0`; nil for another timer.
    private func keepAliveSeconds(_ timer: String) -> Int? {
        guard let match = timer.wholeMatch(of: /keepalive,(?:(\d+)min)?(?:(\d+)sec)?.*/) else { return nil }
        return (match.1.flatMap { Int($0) } ?? 0) * 60 + (match.2.flatMap { Int($0) } ?? 0)
    }

    @Test("so_keepalive is on the sockets of clients, proxy_socket_keepalive on those to brokers, and nowhere else")
    func keepAlive() async throws {
        let systemSeconds = try #require(
            Int(contents(of: "/proc/sys/net/ipv4/tcp_keepalive_time").trimmingCharacters(in: .whitespacesAndNewlines)))
        // What a timer may have lost since, and the rounding of ss.
        let slack = 60

        for (listen, proxy, client, broker) in [
            ("", "", nil, nil),
            ("so_keepalive=off", "proxy_socket_keepalive off;", nil, nil),
            ("so_keepalive=on", "", systemSeconds, nil),
            ("so_keepalive=30m::10", "", 1800, nil),
            ("", "proxy_socket_keepalive on;", nil, systemSeconds),
            ("so_keepalive=10m:20s:", "proxy_socket_keepalive on;", 600, systemSeconds),
        ] as [(String, String, Int?, Int?)] {
            let port = try PortRegistry.take()
            let group = try NullGroup(1)
            let stream = """
                server {
                    listen 127.0.0.1:\(port) \(listen);
                    mqtt_preread on;
                    proxy_pass \(group.brokers[0].endpoint.text);
                    \(proxy)
                }
                """
            try await withWeir(stream: stream) { weir in
                let device = try MQTTTestClient.connected(to: .ipv4(port), id: "device")
                let session = try #require(group.brokers[0].sessions.first)
                let ends = [
                    (device.connection.peerName, device.connection.localName, client),
                    (session.peer, session.connection.localName, broker),
                ]
                for (local, peer, expected) in ends {
                    // Another timer runs while data waits for its acknowledgement.
                    try await eventually("\(listen) \(proxy) \(local): \(String(describing: expected)) s") {
                        let timer = try await timer(from: local, to: peer)
                        guard let expected else { return timer == nil }
                        guard let seconds = timer.flatMap(keepAliveSeconds) else { return false }
                        return seconds <= expected && seconds >= expected - slack
                    }
                }
                device.disconnect()
            }
        }
    }
}
