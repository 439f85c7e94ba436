// SPDX-License-Identifier: Apache-2.0
//
// The admin process from outside: started, replaced, reloaded and ended by the master, and never felt by a session.

import Foundation
import Glibc
import TestSupport
import Testing

@Suite("admin process")
struct AdminProcessTests {
    private static func http(_ listens: [String]) -> String {
        "http { server { \(listens.map { "listen \($0);" }.joined(separator: " ")) location /api { api write=on; } } }"
    }

    private static func status(_ port: UInt16) throws -> Int {
        try HTTPTestClient.get("/api/9/nginx", at: .ipv4(port)).status
    }

    @Test("it has its title and a view of the region that cannot be written, and ends with the master")
    func starts() async throws {
        let ports = try PortRegistry.take(count: 2)
        let stream = "server { listen 127.0.0.1:\(ports[0]); return hello; }"
        try await withWeir(main: Self.http(["127.0.0.1:\(ports[1])"]), stream: stream, workers: 2) { weir in
            let admin = try #require(weir.admin)
            #expect(contents(of: "/proc/\(admin)/cmdline").split(separator: "\0").first == "weir: admin process")
            let answer = try HTTPTestClient.get("/api/9/nginx", at: .ipv4(ports[1]))
            #expect(answer.status == 200 && answer.text.contains("\"ppid\""))
            // The region is mapped once, shared and read-only, and nothing else of it is open.
            let maps = contents(of: "/proc/\(admin)/maps").split(separator: "\n").filter { $0.contains("weir-shared") }
            #expect(!maps.isEmpty && maps.allSatisfy { $0.contains(" r--s ") })
            // One thread a process holds for all the others.
            for id in [weir.masterID] + weir.workers + [try #require(weir.prober)] {
                #expect(ProcessTable.threadCount(of: id) == 1)
            }
        }
    }

