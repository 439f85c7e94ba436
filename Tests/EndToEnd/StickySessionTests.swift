// SPDX-License-Identifier: Apache-2.0
//
// The main promise: a device comes back to its broker, wherever it connects from, and to the one that nginx chose.

import TestSupport
import Testing

@Suite("sticky sessions")
struct StickySessionTests {
    @Test(
        "a client id comes back to its Mosquitto from every address, and to the one that nginx chose",
        arguments: [
            [1, 1, 1], [5, 2, 1],
        ])
    func plainHash(weights: [Int]) async throws {
        let trio = try await MosquittoTrio()
        let port = try PortRegistry.take()
        let stream = """
            upstream brokers { hash $mqtt_preread_clientid; \(trio.servers(weights: weights)) }
            server { listen 127.0.0.1:\(port); mqtt_preread on; proxy_pass brokers; }
            """
        try await withWeir(stream: stream, workers: 2) { weir in
            let choices = RecordedChoice.all.filter { $0.mode == "hash" && $0.weights == weights }.prefix(60)
            #expect(choices.count == 60)
            for round in 1...2 {
                for (index, choice) in choices.enumerated() {
                    let source = "127.0.\(round).\(index % 200 + 1)"
                    let client = try MQTTTestClient.connected(to: .ipv4(port), id: choice.clientID, from: source)
                    try client.ping()
                    client.disconnect()
                }
            }
            for index in 0..<3 {
                let expected = choices.filter { $0.server == index }.map(\.clientID)
                try await eventually("broker \(index) got \(expected), not \(trio.brokers[index].connectedIDs)") {
                    trio.brokers[index].connectedIDs.sorted() == (expected + expected).sorted()
                }
            }
            let log = try await weir.accessLines(atLeast: choices.count * 2)
            #expect(log.allSatisfy { $0.contains(" 200 ") })
        }
    }

    @Test("hash … consistent chooses what nginx chose, for every recorded id")
    func consistentHash() async throws {
        // The ring hangs on the addresses, so these three brokers must be where they were recorded.
        var brokers: [NullBroker] = []
        for port in [18_831, 18_832, 18_833] as [UInt16] {
            try await PortRegistry.take(exactly: port)
            brokers.append(try NullBroker(at: .ipv4(port)))
        }
        let ports = try PortRegistry.take(count: 2)
        let stream = """
            upstream even { hash $mqtt_client_id consistent; \(brokers.map { "server \($0.endpoint.text);" }.joined()) }
            upstream uneven {
                hash $mqtt_clientid consistent;
                server 127.0.0.1:18831 weight=5; server 127.0.0.1:18832 weight=2; server 127.0.0.1:18833;
            }
            mqtt_preread on;
            server { listen 127.0.0.1:\(ports[0]); proxy_pass even; }
            server { listen 127.0.0.1:\(ports[1]); proxy_pass uneven; }
            """
        try await withWeir(stream: stream, workers: 2) { weir in
            let choices = RecordedChoice.all.filter { $0.mode == "hash consistent" }
            #expect(choices.count == 500)
            for choice in choices {
                let client = try MQTTTestClient.connected(
                    to: .ipv4(ports[choice.weights == [1, 1, 1] ? 0 : 1]), id: choice.clientID)
                client.disconnect()
            }
            // Lines stand in order of the sessions' ends, which two workers do not keep: compare as sets.
            let log = try await weir.accessLines(atLeast: choices.count)
            let seen = log.map { line in
                let fields = line.split(separator: " ")
                return "\(fields[0]) \(fields[3])"
            }
            #expect(seen.sorted() == choices.map { "\($0.clientID) 127.0.0.1:1883\($0.server + 1)" }.sorted())
        }
    }

    @Test("the ids of a dead broker spread over the others, those of the living stay, and all come home after it")
    func deadBroker() async throws {
        let trio = try await MosquittoTrio()
        let port = try PortRegistry.take()
        let stream = """
            upstream brokers { hash $mqtt_preread_clientid consistent; \(trio.servers("max_fails=1 fail_timeout=1s")) }
            server { listen 127.0.0.1:\(port); mqtt_preread on; proxy_pass brokers; proxy_connect_timeout 1s; }
            """
        try await withWeir(stream: stream, workers: 2) { weir in
            func places(_ ids: [String]) async throws -> [String: Substring] {
                let before = weir.accessLines.count
                for id in ids { try MQTTTestClient.connected(to: .ipv4(port), id: id).disconnect() }
                let log = try await weir.accessLines(atLeast: before + ids.count).dropFirst(before)
                return Dictionary(
                    uniqueKeysWithValues: log.map { line in
                        // A refused try stands in front of the address that took the session.
                        let end = line.split(separator: " ").first {
                            $0.contains("client_closed") || $0.contains("broker_closed")
                        }
                        let fields = line.split(separator: " ")
                        let index = fields.firstIndex { $0 == end } ?? 0
                        let address = fields[index + 1].hasSuffix(",") ? fields[index + 2] : fields[index + 1]
                        return (String(fields[0]), address)
                    })
            }
            let ids = (0..<30).map { "meter-\($0)" }
            let home = try await places(ids)
            let dead = trio.brokers[1].endpoint.text
            #expect(home.values.contains { $0 == dead })

            trio.brokers[1].kill()
            let away = try await places(ids)
            #expect(!away.values.contains { $0 == dead })
            for (id, place) in home where place != dead { #expect(away[id] == place) }
            try await weir.errorLine(with: "[warn]", "upstream server temporarily disabled", dead)

            try await trio.brokers[1].start()
            try await eventually("all ids are back", within: .seconds(15)) { try await places(ids) == home }
        }
    }
}
