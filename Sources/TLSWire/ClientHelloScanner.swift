// SPDX-License-Identifier: Apache-2.0
//
// Reads a ClientHello out of the first bytes of a connection, at any cut of the stream and of its records, and the
// hello of SSL 2 as far as nginx's `ssl_preread` does. Keeps no state, never traps, allocates only for a whole hello.
// The number of bytes looked at is bounded by the limit.
// Stricter than nginx where a server would refuse the hello anyway (lengths that do not add up, extensions that come
// twice), so that nobody chooses a broker by a name that the broker reads differently.
// Invariant: with `limit` bytes or more at hand the answer is never `needsMore`.

package enum ClientHelloScanner {
    /// `bytes` are the connection's first; `limit` is how many of them the caller is ready to hold.
    package static func scan(_ bytes: Span<UInt8>, limit: Int) -> ClientHelloScan {
        var walk = HelloWalk(limit: limit)
        do throws(HelloWalk.Stop) {
            return .complete(try walk.hello(in: bytes))
        } catch {
            switch error {
            case .needsMore: return .needsMore
            case .tooLarge: return .tooLarge
            case .notTLS: return .notTLS
            case .malformed(let fault): return .malformed(fault)
            }
        }
    }
}

/// One pass over the message, which sees records only where it crosses from one into the next.
private struct HelloWalk {
    enum Stop: Error {
        case needsMore, tooLarge, notTLS
        case malformed(ClientHelloFault)
    }

    /// Where the walk stands in the stream.
    struct Place {
        var offset = 0
        /// What the record at hand still holds; 0: a record begins here.
        var recordLeft = 0
    }

    /// A piece of the message, which may lie in several records.
    struct Piece {
        var place: Place
        var count: Int
    }

    private static let handshake: UInt8 = 0x16
    private static let clientHello: UInt8 = 1
    private static let recordHeaderBytes = 5
    /// RFC 8446 section 5.1.
    private static let recordBytesMax = 1 << 14

    let limit: Int
    var place = Place()
    /// Bytes up to the end of what is being read: the message, or an extension.
    var left = Int.max

    init(limit: Int) { self.limit = limit }

    mutating func hello(in bytes: Span<UInt8>) throws(Stop) -> ClientHello {
        if try byte(at: 0, of: bytes) & 0x80 != 0 { return ClientHello(version: try oldVersion(of: bytes)) }
        guard try byte(of: bytes) == HelloWalk.clientHello else { throw .malformed(.messageType) }
        left = Int(try byte(of: bytes)) << 16 | Int(try word(of: bytes))
        // What will never fit is not waited for; headers of further records only add to it.
        guard place.offset + left <= limit else { throw .tooLarge }

        var version = try word(of: bytes)
        try skip(32, of: bytes)  // random
        try skip(Int(try byte(of: bytes)), of: bytes)  // session id
        try skip(Int(try word(of: bytes)), of: bytes)  // cipher suites
        try skip(Int(try byte(of: bytes)), of: bytes)  // compression methods
        var names = Found()
        if left > 0 {
            guard Int(try word(of: bytes)) == left else { throw .malformed(.length) }
            while left > 0 { try takeExtension(of: bytes, into: &names) }
        }
        if names.hasVersions { version = 0x0304 }
        return ClientHello(
            version: version, serverName: names.serverName.map { copy($0, of: bytes) },
            protocols: names.protocols.map { list(copy($0, of: bytes)) })
    }

    /// The two-byte length with its high bit, then the type and the version (RFC 5246 appendix E.2).
    private func oldVersion(of bytes: Span<UInt8>) throws(Stop) -> UInt16 {
        guard try byte(at: 2, of: bytes) == HelloWalk.clientHello else { throw .notTLS }
        let major = try byte(at: 3, of: bytes)
        guard major == 0 || major == 3 else { throw .notTLS }
        return UInt16(major) << 8 | UInt16(try byte(at: 4, of: bytes))
    }

    // MARK: Extensions

    struct Found {
        var serverName: Piece? = nil
        /// The list without its length, each protocol behind a byte that counts it.
        var protocols: Piece? = nil
        var hasVersions = false
    }

