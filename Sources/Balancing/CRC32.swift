// SPDX-License-Identifier: Apache-2.0
//
// CRC-32 of IEEE 802.3, reflected, as nginx and Cache::Memcached use it for hashes. Incremental: a value may be copied
// at any point and gone on with in two ways, which is how the points of a ring share their server's part.

package struct CRC32: Sendable, BitwiseCopyable {
    /// The register before the final inversion.
    private var register: UInt32 = ~0

    package init() {}

    package var value: UInt32 { ~register }

    package mutating func update(_ byte: UInt8) {
        register = CRC32.tables[Int(UInt8(truncatingIfNeeded: register) ^ byte)] ^ register >> 8
    }

    package mutating func update(_ bytes: Span<UInt8>) {
        var index = 0
        while bytes.count - index >= 4 {
            let word =
                UInt32(bytes[index]) | UInt32(bytes[index + 1]) << 8 | UInt32(bytes[index + 2]) << 16
                | UInt32(bytes[index + 3]) << 24
            update(littleEndian: word)
            index += 4
        }
        while index < bytes.count {
            update(bytes[index])
            index += 1
        }
    }

    /// Four bytes at once, the least significant first.
    package mutating func update(littleEndian word: UInt32) {
        let mixed = register ^ word
        let tables = CRC32.tables
        register =
            tables[768 + Int(mixed & 0xFF)] ^ tables[512 + Int(mixed >> 8 & 0xFF)]
            ^ tables[256 + Int(mixed >> 16 & 0xFF)] ^ tables[Int(mixed >> 24)]
    }

    package static func checksum(_ bytes: Span<UInt8>) -> UInt32 {
        var crc = CRC32()
        crc.update(bytes)
        return crc.value
    }

    /// Four tables of 256 words, one behind the other: table `k` is the effect of a byte with `k` more behind it.
    private static let tables: [UInt32] = {
        var tables = [UInt32](repeating: 0, count: 1024)
        for byte in 0..<256 {
            var value = UInt32(byte)
            for _ in 0..<8 { value = value & 1 == 1 ? 0xEDB8_8320 ^ value >> 1 : value >> 1 }
            tables[byte] = value
        }
        for index in 256..<1024 {
            let shorter = tables[index - 256]
            tables[index] = tables[Int(shorter & 0xFF)] ^ shorter >> 8
        }
        return tables
    }()
}
