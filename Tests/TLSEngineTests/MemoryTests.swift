// SPDX-License-Identifier: Apache-2.0
//
// What a connection weighs: what OpenSSL allocates for it on the test's own thread, since other tests allocate, too.

import CTestTLS
import ProxyConfig
import TLSEngine
import Testing

@Suite("memory", .serialized)
struct MemoryTests {
    /// The growth over `body`. `warmUp` fills what is filled once, and what OpenSSL keeps for good.
    static func growth(after warmUp: () throws -> Void, _ body: () throws -> Void) rethrows -> Int {
        try warmUp()
        let before = ctt_bytes_in_use()
        try body()
        return ctt_bytes_in_use() - before
    }

    /// Of what malloc gives out for one side, the SSL itself is 7.5 KiB, keys and sessions most of the rest; a client's
    /// certificate, taken apart, is 6 KiB more. None of it can be given back while the connection lives.
    @Test(
        "an idle connection of a server weighs no more than OpenSSL makes it",
        arguments: [
            (TLSProtocols.tls12, nil, 14_000), (.tls13, nil, 14_000), (.tls12, "client", 19_000),
            (.tls13, "client", 19_000),
        ] as [(TLSProtocols, String?, Int)])
    func idle(version: TLSProtocols, certificate: String?, bytesMax: Int) throws {
        let server = try TLSServerContext(
            .mutual(.optional) { $0.common.protocols = version }, tickets: nil, cache: nil)
        let client = try TLSClientContext(.with(certificate: certificate))
        let count = 50
        func connect() throws {
            var link = Link(client, server)
            link.handshake()
            try #require(link.isDone)
            try #require(link.send([1, 2, 3]) == [1, 2, 3])
            try #require(link.send([1, 2, 3], toServer: false) == [1, 2, 3])
            link.client.connection.free()
        }
        func connectAll() throws { for _ in 0..<count { try connect() } }
        let bytes = try Self.growth(after: connectAll, connectAll)
        #expect(bytes / count <= bytesMax, "\(bytes / count) bytes")
    }

    @Test("a thousand handshakes that end anywhere leave nothing behind")
    func aborted() throws {
        let server = try TLSServerContext(.mutual(), tickets: nil, cache: nil)
        let client = try TLSClientContext(.with(certificate: "client"))
        func abort(_ count: Int) {
            for round in 0..<count {
                var link = Link(client, server, seed: UInt64(round))
                link.client.handshake()
                var hello = link.client.takeOutput()
                let cut = round * 37 % (hello.count * 3)
                if cut < hello.count { hello.removeSubrange(cut...) }
                link.server.handshake(hello)
                if cut >= hello.count * 2 {
                    link.client.handshake(link.server.takeOutput())
                    let flight = link.client.takeOutput()
                    link.server.handshake(Array(flight.prefix(round % max(1, flight.count))))
                }
                link.free()
            }
        }
        let bytes = Self.growth(after: { abort(100) }, { abort(1_000) })
        #expect(bytes <= 16 * 1024, "\(bytes) bytes")
    }
}
