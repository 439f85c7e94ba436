// SPDX-License-Identifier: Apache-2.0
//
// Tickets whose keys come from files or from what workers share, and sessions in the cache that workers share.

import ProxyConfig
import TLSEngine
import Testing

@Suite("tickets and shared sessions")
struct TicketTests {
    static func key(_ byte: UInt8, count: Int = 80) -> TLSFile {
        TLSFile(path: "/etc/weir/ticket-\(byte).key", bytes: [UInt8](repeating: byte, count: count))
    }

    static func server(_ keys: [TLSFile], _ version: TLSProtocols) throws -> TLSServerContext {
        try TLSServerContext(
            .with("server") { settings in
                settings.common.protocols = version
                settings.ticketKeys = keys
            }, tickets: nil, cache: nil)
    }

    /// One connection; whether it was an abbreviated one.
    static func isResumed(_ client: TLSClientContext, _ server: TLSServerContext, _ store: TLSSessionStore) -> Bool {
        var link = Link(client, server, store: store)
        defer { link.free() }
        link.handshake()
        #expect(link.isDone)
        #expect(link.send([1], toServer: false) == [1])
        return link.server.connection.isReused
    }

    @Test(
        "a ticket lives as long as its key is in the list, whatever its size",
        arguments: [
            TLSProtocols.tls12, .tls13,
        ])
    func rotation(version: TLSProtocols) throws {
        let client = try TLSClientContext(.with())
        let store = try #require(TLSSessionStore(capacity: 1))
        let (old, new, newest) = (Self.key(1, count: 48), Self.key(2), Self.key(3))
        #expect(!Self.isResumed(client, try Self.server([old], version), store))
        #expect(Self.isResumed(client, try Self.server([old], version), store))
        // The old key opens; the client gets a ticket of the new one, which is all it needs afterwards.
        #expect(Self.isResumed(client, try Self.server([new, old], version), store))
        #expect(Self.isResumed(client, try Self.server([newest, new], version), store))
        #expect(!Self.isResumed(client, try Self.server([old], version), store))
    }

    /// The bytes of a server's last flight in TLS 1.3, which are tickets and nothing else.
    private static func ticketBytes(_ change: @escaping (inout TLSServerSettings) -> Void) throws -> Int {
        let server = try TLSServerContext(
            .with("server") { settings in
                settings.common.protocols = .tls13
                settings.ticketKeys = [Self.key(1)]
                change(&settings)
            }, tickets: nil, cache: nil)
        var link = Link(try TLSClientContext(.with()), server)
        defer { link.free() }
        link.client.handshake()
        link.server.handshake(link.client.takeOutput())
        link.client.handshake(link.server.takeOutput())
        try #require(link.server.handshake(link.client.takeOutput()) == .done)
        return link.server.takeOutput().count
    }

    @Test("a client gets one ticket, and two by command")
    func count() throws {
        let one = try Self.ticketBytes { _ in }
        #expect(one > 0)
        let two = try Self.ticketBytes { $0.common.commands = [TLSCommand(name: "NumTickets", value: "2")] }
        #expect(two == 2 * one)
    }

