// SPDX-License-Identifier: Apache-2.0
//
// A subscriber at one broker, past Weir, who counts what it sees of each sensor: the proof that the brokers are joined
// and that no message comes twice.

import LinuxIO
import Vocabulary

final class Observer {
    let link: DeviceLink
    /// The sequence numbers seen of each sensor since the last `forget`.
    private var seen: [String: [UInt64]] = [:]

    init(broker number: Int, at endpoint: IPEndpoint) {
        link = DeviceLink(clientID: "observer-\(number)", to: endpoint, subscribe: [Sensor.stateFilter])
    }

    func turn(_ happened: PollEntry.Events, now: UInt64) {
        for message in link.turn(happened, now: now) {
            let levels = message.topic.split(separator: "/")
            guard levels.count == 3, let sequence = Observer.sequence(in: message.payload) else { continue }
            seen[String(levels[1]), default: []].append(sequence)
        }
    }

    func forget() { seen = [:] }

    func hasSeen(_ sensor: Sensor) -> Bool { seen[sensor.id] != nil }

    /// What came more than once, as `esp32-01: 7`.
    var repeated: [String] {
        seen.flatMap { id, numbers in
            Dictionary(grouping: numbers) { $0 }.filter { $0.value.count > 1 }.keys.map { "\(id): \($0)" }
        }
    }

    /// What is missing between the first and the last number seen, as `esp32-01: 7`.
    var missing: [String] {
        seen.flatMap { id, numbers -> [String] in
            guard let first = numbers.min(), let last = numbers.max() else { return [] }
            return Set(first...last).subtracting(numbers).map { "\(id): \($0)" }
        }
    }

    /// The number behind `"sequence":`.
    static func sequence(in payload: [UInt8]) -> UInt64? {
        let name = Array("\"sequence\":".utf8)
        guard payload.count > name.count else { return nil }
        let start = (0..<payload.count - name.count).first { payload[$0...].starts(with: name) }
        guard let start else { return nil }
        let digits = payload[(start + name.count)...].prefix { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
        return UInt64(String(decoding: digits, as: UTF8.self))
    }
}
