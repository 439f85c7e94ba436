// SPDX-License-Identifier: Apache-2.0
//
// What a connection weighs. Other tests allocate at the same time in this process: a figure counts when it comes again.

import CTestTLS
import ProxyConfig
import TLSEngine
import Testing

@Suite("memory", .serialized)
struct MemoryTests {
    /// The growth of what malloc has given out over `body`, the smallest of several that agree; nil: none did.
    static func growth(within tolerance: Int, _ body: () throws -> () -> Void) rethrows -> Int? {
        var figures: [Int] = []
        for _ in 0..<30 {
            let before = ctt_bytes_in_use()
            let free = try body()
            figures.append(Int(ctt_bytes_in_use()) - Int(before))
            free()
            if let first = figures.first(where: { figure in
                figures.count { abs($0 - figure) <= tolerance } >= 3
            }) {
                return first
            }
        }
        return nil
    }

    /// Of what malloc gives out for one side, the SSL itself is 7.5 KiB, keys and sessions most of the rest; a client's
    /// certificate, taken apart, is 6 KiB more. None of it can be given back while the connection lives.
    @Test(
        "an idle connection of a server weighs no more than OpenSSL makes it",
        arguments: [
            (TLSProtocols.tls12, nil, 15_500), (.tls13, nil, 15_500), (.tls12, "client", 22_000),
            (.tls13, "client", 22_000),
        ] as [(TLSProtocols, String?, Int)])
    func idle(version: TLSProtocols, certificate: String?, bytesMax: Int) throws {
        let server = try TLSServerContext(
            .mutual(.optional) { $0.common.protocols = version }, tickets: nil, cache: nil)
        let client = try TLSClientContext(.with(certificate: certificate))
        let count = 50
        let bytes = try #require(
            Self.growth(within: count * 64) {
                let servers = (0..<count).map { _ in
                    var link = Link(client, server)
                    link.handshake()
                    #expect(link.isDone)
                    #expect(link.send([1, 2, 3]) == [1, 2, 3])
                    #expect(link.send([1, 2, 3], toServer: false) == [1, 2, 3])
                    link.client.connection.free()
                    return link.server.connection
                }
                return { for connection in servers { connection.free() } }
            })
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
        abort(100)
        let bytes = try #require(
            Self.growth(within: 4096) {
                abort(1_000)
                return {}
            })
        #expect(bytes <= 16 * 1024, "\(bytes) bytes")
    }
}
