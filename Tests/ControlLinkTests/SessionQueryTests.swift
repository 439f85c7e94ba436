// SPDX-License-Identifier: Apache-2.0
//
// Queries and answers come back as they were written, and bytes that nobody wrote are refused, never believed.

import ControlLink
import LinuxIO
import Testing
import Vocabulary

@Suite("Session queries") struct SessionQueryTests {
    static let queries: [SessionQuery] = [
        SessionQuery(.list(SessionFilter())),
        SessionQuery(.list(filter()), cursor: 77_000, limit: 1),
        SessionQuery(.topBytes, limit: 10),
        SessionQuery(.topReconnects, limit: 20),
        SessionQuery(.close(SessionID(run: 0xFFFF_FFFF, number: 1 << 60))),
    ]

    static let answers: [SessionAnswer] = [
        .sessions([]), .sessions([facts()]),
        .sessions([SessionFacts](repeating: facts(), count: SessionAnswer.entriesMax)),
        .sessions([SessionFacts(id: SessionID(run: 1, number: 2), phase: .handshaking)]),
        .reconnects([ReconnectFacts(clientID: Array("dev".utf8), count: 3, doubt: 1)]),
        .end(next: nil), .end(next: 0), .end(next: 4711), .refused,
    ]

    private static func filter() -> SessionFilter {
        var filter = SessionFilter()
        filter.clientID = Array("sensor-17".utf8)
        filter.client = IPAddress(ipv6High: 1, low: 2)
        filter.clientPort = 0
        filter.peers = [0, 8191]
        return filter
    }

    /// The largest that there are.
    private static func facts() -> SessionFacts {
        var facts = SessionFacts(id: SessionID(run: 9, number: 1793), phase: .forwarding)
        facts.clientID = [UInt8](repeating: 0xFF, count: SessionFacts.clientIDBytesMax)
        facts.client = IPEndpoint(address: IPAddress(ipv4: 0x7F00_0001), port: 65535)
        facts.listener = String(repeating: "l", count: SessionFacts.addressBytesMax)
        facts.broker = String(repeating: "b", count: SessionFacts.addressBytesMax)
        facts.zone = 1023
        facts.peer = 8191
        facts.ageMilliseconds = .max
        facts.idleMilliseconds = 1
        facts.received = 2
        facts.sent = 3
        facts.keepAlive = 60
        facts.mqttLevel = 5
        facts.isClientIDCut = true
        facts.isCleanStart = true
        facts.isTLS = true
        facts.isBrokerTLS = true
        return facts
    }

    @Test("a query comes back as it was written, within its size", arguments: queries)
    func queryRoundTrip(_ query: SessionQuery) {
        let packet = query.packet(number: 0x0102_0304)
        #expect(SessionQuery(packet: packet) == query)
        #expect(SessionQuery.number(ofPacket: packet) == 0x0102_0304)
        #expect(packet.count <= SessionQuery.packetBytesMax)
    }

    @Test("an answer comes back as it was written, within its size", arguments: answers)
    func answerRoundTrip(_ answer: SessionAnswer) {
        let packet = answer.packet(number: 5)
        #expect(SessionAnswer.read(packet)?.answer == answer)
        #expect(SessionAnswer.read(packet)?.number == 5)
        #expect(packet.count <= SessionAnswer.packetBytesMax)
    }

    @Test("a packet that is cut or goes on is none", arguments: queries)
    func wrongLength(_ query: SessionQuery) {
        let packet = query.packet(number: 1)
        for count in packet.indices { #expect(SessionQuery(packet: Array(packet[..<count])) == nil) }
        #expect(SessionQuery(packet: packet + [0]) == nil)
    }

    @Test("a limit of none or of more than there may be is refused, and so is a cursor where none belongs")
    func limits() {
        for limit in [0, SessionQuery.limitMax + 1] {
            #expect(SessionQuery(packet: SessionQuery(.topBytes, limit: limit).packet(number: 1)) == nil)
        }
        #expect(SessionQuery(packet: SessionQuery(.topBytes, cursor: 1).packet(number: 1)) == nil)
    }

    @Test("a client id that is too long is cut, and the answer says so")
    func longClientID() throws {
        var facts = SessionFacts(id: SessionID(run: 1, number: 2), phase: .forwarding)
        facts.clientID = [UInt8](repeating: 0x61, count: 5000)
        guard case .sessions(let read)? = SessionAnswer.read(SessionAnswer.sessions([facts]).packet(number: 1))?.answer
        else { Issue.record("no sessions"); return }
        #expect(read.first?.clientID?.count == SessionFacts.clientIDBytesMax)
        #expect(read.first?.isClientIDCut == true)
    }

    @Test("whatever bytes come, what is read from them is written and read the same", arguments: 0..<8 as Range<UInt64>)
    func mutatedBytes(_ seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let packets = Self.queries.map { $0.packet(number: 1) } + Self.answers.map { $0.packet(number: 1) }
        var readable = 0
        for _ in 0..<4000 {
            var bytes = packets[Int(random.next() % UInt64(packets.count))]
            for _ in 0...random.next() % 4 {
                let place = Int(random.next() % UInt64(bytes.count))
                switch random.next() % 3 {
                case 0: bytes[place] = UInt8(truncatingIfNeeded: random.next())
                case 1 where bytes.count > 1: bytes.remove(at: place)
                default: bytes.insert(UInt8(truncatingIfNeeded: random.next()), at: place)
                }
            }
            if let query = SessionQuery(packet: bytes) {
                readable += 1
                let again = SessionQuery(packet: query.packet(number: 1))
                // Compared outside of the macro, which would print a page for each difference.
                let isSame = again == query
                #expect(isSame)
            }
            if let answer = SessionAnswer.read(bytes)?.answer {
                readable += 1
                let isSame = SessionAnswer.read(answer.packet(number: 1))?.answer == answer
                #expect(isSame)
            }
        }
        #expect(readable > 100, "mutations that leave a packet readable are among them")
    }

    @Test("packets keep their borders; one without room for it is held back; an end is seen")
    func sockets() throws {
        let pair = try PacketSocket.makePair()
        let first = PacketSocket(Descriptor(pair.first))
        var second: PacketSocket? = PacketSocket(Descriptor(pair.second))
        #expect(try first.send([1, 2]) && first.send([3]))
        for expected in [[1, 2], [3]] as [[UInt8]] {
            guard case .packet(let bytes, _, let isCut) = try second!.receive(bytesMax: 16) else {
                Issue.record("no packet")
                return
            }
            #expect(bytes == expected && !isCut)
        }
        var sent = 0
        while sent < 1_000_000, try first.send([UInt8](repeating: 0, count: 16_000)) { sent += 1 }
        #expect(sent > 16 && sent < 1_000_000, "an unread socket takes only so much")
        second = nil
        // With packets unread, else EPIPE; both say that nobody is there.
        #expect(throws: Errno.connectionReset) { try first.send([1]) }
        #expect(throws: Errno.brokenPipe) { try first.send([1]) }
    }
}
