// SPDX-License-Identifier: Apache-2.0
//
// `random` and `random two` over real sockets. Chance may do what it likes within bounds that a sound program leaves
// less than once in a billion runs; round robin, equal shares or a choice that does not count sessions leave them.

import Glibc
import TestSupport
import Testing

@Suite("choice by chance")
struct RandomChoiceTests {
    /// Chernoff: of `total` independent draws, a share of `count` or one yet further from `share` comes at most with
    /// the chance exp(-total · D(count / total ‖ share)), on each side. The bound of 24 is one in 26 billion.
    private func isOrdinary(_ count: Int, of total: Int, share: Double) -> Bool {
        let seen = Double(count) / Double(total)
        func term(_ seen: Double, _ share: Double) -> Double { seen == 0 ? 0 : seen * log(seen / share) }
        return Double(total) * (term(seen, share) + term(1 - seen, 1 - share)) < 24
    }

    /// A session, and the place of the broker that got it.
    private func open(
        _ number: Int, _ port: UInt16, _ group: NullGroup
    ) throws -> (client: MQTTTestClient, place: Int) {
        let before = group.counts
        let client = try MQTTTestClient.connected(to: .ipv4(port), id: "client-\(number)")
        let after = group.counts
        guard let place = after.indices.first(where: { after[$0] != before[$0] }) else {
            throw TestFault("no broker got \(client.id): \(before), \(after)")
        }
        return (client, place)
    }

    @Test("random follows the weights, leaves out what is down, and is no rotation")
    func one() async throws {
        let group = try NullGroup(4)
        let port = try PortRegistry.take()
        let stream = """
            upstream brokers { random; \(group.servers(["", "weight=2", "", "down"])) }
            server { listen 127.0.0.1:\(port); proxy_pass brokers; }
            """
        try await withWeir(stream: stream, workers: 2, level: "notice") { _ in
            let total = 900
            var places: [Int] = []
            for number in 0..<total {
                let session = try open(number, port, group)
                places.append(session.place)
                session.client.disconnect()
            }
            #expect(group.counts[3] == 0)
            for (place, share) in [0.25, 0.5, 0.25].enumerated() {
                #expect(isOrdinary(group.counts[place], of: total, share: share), "\(group.counts)")
            }
            // Two in a row at the same broker: 1/16 + 1/4 + 1/16. Pairs that do not overlap are independent.
            let twins = stride(from: 0, to: total, by: 2).count { places[$0] == places[$0 + 1] }
            #expect(isOrdinary(twins, of: total / 2, share: 0.375), "\(twins) pairs of \(total / 2)")
        }
    }

    @Test(
        "random two takes the one with fewer sessions, counted over both workers",
        arguments: ["random two", "random two least_conn"])
    func two(method: String) async throws {
        let group = try NullGroup(3)
        let port = try PortRegistry.take()
        // With two servers up, two different ones are always the same two, so the choice is no matter of chance but
        // where twenty draws in a row miss (one in 200,000, given these weights); round robin then decides.
        let stream = """
            upstream brokers { \(method); \(group.servers(["weight=10", "weight=10", "down"])) }
            server { listen 127.0.0.1:\(port); proxy_pass brokers; }
            """
        try await withWeir(stream: stream, workers: 2, level: "notice") { weir in
            var clients: [MQTTTestClient] = []
            for number in 0..<200 {
                clients.append(try open(number, port, group).client)
                // A row of coin flips leaves this band in all but one of a thousand runs; misses need five in a row.
                let counts = group.counts
                #expect(abs(counts[0] - counts[1]) <= 5, "\(counts) after \(number + 1)")
            }
            #expect(group.counts[2] == 0)

            // All sessions of one broker end, and the next ones go there.
            let former = group.counts
            for session in group.brokers[1].sessions { session.connection.reset() }
            _ = try await weir.accessLines(atLeast: former[1])
            for number in 0..<80 { clients.append(try open(200 + number, port, group).client) }
            #expect(group.counts[1] - former[1] >= 75, "\(former), \(group.counts)")
            for client in clients { client.connection.close() }
        }
    }
}
