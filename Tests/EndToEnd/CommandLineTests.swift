// SPDX-License-Identifier: Apache-2.0
//
// The binary from a shell: flags and exit codes, what -t says about a wrong configuration, signals through the pid
// file, and the ways to run: in the background, without a master, twice.

import Foundation
import Glibc
import TestSupport
import Testing

@Suite("command line")
struct CommandLineTests {
    private func run(_ arguments: String...) async throws -> (ending: ManagedProcess.Ending, output: String) {
        try await ManagedProcess.run(try WeirBinary.path, arguments)
    }

    @Test("-v, -V, -h and -? exit 0, an unknown flag exits 1")
    func flags() async throws {
        let short = try await run("-v")
        #expect(short.ending == .exited(0) && short.output.hasPrefix("weir version: weir/"))
        let long = try await run("-V")
        #expect(long.ending == .exited(0) && long.output.contains("--prefix=/usr/local/weir"))
        for flag in ["-h", "-?"] {
            let help = try await run(flag)
            #expect(help.ending == .exited(0) && help.output.contains("-s signal"))
        }
        let unknown = try await run("-x")
        #expect(unknown.ending == .exited(1) && unknown.output.contains("invalid option: \"x\""))
        let signal = try await run("-s", "jump")
        #expect(signal.ending == .exited(1) && signal.output.contains("invalid option: \"-s jump\""))
    }

