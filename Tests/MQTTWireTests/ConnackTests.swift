// SPDX-License-Identifier: Apache-2.0
//
// CONNACK both ways: the refusals that the balancer sends, and the answers of brokers that it reads.

import Testing

@testable import MQTTWire

@Suite struct ConnackTests {
    @Test(
        "a refusal is in the words of its version",
        arguments: [
            (MQTTVersion.v31, RefusalReason.unsupportedProtocolVersion, [0x20, 2, 0, 1] as [UInt8]),
            (.v311, .malformedPacket, [0x20, 2, 0, 1]),
            (.v311, .clientIDNotValid, [0x20, 2, 0, 2]),
            (.v311, .serverUnavailable, [0x20, 2, 0, 3]),
            (.v311, .serverBusy, [0x20, 2, 0, 3]),
            (.v311, .badUserNameOrPassword, [0x20, 2, 0, 4]),
            (.v311, .notAuthorized, [0x20, 2, 0, 5]),
            (.v5, .malformedPacket, [0x20, 3, 0, 0x81, 0]),
            (.v5, .unsupportedProtocolVersion, [0x20, 3, 0, 0x84, 0]),
            (.v5, .serverUnavailable, [0x20, 3, 0, 0x88, 0]),
            (.v5, .serverBusy, [0x20, 3, 0, 0x89, 0]),
            (.v5, .packetTooLarge, [0x20, 3, 0, 0x95, 0]),
            (.v5, .connectionRateExceeded, [0x20, 3, 0, 0x9F, 0]),
        ])
    func refusal(version: MQTTVersion, reason: RefusalReason, bytes: [UInt8]) {
        let refusal = ConnackRefusal(version: version, reason: reason)
        #expect(refusal.bytes == bytes)
        #expect(refusal.count == bytes.count)
        #expect(refusal[3] == bytes[3])
    }

    @Test("every refusal reads as one", arguments: MQTTVersion.allCases, RefusalReason.allCases)
    func refusalsAreRefusals(version: MQTTVersion, reason: RefusalReason) {
        let bytes = ConnackRefusal(version: version, reason: reason).bytes
        guard case .complete(let connack) = ConnackScanner.scan(bytes.span) else {
            Issue.record("\(bytes)")
            return
        }
        #expect(!connack.isAccepted)
        #expect(connack.packetLength == bytes.count)
    }

    @Test("only a level that nobody has is told as such")
    func faultReasons() {
        for fault in MQTTFault.allCases {
            let expected = fault == .protocolLevel ? RefusalReason.unsupportedProtocolVersion : .malformedPacket
            #expect(RefusalReason(fault: fault) == expected)
        }
    }

    @Test(
        "CONNACK of each version is read at its second body byte",
        arguments: [
            (
                [0x20, 2, 0, 0] as [UInt8],
                ConnackScan.complete(Connack(isSessionPresent: false, code: 0, packetLength: 4))
            ),
            ([0x20, 2, 1, 0], .complete(Connack(isSessionPresent: true, code: 0, packetLength: 4))),
            ([0x20, 2, 0, 5], .complete(Connack(isSessionPresent: false, code: 5, packetLength: 4))),
            (
                [0x20, 6, 0, 0x88, 3, 0x21, 0, 10],
                .complete(Connack(isSessionPresent: false, code: 0x88, packetLength: 8))
            ),
            ([0x20, 6, 0, 0], .complete(Connack(isSessionPresent: false, code: 0, packetLength: 8))),
            ([], .needsMore), ([0x20], .needsMore), ([0x20, 2], .needsMore), ([0x20, 2, 0], .needsMore),
            ([0x20, 1, 0], .malformed(.fieldBeyondPacket)), ([0x20, 0], .malformed(.fieldBeyondPacket)),
            ([0x20, 2, 2, 0], .malformed(.connackFlags)), ([0x21, 2, 0, 0], .malformed(.headerFlags)),
            ([0x30, 2, 0, 0], .malformed(.packetType)), ([0x00, 2, 0, 0], .malformed(.packetType)),
            ([0x20, 0x80, 0x80, 0x80, 0x80], .malformed(.lengthTooLong)),
        ])
    func scanning(bytes: [UInt8], expected: ConnackScan) {
        #expect(ConnackScanner.scan(bytes.span) == expected)
    }
}
