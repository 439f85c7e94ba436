// SPDX-License-Identifier: Apache-2.0
//
// A real Mosquitto on a port of its own, plain or with TLS, with what its log says about its clients.

import Glibc
import Synchronization

package final class MosquittoBroker: Sendable {
    /// What its listener speaks TLS with.
    package struct TLS: Sendable {
        package var pair: CertificateAuthority.Pair
        /// Clients must show a certificate of this authority (a file). Nil: none is asked for.
        package var clientAuthority: String?

        package init(_ pair: CertificateAuthority.Pair, clientAuthority: String? = nil) {
            self.pair = pair
            self.clientAuthority = clientAuthority
        }

        fileprivate var settings: String {
            let clients = clientAuthority.map { "\ncafile \($0)\nrequire_certificate true" } ?? ""
            return "certfile \(pair.certificate)\nkeyfile \(pair.key)\(clients)"
        }
    }

    package let port: UInt16
    package var endpoint: Endpoint { .ipv4(port) }
    private let directory: TemporaryDirectory
    private let namespace: NetworkNamespace?
    private let process: Mutex<ManagedProcess?>

    /// `settings` are further lines of mosquitto.conf.
    package init(
        port: UInt16? = nil, allowAnonymous: Bool = true, tls: TLS? = nil, settings: String = "",
        namespace: NetworkNamespace? = nil
    ) async throws {
        self.port = try port ?? PortRegistry.take()
        self.namespace = namespace
        directory = try TemporaryDirectory()
        process = Mutex(nil)
        // As root, Mosquitto would change its user, and the kernel then forgets the parent-death signal.
        let text = """
            \(geteuid() == 0 ? "user root" : "")
            listener \(self.port) 127.0.0.1
            \(tls?.settings ?? "")
            persistence false
            log_dest stderr
            log_type all
            connection_messages true
            set_tcp_nodelay true
            max_inflight_messages 0
            \(settings)

            """
        try directory.write(text, to: "base.conf")
        try await start(allowAnonymous: allowAnonymous)
    }

    package var log: String { contents(of: directory.path("log")) }
    package var isRunning: Bool { process.withLock { $0?.isRunning ?? false } }

    /// Ids of clients in the order in which they connected.
    package var connectedIDs: [String] {
        // 1700000000: New client connected from 127.0.0.1:40000 as sensor-1 (p2, c1, k60).
        log.split(separator: "\n").compactMap { line in
            guard let name = line.split(separator: "New client connected from ").last, name.count < line.count,
                let start = name.firstIndex(of: " "), let end = name.lastIndex(of: "(")
            else { return nil }
            return String(name[start..<end].dropFirst(4).dropLast())
        }
    }

    /// Starts (again) and returns when it accepts.
    package func start(allowAnonymous: Bool = true) async throws {
        try directory.write(
            contents(of: directory.path("base.conf")) + "allow_anonymous \(allowAnonymous)\n", to: "mosquitto.conf")
        // Debian keeps it in a folder that is not in every user's PATH.
        let started = try ManagedProcess(
            "env",
            [
                "PATH=/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin", "mosquitto", "-c",
                directory.path("mosquitto.conf"),
            ],
            output: directory.path("log"), namespace: namespace)
        process.withLock { $0 = started }
        try await eventually("mosquitto listens on \(port): \(log)") {
            guard started.isRunning else { throw TestFault("mosquitto ended: \(log)") }
            return ListeningPorts.contains(port, seenBy: "\(started.id)")
        }
    }

    package func restart(allowAnonymous: Bool = true) async throws {
        kill()
        try await start(allowAnonymous: allowAnonymous)
    }

    /// SIGKILL.
    package func kill() { process.withLock { $0?.kill() } }

    /// SIGTERM, and gone when this returns.
    package func stop() async throws {
        let process = process.withLock { $0 }
        process?.send(SIGTERM)
        _ = try await process?.wait()
    }

    /// SIGSTOP: the kernel still accepts, nobody answers.
    package func freeze() { process.withLock { $0?.send(SIGSTOP) } }
    package func thaw() { process.withLock { $0?.send(SIGCONT) } }
}
