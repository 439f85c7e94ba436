// SPDX-License-Identifier: Apache-2.0
//
// Numbers, texts and addresses as bytes of a packet, little-endian. A reader never reads past the end, and whoever made
// the bytes is believed nothing.

import Vocabulary

extension [UInt8] {
    mutating func append(littleEndian value: UInt64, byteCount: Int) {
        for index in 0..<byteCount { append(UInt8(truncatingIfNeeded: value >> UInt64(index * 8))) }
    }

    mutating func append(littleEndian value: UInt32, byteCount: Int) {
        append(littleEndian: UInt64(value), byteCount: byteCount)
    }

    func littleEndian(at offset: Int, byteCount: Int) -> UInt32 {
        (0..<byteCount).reduce(0) { $0 | UInt32(self[offset + $1]) << UInt32($1 * 8) }
    }

    /// A length of two bytes, then the bytes, cut at `bytesMax`.
    mutating func append(counted bytes: some Collection<UInt8>, bytesMax: Int) {
        let kept = bytes.prefix(Swift.min(bytesMax, Int(UInt16.max)))
        append(littleEndian: UInt64(kept.count), byteCount: 2)
        append(contentsOf: kept)
    }

    mutating func append(_ address: IPAddress) {
        append(address.family.rawValue)
        append(littleEndian: address.high, byteCount: 8)
        append(littleEndian: address.low, byteCount: 8)
    }
}

/// Bytes are no packet of the kind that was expected.
struct PacketFault: Error, Equatable {}

struct LinkReader {
    private let bytes: [UInt8]
    private var offset = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var isAtEnd: Bool { offset == bytes.count }

    mutating func integer<Number: FixedWidthInteger>(_ type: Number.Type) throws(PacketFault) -> Number {
        let byteCount = Number.bitWidth / 8
        guard bytes.count - offset >= byteCount else { throw PacketFault() }
        var value: Number = 0
        for index in 0..<byteCount { value |= Number(truncatingIfNeeded: bytes[offset + index]) << (index * 8) }
        offset += byteCount
        return value
    }

    mutating func counted(bytesMax: Int) throws(PacketFault) -> [UInt8] {
        let count = Int(try integer(UInt16.self))
        guard count <= bytesMax, bytes.count - offset >= count else { throw PacketFault() }
        defer { offset += count }
        return Array(bytes[offset..<offset + count])
    }

    mutating func text(bytesMax: Int) throws(PacketFault) -> String {
        guard let text = String(validating: try counted(bytesMax: bytesMax), as: UTF8.self) else { throw PacketFault() }
        return text
    }

    mutating func address() throws(PacketFault) -> IPAddress {
        guard let family = IPAddress.Family(rawValue: try integer(UInt8.self)) else { throw PacketFault() }
        let high = try integer(UInt64.self)
        let low = try integer(UInt64.self)
        switch family {
        case .ipv6: return IPAddress(ipv6High: high, low: low)
        case .ipv4:
            guard low == 0, high & 0xFFFF_FFFF == 0 else { throw PacketFault() }
            return IPAddress(ipv4: UInt32(high >> 32))
        }
    }

    /// A byte that is 0 or 1.
    mutating func flag() throws(PacketFault) -> Bool {
        let byte = try integer(UInt8.self)
        guard byte <= 1 else { throw PacketFault() }
        return byte == 1
    }

    /// Nothing may follow.
    func end() throws(PacketFault) {
        guard isAtEnd else { throw PacketFault() }
    }
}
