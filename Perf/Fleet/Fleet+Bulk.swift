// SPDX-License-Identifier: Apache-2.0
//
// Bulk: packets of 16 KiB and QoS 0, as fast as the sockets take them, from the devices to the broker or back.

import LinuxIO
import MQTTWire

package enum BulkDirection: String, Sendable, CaseIterable { case up, down }

extension Fleet {
    /// Every session sends (or is sent) its share of `byteCount`, rounded up to whole packets. Counts bytes. What came
    /// is told by whole packets, so that bytes lost or turned would show.
    package func stream(_ direction: BulkDirection, byteCount: Int, secondsMax: Double = 60) -> JobResult {
        begin(.bulk)
        let devices = sessions.filter { $0 >= 0 }
        guard !devices.isEmpty else { return JobResult(count: 0, nanoseconds: 0) }
        let packetBytes = Self.bulkPacketBytes
        let packetsEach = (byteCount / devices.count + packetBytes - 1) / packetBytes
        record.bulkBytesEach = packetsEach * packetBytes
        let start = monotonicNanoseconds()
        for number in devices {
            switch direction {
            case .up: startBulk(number)
            case .down:
                let packet = PacketWriter.subscribe(packetID: 1, topics: [("fleet/bulk", 0)], version: .v311)
                if !sendSmall(number, packet) { end(number, nil) }
            }
        }
        let packetCount = packetsEach * devices.count
        let deadline = start + UInt64(secondsMax * 1e9)
        let isWhole = turn(until: deadline) {
            record.bulkPackets >= packetCount || record.endedEarly > 0
        }
        if !isWhole { tally.unanswered += 1 }
        return JobResult(count: record.bulkPackets * packetBytes, nanoseconds: monotonicNanoseconds() - start)
    }

    func startBulk(_ number: Int32) {
        guard record.bulkBytesEach > 0 else { return }
        connections[Int(number)].bulkLeft = record.bulkBytesEach
        connections[Int(number)].bulkSent = 0
        setWantsRoom(number, true)
    }

    /// Sends what the socket takes, once: the others have their turn in between.
    func pump(_ number: Int32) {
        let slot = Int(number)
        let offset = connections[slot].bulkSent % bulkTile.count
        let count = min(connections[slot].bulkLeft, bulkTile.count - offset)
        do throws(Errno) {
            let taken = try Sockets.send(number, bulkTile[offset..<offset + count])
            connections[slot].bulkSent += taken
            connections[slot].bulkLeft -= taken
            if connections[slot].bulkLeft == 0 { setWantsRoom(number, false) }
        } catch Errno.wouldBlock {
            return
        } catch {
            if connections[slot].role == .device { end(number, error) } else { brokerFault(number, error) }
        }
    }

    static let bulkPacketBytes = 16 * 1024

    /// Sixteen whole packets, sent over and over.
    static func makeBulkTile() -> [UInt8] {
        let topic = "fleet/bulk"
        // Fixed header (one byte, length in two) and the topic with its own length stand before the payload.
        let payloadBytes = bulkPacketBytes - 3 - 2 - topic.utf8.count
        let packet = PublishPacket(topic: topic, payload: [UInt8](repeating: 0x5A, count: payloadBytes))
            .bytes(for: .v311)
        precondition(packet.count == bulkPacketBytes)
        return [[UInt8]](repeating: packet, count: 16).flatMap { $0 }
    }
}
