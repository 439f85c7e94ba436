// SPDX-License-Identifier: Apache-2.0
//
// What the master keeps for TLS: which session caches a configuration shares and which of them go on over a reload, and
// how long a ticket key lives.

import CShared
import LinuxIO
import ProxyConfig
import SharedState
import Testing
import Vocabulary

@testable import ControlPlane

@Suite("the master's part in TLS")
struct MasterTLSTests {
    private func configuration(_ settings: [TLSServerSettings?]) -> Configuration {
        var configuration = Configuration()
        configuration.servers = settings.map { settings in
            var server = Server(origin: "", content: .proxy(upstream: 0))
            server.tls = settings.map { Shared($0) }
            return server
        }
        return configuration
    }

    private func settings(_ change: (inout TLSServerSettings) -> Void) -> TLSServerSettings {
        var settings = TLSServerSettings()
        change(&settings)
        return settings
    }

    private func cached(_ name: String, _ bytes: Int) -> TLSServerSettings {
        settings {
            $0.sessionCache.kind = .kept
            $0.sessionCache.sharedName = name
            $0.sessionCache.sharedBytes = bytes
        }
    }

    // MARK: Ticket keys

    @Test("a ticket key is current as long as the longest session may live, and five minutes at least")
    func lifetimes() {
        func lifetime(_ settings: TLSServerSettings?...) -> Int? { configuration(settings).ticketKeyLifetimeSeconds }
        let short = settings { $0.sessionTimeoutSeconds = 60 }
        let long = settings { $0.sessionTimeoutSeconds = 86_400 }
        let withoutTickets = settings {
            $0.sessionTimeoutSeconds = 1_000_000
            $0.usesTickets = false
        }
        let withFiles = settings {
            $0.sessionTimeoutSeconds = 1_000_000
            $0.ticketKeys = [TLSFile(path: "/k", bytes: [])]
        }
        #expect(lifetime() == nil)
        #expect(lifetime(nil, withoutTickets, withFiles) == nil)
        #expect(lifetime(short) == 300)
        #expect(lifetime(nil, short, long, withoutTickets, withFiles) == 86_400)
    }

    // MARK: Contexts

    @Test("a key of another certificate is named with its file and its server, without a byte of it")
    func mismatch() throws {
        var configuration = self.configuration([
            settings {
                $0.common.certificates = [
                    TLSCertificate(chain: TLSFiles.broker.certificate, key: TLSFiles.stranger.key)
                ]
            }
        ])
        configuration.servers[0].origin = "/etc/weir.conf:7"
        let proof = TLSProof(configuration, known: nil)
        let fault = try #require(proof.faults.first)
        #expect(proof.faults.count == 1)
        #expect(fault.contains("key values mismatch"))
        #expect(fault.contains("/stranger.test.key"))
        #expect(fault.hasSuffix(", for the server in /etc/weir.conf:7"))
        let key = String(decoding: TLSFiles.stranger.key.bytes, as: UTF8.self).split(separator: "\n")
        #expect(!key.contains { fault.contains($0) })
    }

    @Test("contexts are made once for equal settings, and not again where they are known")
    func proofs() {
        let broken = settings { $0.common.ciphers = "NO_SUCH_CIPHER" }
        let configuration = self.configuration([broken, broken, nil])
        let proof = TLSProof(configuration, known: nil)
        #expect(proof.faults.count == 1)
        #expect(TLSProof(configuration, known: proof).faults.isEmpty)
    }

    @Test("what health checks and brokers are spoken to with is proved, too")
    func clients() {
        var configuration = self.configuration([nil])
        var settings = TLSClientSettings()
        settings.common.trustedCertificates = TLSFile(path: "/ca.pem", bytes: Array("nothing".utf8))
        settings.verifies = true
        configuration.servers[0].proxyTLS = Shared(settings)
        let faults = TLSProof(configuration, known: nil).faults
        #expect(faults.count == 1 && faults[0].contains("/ca.pem"), "\(faults)")
        settings.common.trustedCertificates = TLSFiles.broker.certificate
        configuration.servers[0].proxyTLS = Shared(settings)
        #expect(TLSProof(configuration, known: nil).faults.isEmpty)
    }

    // MARK: Session caches

    @Test("each shared cache counts once, in the order of the blocks")
    func sharedCaches() {
        let off = settings { $0.sessionCache.sharedName = "unused" }
        let caches = configuration([cached("b", 65_536), nil, off, cached("a", 40_000), cached("b", 65_536)])
            .sharedSessionCaches
        #expect(caches == [
            SharedSessionCache(name: "b", byteCount: 65_536), SharedSessionCache(name: "a", byteCount: 40_000),
        ])
    }

    @Test("a cache goes on over a reload while its name and size stay")
    func keptCaches() throws {
        let wanted = [
            SharedSessionCache(name: "kept", byteCount: 65_536), SharedSessionCache(name: "grown", byteCount: 65_536),
        ]
        let former = try SessionCacheFile.open(wanted, known: [])
        let next = try SessionCacheFile.open(
            [
                SharedSessionCache(name: "new", byteCount: 65_536),
                SharedSessionCache(name: "grown", byteCount: 70_000), wanted[0],
            ], known: former)
        #expect(next[2] === former[0])
        #expect(!next[..<2].contains { new in former.contains { $0 === new } })
        let regions = try next.map { try SessionCacheRegion.attach($0.file, known: []) }
        #expect(regions.map(\.byteCount) == [65_536, 70_000, 65_536])
    }

    @Test("a cache that is too small is named")
    func smallCache() {
        #expect(throws: StartFault("memory of session cache \"tiny\" failed (22: Invalid argument)")) {
            try SessionCacheFile.open([SharedSessionCache(name: "tiny", byteCount: 4_096)], known: [])
        }
    }

    @Test("the master frees the lock of a worker that died")
    func release() throws {
        let file = try SessionCacheFile.open([SharedSessionCache(name: "a", byteCount: 65_536)], known: [])[0]
        let region = try SessionCacheRegion.attach(file.file, known: [])
        let lock = unsafe region.address.assumingMemoryBound(to: cs_word.self).advanced(by: 8)
        unsafe cs_store(lock, 99)
        file.release(of: 98)
        #expect(unsafe cs_load(lock) == 99)
        file.release(of: 99)
        #expect(unsafe cs_load(lock) == 0)
    }
}
