// SPDX-License-Identifier: Apache-2.0
//
// Which process has which private key: asked of the processes' memory itself. The worker, which has them all, shows that
// the question is answered.

import Foundation
import Glibc
import TestSupport
import Testing

@Suite("private keys in processes")
struct SecretTests {
    /// A line out of the middle of a key's PEM, which nothing else has.
    private static func mark(_ stage: TLSStage, _ file: String) throws -> [UInt8] {
        let lines = contents(of: stage.path(file)).split(separator: "\n").filter { !$0.hasPrefix("-----") }
        guard let line = lines.first, line.utf8.count == 64 else { throw TestFault("\(file) is no key: \(lines)") }
        return Array(line.utf8)
    }

    /// Whether any writable memory of the process holds these bytes. Shared mappings are the region and the rings.
    private static func holds(_ process: Int32, _ bytes: [UInt8]) throws -> Bool {
        let memory = unsafe open("/proc/\(process)/mem", O_RDONLY | O_CLOEXEC)
        guard memory >= 0 else { throw TestFault("/proc/\(process)/mem: \(errno)") }
        defer { close(memory) }
        for line in contents(of: "/proc/\(process)/maps").split(separator: "\n") where line.contains(" rw-p ") {
            let borders = line.prefix { $0 != " " }.split(separator: "-").compactMap { UInt64($0, radix: 16) }
            guard borders.count == 2 else { continue }
            // A read that meets a page which cannot be read ends there.
            var piece = [UInt8](repeating: 0, count: Int(borders[1] - borders[0]))
            let count = unsafe pread(memory, &piece, piece.count, off_t(borders[0]))
            if count > 0, Data(piece[..<count]).range(of: Data(bytes)) != nil { return true }
        }
        return false
    }

    @Test(
        "the admin process has the key of http and never one of stream; the prober gets none that a reload brings",
        .enabled("only root reads other processes' memory") { geteuid() == 0 })
    func keys() async throws {
        let stage = try await TLSStage()
        let ports = try PortRegistry.take(count: 2)
        let stream = "server { listen 127.0.0.1:\(ports[0]) ssl; \(TLSStage.lines()) return hello; }"
        let main = """
            http { server {
                listen 127.0.0.1:\(ports[1]) ssl; \(TLSStage.lines("second"))
                location /api { api; }
            } }
            """
        let (own, first) = (try Self.mark(stage, "second.key"), try Self.mark(stage, "server.key"))
        let later = try Self.mark(stage, "renewed.key")
        try await stage.withWeir(main: main, stream: stream, expecting: ["exited on signal 9"]) { weir in
            let (worker, admin) = (try #require(weir.workers.first), try #require(weir.admin))
            func waitForAdmin() throws {
                try TLSTestStream(to: .ipv4(ports[1]), stage.client(name: "second.test")).close()
            }
            try waitForAdmin()
            #expect(try Self.holds(worker, first))
            #expect(try Self.holds(admin, own))
            #expect(try !Self.holds(admin, first))

            try stage.replacePair("server", with: "renewed")
            try await weir.reload()
            #expect(try Self.holds(worker, later))
            #expect(try !Self.holds(admin, later) && !Self.holds(admin, first))
            #expect(try !Self.holds(try #require(weir.prober), later))
            #expect(weir.admin == admin)
            // One that starts anew gets what the others have.
            kill(admin, SIGKILL)
            try waitForAdmin()
            let successor = try #require(weir.admin)
            #expect(successor != admin)
            #expect(try Self.holds(successor, own))
            #expect(try !Self.holds(successor, later))
        }
    }
}
