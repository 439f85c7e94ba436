// SPDX-License-Identifier: Apache-2.0
//
// One Weir under test: the built binary with a configuration and a folder of its own, its signals, logs and
// processes.
//
// A test writes only what it is about: `stream` is what stands inside of `stream { }`, `main` what stands before it.
// The rest (daemon off, logs at level info, a pid file, events) is here.

import Foundation
import Glibc
import Synchronization

package final class WeirInstance: Sendable {
    package let directory: TemporaryDirectory
    package let process: ManagedProcess
    private let errorLog: LogReader
    private let accessLog: LogReader

    package var configurationPath: String { directory.path("weir.conf") }
    package var errorLogPath: String { directory.path("logs/error.log") }
    package var accessLogPath: String { directory.path("logs/access.log") }

    /// Starts and returns when it listens and all its children are at work.
    package static func start(
        main: String = "", stream: String, workers: Int = 1, level: String = "info", files: [String: String] = [:]
    ) async throws -> WeirInstance {
        let directory = try TemporaryDirectory()
        for (name, text) in files { try directory.write(text, to: name) }
        return try await start(in: directory, main: main, stream: stream, workers: workers, level: level)
    }

    /// The same in a folder that already holds what the configuration names.
    package static func start(
        in directory: TemporaryDirectory, main: String = "", stream: String, workers: Int = 1, level: String = "info"
    ) async throws -> WeirInstance {
        let text = configuration(main: main, stream: stream, workers: workers, level: level)
        return try await start(in: directory, configuration: text)
    }

    /// With a whole configuration.
    package static func start(
        in directory: TemporaryDirectory, configuration: String, arguments: [String] = [],
        namespace: NetworkNamespace? = nil
    ) async throws -> WeirInstance {
        try directory.makeDirectory("logs")
        try directory.write(configuration, to: "weir.conf")
        let instance = try WeirInstance(directory, arguments, namespace)
        do { try await instance.waitUntilServing() } catch {
            throw TestFault("\(error)\n\(instance.report)")
        }
        return instance
    }

    /// `level` is that of the error log: under load, `notice` leaves out three lines a session.
    package static func configuration(
        main: String = "", stream: String, workers: Int = 1, level: String = "info"
    ) -> String {
        """
        \(main.contains("user ") ? "" : user)daemon off;
        worker_processes \(workers);
        error_log logs/error.log \(level);
        pid logs/weir.pid;
        \(main)
        events { }
        stream {
            log_format end '$mqtt_preread_clientid $status $close_reason $upstream_addr '
                           '$bytes_received $bytes_sent $remote_addr';
            access_log logs/access.log end;
        \(stream)
        }

        """
    }

    /// The rings of all workers of one user share its limit of locked memory, which the tests together would pass; root
    /// with CAP_IPC_LOCK has none.
    private static var user: String { geteuid() == 0 ? "user root;\n" : "" }

    private init(_ directory: TemporaryDirectory, _ arguments: [String], _ namespace: NetworkNamespace?) throws {
        self.directory = directory
        errorLog = LogReader(directory.path("logs/error.log"))
        accessLog = LogReader(directory.path("logs/access.log"))
        process = try ManagedProcess(
            try WeirBinary.path, ["-p", directory.path, "-c", "weir.conf"] + arguments,
            output: directory.path("output"), namespace: namespace)
    }

    private func waitUntilServing() async throws {
        try await eventually("weir serves", within: .seconds(20)) {
            guard process.isRunning else {
                throw TestFault("weir ended with \(String(describing: process.currentEnding))")
            }
            guard FileManager.default.fileExists(atPath: directory.path("logs/weir.pid")) else { return false }
            // The prober is started last but for the admin process, which is no child yet or another one until it has
            // its title; a child has that once it is set up.
            let children = self.children
            return children.contains { $0.role == .prober } && children.contains { $0.role == .worker }
                && !children.contains { $0.role == .other }
        }
    }

    // MARK: Processes

    package var masterID: Int32 { process.id }
    package var children: [WeirProcess] { ProcessTable.children(of: masterID) }
    package var workers: [Int32] { children.filter { $0.role == .worker }.map(\.id) }
    package var prober: Int32? { children.first { $0.role == .prober }?.id }
    /// With `http { }` only.
    package var admin: Int32? { children.first { $0.role == .admin }?.id }

    /// Of all processes together.
    package var proportionalKilobytes: Int {
        ([masterID] + children.map(\.id)).map(ProcessTable.proportionalKilobytes).reduce(0, +)
    }

    package func send(_ signal: Int32) { process.send(signal) }

    // MARK: Reload

    /// Writes the configuration anew; HUP is the caller's.
    package func rewrite(main: String = "", stream: String, workers: Int = 1, level: String = "info") throws {
        try directory.write(
            WeirInstance.configuration(main: main, stream: stream, workers: workers, level: level), to: "weir.conf")
    }

    /// HUP, and the log says that the next generation is applied.
    package func reload(within duration: Duration = .seconds(20)) async throws {
        let applied = appliedCount
        send(SIGHUP)
        try await eventually("a reload is applied\n\(report)", within: duration) { appliedCount > applied }
    }

    /// Writes a new configuration and reloads.
    package func reload(
        main: String = "", stream: String, workers: Int = 1, level: String = "info"
    ) async throws {
        try rewrite(main: main, stream: stream, workers: workers, level: level)
        try await reload()
    }

    /// How often the log said that a generation was applied.
    package var appliedCount: Int { errorLines.count { $0.contains("weir.conf applied; generation ") } }

    // MARK: Logs

    package var errorLines: [String] { errorLog.lines }
    package var accessLines: [String] { accessLog.lines }

    /// Waits for a line of the error log that holds all of `parts`.
    @discardableResult
    package func errorLine(
        with parts: String..., within duration: Duration = .seconds(30)
    ) async throws -> String {
        try await eventually("an error line with \(parts)\n\(report)", within: duration) {
            errorLines.first { line in parts.allSatisfy { line.contains($0) } }
        }
    }

    /// Waits until the access log has `count` lines, and returns all.
    package func accessLines(
        atLeast count: Int, within duration: Duration = .seconds(30)
    ) async throws -> [String] {
        try await eventually("\(count) access lines\n\(report)", within: duration) {
            let lines = accessLines
            return lines.count >= count ? lines : nil
        }
    }

    /// For the text of a failure: both logs' ends and the output.
    package var report: String {
        """
        --- output
        \(process.output)
        --- error log
        \(errorLines.suffix(60).joined(separator: "\n"))
        --- access log
        \(accessLines.suffix(20).joined(separator: "\n"))
        """
    }

    // MARK: End

    /// SIGQUIT or SIGTERM; exit code 0, no child left, no pid file, and no `alert` or worse in the log but `expected`
    /// ones.
    package func stop(_ signal: Int32 = SIGTERM, expecting expected: [String] = []) async throws {
        let children = self.children.map(\.id)
        send(signal)
        let ending: ManagedProcess.Ending
        do { ending = try await process.wait() } catch { throw TestFault("\(error)\n\(report)") }
        guard ending == .exited(0) else { throw TestFault("weir ended with \(ending)\n\(report)") }
        try await eventually("no child is left\n\(report)", within: .seconds(30)) {
            !children.contains { ProcessTable.isAlive($0) }
        }
        guard !FileManager.default.fileExists(atPath: directory.path("logs/weir.pid")) else {
            throw TestFault("the pid file is still there")
        }
        let bad = errorLines.filter { line in
            ["[alert]", "[emerg]"].contains { line.contains($0) } && !expected.contains { line.contains($0) }
        }
        guard bad.isEmpty else { throw TestFault("unexpected lines:\n\(bad.joined(separator: "\n"))\n\(report)") }
    }
}