    @Test("a key of another length is refused by name")
    func length() throws {
        let fault = #expect(throws: TLSFault.self) { try Self.server([Self.key(1, count: 64)], .usual) }
        #expect(
            fault
                == TLSFault(
                    message: "\"/etc/weir/ticket-1.key\" must be 48 or 80 bytes", file: "/etc/weir/ticket-1.key"))
    }

    @Test("workers share tickets by the automatic keys")
    func automatic() throws {
        // One region: 80 bytes of the key that encrypts, 80 of the one before it.
        let region = UnsafeMutableRawPointer.allocate(byteCount: 160, alignment: 8)
        defer { unsafe region.deallocate() }
        unsafe region.initializeMemory(as: UInt8.self, repeating: 9, count: 160)
        let source = unsafe TicketKeySource(
            region: UnsafeRawPointer(region),
            current: { region, out in
                unsafe UnsafeMutableRawPointer(out!).copyMemory(from: region!, byteCount: 80)
                return 1
            },
            find: { region, name, out, isCurrent in
                for place in 0..<2 {
                    let key = unsafe region! + place * 80
                    let matches = (0..<16).allSatisfy {
                        unsafe key.load(fromByteOffset: $0, as: UInt8.self) == name![$0]
                    }
                    if matches {
                        unsafe UnsafeMutableRawPointer(out!).copyMemory(from: key, byteCount: 80)
                        unsafe isCurrent!.pointee = place == 0 ? 1 : 0
                        return 1
                    }
                }
                return 0
            })
        let workers = try (0..<2).map { _ in try TLSServerContext(.with("server"), tickets: source, cache: nil) }
        let client = try TLSClientContext(.with())
        let store = try #require(TLSSessionStore(capacity: 1))
        #expect(!Self.isResumed(client, workers[0], store))
        #expect(Self.isResumed(client, workers[1], store))
        unsafe region.initializeMemory(as: UInt8.self, repeating: 8, count: 80)
        #expect(Self.isResumed(client, workers[0], store))
        unsafe region.initializeMemory(as: UInt8.self, repeating: 8, count: 160)
        #expect(Self.isResumed(client, workers[1], store))
        unsafe region.initializeMemory(as: UInt8.self, repeating: 7, count: 160)
        #expect(!Self.isResumed(client, workers[1], store))
    }

    /// A cache of one session, as SharedState's functions look from here.
    final class OneSession {
        var id: [UInt8] = []
        var bytes: [UInt8] = []
        var expires: UInt64 = 0

        var handle: SessionCacheHandle {
            let pointer = unsafe Unmanaged.passUnretained(self).toOpaque()
            return unsafe SessionCacheHandle(
                cache: pointer,
                put: { cache, id, idCount, bytes, count, expires in
                    let one = unsafe Unmanaged<OneSession>.fromOpaque(cache!).takeUnretainedValue()
                    one.id = unsafe Array(UnsafeBufferPointer(start: id, count: idCount))
                    one.bytes = unsafe Array(UnsafeBufferPointer(start: bytes, count: count))
                    one.expires = expires
                    return 0
                },
                get: { cache, id, idCount, out, capacity, now in
                    let one = unsafe Unmanaged<OneSession>.fromOpaque(cache!).takeUnretainedValue()
                    let asked = unsafe Array(UnsafeBufferPointer(start: id, count: idCount))
                    guard asked == one.id, now < one.expires, one.bytes.count <= capacity else { return 0 }
                    unsafe out!.update(from: one.bytes, count: one.bytes.count)
                    return Int32(one.bytes.count)
                },
                remove: { cache, id, idCount in
                    let one = unsafe Unmanaged<OneSession>.fromOpaque(cache!).takeUnretainedValue()
                    if unsafe Array(UnsafeBufferPointer(start: id, count: idCount)) == one.id { one.id = [] }
                })
        }
    }

    @Test(
        "workers share sessions by id, and forget those of clients that are refused",
        arguments: [
            TLSProtocols.tls12, .tls13,
        ])
    func cached(version: TLSProtocols) throws {
        let cache = OneSession()
        let settings = TLSServerSettings.mutual(.optional) { settings in
            settings.common.protocols = version
            settings.usesTickets = false
            settings.sessionCache.kind = .kept
            settings.sessionCache.sharedName = "shared"
        }
        let workers = try (0..<2).map { _ in try TLSServerContext(settings, tickets: nil, cache: cache.handle) }
        let client = try TLSClientContext(.with(certificate: "client"))
        let store = try #require(TLSSessionStore(capacity: 1))
        #expect(!Self.isResumed(client, workers[0], store))
        #expect(Self.isResumed(client, workers[1], store))
        #expect(Self.isResumed(client, workers[0], store))
        cache.expires = 0
        #expect(!Self.isResumed(client, workers[0], store))

        let expired = try TLSClientContext(.with(certificate: "expired"))
        var link = Link(expired, workers[0])
        defer { link.free() }
        link.handshake()
        #expect(link.server.connection.clientRefusal != nil)
        #expect(cache.id.isEmpty)
    }

    /// A reload frees contexts whose sessions other workers go on with. OpenSSL keeps a `builtin` cache beside the
    /// shared one, and empties it with the context.
    @Test("a context that goes leaves the shared sessions where they are")
    func contextGoes() throws {
        let cache = OneSession()
        var settings = TLSServerSettings.with("server") { settings in
            settings.common.protocols = .tls12
            settings.usesTickets = false
            settings.sessionCache.kind = .kept
            settings.sessionCache.sharedName = "shared"
            settings.sessionCache.builtinSessions = 10
        }
        let client = try TLSClientContext(.with())
        let store = try #require(TLSSessionStore(capacity: 1))
        do {
            let old = try TLSServerContext(settings, tickets: nil, cache: cache.handle)
            #expect(!Self.isResumed(client, old, store))
        }
        #expect(!cache.id.isEmpty)
        settings.prefersServerCiphers = true
        let new = try TLSServerContext(settings, tickets: nil, cache: cache.handle)
        #expect(Self.isResumed(client, new, store))
    }
}
