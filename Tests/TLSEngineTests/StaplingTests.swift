// SPDX-License-Identifier: Apache-2.0
//
// Which response goes with which certificate, that it is looked for at each handshake, and that no session keeps it.

import CTestTLS
import Glibc
import ProxyConfig
import TLSEngine
import Testing

@Suite("stapled responses")
struct StaplingTests {
    private static let settings = TLSServerSettings.with("server", "rsa") { settings in
        settings.isStapling = true
        settings.common.trustedCertificates = Certificates.file("ca.pem")
    }
    private static let ecdsa = "ECDSA+SHA256"
    private static let rsa = "RSA-PSS+SHA256:RSA+SHA256"

    /// What a client with these signatures was stapled by a server with this source.
    private func staple(_ signatures: String, _ source: StapleSource?, version: Int32) throws -> [UInt8] {
        let client = unsafe ctt_client_new(version)!
        defer { unsafe ctt_client_free(client) }
        unsafe ctt_client_ask_for_status(client, signatures)
        let context = try TLSServerContext(Self.settings, tickets: nil, cache: nil, staples: source)
        var server = Side(connection: TLSConnection.accept(context, isChoosingByName: false)!)
        defer { server.connection.free() }
        for _ in 0..<4 {
            unsafe _ = ctt_client_handshake(client)
            let sent = unsafe [UInt8](unsafeUninitializedCapacity: 1 << 16) { buffer, count in
                count = unsafe ctt_client_take(client, buffer.baseAddress, buffer.count)
            }
            server.handshake(sent)
            let answer = server.takeOutput()
            unsafe ctt_client_feed(client, answer, answer.count)
        }
        #expect(server.progress == .done)
        return unsafe [UInt8](unsafeUninitializedCapacity: 1 << 16) { buffer, count in
            count = unsafe ctt_client_status(client, buffer.baseAddress, buffer.count)
        }
    }

    /// The "response" is the key that it is asked for by.
    private static var echo: StapleSource {
        unsafe StapleSource(region: UnsafeRawPointer(bitPattern: 64)!) { _, key, out, _, _ in
            unsafe memcpy(out!, key!, 32)
            return 32
        }
    }

    @Test("each certificate goes with its own response", arguments: [12, 13] as [Int32])
    func byCertificate(version: Int32) throws {
        let keys = try [0, 1].map { try StapledCertificate(Self.settings, certificate: $0).key }
        #expect(keys[0] != keys[1])
        #expect(try staple(Self.ecdsa, Self.echo, version: version) == keys[0])
        #expect(try staple(Self.rsa, Self.echo, version: version) == keys[1])
    }

    @Test("without a response, or without a source, the handshake is good", arguments: [12, 13] as [Int32])
    func none(version: Int32) throws {
        let empty = unsafe StapleSource(region: UnsafeRawPointer(bitPattern: 64)!) { _, _, _, _, _ in 0 }
        #expect(try staple(Self.ecdsa, empty, version: version) == [])
        #expect(try staple(Self.ecdsa, nil, version: version) == [])
    }

    /// It is the source that leaves out what has ended, so it must be told the right time.
    @Test("the source is asked for what holds now")
    func now() throws {
        let clock = unsafe StapleSource(region: UnsafeRawPointer(bitPattern: 64)!) { _, _, out, _, now in
            unsafe UnsafeMutableRawPointer(out!).storeBytes(of: now, as: UInt64.self)
            return 8
        }
        let before = UInt64(time(nil))
        let said = try staple(Self.ecdsa, clock, version: 13)
        let then = said.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        #expect((before...UInt64(time(nil))).contains(then))
    }

    @Test("after the handshake a session holds no response")
    func memory() throws {
        let large = unsafe StapleSource(region: UnsafeRawPointer(bitPattern: 64)!) { _, _, out, capacity, _ in
            unsafe memset(out!, 1, 16_000)
            return capacity >= 16_000 ? 16_000 : 0
        }
        // The first of each fills what OpenSSL keeps for the thread.
        let sizes = try [Self.echo, large, Self.echo, large].map { source in
            let client = unsafe ctt_client_new(13)!
            unsafe ctt_client_ask_for_status(client, Self.ecdsa)
            let context = try TLSServerContext(Self.settings, tickets: nil, cache: nil, staples: source)
            var server = Side(connection: TLSConnection.accept(context, isChoosingByName: false)!)
            let before = ctt_bytes_in_use()
            for _ in 0..<4 {
                unsafe _ = ctt_client_handshake(client)
                let sent = unsafe [UInt8](unsafeUninitializedCapacity: 1 << 16) { buffer, count in
                    count = unsafe ctt_client_take(client, buffer.baseAddress, buffer.count)
                }
                server.handshake(sent)
                let answer = server.takeOutput()
                unsafe ctt_client_feed(client, answer, answer.count)
            }
            #expect(server.progress == .done)
            let stapled = unsafe ctt_client_status(client, nil, 0)
            #expect(stapled > 0)
            unsafe ctt_client_free(client)
            let after = ctt_bytes_in_use()
            server.connection.free()
            return after - before
        }
        #expect(abs(sizes[3] - sizes[2]) < 2_000, "\(sizes)")
    }

    @Test("who is asked, and whether the answer is verified, make another key; all else does not")
    func keys() throws {
        func key(_ change: (inout TLSServerSettings) -> Void) throws -> [UInt8] {
            var settings = Self.settings
            settings.staplingResponder = "http://a/"
            change(&settings)
            return try StapledCertificate(settings, certificate: 0).key
        }
        let usual = try key { _ in }
        #expect(try key { $0.common.alpn = ["mqtt"] } == usual)
        #expect(try key { $0.common.trustedCertificates = Certificates.file("chain.pem") } == usual)
        let others = try [
            key { $0.staplingResponder = "http://b/" },
            key { $0.verifiesStapling = true },
            key {
                $0.verifiesStapling = true
                $0.common.trustedCertificates = Certificates.file("chain.pem")
            },
        ]
        #expect(Set(others + [usual]).count == 4)
    }
}
