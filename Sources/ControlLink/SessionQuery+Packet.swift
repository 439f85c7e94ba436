// SPDX-License-Identifier: Apache-2.0
//
// Queries and answers as the bytes of one packet. Layout, little-endian: the query's number (4), kind (1), then what
// the kind has. A packet that says more, less or anything else is none.

import Vocabulary

private enum QueryKind: UInt8 {
    case list = 1
    case topBytes
    case topReconnects
    case close
}

private enum AnswerKind: UInt8 {
    case sessions = 64
    case reconnects
    case end
    case refused
}

extension SessionQuery {
    package static let packetBytesMax = 64 + SessionFilter.clientIDBytesMax + 4 * SessionFilter.peersMax

    private var kind: QueryKind {
        switch subject {
        case .list: .list
        case .topBytes: .topBytes
        case .topReconnects: .topReconnects
        case .close: .close
        }
    }

    package func packet(number: UInt32) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(littleEndian: number, byteCount: 4)
        bytes.append(kind.rawValue)
        bytes.append(littleEndian: cursor, byteCount: 4)
        bytes.append(littleEndian: UInt64(limit), byteCount: 2)
        switch subject {
        case .topBytes, .topReconnects: break
        case .list(let filter): filter.write(to: &bytes)
        case .close(let id):
            bytes.append(littleEndian: id.run, byteCount: 4)
            bytes.append(littleEndian: id.number, byteCount: 8)
        }
        return bytes
    }

    /// The number that stands in front, even of a packet that is no query; nil: it is too short for one.
    package static func number(ofPacket bytes: [UInt8]) -> UInt32? {
        var reader = LinkReader(bytes)
        return try? reader.integer(UInt32.self)
    }

    /// Nil for what `packet` does not make.
    package init?(packet bytes: [UInt8]) {
        do throws(PacketFault) { try self.init(LinkReader(bytes)) } catch { return nil }
    }

    private init(_ bytes: LinkReader) throws(PacketFault) {
        var reader = bytes
        _ = try reader.integer(UInt32.self)
        guard let kind = QueryKind(rawValue: try reader.integer(UInt8.self)) else { throw PacketFault() }
        let cursor = try reader.integer(UInt32.self)
        let limit = Int(try reader.integer(UInt16.self))
        guard (1...SessionQuery.limitMax).contains(limit), kind == .list || cursor == 0 else { throw PacketFault() }
        let subject: Subject
        switch kind {
        case .list: subject = .list(try SessionFilter(&reader))
        case .topBytes: subject = .topBytes
        case .topReconnects: subject = .topReconnects
        case .close:
            let run = try reader.integer(UInt32.self)
            subject = .close(SessionID(run: run, number: try reader.integer(UInt64.self)))
        }
        try reader.end()
        self.init(subject, cursor: cursor, limit: limit)
    }
}

extension SessionFilter {
    private struct Fields: OptionSet {
        let rawValue: UInt8
        static let clientID = Fields(rawValue: 1)
        static let client = Fields(rawValue: 2)
        static let clientPort = Fields(rawValue: 4)
        static let all: Fields = [.clientID, .client, .clientPort]
    }

    fileprivate func write(to bytes: inout [UInt8]) {
        var fields: Fields = []
        if clientID != nil { fields.insert(.clientID) }
        if client != nil { fields.insert(.client) }
        if clientPort != nil { fields.insert(.clientPort) }
        bytes.append(fields.rawValue)
        if let clientID { bytes.append(counted: clientID, bytesMax: SessionFilter.clientIDBytesMax) }
        if let client { bytes.append(client) }
        if let clientPort { bytes.append(littleEndian: UInt64(clientPort), byteCount: 2) }
        let peers = peers.prefix(SessionFilter.peersMax)
        bytes.append(UInt8(peers.count))
        for peer in peers { bytes.append(littleEndian: peer, byteCount: 4) }
    }

    fileprivate init(_ reader: inout LinkReader) throws(PacketFault) {
        let fields = Fields(rawValue: try reader.integer(UInt8.self))
        guard fields.isSubset(of: .all) else { throw PacketFault() }
        if fields.contains(.clientID) { clientID = try reader.counted(bytesMax: SessionFilter.clientIDBytesMax) }
        if fields.contains(.client) { client = try reader.address() }
        if fields.contains(.clientPort) { clientPort = try reader.integer(UInt16.self) }
        let count = Int(try reader.integer(UInt8.self))
        guard count <= SessionFilter.peersMax else { throw PacketFault() }
        for _ in 0..<count { peers.append(try reader.integer(UInt32.self)) }
    }
}

extension SessionAnswer {
    package static let packetBytesMax = 16 * 1024
    /// So many sessions, or client ids, always fit one packet.
    package static let entriesMax = 16

