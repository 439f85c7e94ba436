// SPDX-License-Identifier: Apache-2.0
//
// What a pair brings of a side that has gone: the kernel tells of its end before what it has sent, and nothing of that
// may be lost.

import LinuxIO
import Testing

@testable import ControlLink

@Suite("packet sockets")
struct PacketSocketTests {
    private enum Heard: Equatable {
        case packet([UInt8])
        case wouldBlock
        case ended
    }

    private static func hear(_ socket: borrowing PacketSocket) throws -> Heard {
        switch try socket.receive(bytesMax: 64) {
        case .packet(let bytes, _, _): .packet(bytes)
        case .wouldBlock: .wouldBlock
        case .ended: .ended
        }
    }

    @Test("the last words of a side that ended without reading come before its end", arguments: [0, 1, 3])
    func lastWords(unread: Int) throws {
        let pair = try PacketSocket.makePair()
        let here = PacketSocket(Descriptor(pair.first))
        let there = PacketSocket(Descriptor(pair.second))
        #expect(try Self.hear(here) == .wouldBlock)
        for _ in 0..<unread { #expect(try here.send([1])) }
        #expect(try there.send([2]))
        #expect(try there.send([3]))
        Self.end(there)
        #expect(try Self.hear(here) == .packet([2]))
        #expect(try Self.hear(here) == .packet([3]))
        #expect(try Self.hear(here) == .ended)
        #expect(try Self.hear(here) == .ended)
    }

    private static func end(_ socket: consuming PacketSocket) {}
}
