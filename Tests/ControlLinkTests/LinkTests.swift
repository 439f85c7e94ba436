// SPDX-License-Identifier: Apache-2.0
//
// The control link: messages as bytes, and both ends with real descriptors.

import ControlLink
import LinuxIO
import Testing
import Vocabulary

@Suite struct LinkMessageTests {
    static let kinds: [LinkMessage.Kind] = [
        .prepare, .log, .listener, .build, .commit, .abort, .reopen, .quit, .stop, .ready, .refused, .committed,
        .listenersClosed,
    ]

    @Test("every kind survives the way through a packet", arguments: kinds)
    func roundTrip(_ kind: LinkMessage.Kind) throws {
        let text = kind == .refused ? "bind() failed – “why”" : ""
        let message = LinkMessage(kind, generation: 0xFFFF_FFFE, index: 0x0102_0304, text: text)
        #expect(try LinkMessage(packet: message.packet) == message)
    }

    @Test("a long text is cut between characters")
    func cut() throws {
        let message = LinkMessage(.refused, text: String(repeating: "a", count: 479) + "€uro")
        #expect(try LinkMessage(packet: message.packet).text == String(repeating: "a", count: 479))
        #expect(message.packet.count <= LinkMessage.packetBytesMax)
        let full = LinkMessage(.refused, text: String(repeating: "b", count: 480))
        #expect(try LinkMessage(packet: full.packet) == full)
    }

    @Test("a packet cut anywhere is refused", arguments: 0..<15)
    func short(_ count: Int) {
        let packet = LinkMessage(.refused, generation: 1, index: 2, text: "abc").packet
        #expect(throws: LinkFault.wrongLength(count)) { try LinkMessage(packet: Array(packet[..<count])) }
    }

    @Test("unknown kinds, lying lengths and text where none belongs are refused")
    func malformed() {
        var packet = LinkMessage(.ready).packet
        packet[0] = 99
        #expect(throws: LinkFault.unknownKind(99)) { try LinkMessage(packet: packet) }
        var lying = LinkMessage(.ready).packet
        lying[2] = 1
        #expect(throws: LinkFault.wrongLength(12)) { try LinkMessage(packet: lying) }
        #expect(throws: LinkFault.unexpectedText(32)) { try LinkMessage(packet: lying + [65]) }
    }

    @Test("no packet traps", arguments: 0..<200)
    func anyBytes(_ seed: Int) {
        var random = SeededRandom(seed: UInt64(seed))
        let packet = (0..<Int.random(in: 0...600, using: &random)).map { _ in UInt8.random(in: 0...255, using: &random)
        }
        _ = try? LinkMessage(packet: packet)
    }
}

@Suite struct LinkEndpointTests {
    @Test("messages and descriptors arrive in order, once each, and then the link would block")
    func order() throws {
        let pair = try LinkEndpoint.makePair()
        let master = LinkEndpoint(socket: Descriptor(pair.master))
        let child = LinkEndpoint(socket: Descriptor(pair.child))
        let file = try Memory.makeSealed(name: "bundle", [1, 2, 3])
        #expect(try master.send(LinkMessage(.prepare, generation: 5), descriptor: file.number))
        #expect(try master.send(LinkMessage(.build, generation: 5)))
        try file.close()
        let first = try #require(try takeMessage(child))
        #expect(first.message == LinkMessage(.prepare, generation: 5))
        let bundle = Descriptor(try #require(first.descriptor))
        #expect(try Memory.readSealed(bundle.number, bytesMax: 10) == [1, 2, 3])
        let second = try #require(try takeMessage(child))
        #expect(second.message.kind == .build && second.descriptor == nil)
        #expect(try takeMessage(child) == nil)
        #expect(try child.send(LinkMessage(.refused, generation: 5, text: "no")))
        #expect(try takeMessage(master)?.message.text == "no")
    }

    /// Nil when none is there; the descriptor is the caller's.
    private func takeMessage(_ link: borrowing LinkEndpoint) throws -> (message: LinkMessage, descriptor: Int32?)? {
        let reception = try link.receive()
        switch consume reception {
        case .message(var arrival):
            let descriptor = arrival.takeDescriptor()
            return (arrival.message, descriptor?.release())
        case .wouldBlock: return nil
        case .ended: throw Errno.brokenPipe
        case .malformed(let fault): throw fault
        }
    }

    @Test("some hundreds of messages with descriptors wait in the link, and a full link says so and loses nothing")
    func full() throws {
        let pair = try LinkEndpoint.makePair()
        let master = LinkEndpoint(socket: Descriptor(pair.master))
        let child = LinkEndpoint(socket: Descriptor(pair.child))
        let null = try Files.openRead("/dev/null")
        var sent: UInt32 = 0
        while sent < 100_000, try master.send(LinkMessage(.listener, index: sent), descriptor: null.number) {
            sent += 1
        }
        #expect(sent >= 300 && sent < 100_000)
        for index in 0..<sent {
            let arrival = try #require(try takeMessage(child))
            Descriptors.close(try #require(arrival.descriptor))
            guard arrival.message.index == index else { throw Errno.invalid }
        }
        #expect(try master.send(LinkMessage(.build)))
    }

    @Test("the death of the other side is the end, after what it had said")
    func end() throws {
        let pair = try LinkEndpoint.makePair()
        let master = LinkEndpoint(socket: Descriptor(pair.master))
        let child = try inChild(keeping: [pair.child]) {
            let link = LinkEndpoint(socket: Descriptor(pair.child))
            return (try? link.send(LinkMessage(.ready, generation: 1))) == true ? 0 : 1
        }
        Descriptors.close(pair.child)
        #expect(try Processes.wait(for: child)?.way == .exited(0))
        #expect(try takeMessage(master)?.message == LinkMessage(.ready, generation: 1))
        // Another test's child may hold a copy of the other end for a moment.
        var entries = [PollEntry(master.number, .readable)]
        #expect(try Poll.wait(&entries, milliseconds: 5000) == 1)
        #expect(throws: Errno.brokenPipe) { try takeMessage(master) }
        #expect(throws: Errno.brokenPipe) { try master.send(LinkMessage(.build)) }
    }

    @Test("what is no message is told apart, its descriptor closed, and the next one is taken")
    func malformed() throws {
        let pair = try LinkEndpoint.makePair()
        let child = LinkEndpoint(socket: Descriptor(pair.child))
        _ = try Sockets.send(pair.master, [99, 1, 2][...])
        _ = try Sockets.send(pair.master, [UInt8](repeating: 1, count: 5000)[...])
        _ = try Sockets.send(pair.master, LinkMessage(.quit).packet[...])
        #expect(throws: LinkFault.wrongLength(3)) { try takeMessage(child) }
        #expect(throws: LinkFault.cut) { try takeMessage(child) }
        #expect(try takeMessage(child)?.message.kind == .quit)
        Descriptors.close(pair.master)
    }
}