    private mutating func takeExtension(of bytes: Span<UInt8>, into found: inout Found) throws(Stop) {
        let kind = try word(of: bytes)
        let count = Int(try word(of: bytes))
        guard count <= left else { throw .malformed(.length) }
        let behind = left - count
        left = count
        switch kind {
        case 0:
            guard found.serverName == nil else { throw .malformed(.duplicateExtension) }
            found.serverName = try serverName(of: bytes)
        case 16:
            guard found.protocols == nil else { throw .malformed(.duplicateExtension) }
            found.protocols = try protocols(of: bytes)
        case 43:
            guard !found.hasVersions else { throw .malformed(.duplicateExtension) }
            found.hasVersions = true
            guard Int(try byte(of: bytes)) == left else { throw .malformed(.length) }
            try skip(left, of: bytes)
        default: try skip(left, of: bytes)
        }
        left = behind
    }

    /// The first name; RFC 6066 allows no second one of a kind, and knows no other kind.
    private mutating func serverName(of bytes: Span<UInt8>) throws(Stop) -> Piece {
        guard Int(try word(of: bytes)) == left else { throw .malformed(.length) }
        guard try byte(of: bytes) == 0 else { throw .malformed(.nameType) }
        let count = Int(try word(of: bytes))
        let name = Piece(place: place, count: count)
        try skip(count, of: bytes)
        try skip(left, of: bytes)
        return name
    }

    private mutating func protocols(of bytes: Span<UInt8>) throws(Stop) -> Piece {
        guard Int(try word(of: bytes)) == left, left > 0 else { throw .malformed(.length) }
        let list = Piece(place: place, count: left)
        while left > 0 {
            let count = Int(try byte(of: bytes))
            guard count > 0 else { throw .malformed(.length) }
            try skip(count, of: bytes)
        }
        return list
    }

    // MARK: Bytes of the message

    private mutating func byte(of bytes: Span<UInt8>) throws(Stop) -> UInt8 {
        try skip(1, of: bytes)
        return bytes[place.offset - 1]
    }

    private mutating func word(of bytes: Span<UInt8>) throws(Stop) -> UInt16 {
        UInt16(try byte(of: bytes)) << 8 | UInt16(try byte(of: bytes))
    }

    /// The order of the checks is the order of certainty: what breaks the message is malformed whether or not it fits.
    private mutating func skip(_ count: Int, of bytes: Span<UInt8>) throws(Stop) {
        guard count <= left else { throw .malformed(.length) }
        left -= count
        var rest = count
        while rest > 0 {
            if place.recordLeft == 0 { try openRecord(of: bytes) }
            let step = min(rest, place.recordLeft)
            guard place.offset + step <= limit else { throw .tooLarge }
            guard place.offset + step <= bytes.count else { throw .needsMore }
            place.offset += step
            place.recordLeft -= step
            rest -= step
        }
    }

    private mutating func openRecord(of bytes: Span<UInt8>) throws(Stop) {
        let start = place.offset
        guard try byte(at: start, of: bytes) == HelloWalk.handshake, try byte(at: start + 1, of: bytes) == 3 else {
            throw start == 0 ? .notTLS : .malformed(.record)
        }
        let count = Int(try byte(at: start + 3, of: bytes)) << 8 | Int(try byte(at: start + 4, of: bytes))
        guard 1...HelloWalk.recordBytesMax ~= count else { throw .malformed(.record) }
        place = Place(offset: start + HelloWalk.recordHeaderBytes, recordLeft: count)
    }

    /// A byte of the stream.
    private func byte(at offset: Int, of bytes: Span<UInt8>) throws(Stop) -> UInt8 {
        guard offset < limit else { throw .tooLarge }
        guard offset < bytes.count else { throw .needsMore }
        return bytes[offset]
    }

    // MARK: Results

    /// Of bytes that the walk has been over.
    private func copy(_ piece: Piece, of bytes: Span<UInt8>) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(piece.count)
        var place = piece.place
        while result.count < piece.count {
            if place.recordLeft == 0 {
                place.recordLeft = Int(bytes[place.offset + 3]) << 8 | Int(bytes[place.offset + 4])
                place.offset += HelloWalk.recordHeaderBytes
            }
            result.append(bytes[place.offset])
            place.offset += 1
            place.recordLeft -= 1
        }
        return result
    }

    /// Counted names become names with commas between.
    private func list(_ names: [UInt8]) -> [UInt8] {
        var result = names
        var start = 0
        while start < names.count {
            result[start] = UInt8(ascii: ",")
            start += 1 + Int(names[start])
        }
        result.removeFirst()
        return result
    }
}
