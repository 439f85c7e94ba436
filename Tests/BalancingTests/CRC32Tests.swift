// SPDX-License-Identifier: Apache-2.0
//
// CRC-32 against published check values and against the definition, bit by bit.

import Balancing
import Testing

@Suite struct CRC32Tests {
    @Test(
        "published values",
        arguments: [
            ("", 0 as UInt32), ("123456789", 0xCBF4_3926), ("a", 0xE8B7_BE43), ("abc", 0x3524_41C2),
            ("The quick brown fox jumps over the lazy dog", 0x414F_A339),
        ])
    func published(text: String, value: UInt32) {
        #expect(CRC32.checksum(Array(text.utf8).span) == value)
    }

    @Test("every length and every cut gives what the definition gives")
    func cuts() {
        var random = RandomDraws(seed: 3)
        let bytes = (0..<40).map { _ in UInt8.random(in: 0...255, using: &random) }
        for count in 0...bytes.count {
            let whole = Array(bytes[..<count])
            var register: UInt32 = ~0
            for byte in whole {
                register ^= UInt32(byte)
                for _ in 0..<8 { register = register & 1 == 1 ? register >> 1 ^ 0xEDB8_8320 : register >> 1 }
            }
            #expect(CRC32.checksum(whole.span) == ~register)
            for cut in 0...count {
                var crc = CRC32()
                crc.update(Array(whole[..<cut]).span)
                crc.update(Array(whole[cut...]).span)
                #expect(crc.value == ~register)
            }
        }
    }

    @Test("a word is its four bytes, least significant first")
    func word() {
        var crc = CRC32()
        crc.update(littleEndian: 0x3433_3231)
        #expect(crc.value == CRC32.checksum(Array("1234".utf8).span))
    }
}
