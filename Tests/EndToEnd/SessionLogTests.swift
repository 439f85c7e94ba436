// SPDX-License-Identifier: Apache-2.0
//
// What the logs of the built binary say about a session over its life: one name in all lines, and lines at the moments
// that were asked for.

import Foundation
import Glibc
import TestSupport
import Testing

@Suite("session lines")
struct SessionLogTests {
    @Test("a session has one name in all of its lines, which no other has, also after a worker was killed")
    func names() async throws {
        let broker = try await MosquittoBroker()
        let port = try PortRegistry.take()
        let stream = """
            log_format name '$session_id $connection $mqtt_preread_clientid $remote_port';
            server {
                listen 127.0.0.1:\(port);
                mqtt_preread on;
                proxy_pass \(broker.endpoint.text);
                access_log logs/names.log name;
            }
            """
        try await withWeir(stream: stream, workers: 2, expecting: ["exited on signal 9"]) { weir in
            let path = weir.directory.path("logs/names.log")
            for round in 0..<3 {
                let before = lines(of: path).count
                for index in 0..<6 {
                    let id = "device-\(round)-\(index)"
                    // What a dying worker has accepted in its last moment dies with it.
                    let client = try await eventually("a session") {
                        try? MQTTTestClient.connected(to: .ipv4(port), id: id)
                    }
                    client.disconnect()
                }
                try await eventually("six lines more") { lines(of: path).count >= before + 6 }
                let victims = weir.workers
                for victim in victims { kill(victim, SIGKILL) }
                try await eventually("other workers") {
                    weir.workers.count == 2 && Set(weir.workers).isDisjoint(with: victims)
                }
            }
            let all = lines(of: path).map { $0.split(separator: " ").map(String.init) }
            #expect(Set(all.map { $0[0] }).count == all.count, "\(all)")
            let run = try #require(all.first?[0].prefix(8))
            #expect(run.allSatisfy { $0.isHexDigit })
            for line in all {
                #expect(line[0] == "\(run)-\(line[1])", "\(line)")
                // The client's address stands in the first error line of its session alone.
                let first = weir.errorLines.filter { $0.contains(" client 127.0.0.1:\(line[3]) connected to ") }
                #expect(first.contains { $0.contains(": *\(line[1]) client ") }, "\(line) \(first)")
                #expect(weir.errorLines.count { $0.contains(": *\(line[1]) ") } >= 2, "\(line)")
            }
        }
    }
}
