// SPDX-License-Identifier: Apache-2.0
//
// Follows MQTT through a stream at any cut and says what passed, for both ends of a measurement. Unlike
// MQTTWire.PacketReader it keeps nothing and copies nothing: a generator that costs more than what it measures is none.
//
//   start → length → (publish) topicLength → topic → (QoS 1) word → rest
//                  → (CONNACK, PUBACK, SUBSCRIBE, SUBACK)    word → rest
//                  → (all others)                                   rest → start

import MQTTWire

enum PassedPacket: Equatable {
    case connect
    case connack(code: UInt8)
    /// Nil is QoS 0.
    case publish(packetID: UInt16?)
    case puback(packetID: UInt16)
    case subscribe(packetID: UInt16)
    case suback
    case pingRequest
    case disconnect
    /// The stream has no meaning from here on.
    case fault
}

struct PacketScanner: BitwiseCopyable {
    private enum Stage: UInt8, BitwiseCopyable { case start, length, topicLength, topic, word, rest }

    private var stage = Stage.start
    private var first: UInt8 = 0
    private var lengthShift: UInt8 = 0
    private var wordBytes: UInt8 = 0
    /// The two bytes read last as a number: a topic's length, a packet id, flags and code of a CONNACK.
    private var word: UInt16 = 0
    private var topicLeft: UInt16 = 0
    private var bodyLeft: UInt32 = 0

    /// The next packet that ends in `bytes`; nil when they are used up. `offset` is where reading goes on.
    mutating func next(in bytes: Span<UInt8>, at offset: inout Int) -> PassedPacket? {
        while offset < bytes.count {
            switch stage {
            case .start:
                first = bytes[offset]
                offset += 1
                (lengthShift, bodyLeft, word, wordBytes) = (0, 0, 0, 0)
                stage = .length
            case .length:
                guard lengthShift <= 21 else { return .fault }
                let byte = bytes[offset]
                offset += 1
                bodyLeft |= UInt32(byte & 0x7F) << UInt32(lengthShift)
                lengthShift += 7
                if byte & 0x80 == 0 { stage = firstStage }
            case .topicLength, .word:
                guard bodyLeft > 0 else { return .fault }
                word = word << 8 | UInt16(bytes[offset])
                offset += 1
                bodyLeft -= 1
                wordBytes += 1
                if wordBytes == 2 { wordRead() }
            case .topic:
                let step = min(bytes.count - offset, Int(topicLeft), Int(bodyLeft))
                guard step > 0 else { return .fault }
                offset += step
                topicLeft -= UInt16(step)
                bodyLeft -= UInt32(step)
                if topicLeft == 0 { topicRead() }
            case .rest:
                let step = min(bytes.count - offset, Int(bodyLeft))
                offset += step
                bodyLeft -= UInt32(step)
            }
            if stage == .rest, bodyLeft == 0 {
                stage = .start
                return passed
            }
        }
        return nil
    }

    private var type: MQTTPacketType? { MQTTPacketType(rawValue: first >> 4) }
    private var quality: UInt8 { first >> 1 & 3 }

    private var firstStage: Stage {
        switch type {
        case .publish: .topicLength
        case .connack, .puback, .subscribe, .suback: .word
        default: .rest
        }
    }

    private mutating func wordRead() {
        guard stage == .topicLength else {
            stage = .rest
            return
        }
        topicLeft = word
        (word, wordBytes) = (0, 0)
        if topicLeft == 0 { topicRead() } else { stage = .topic }
    }

    private mutating func topicRead() {
        stage = quality == 0 ? .rest : .word
    }

    private var passed: PassedPacket {
        switch type {
        case .connect: .connect
        case .connack: .connack(code: UInt8(truncatingIfNeeded: word))
        case .publish: .publish(packetID: quality == 0 ? nil : word)
        case .puback: .puback(packetID: word)
        case .subscribe: .subscribe(packetID: word)
        case .suback: .suback
        case .pingreq: .pingRequest
        case .disconnect: .disconnect
        default: .fault
        }
    }
}
