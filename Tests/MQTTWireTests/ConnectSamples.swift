// SPDX-License-Identifier: Apache-2.0
//
// CONNECT packets as bytes, written out by hand from the specifications' own examples and from what clients send, with
// what they say and where the fields used end.

import MQTTWire
import Testing

struct ConnectSample: Sendable, CustomTestStringConvertible {
    var name: String
    var bytes: [UInt8]
    var version: MQTTVersion
    var clientID: String
    var userName: String? = nil
    var keepAliveSeconds: UInt16
    var isCleanStart = true
    var isBridge = false
    var hasWill = false
    var hasPassword = false
    /// Where the last field that the balancer uses ends.
    var neededCount: Int

    var testDescription: String { name }
}

/// `text` with its two bytes of length.
private func field(_ text: String) -> [UInt8] {
    [UInt8(text.utf8.count >> 8), UInt8(text.utf8.count & 0xFF)] + Array(text.utf8)
}

extension ConnectSample {
    static let all: [ConnectSample] = [talkCheck, minimal311, old31, full311, full5, bridge, bridgeOld, longPassword]

    /// The health check of the talk: an empty client id.
    static let talkCheck = ConnectSample(
        name: "3.1.1, empty client id",
        bytes: [0x10, 0x0C, 0x00, 0x04, 0x4D, 0x51, 0x54, 0x54, 0x04, 0x02, 0x00, 0x00, 0x00, 0x00],
        version: .v311, clientID: "", keepAliveSeconds: 0, neededCount: 14)

    static let minimal311 = ConnectSample(
        name: "3.1.1, client id only",
        bytes: [0x10, 0x0E, 0x00, 0x04, 0x4D, 0x51, 0x54, 0x54, 0x04, 0x02, 0x00, 0x0A, 0x00, 0x02, 0x68, 0x63],
        version: .v311, clientID: "hc", keepAliveSeconds: 10, neededCount: 16)

    /// The variable header of the 3.1 specification's example, user name and will included.
    static let old31 = ConnectSample(
        name: "3.1 with will and user name",
        bytes: [0x10, 0x2B, 0x00, 0x06, 0x4D, 0x51, 0x49, 0x73, 0x64, 0x70, 0x03, 0xCE, 0x00, 0x0A]
            + field("sensor-1") + field("a/b") + field("gone") + field("user") + field("pw"),
        version: .v31, clientID: "sensor-1", userName: "user", keepAliveSeconds: 10, hasWill: true, hasPassword: true,
        neededCount: 14 + 10 + 5 + 6 + 6)

    /// 3.1.1 figure 3.6: user name, password, will at QoS 1, clean session, keep-alive 10.
    static let full311 = ConnectSample(
        name: "3.1.1 with everything",
        bytes: [0x10, 0x28, 0x00, 0x04, 0x4D, 0x51, 0x54, 0x54, 0x04, 0xCE, 0x00, 0x0A]
            + field("sensor-1") + field("a/b") + field("gone") + field("dave") + field("x"),
        version: .v311, clientID: "sensor-1", userName: "dave", keepAliveSeconds: 10, hasWill: true,
        hasPassword: true, neededCount: 12 + 10 + 5 + 6 + 6)

    /// 5.0 figure 3-6: the same flags, and a session expiry interval of 10 s; will with a delay interval.
    static let full5 = ConnectSample(
        name: "5.0 with everything",
        bytes: [0x10, 0x33, 0x00, 0x04, 0x4D, 0x51, 0x54, 0x54, 0x05, 0xCE, 0x00, 0x0A]
            + [0x05, 0x11, 0x00, 0x00, 0x00, 0x0A]
            + field("sensor-5") + [0x05, 0x18, 0x00, 0x00, 0x00, 0x01] + field("a/b") + field("gone") + field("eve")
            + field("x"),
        version: .v5, clientID: "sensor-5", userName: "eve", keepAliveSeconds: 10, hasWill: true, hasPassword: true,
        neededCount: 12 + 6 + 10 + 6 + 5 + 6 + 5)

    static let bridge = ConnectSample(
        name: "3.1.1 bridge",
        bytes: [0x10, 0x12, 0x00, 0x04, 0x4D, 0x51, 0x54, 0x54, 0x84, 0x00, 0x00, 0x3C] + field("bridge"),
        version: .v311, clientID: "bridge", keepAliveSeconds: 60, isCleanStart: false, isBridge: true,
        neededCount: 20)

    static let bridgeOld = ConnectSample(
        name: "3.1 bridge",
        bytes: [0x10, 0x14, 0x00, 0x06, 0x4D, 0x51, 0x49, 0x73, 0x64, 0x70, 0x83, 0x00, 0x00, 0x3C] + field("bridge"),
        version: .v31, clientID: "bridge", keepAliveSeconds: 60, isCleanStart: false, isBridge: true, neededCount: 22)

    /// The remaining length takes three bytes; the password is never needed.
    static let longPassword = ConnectSample(
        name: "3.1.1 with a password of 60,000 bytes",
        bytes: [0x10, 0xF4, 0xD4, 0x03, 0x00, 0x04, 0x4D, 0x51, 0x54, 0x54, 0x04, 0xC2, 0xFF, 0xFF]
            + field("id") + field("me") + [0xEA, 0x60] + [UInt8](repeating: 0x70, count: 60_000),
        version: .v311, clientID: "id", userName: "me", keepAliveSeconds: 65_535, hasPassword: true,
        neededCount: 22)
}

/// A generator of our own, so that a seed means the same run everywhere (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }
}
