// SPDX-License-Identifier: Apache-2.0
//
// Processes of Weir that are killed or stopped under traffic: who notices, and how soon all is well again.

import Glibc
import TestSupport
import Testing

extension Faults {
    @Suite("of processes")
    struct Processes {
        private static let killed = ["exited on signal 9"]

        @Test("a killed worker takes only its own sessions along, and leaves no session counted behind")
        func killedWorker() async throws {
            let group = try NullGroup(2)
            let port = try PortRegistry.take()
            let stream = """
                upstream brokers { zone brokers 64k; least_conn; \(group.servers(["max_conns=20", "max_conns=20"])) }
                server { listen 127.0.0.1:\(port); mqtt_preread on; proxy_pass brokers; }
                """
            try await withHurtWeir(stream: stream, workers: 2, expecting: Self.killed) { weir in
                var alive = try (0..<20).map { try MQTTTestClient.connected(to: .ipv4(port), id: "first-\($0)") }
                let loop = ClosedLoop(clients: 4, to: port)
                try await loop.progress(20)
                var fastest = Duration.seconds(60)
                for round in 0..<3 {
                    let victim = try await weir.worker(of: alive[0].connection)
                    var others: [MQTTTestClient] = []
                    var lost: [MQTTTestClient] = []
                    for client in alive {
                        let isLost = try await weir.worker(of: client.connection) == victim
                        if isLost { lost.append(client) } else { others.append(client) }
                    }
                    let start = ContinuousClock.now
                    kill(victim, SIGKILL)
                    // What the dying worker has accepted in its last moment dies with it, so a second try is allowed.
                    let next = try await eventually("a connection after the kill") {
                        try? MQTTTestClient.connected(to: .ipv4(port), id: "next-\(round)")
                    }
                    fastest = min(fastest, ContinuousClock.now - start)
                    for client in lost { _ = try client.connection.waitForEnd() }
                    for client in others { try client.ping() }
                    try await weir.isWhole(workers: 2)
                    alive = [next] + others
                }
                #expect(fastest < .seconds(1))
                try await loop.progress(100)
                // Each kill broke at most the one connection that each of the four had.
                let broken = loop.end()
                #expect(broken.count <= 12, "\(broken)")
                #expect(!broken.contains { $0.contains("deadline") }, "\(broken)")

                // The region counts those who live, and only them: there is room for exactly so many more.
                try await eventually("brokers lost what the workers held") {
                    group.brokers.map(\.openCount).reduce(0, +) == alive.count
                }
                while alive.count < 40 {
                    alive.append(try MQTTTestClient.connected(to: .ipv4(port), id: "more-\(alive.count)"))
                }
                #expect(group.brokers.map(\.openCount) == [20, 20])
                #expect(try TCPConnection(to: .ipv4(port)).sent(connect("one too many")).receiveToEnd() == [])
                try await weir.ended("no_broker", 1)
            }
        }

        @Test("a killed prober is replaced; sessions do not notice and health keeps its word")
        func killedProber() async throws {
            let group = try NullGroup(2)
            group.brokers[1].behave(NullBroker.answer([0x20, 2, 0, 5]))
            let port = try PortRegistry.take()
            let stream = """
                upstream brokers { zone brokers 64k; \(group.servers()) }
                \(talkMatch)
                server {
                    listen 127.0.0.1:\(port);
                    mqtt_preread on;
                    proxy_pass brokers;
                    health_check interval=200ms match=mqtt;
                    health_check_timeout 300ms;
                }
                """
            try await withHurtWeir(stream: stream, workers: 2, expecting: Self.killed) { weir in
                try await weir.errorLine(with: "peer is unhealthy", group.brokers[1].endpoint.text)
                let standing = try (0..<5).map { try MQTTTestClient.connected(to: .ipv4(port), id: "standing-\($0)") }
                let workers = weir.workers
                for _ in 0..<3 {
                    let former = try #require(weir.prober)
                    kill(former, SIGKILL)
                    // A client that met the unhealthy broker would get its refusal.
                    for number in 0..<10 {
                        try MQTTTestClient.connected(to: .ipv4(port), id: "while-\(number)").disconnect()
                    }
                    try await eventually("another prober than \(former)") { weir.prober.map { $0 != former } ?? false }
                }
                for client in standing { try client.ping() }
                #expect(weir.workers == workers)
                #expect(!weir.errorLines.contains { $0.contains("peer is healthy") })

                // The successor checks.
                group.brokers[1].behave(NullBroker.mqtt)
                try await weir.errorLine(with: "peer is healthy", group.brokers[1].endpoint.text)
            }
        }

