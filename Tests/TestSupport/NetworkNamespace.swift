// SPDX-License-Identifier: Apache-2.0
//
// A network of its own for the programs of one test, for what would change the routes of the machine. It lives as long
// as the process that holds it. Programs enter by nsenter(1), which becomes them, so that their ids are theirs.

import Foundation
import Glibc

package final class NetworkNamespace: Sendable {
    /// Why a test that needs one may not run.
    package static let need: String = "needs root with CAP_SYS_ADMIN and CAP_NET_ADMIN, and ip(8) of iproute2"

    /// True when this machine lets us make one and set its routes.
    package static var isAvailable: Bool {
        get async {
            let trial = try? await ManagedProcess.run("unshare", ["--net", "ip", "link", "set", "lo", "up"])
            return trial?.ending == .exited(0)
        }
    }

    private let holder: ManagedProcess

    /// With loopback up.
    package init() async throws {
        let holder = try ManagedProcess("unshare", ["--net", "sleep", "infinity"])
        self.holder = holder
        // The names of the files are the identities of the networks.
        func identity(_ process: String) -> String? {
            try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(process)/ns/net")
        }
        try await eventually("a network namespace: \(holder.output)") {
            guard holder.isRunning else { throw TestFault("unshare ended: \(holder.output)") }
            return identity("\(holder.id)").map { $0 != identity("self") } ?? false
        }
        try await ip("link", "set", "lo", "up")
    }

    /// ip(8) in here.
    package func ip(_ arguments: String...) async throws {
        let result = try await ManagedProcess.run("ip", arguments, namespace: self)
        guard result.ending == .exited(0) else { throw TestFault("ip \(arguments): \(result.output)") }
    }

    /// The words before those of a program that is to run in here.
    var launcher: [String] { ["nsenter", "--net=/proc/\(holder.id)/ns/net", "--"] }
}
