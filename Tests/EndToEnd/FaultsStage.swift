// SPDX-License-Identifier: Apache-2.0
//
// Where Weir is hurt on purpose. Whatever a test does to it, at the end all processes are there (a master, as many
// workers as configured, one prober), workers hold the descriptors that they began with, and the log has no alert but
// those that the test is about. One test at a time, for they are about load and time.

import Foundation
import Glibc
import MQTTWire
import TestSupport
import Testing

@Suite("faults", .serialized)
struct Faults {}

/// A Weir for the length of `body`, whole again at the end. What `body` connected must be closed when it returns.
func withHurtWeir(
    in directory: TemporaryDirectory? = nil, main: String = "", stream: String, workers: Int = 1,
    expecting: [String] = [], _ body: (WeirInstance) async throws -> Void
) async throws {
    try await withWeir(in: directory, main: main, stream: stream, workers: workers, expecting: expecting) { weir in
        let before = try await weir.settledDescriptors()
        try await body(weir)
        try await weir.isWhole(workers: workers)
        try await eventually(
            "workers hold \(before): \(weir.workers.map { Descriptors($0).links })", within: .seconds(15)
        ) {
            weir.workers.allSatisfy { Descriptors($0).isAtMost(before) }
        }
    }
}

/// What a process holds open.
struct Descriptors: CustomStringConvertible {
    /// Workers keep this many pipes for the next bulk transfer, two descriptors each.
    private static let idlePipeEnds = 32

    let links: [String]
    let pipeEnds: Int
    var others: Int { links.count - pipeEnds }

    init(_ process: Int32) {
        let folder = "/proc/\(process)/fd"
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        links = names.compactMap { try? FileManager.default.destinationOfSymbolicLink(atPath: folder + "/" + $0) }
        pipeEnds = links.count { $0.hasPrefix("pipe:") }
    }

    func isAtMost(_ before: Descriptors) -> Bool {
        others <= before.others && pipeEnds <= before.pipeEnds + Descriptors.idlePipeEnds
    }

    var description: String { "\(others) and \(pipeEnds) ends of pipes" }
}

extension WeirInstance {
    /// The master lives and has exactly its children; the admin process is none of what these tests hurt.
    func isWhole(workers count: Int, within duration: Duration = .seconds(30)) async throws {
        try await eventually("\(count) workers and a prober: \(children)\n\(report)", within: duration) {
            guard process.isRunning else { throw TestFault("the master ended\n\(report)") }
            return children.count { $0.role != .admin } == count + 1 && workers.count == count && prober != nil
        }
    }

    /// What a worker holds when it has built its first generation (its ring, link, listener and logs) and nothing
    /// comes or goes any more. The largest, where workers differ.
    func settledDescriptors() async throws -> Descriptors {
        var former: [[String]] = []
        var calm = 0
        try await eventually("workers have begun: \(former)") {
            let now = workers.map { Descriptors($0).links.sorted() }
            let areComplete = now.allSatisfy { links in
                links.contains("anon_inode:[io_uring]") && links.count { $0.hasPrefix("socket:") } >= 2
                    && links.contains { $0.hasSuffix("/logs/error.log") }
            }
            calm = areComplete && now == former ? calm + 1 : 0
            former = now
            return calm == 3
        }
        return try #require(workers.map(Descriptors.init).max { $0.others < $1.others })
    }

    /// The worker that has a client's connection; its log line at level info says so.
    func worker(of connection: TCPConnection) async throws -> Int32 {
        // 2026/01/01 00:00:00 [info] 4711#4711: *128 client 127.0.0.1:40000 connected to 127.0.0.1:1883
        let name = " client \(connection.localName) connected to "
        let line = try await eventually("a worker accepts \(connection.localName)\n\(report)") {
            errorLines.last { $0.contains(name) }
        }
        guard let id = line.split(separator: "[info] ").last?.prefix(while: \.isNumber), let worker = Int32(id) else {
            throw TestFault("no process in: \(line)")
        }
        return worker
    }

    /// Ends of sessions in the access log, each by its reason.
    func ends(_ reason: String) -> Int { accessLines.count { $0.split(separator: " ").contains { $0 == reason } } }

    /// Waits for `count` sessions that ended for this reason.
    func ended(_ reason: String, _ count: Int, within duration: Duration = .seconds(30)) async throws {
        try await eventually("\(count) sessions end as \(reason), not \(ends(reason))\n\(report)", within: duration) {
            ends(reason) >= count
        }
    }
}

/// Runs what blocks on a thread of its own, so that the threads that all tests share stay free.
func onThread<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
    try await withCheckedThrowingContinuation { continuation in
        let thread = Thread { continuation.resume(with: Swift.Result { try body() }) }
        thread.start()
    }
}

/// The bytes of a CONNECT.
func connect(_ id: String) -> [UInt8] { ConnectPacket(version: .v311, clientID: id).bytes }

/// An address that answers no SYN: it listens, but its queue is full and nobody accepts.
final class BlackHole: Sendable {
    let endpoint: Endpoint
    private let listener: Int32
    private let guests: [TCPConnection]

    init() throws {
        let port = try PortRegistry.take()
        endpoint = .ipv4(port)
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        self.listener = listener
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        unsafe inet_pton(AF_INET, "127.0.0.1", &address.sin_addr)
        let isBound = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe bind(listener, $0, socklen_t(MemoryLayout<sockaddr_in>.size)) == 0
            }
        }
        guard isBound, listen(listener, 0) == 0 else { throw TestFault("no black hole at \(port): \(errno)") }
        // A backlog of 0 has room for one; then the kernel drops what comes.
        guests = (0..<4).compactMap { _ in
            try? TCPConnection(to: .ipv4(port), within: .milliseconds(200))
        }
    }

    deinit { close(listener) }
}
