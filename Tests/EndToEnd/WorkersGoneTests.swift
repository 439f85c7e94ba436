// SPDX-License-Identifier: Apache-2.0
//
// A master whose workers left at its word (WINCH), or do not answer it (stopped): what still serves, what waits, and
// how a reload ends it.

import Glibc
import TestSupport
import Testing

@Suite("workers that are gone or silent")
struct WorkersGoneTests {
    @Test(
        "WINCH: workers leave with their last session, the port queues, and HUP brings workers that serve the queue",
        arguments: [true, false])
    func windowChange(sessionsStand: Bool) async throws {
        let broker = try NullBroker()
        let port = try PortRegistry.take()
        let stream = "server { listen 127.0.0.1:\(port); mqtt_preread on; proxy_pass \(broker.endpoint.text); }"
        try await withWeir(stream: stream, workers: 2) { weir in
            let former = weir.workers
            let standing = try (0..<10).map { try MQTTTestClient.connected(to: .ipv4(port), id: "standing-\($0)") }
            weir.send(SIGWINCH)
            try await weir.errorLine(
                with: "[notice]", "signal 28 (SIGWINCH) received", "stop accepting connections")
            // What reaches a worker before it has closed its listeners is served; then nobody accepts any more.
            let waiting = try await eventually("a client that nobody serves\n\(weir.report)") {
                let client = try MQTTTestClient(to: .ipv4(port), id: "waiting")
                guard (try? client.connack(within: .milliseconds(500))) == nil else {
                    client.disconnect()
                    return MQTTTestClient?.none
                }
                return client
            }
            for client in standing { try client.ping() }

            if !sessionsStand {
                for client in standing { client.disconnect() }
                try await eventually("all workers are gone: \(weir.children)") { weir.workers.isEmpty }
                #expect(weir.children.map(\.role) == [.prober])
            }
            #expect(weir.process.isRunning)
            #expect(ListeningPorts.contains(port))
            #expect(waiting.connection.isQuiet)

            try await weir.reload()
            #expect(try waiting.connack() == 0)
            try waiting.ping()
            for number in 0..<10 { try MQTTTestClient.connected(to: .ipv4(port), id: "new-\(number)").disconnect() }
            if sessionsStand {
                for client in standing { try client.ping() }
                for client in standing { client.disconnect() }
            }
            try await eventually("the next two are there: \(weir.children)") {
                weir.workers.count == 2 && Set(weir.workers).isDisjoint(with: former)
            }
            try waiting.ping()
            #expect(!weir.errorLines.contains { $0.contains("[alert]") })
        }
    }

    /// Takes the minute that a worker has, beside the other tests, with nothing to compute.
    @Test("a reload is given up when a stopped worker has not answered for a minute, and the old generation goes on")
    func stoppedWorker() async throws {
        let group = try NullGroup(2)
        let port = try PortRegistry.take()
        func stream(_ broker: Int) -> String {
            "server { listen 127.0.0.1:\(port); mqtt_preread on; proxy_pass \(group.brokers[broker].endpoint.text); }"
        }
        try await withWeir(stream: stream(0), workers: 2) { weir in
            let workers = weir.workers
            let standing = try (0..<10).map { try MQTTTestClient.connected(to: .ipv4(port), id: "standing-\($0)") }
            let stopped = try await weir.worker(of: standing[0].connection)
            var served: [MQTTTestClient] = []
            for client in standing where try await weir.worker(of: client.connection) != stopped {
                served.append(client)
            }
            kill(stopped, SIGSTOP)
            // Whatever fails here, a stopped process would outlive its master.
            defer { if ProcessTable.isAlive(stopped) { kill(stopped, SIGCONT) } }
            try weir.rewrite(stream: stream(1), workers: 2)
            let begin = ContinuousClock.now
            weir.send(SIGHUP)
            try await weir.errorLine(with: "signal 1 (SIGHUP) received")
            for client in served { try client.ping() }
            let line = try await weir.errorLine(
                with: "weir.conf not applied; generation 1 goes on", "worker process did not answer in time",
                within: .seconds(90))
            #expect(line.contains("[err"), "\(line)")
            #expect(ContinuousClock.now - begin > .seconds(58))
            #expect(weir.appliedCount == 0)
            for client in served { try client.ping() }

            // It hears of the attempt and of its end, and is as good as the other one.
            kill(stopped, SIGCONT)
            for client in standing { try client.ping() }
            for number in 0..<20 { try MQTTTestClient.connected(to: .ipv4(port), id: "old-\(number)").disconnect() }
            #expect(group.counts == [30, 0])
            try await weir.reload()
            for number in 0..<20 { try MQTTTestClient.connected(to: .ipv4(port), id: "new-\(number)").disconnect() }
            #expect(group.counts == [30, 20])
            for client in standing { try client.ping() }
            #expect(weir.workers == workers)
        }
    }
}