    @Test("it ends quietly in the middle of connections, of which some are between requests and one is a stream")
    func stopsQuietly() async throws {
        let ports = try PortRegistry.take(count: 2)
        let main = """
            http { server {
                listen 127.0.0.1:\(ports[1]);
                location /api { api; }
                location /dashboard { dashboard; }
            } }
            """
        let weir = try await WeirInstance.start(
            main: main, stream: "server { listen 127.0.0.1:\(ports[0]); return hello; }")
        let connections = try (0..<20).map { _ in try TCPConnection(to: .ipv4(ports[1])) }
        for (number, connection) in connections.enumerated() {
            let path = number == 0 ? "/dashboard/events" : "/api/9/nginx"
            try connection.send(Array("GET \(path) HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8))
            #expect(try #require(try connection.receive()).starts(with: Array("HTTP/1.1 200".utf8)))
        }
        try await weir.stop()
        #expect(weir.process.output == "")
        for connection in connections { connection.close() }
    }

    @Test("killed, it costs no session, comes back, and answers whoever connected meanwhile")
    func killed() async throws {
        let broker = try NullBroker()
        let ports = try PortRegistry.take(count: 2)
        let stream = "server { listen 127.0.0.1:\(ports[0]); proxy_pass \(broker.endpoint.text); }"
        try await withWeir(
            main: Self.http(["127.0.0.1:\(ports[1])"]), stream: stream, workers: 2, expecting: ["exited on signal 9"]
        ) { weir in
            let clients = try (0..<6).map { try MQTTTestClient.connected(to: .ipv4(ports[0]), id: "standing-\($0)") }
            let others = weir.workers + [try #require(weir.prober)]
            for _ in 0..<3 {
                let former = try #require(weir.admin)
                kill(former, SIGKILL)
                // Its socket is the master's, so this waits in the queue until somebody takes it.
                #expect(try Self.status(ports[1]) == 200)
                #expect(weir.admin != former)
            }
            for client in clients { try client.ping() }
            #expect(weir.workers + [try #require(weir.prober)] == others)
        }
    }

    @Test("a reload starts it, adds, moves and removes its listeners, and ends it; connections in use go on")
    func reload() async throws {
        let ports = try PortRegistry.take(count: 3)
        let stream = "server { listen 127.0.0.1:\(ports[0]); return hello; }"
        try await withWeir(stream: stream) { weir in
            #expect(weir.admin == nil)
            try await weir.reload(main: Self.http(["127.0.0.1:\(ports[1])"]), stream: stream)
            #expect(try Self.status(ports[1]) == 200)
            let admin = try #require(weir.admin)

            // A unix socket more, with an idle connection at the first address.
            let path = weir.directory.path("admin.sock")
            let standing = try TCPConnection(to: .ipv4(ports[1]))
            let request = Array("GET /api/9/nginx HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8)
            try standing.send(request)
            #expect(try #require(try standing.receive()).starts(with: Array("HTTP/1.1 200".utf8)))
            try await weir.reload(main: Self.http(["127.0.0.1:\(ports[1])", "unix:\(path)"]), stream: stream)
            let local = try await ManagedProcess.run("curl", ["-s", "--unix-socket", path, "http://weir/api/9/nginx"])
            #expect(local.output.contains("\"ppid\""))

            try await weir.reload(main: Self.http(["127.0.0.1:\(ports[2])"]), stream: stream)
            #expect(try Self.status(ports[2]) == 200)
            try await eventually("the old address is closed") { !ListeningPorts.contains(ports[1]) }
            #expect(!FileManager.default.fileExists(atPath: path))
            #expect(weir.admin == admin, "one process for all of this")

            try await weir.reload(stream: stream)
            try await eventually("no admin process is left") {
                weir.admin == nil && !ListeningPorts.contains(ports[2])
            }
            #expect(try TCPConnection(to: .ipv4(ports[0])).receiveToEnd() == Array("hello".utf8))
        }
    }

    @Test("without weirctl beside it the balancer serves, and says what to do")
    func missing() async throws {
        let directory = try TemporaryDirectory()
        try directory.makeDirectory("logs")
        let binary = directory.path("weir")
        // By another process: a child that a test beside this one forks meanwhile would hold the copy open for writing,
        // and nobody could run it.
        #expect(try await ManagedProcess.run("cp", [try WeirBinary.path, binary]).ending == .exited(0))
        let ports = try PortRegistry.take(count: 2)
        let stream = "server { listen 127.0.0.1:\(ports[0]); return hello; }"
        try directory.write(
            WeirInstance.configuration(main: Self.http(["127.0.0.1:\(ports[1])"]), stream: stream), to: "weir.conf")
        let weir = try ManagedProcess(
            binary, ["-p", directory.path, "-c", "weir.conf"], output: directory.path("output"))
        try await eventually("the log says so: \(weir.output)\(contents(of: directory.path("logs/error.log")))") {
            let log = contents(of: directory.path("logs/error.log"))
            return log.contains("execve(\"\(directory.path)/weirctl\") failed (2: No such file or directory)")
                && log.contains("there is no admin process until the next reload")
        }
        #expect(try TCPConnection(to: .ipv4(ports[0])).receiveToEnd() == Array("hello".utf8))
        let alerts = contents(of: directory.path("logs/error.log")).split(separator: "\n").count { $0.contains("[alert]") }
        #expect(alerts <= 3, "once, not in a loop")
        weir.send(SIGTERM)
        #expect(try await weir.wait() == .exited(0))
    }

    @Test("master_process off has none and says so; -t takes http {}")
    func single() async throws {
        let directory = try TemporaryDirectory()
        try directory.makeDirectory("logs")
        let ports = try PortRegistry.take(count: 2)
        let text = WeirInstance.configuration(
            main: "master_process off; " + Self.http(["127.0.0.1:\(ports[1])"]),
            stream: "server { listen 127.0.0.1:\(ports[0]); return hello; }")
        try directory.write(text, to: "weir.conf")
        let test = try await ManagedProcess.run(try WeirBinary.path, ["-t", "-p", directory.path, "-c", "weir.conf"])
        #expect(test.ending == .exited(0), "\(test.output)")
        let weir = try ManagedProcess(
            try WeirBinary.path, ["-p", directory.path, "-c", "weir.conf"], output: directory.path("output"))
        try await eventually("it listens: \(weir.output)") { ListeningPorts.contains(ports[0]) }
        #expect(contents(of: directory.path("logs/error.log")).contains("\"http\" ignored, without a master process"))
        #expect(!ListeningPorts.contains(ports[1]))
        weir.send(SIGTERM)
        #expect(try await weir.wait() == .exited(0))
    }
}
