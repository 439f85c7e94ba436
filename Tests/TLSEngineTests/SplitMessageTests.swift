// SPDX-License-Identifier: Apache-2.0
//
// Messages that a peer cuts over two records after the handshake (RFC 8446, 5.1), with traffic the other way in between.

import CTestTLS
import TLSEngine
import Testing

@Suite("messages in two records")
struct SplitMessageTests {
    /// The client's, cut behind so many of its five bytes.
    private static func splitUpdate(_ pair: Misbehaving, behind cut: Int) throws -> (first: [UInt8], rest: [UInt8]) {
        let records = unsafe [UInt8](unsafeUninitializedCapacity: 128) { buffer, count in
            count = unsafe ctt_client_split_update(pair.client, cut, buffer.baseAddress, buffer.count)
        }
        // Headers, types and tags.
        try #require(records.count == 5 + 2 * (5 + 1 + 16))
        let end = cut + 5 + 1 + 16
        return (Array(records[..<end]), Array(records[end...]))
    }

    @Test("a KeyUpdate cut anywhere over two records costs no byte that goes the other way meanwhile", arguments: 1...4)
    func splitKeyUpdate(cut: Int) throws {
        let pair = try Misbehaving(version: 13)
        defer { pair.free() }
        let (first, rest) = try Self.splitUpdate(pair, behind: cut)
        #expect(pair.server.open(first) == (.bytes(0), []))
        var sent = try #require(pair.server.seal([1, 2]))
        #expect(pair.server.open(Array(rest[..<9])) == (.bytes(0), []))
        sent += try #require(pair.server.seal([3]))
        // OpenSSL stops where it knows the message's length and lacks its end.
        #expect(sent.isEmpty == (cut == 4))
        #expect(pair.server.connection.outputBytes == 0)
        #expect(pair.server.open(Array(rest[9...])) == (.bytes(0), []))
        sent += pair.server.takeOutput()
        pair.feed(sent)
        var bytes: [UInt8] = []
        while bytes.count < 3 {
            var byte: UInt8 = 0
            try #require(unsafe ctt_client_read(pair.client, &byte, 1) == 1)
            bytes.append(byte)
        }
        #expect(bytes == [1, 2, 3])
        // And both sides have the new keys.
        pair.feed(try #require(pair.server.seal([4])))
        var byte: UInt8 = 0
        #expect(unsafe ctt_client_read(pair.client, &byte, 1) == 1)
        #expect(byte == 4)
        #expect(unsafe ctt_client_write(pair.client, [9] as [UInt8], 1) == 1)
        #expect(pair.server.open(pair.take()).1 == [9])
    }

    @Test("a peer that never ends its message may not make this side hold more and more")
    func endlessMessage() throws {
        let pair = try Misbehaving(version: 13)
        defer { pair.free() }
        #expect(pair.server.open(try Self.splitUpdate(pair, behind: 4).first) == (.bytes(0), []))
        let large = [UInt8](repeating: 7, count: 16 * 1024)
        for _ in 0..<4 { #expect(pair.server.seal(large) == []) }
        #expect(pair.server.seal([7]) == nil)
        #expect(pair.server.connection.fault?.message == "peer does not end its message")
        #expect(pair.server.connection.isClientFault)
    }
}
