// SPDX-License-Identifier: Apache-2.0
//
// A message as the bytes of one packet. Both sides are the same binary, but the bytes crossed a process border, so they
// are checked like a stranger's. Layout, little-endian: kind (1), zero (1), length of the text (2), generation (4),
// index (4), text in UTF-8.

/// Why bytes are no message.
package enum LinkFault: Error, Sendable, Equatable {
    /// Shorter than the fixed part, or another length than it says.
    case wrongLength(Int)
    case unknownKind(UInt8)
    /// A kind that has none came with text, or a text is longer than allowed.
    case unexpectedText(UInt8)
    /// Larger than any message, or with more descriptors than one.
    case cut
}

extension LinkMessage {
    static let fixedBytes = 12
    package static let packetBytesMax = fixedBytes + changeTextBytesMax

    /// The text is cut at the bytes that the kind may have, at the border of a character.
    package var packet: [UInt8] {
        let text = Self.cut(text, bytesMax: kind.textBytesMax)
        var bytes: [UInt8] = [kind.rawValue, 0]
        bytes.reserveCapacity(Self.fixedBytes + text.count)
        bytes.append(littleEndian: UInt32(text.count), byteCount: 2)
        bytes.append(littleEndian: generation, byteCount: 4)
        bytes.append(littleEndian: index, byteCount: 4)
        bytes.append(contentsOf: text)
        return bytes
    }

    /// Takes exactly what `packet` makes.
    package init(packet: [UInt8]) throws(LinkFault) {
        guard packet.count >= Self.fixedBytes else { throw LinkFault.wrongLength(packet.count) }
        guard let kind = Kind(rawValue: packet[0]) else { throw LinkFault.unknownKind(packet[0]) }
        let textBytes = Int(packet.littleEndian(at: 2, byteCount: 2))
        guard packet.count == Self.fixedBytes + textBytes else { throw LinkFault.wrongLength(packet.count) }
        guard textBytes <= kind.textBytesMax else { throw LinkFault.unexpectedText(packet[0]) }
        self.init(
            kind, generation: packet.littleEndian(at: 4, byteCount: 4), index: packet.littleEndian(at: 8, byteCount: 4),
            text: String(decoding: packet[Self.fixedBytes...], as: UTF8.self))
    }

    private static func cut(_ text: String, bytesMax: Int) -> ArraySlice<UInt8> {
        let bytes = Array(text.utf8)
        guard bytes.count > bytesMax else { return bytes[...] }
        var end = bytesMax
        while end > 0, bytes[end] & 0xC0 == 0x80 { end -= 1 }
        return bytes[..<end]
    }
}
