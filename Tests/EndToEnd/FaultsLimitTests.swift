// SPDX-License-Identifier: Apache-2.0
//
// Our own limits: descriptors, connections, the disk. Each is said clearly, costs no processor time, and is over as
// soon as it can be.

import Foundation
import Glibc
import TestSupport
import Testing

extension Faults {
    @Suite("of limits")
    struct Limits {
        /// What a worker uses of the processor in a second, in ticks of 10 ms. The interval is the measurement.
        private func ticksInASecond(_ worker: Int32) async throws -> Int {
            let before = ProcessTable.processorTicks(of: worker)
            try await Task.sleep(for: .seconds(1))
            return ProcessTable.processorTicks(of: worker) - before
        }

        private func limit(_ worker: Int32, descriptors: Int) async throws {
            let result = try await ManagedProcess.run(
                "prlimit", ["--pid", "\(worker)", "--nofile=\(descriptors):"])
            guard result.ending == .exited(0) else { throw TestFault("prlimit: \(result.output)") }
        }

        @Test("out of descriptors: a clear line, no spinning, and those who waited are served when sessions end")
        func descriptors() async throws {
            let broker = try NullBroker()
            let ports = try PortRegistry.take(count: 2)
            func stream(_ listen: String) -> String {
                """
                mqtt_preread on;
                server { listen 127.0.0.1:\(ports[0]); \(listen) proxy_pass \(broker.endpoint.text); }
                """
            }
            // As our own user, since the limit is lowered from outside.
            let user = "user \(NSUserName());"
            try await withHurtWeir(main: user, stream: stream("")) { weir in
                let worker = try #require(weir.workers.first)
                // A multishot accept keeps the limit that it was begun under, so it must begin after it. There is room
                // for ten sessions and one descriptor more, with which one more client has no broker.
                try await limit(worker, descriptors: Descriptors(worker).links.count + 22)
                try await weir.reload(main: user, stream: stream("listen 127.0.0.1:\(ports[1]);"))
                let held = try (0..<10).map { try MQTTTestClient.connected(to: .ipv4(ports[1]), id: "held-\($0)") }
                let unlucky = try TCPConnection(to: .ipv4(ports[1])).sent(connect("unlucky"))
                #expect(try unlucky.receiveToEnd() == [])
                try await weir.errorLine(with: "[crit]", "socket() to upstream failed (24: Too many open files)")
                try await weir.ended("out_of_resources", 1)

                // This one takes the last and keeps it; whoever comes now waits in the queue.
                let last = try TCPConnection(to: .ipv4(ports[1]))
                #expect(try await weir.worker(of: last) == worker)
                let waiting = try (0..<5).map { try MQTTTestClient(to: .ipv4(ports[1]), id: "waiting-\($0)") }
                try await weir.errorLine(
                    with: "[crit]", "accept4() failed (24: Too many open files)", "worker_rlimit_nofile")
                #expect(try await ticksInASecond(worker) < 20)
                #expect(weir.errorLines.count { $0.contains("accept4() failed") } < 20)
                for client in held { try client.ping(within: .seconds(2)) }
                for client in waiting { #expect(client.connection.isQuiet) }

                for client in held { client.disconnect() }
                // They are taken as descriptors come free: who finds none left for its broker is closed with a line,
                // the others are served.
                let served = waiting.count { (try? $0.connack()) == 0 }
                try await eventually("the others have their line") {
                    weir.ends("out_of_resources") == 1 + waiting.count - served
                }
                for client in waiting { client.disconnect() }
                last.close()
                try MQTTTestClient.connected(to: .ipv4(ports[1]), id: "next").disconnect()
                try await eventually("the broker has none left") { broker.openCount == 0 }
                try await weir.reload(main: user, stream: stream(""))
            }
        }

        @Test(
            "at worker_connections: an alert, new clients are closed at once, and there is room again after others end")
        func connections() async throws {
            let broker = try NullBroker()
            let port = try PortRegistry.take()
            let directory = try TemporaryDirectory()
            let text = WeirInstance.configuration(
                stream: "server { listen 127.0.0.1:\(port); mqtt_preread on; proxy_pass \(broker.endpoint.text); }"
            ).replacingOccurrences(of: "events { }", with: "events { worker_connections 40; }")
            let weir = try await WeirInstance.start(in: directory, configuration: text)
            let worker = try #require(weir.workers.first)
            for round in 0..<3 {
                let held = try (0..<20).map { try MQTTTestClient.connected(to: .ipv4(port), id: "held-\(round)-\($0)") }
                for _ in 0..<10 { _ = try TCPConnection(to: .ipv4(port)).waitForEnd(within: .seconds(2)) }
                try await weir.errorLine(with: "[alert]", "40 worker_connections are not enough")
                for client in held { try client.ping(within: .seconds(2)) }
                #expect(try await ticksInASecond(worker) < 20)
                for client in held { client.disconnect() }
                try await eventually("the broker has none left") { broker.openCount == 0 }
            }
            #expect(broker.connectionCount == 60)
            try await weir.isWhole(workers: 1)
            try await weir.stop(expecting: ["worker_connections are not enough"])
        }

        @Test("a small worker_rlimit_nofile: as many sessions as the start said fit, and the next ones are closed")
        func smallLimit() async throws {
            let broker = try NullBroker()
            let port = try PortRegistry.take()
            let stream = "server { listen 127.0.0.1:\(port); mqtt_preread on; proxy_pass \(broker.endpoint.text); }"
            let expected = ["worker_connections are not enough"]
            try await withHurtWeir(main: "worker_rlimit_nofile 100;", stream: stream, expecting: expected) { weir in
                let line = try await weir.errorLine(with: " sessions fit: ")
                let fitting = try #require(
                    line.split(separator: " sessions fit: ").first?.split(separator: " ").last.flatMap { Int($0) })
                #expect((20...50).contains(fitting))
                let held = try (0..<fitting).map { try MQTTTestClient.connected(to: .ipv4(port), id: "held-\($0)") }
                for _ in 0..<10 { _ = try TCPConnection(to: .ipv4(port)).waitForEnd(within: .seconds(2)) }
                try await weir.errorLine(with: "[alert]", "worker_connections are not enough")
                held[0].disconnect()
                try await eventually("there is room for one") { broker.openCount == fitting - 1 }
                try await eventually("the next one is served") {
                    let next = try MQTTTestClient(to: .ipv4(port), id: "next")
                    defer { next.disconnect() }
                    return (try? next.connack()) == 0
                }
                #expect(!weir.errorLines.contains { $0.contains("Too many open files") })
            }
        }

        @Test("a full disk under the access log: one alert in the error log, and traffic goes on")
        func fullDisk() async throws {
            let broker = try NullBroker()
            let port = try PortRegistry.take()
            let stream = """
                access_log /dev/full end;
                server { listen 127.0.0.1:\(port); mqtt_preread on; proxy_pass \(broker.endpoint.text); }
                """
            let loss = "lines could not be written to /dev/full; is the disk full?"
            try await withHurtWeir(stream: stream, expecting: [loss]) { weir in
                let standing = try MQTTTestClient.connected(to: .ipv4(port), id: "standing")
                for number in 0..<100 { try MQTTTestClient.connected(to: .ipv4(port), id: "\(number)").disconnect() }
                try await weir.errorLine(with: "[alert]", loss)
                for number in 0..<100 { try MQTTTestClient.connected(to: .ipv4(port), id: "\(number)").disconnect() }
                try standing.ping(within: .seconds(2))
                #expect(weir.errorLines.count { $0.contains(loss) } == 1)
            }
        }
    }
}