/// A Weir for the length of `body`: stopped and checked at the end, its logs in the text of a failure. `directory` may
/// already hold what the configuration names.
package func withWeir(
    in directory: TemporaryDirectory? = nil, main: String = "", stream: String, workers: Int = 1,
    level: String = "info", files: [String: String] = [:], expecting: [String] = [],
    _ body: (WeirInstance) async throws -> Void
) async throws {
    let directory = try directory ?? TemporaryDirectory()
    for (name, text) in files { try directory.write(text, to: name) }
    let weir = try await WeirInstance.start(
        in: directory, main: main, stream: stream, workers: workers, level: level)
    do { try await body(weir) } catch {
        let report = weir.report
        throw report.isEmpty || "\(error)".contains("--- error log") ? error : TestFault("\(error)\n\(report)")
    }
    try await weir.stop(expecting: expecting)
}

/// Where the binary under test is: WEIR_BINARY, or beside the test bundle.
package enum WeirBinary {
    package static var path: String {
        get throws {
            if let path = ProcessInfo.processInfo.environment["WEIR_BINARY"] { return path }
            // The bundle is an executable (.xctest) in the folder of products, or is loaded by a helper that names it.
            let folders = CommandLine.arguments.filter { $0.contains("/") }.flatMap { argument in
                var folder = URL(fileURLWithPath: argument).deletingLastPathComponent()
                return (0..<3).map { _ in
                    defer { folder.deleteLastPathComponent() }
                    return folder.path
                }
            }
            for folder in folders where FileManager.default.isExecutableFile(atPath: folder + "/weir") {
                return folder + "/weir"
            }
            throw TestFault("no weir binary beside \(CommandLine.arguments); set WEIR_BINARY")
        }
    }
}