        @Test("when the master is killed its children leave, the port is free, and a successor takes over")
        func killedMaster() async throws {
            let group = try NullGroup(1)
            let port = try PortRegistry.take()
            let stream =
                "server { listen 127.0.0.1:\(port); mqtt_preread on; proxy_pass \(group.brokers[0].endpoint.text); }"
            let directory = try TemporaryDirectory()
            let weir = try await WeirInstance.start(in: directory, stream: stream, workers: 2)
            let clients = try (0..<6).map { try MQTTTestClient.connected(to: .ipv4(port), id: "standing-\($0)") }
            let children = weir.children.map(\.id)
            #expect(children.count == 3)

            weir.send(SIGKILL)
            #expect(try await weir.process.wait() == .signalled(SIGKILL))
            try await eventually("no child lives\n\(weir.report)", within: .seconds(5)) {
                !children.contains { ProcessTable.isAlive($0) }
            }
            for client in clients { _ = try client.connection.waitForEnd() }
            // The kernel takes the rings of the dead apart behind their backs, and the sockets with them.
            try await eventually("port \(port) is free") { !ListeningPorts.contains(port) }
            try await weir.errorLine(with: "[alert]", "the master process is gone")
            try await weir.ended("shutdown", clients.count)

            let successor = try await WeirInstance.start(in: directory, stream: stream, workers: 2)
            try MQTTTestClient.connected(to: .ipv4(port), id: "next").disconnect()
            try await successor.isWhole(workers: 2)
            try await successor.stop(expecting: ["the master process is gone", "the master process has gone"])
        }

        private func returning(_ word: String, _ port: UInt16) -> String {
            "server { listen 127.0.0.1:\(port); return \(word); }"
        }

        private func answer(_ port: UInt16) throws -> String {
            String(decoding: try TCPConnection(to: .ipv4(port)).receiveToEnd(), as: UTF8.self)
        }

        @Test("a reload waits for a stopped worker, nothing changes meanwhile, and it is done when the worker goes on")
        func reloadMeetsStoppedWorker() async throws {
            let port = try PortRegistry.take()
            try await withHurtWeir(stream: returning("one", port), workers: 2) { weir in
                let workers = weir.workers
                let stopped = workers[0]
                kill(stopped, SIGSTOP)
                defer { kill(stopped, SIGCONT) }
                try weir.rewrite(stream: returning("two", port), workers: 2)
                weir.send(SIGHUP)
                try await weir.errorLine(with: "reconfiguring")
                // About half of these wait at the stopped worker.
                let clients = try (0..<24).map { _ in try TCPConnection(to: .ipv4(port)) }
                try await eventually("the other worker answers\n\(weir.report)") {
                    clients.count { !$0.isQuiet } >= 4
                }
                let early = clients.filter { !$0.isQuiet }
                for client in early { #expect(try client.receiveToEnd() == Array("one".utf8)) }
                #expect(weir.appliedCount == 0)

                kill(stopped, SIGCONT)
                try await weir.errorLine(with: " applied; generation ")
                for client in clients where !early.contains(where: { $0 === client }) {
                    #expect(["one", "two"].contains(String(decoding: try client.receiveToEnd(), as: UTF8.self)))
                }
                try await eventually("all answer by the new configuration") { try answer(port) == "two" }
                for _ in 0..<20 { #expect(try answer(port) == "two") }
                #expect(weir.workers == workers)
            }
        }

        @Test("a worker that dies during a reload makes it give up: nothing changes, and the next reload works")
        func workerDiesInReload() async throws {
            let port = try PortRegistry.take()
            try await withHurtWeir(stream: returning("one", port), workers: 2, expecting: Self.killed) { weir in
                let victim = weir.workers[0]
                // Stopped, so that the reload is still waiting for it when it dies.
                kill(victim, SIGSTOP)
                try weir.rewrite(stream: returning("two", port), workers: 2)
                weir.send(SIGHUP)
                try await weir.errorLine(with: "reconfiguring")
                kill(victim, SIGKILL)
                try await weir.errorLine(with: "[error]", "not applied", "exited on signal 9 while it was preparing")
                try await weir.isWhole(workers: 2)
                for _ in 0..<20 { #expect(try answer(port) == "one") }

                try await weir.reload()
                try await eventually("all answer by the new configuration") { try answer(port) == "two" }
                for _ in 0..<20 { #expect(try answer(port) == "two") }
            }
        }

        @Test("a worker that dies again and again gets a pause, and what connects meanwhile is served after it")
        func crashLoop() async throws {
            let group = try NullGroup(1)
            let port = try PortRegistry.take()
            let stream =
                "server { listen 127.0.0.1:\(port); mqtt_preread on; proxy_pass \(group.brokers[0].endpoint.text); }"
            let expected = Self.killed + ["dies again and again"]
            try await withHurtWeir(stream: stream, expecting: expected) { weir in
                var former: Int32 = 0
                for _ in 0..<5 {
                    let victim = try await eventually("a worker after \(former)\n\(weir.report)") {
                        weir.workers.first { $0 != former }
                    }
                    try MQTTTestClient.connected(to: .ipv4(port), id: "between").disconnect()
                    kill(victim, SIGKILL)
                    former = victim
                }
                try await weir.errorLine(
                    with: "[alert]", "worker process dies again and again, the next one starts in 1 s")
                #expect(weir.workers.isEmpty)
                try MQTTTestClient.connected(to: .ipv4(port), id: "in the pause").disconnect()
                try await weir.isWhole(workers: 1)
            }
        }
    }
}

extension TCPConnection {
    /// Sends and goes on with the same connection.
    func sent(_ bytes: [UInt8]) throws -> TCPConnection {
        try send(bytes)
        return self
    }
}