    package func packet(number: UInt32) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(littleEndian: number, byteCount: 4)
        switch self {
        case .sessions(let sessions):
            bytes.append(AnswerKind.sessions.rawValue)
            bytes.append(UInt8(sessions.count))
            for session in sessions { session.write(to: &bytes) }
        case .reconnects(let clients):
            bytes.append(AnswerKind.reconnects.rawValue)
            bytes.append(UInt8(clients.count))
            for client in clients {
                bytes.append(counted: client.clientID, bytesMax: ReconnectFacts.clientIDBytesMax)
                bytes.append(littleEndian: client.count, byteCount: 8)
                bytes.append(littleEndian: client.doubt, byteCount: 8)
            }
        case .end(let next):
            bytes.append(AnswerKind.end.rawValue)
            bytes.append(next == nil ? 0 : 1)
            bytes.append(littleEndian: next ?? 0, byteCount: 4)
        case .refused:
            bytes.append(AnswerKind.refused.rawValue)
        }
        return bytes
    }

    /// Nil for what `packet` does not make.
    package static func read(_ bytes: [UInt8]) -> (number: UInt32, answer: SessionAnswer)? {
        var reader = LinkReader(bytes)
        do throws(PacketFault) {
            let number = try reader.integer(UInt32.self)
            let answer = try SessionAnswer(&reader)
            try reader.end()
            return (number, answer)
        } catch { return nil }
    }

    private init(_ reader: inout LinkReader) throws(PacketFault) {
        guard let kind = AnswerKind(rawValue: try reader.integer(UInt8.self)) else { throw PacketFault() }
        switch kind {
        case .sessions:
            var sessions: [SessionFacts] = []
            for _ in 0..<Int(try reader.integer(UInt8.self)) { sessions.append(try SessionFacts(&reader)) }
            self = .sessions(sessions)
        case .reconnects:
            var clients: [ReconnectFacts] = []
            for _ in 0..<Int(try reader.integer(UInt8.self)) {
                let clientID = try reader.counted(bytesMax: ReconnectFacts.clientIDBytesMax)
                let count = try reader.integer(UInt64.self)
                clients.append(
                    ReconnectFacts(clientID: clientID, count: count, doubt: try reader.integer(UInt64.self)))
            }
            self = .reconnects(clients)
        case .end:
            let hasNext = try reader.flag()
            let next = try reader.integer(UInt32.self)
            self = .end(next: hasNext ? next : nil)
        case .refused: self = .refused
        }
    }
}

extension SessionFacts {
    private struct Flags: OptionSet {
        let rawValue: UInt16
        static let clientID = Flags(rawValue: 1)
        static let clientIDCut = Flags(rawValue: 2)
        static let client = Flags(rawValue: 4)
        static let zone = Flags(rawValue: 8)
        static let peer = Flags(rawValue: 16)
        static let keepAlive = Flags(rawValue: 32)
        static let mqttLevel = Flags(rawValue: 64)
        static let cleanStart = Flags(rawValue: 128)
        static let tls = Flags(rawValue: 256)
        static let brokerTLS = Flags(rawValue: 512)
    }

    fileprivate func write(to bytes: inout [UInt8]) {
        var flags: Flags = []
        let isCut = isClientIDCut || (clientID?.count ?? 0) > SessionFacts.clientIDBytesMax
        for (flag, isSet) in [
            (.clientID, clientID != nil), (.clientIDCut, isCut), (.client, client != nil), (.zone, zone != nil),
            (.peer, peer != nil), (.keepAlive, keepAlive != nil), (.mqttLevel, mqttLevel != nil),
            (.cleanStart, isCleanStart), (.tls, isTLS), (.brokerTLS, isBrokerTLS),
        ] as [(Flags, Bool)] where isSet { flags.insert(flag) }
        bytes.append(littleEndian: UInt64(flags.rawValue), byteCount: 2)
        bytes.append(littleEndian: id.run, byteCount: 4)
        bytes.append(littleEndian: id.number, byteCount: 8)
        bytes.append(phase.rawValue)
        bytes.append(counted: clientID ?? [], bytesMax: SessionFacts.clientIDBytesMax)
        if let client {
            bytes.append(client.address)
            bytes.append(littleEndian: UInt64(client.port), byteCount: 2)
        }
        bytes.append(counted: listener.utf8, bytesMax: SessionFacts.addressBytesMax)
        bytes.append(littleEndian: zone ?? 0, byteCount: 4)
        bytes.append(littleEndian: peer ?? 0, byteCount: 4)
        bytes.append(counted: broker.utf8, bytesMax: SessionFacts.addressBytesMax)
        for number in [ageMilliseconds, idleMilliseconds, received, sent] {
            bytes.append(littleEndian: number, byteCount: 8)
        }
        bytes.append(littleEndian: UInt64(keepAlive ?? 0), byteCount: 2)
        bytes.append(mqttLevel ?? 0)
    }

    fileprivate init(_ reader: inout LinkReader) throws(PacketFault) {
        let flags = Flags(rawValue: try reader.integer(UInt16.self))
        let run = try reader.integer(UInt32.self)
        let number = try reader.integer(UInt64.self)
        guard let phase = SessionPhase(rawValue: try reader.integer(UInt8.self)) else { throw PacketFault() }
        self.init(id: SessionID(run: run, number: number), phase: phase)
        let name = try reader.counted(bytesMax: SessionFacts.clientIDBytesMax)
        clientID = flags.contains(.clientID) ? name : nil
        isClientIDCut = flags.contains(.clientIDCut)
        if flags.contains(.client) {
            let address = try reader.address()
            client = IPEndpoint(address: address, port: try reader.integer(UInt16.self))
        }
        listener = try reader.text(bytesMax: SessionFacts.addressBytesMax)
        let zoneNumber = try reader.integer(UInt32.self)
        zone = flags.contains(.zone) ? zoneNumber : nil
        let peerNumber = try reader.integer(UInt32.self)
        peer = flags.contains(.peer) ? peerNumber : nil
        broker = try reader.text(bytesMax: SessionFacts.addressBytesMax)
        ageMilliseconds = try reader.integer(UInt64.self)
        idleMilliseconds = try reader.integer(UInt64.self)
        received = try reader.integer(UInt64.self)
        sent = try reader.integer(UInt64.self)
        let seconds = try reader.integer(UInt16.self)
        keepAlive = flags.contains(.keepAlive) ? seconds : nil
        let level = try reader.integer(UInt8.self)
        mqttLevel = flags.contains(.mqttLevel) ? level : nil
        isCleanStart = flags.contains(.cleanStart)
        isTLS = flags.contains(.tls)
        isBrokerTLS = flags.contains(.brokerTLS)
    }
}