    @Test("-t names all errors with file, line, caret and a way out, and touches nothing")
    func testOfWrongConfiguration() async throws {
        let directory = try TemporaryDirectory()
        try directory.write(
            """
            events { }
            stream {
                upstream brokers { server 127.0.0.1; }
                include servers.conf;
                log_format a '$no_such_thing';
            }

            """, to: "weir.conf")
        try directory.write(
            """
            server {
                lissten 127.0.0.1:1;
                proxy_pass brokers;
                proxy_timeout soon;
            }

            """, to: "servers.conf")
        let result = try await run("-t", "-p", directory.path, "-c", "weir.conf")
        #expect(result.ending == .exited(1))
        let text = result.output
        #expect(text.contains("no port in upstream \"127.0.0.1\" in \(directory.path)/weir.conf:3"))
        #expect(text.contains("unknown directive \"lissten\" in \(directory.path)/servers.conf:2"))
        #expect(text.contains("did you mean \"listen\"?"))
        #expect(text.contains("invalid value \"soon\"") || text.contains("\"proxy_timeout\" directive invalid value"))
        #expect(text.contains("unknown \"no_such_thing\" variable"))
        #expect(text.contains("    lissten 127.0.0.1:1;"))
        #expect(text.contains("^"))
        #expect(text.contains("configuration file \(directory.path)/weir.conf test failed"))
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: directory.path).sorted() == [
                "servers.conf", "weir.conf",
            ])
    }

    @Test("-t and -T of a good configuration, while the same one runs; -q says nothing")
    func testOfGoodConfiguration() async throws {
        let port = try PortRegistry.take()
        try await withWeir(stream: "server { listen 127.0.0.1:\(port); return hello; }") { weir in
            let test = try await run("-t", "-p", weir.directory.path, "-c", "weir.conf")
            #expect(test.ending == .exited(0))
            #expect(test.output.contains("syntax is ok") && test.output.contains("test is successful"))
            let dump = try await run("-T", "-p", weir.directory.path, "-c", "weir.conf")
            #expect(dump.ending == .exited(0))
            #expect(dump.output.contains("# configuration file \(weir.directory.path)/weir.conf:\n"))
            #expect(dump.output.contains("listen 127.0.0.1:\(port); return hello;"))
            let quiet = try await run("-t", "-q", "-p", weir.directory.path, "-c", "weir.conf")
            #expect(quiet.ending == .exited(0) && quiet.output == "")
            #expect(try TCPConnection(to: .ipv4(port)).receiveToEnd() == Array("hello".utf8))
        }
    }

    @Test("-s reload, reopen, quit and stop reach the master by its pid file; without one they exit 1")
    func signals() async throws {
        for last in ["quit", "stop"] {
            let port = try PortRegistry.take()
            let broker = try NullBroker()
            let stream = "server { listen 127.0.0.1:\(port); mqtt_preread on; proxy_pass \(broker.endpoint.text); }"
            let weir = try await WeirInstance.start(stream: stream)
            func say(_ word: String) async throws -> ManagedProcess.Ending {
                try await run("-p", weir.directory.path, "-c", "weir.conf", "-s", word).ending
            }
            #expect(try await say("reload") == .exited(0))
            try await eventually("reloaded") { weir.appliedCount == 1 }
            try FileManager.default.moveItem(atPath: weir.errorLogPath, toPath: weir.errorLogPath + ".1")
            #expect(try await say("reopen") == .exited(0))
            try await eventually("reopened") { FileManager.default.fileExists(atPath: weir.errorLogPath) }

            let client = try MQTTTestClient.connected(to: .ipv4(port), id: "standing")
            #expect(try await say(last) == .exited(0))
            if last == "quit" {
                // The port closes, the session goes on to its own end.
                try await eventually("closed") { !ListeningPorts.contains(port) }
                try client.ping()
                #expect(weir.process.isRunning)
                client.disconnect()
            } else {
                _ = try client.connection.waitForEnd()
            }
            #expect(try await weir.process.wait() == .exited(0))
            #expect(!FileManager.default.fileExists(atPath: weir.directory.path("logs/weir.pid")))
            #expect(try await say("reload") == .exited(1))
        }
    }

    @Test("USR2 is answered in the log and changes nothing, INT stops at once")
    func userSignalAndInterrupt() async throws {
        let port = try PortRegistry.take()
        let broker = try NullBroker()
        let stream = "server { listen 127.0.0.1:\(port); mqtt_preread on; proxy_pass \(broker.endpoint.text); }"
        try await withWeir(stream: stream, workers: 2) { weir in
            let children = weir.children
            let client = try MQTTTestClient.connected(to: .ipv4(port), id: "standing")
            weir.send(SIGUSR2)
            try await weir.errorLine(with: "[notice]", "signal 12 (SIGUSR2) received", ", ignoring")
            try await weir.errorLine(
                with: "[crit]", "the changing binary signal is ignored: this version cannot change its binary yet")
            // A reload comes behind the signal in the master's queue, so that by now USR2 has done all that it does.
            try await weir.reload()
            #expect(weir.children == children)
            #expect(FileManager.default.fileExists(atPath: weir.directory.path("logs/weir.pid")))
            #expect(!FileManager.default.fileExists(atPath: weir.directory.path("logs/weir.pid.oldbin")))
            try client.ping()
            try MQTTTestClient.connected(to: .ipv4(port), id: "next").disconnect()

            // The session that stands is cut: QUIT would wait for it, without an end.
            try await weir.stop(SIGINT)
            _ = try client.connection.waitForEnd()
            #expect(weir.errorLines.contains { $0.contains("signal 2 (SIGINT) received") && $0.contains(", exiting") })
            try await weir.ended("shutdown", 1)
        }
    }

    @Test("-g stands in front of the configuration, for a start, a reload and a signal")
    func globalDirectives() async throws {
        let port = try PortRegistry.take()
        let directory = try TemporaryDirectory()
        func text(_ word: String) -> String {
            WeirInstance.configuration(stream: "server { listen 127.0.0.1:\(port); return \(word); }")
                .replacingOccurrences(of: "worker_processes 1;", with: "")
                .replacingOccurrences(of: "pid logs/weir.pid;", with: "")
        }
        func answer() throws -> String {
            String(decoding: try TCPConnection(to: .ipv4(port)).receiveToEnd(), as: UTF8.self)
        }
        try directory.makeDirectory("logs")
        try directory.write(text("one"), to: "weir.conf")
        let words = ["-p", directory.path, "-c", "weir.conf", "-g", "worker_processes 3; pid logs/other.pid;"]
        let weir = try ManagedProcess(try WeirBinary.path, words, output: directory.path("output"))
        var workers: [Int32] {
            ProcessTable.children(of: weir.id).filter { $0.role == .worker }.map(\.id)
        }
        try await eventually("three workers\n\(weir.output)") { workers.count == 3 }
        let before = workers
        let file = directory.path("logs/other.pid")
        #expect(contents(of: file) == "\(weir.id)\n")
        #expect(try answer() == "one")

        // The configuration alone would have one worker, and another pid file.
        try directory.write(text("two"), to: "weir.conf")
        #expect(try await ManagedProcess.run(try WeirBinary.path, words + ["-s", "reload"]).ending == .exited(0))
        try await eventually("reloaded\n\(contents(of: directory.path("logs/error.log")))") { try answer() == "two" }
        #expect(workers == before)
        let without = try await run("-p", directory.path, "-c", "weir.conf", "-s", "stop")
        #expect(without.ending == .exited(1) && without.output.contains("\(directory.path)/logs/weir.pid"))

        // What both say is said twice, and the position is that of the file.
        try directory.write("worker_processes 1;\n" + text("three"), to: "weir.conf")
        let twice = try await ManagedProcess.run(try WeirBinary.path, words + ["-t"])
        #expect(twice.ending == .exited(1))
        let position = "\(directory.path)/weir.conf:1"
        #expect(twice.output.contains("\"worker_processes\" directive is duplicate in \(position)"), "\(twice.output)")
        weir.send(SIGTERM)
        #expect(try await weir.wait() == .exited(0))
        #expect(!FileManager.default.fileExists(atPath: file))
    }

    @Test("-e names the log of what goes wrong at a start, until a configuration stands that names its own")
    func startErrorLog() async throws {
        let directory = try TemporaryDirectory()
        try directory.makeDirectory("logs")
        let (start, own) = (directory.path("logs/start.log"), directory.path("logs/error.log"))
        // The folder of the socket does not exist.
        let good = WeirInstance.configuration(stream: "server { listen unix:\(directory.path)/no/sock; return hello; }")
        let bind = "bind() to unix:\(directory.path)/no/sock failed (2: No such file or directory)"

        for (text, message, log) in [
            (good.replacingOccurrences(of: "return", with: "retturn"), "unknown directive \"retturn\" in ", start),
            ("user no-such-user;\n" + good.replacingOccurrences(of: "user root;\n", with: ""), "no-such-user", start),
            (good, bind, own),
            (good.replacingOccurrences(of: "error_log logs/error.log info;\n", with: ""), bind, start),
        ] {
            for file in [start, own] { try? FileManager.default.removeItem(atPath: file) }
            try directory.write(text, to: "weir.conf")
            let (ending, output) = try await run("-p", directory.path, "-c", "weir.conf", "-e", "logs/start.log")
            #expect(ending == .exited(1))
            #expect(output.contains(message), "\(output)")
            let said = lines(of: log).filter { $0.contains("[emerg] ") && $0.contains(message) }
            #expect(said.count == 1, "\(message): \(contents(of: log))")
            #expect(contents(of: log == own ? start : own) == "")
        }
    }

    @Test("daemon on detaches, and the start answers 0 when it listens")
    func daemon() async throws {
        let directory = try TemporaryDirectory()
        try directory.makeDirectory("logs")
        let port = try PortRegistry.take()
        let text = WeirInstance.configuration(stream: "server { listen 127.0.0.1:\(port); return hello; }")
            .replacingOccurrences(of: "daemon off;", with: "daemon on;")
        try directory.write(text, to: "weir.conf")
        let start = try await run("-p", directory.path, "-c", "weir.conf")
        #expect(start.ending == .exited(0), "\(start.output)")
        #expect(try TCPConnection(to: .ipv4(port)).receiveToEnd() == Array("hello".utf8))
        let file = directory.path("logs/weir.pid")
        let id = try #require(Int32(contents(of: file).trimmingCharacters(in: .whitespacesAndNewlines)))
        // It is nobody's child here, so nothing else ends it when this test fails.
        defer { if ProcessTable.isAlive(id) { kill(id, SIGKILL) } }
        #expect(try await run("-p", directory.path, "-c", "weir.conf", "-s", "stop").ending == .exited(0))
        try await eventually("it is gone") {
            !ProcessTable.isAlive(id) && !FileManager.default.fileExists(atPath: file)
        }
        #expect(!ListeningPorts.contains(port))
    }

    @Test("master_process off serves in the foreground with one process")
    func withoutMaster() async throws {
        let directory = try TemporaryDirectory()
        try directory.makeDirectory("logs")
        let port = try PortRegistry.take()
        try directory.write(
            WeirInstance.configuration(
                main: "master_process off;", stream: "server { listen 127.0.0.1:\(port); return hello; }"),
            to: "weir.conf")
        let weir = try ManagedProcess(
            try WeirBinary.path, ["-p", directory.path, "-c", "weir.conf"], output: directory.path("output"))
        try await eventually("it listens: \(weir.output)") { ListeningPorts.contains(port) }
        #expect(try TCPConnection(to: .ipv4(port)).receiveToEnd() == Array("hello".utf8))
        #expect(ProcessTable.children(of: weir.id).isEmpty)
        #expect(ProcessTable.threadCount(of: weir.id) == 1)
        weir.send(SIGTERM)
        #expect(try await weir.wait() == .exited(0))
    }

    @Test("a second instance on the same port fails clearly and leaves the first alone")
    func secondInstance() async throws {
        let port = try PortRegistry.take()
        let stream = "server { listen 127.0.0.1:\(port); return hello; }"
        try await withWeir(stream: stream) { weir in
            let directory = try TemporaryDirectory()
            try directory.makeDirectory("logs")
            try directory.write(WeirInstance.configuration(stream: stream), to: "weir.conf")
            let second = try await run("-p", directory.path, "-c", "weir.conf")
            #expect(second.ending == .exited(1))
            #expect(second.output.contains("bind() to 127.0.0.1:\(port) failed (98: Address already in use)"))
            #expect(!FileManager.default.fileExists(atPath: directory.path("logs/weir.pid")))
            #expect(try TCPConnection(to: .ipv4(port)).receiveToEnd() == Array("hello".utf8))
        }
    }

    @Test("every process has one thread and its title")
    func processes() async throws {
        let port = try PortRegistry.take()
        try await withWeir(stream: "server { listen 127.0.0.1:\(port); return hello; }", workers: 2) { weir in
            #expect(weir.workers.count == 2)
            #expect(weir.prober != nil)
            for id in [weir.masterID] + weir.children.map(\.id) { #expect(ProcessTable.threadCount(of: id) == 1) }
            #expect(contents(of: "/proc/\(weir.masterID)/cmdline").hasPrefix("weir: master process"))
        }
    }
}
