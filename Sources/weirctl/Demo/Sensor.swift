// SPDX-License-Identifier: Apache-2.0
//
// A simulated device: publishes its readings as JSON every few seconds on `sensors/ID/state` and obeys
// `sensors/ID/command` with its LED.

import LinuxIO
import Vocabulary

final class Sensor {
    enum LED: String {
        case off, on, blink
    }

    struct Reading: Equatable {
        var sequence: UInt64
        var uptimeSeconds: UInt64
        var light: Int
        /// Tenths of a degree.
        var temperature: Int
    }

    static let stateFilter = "sensors/+/state"

    let id: String
    let link: DeviceLink
    private(set) var led = LED.off
    private(set) var last: Reading?
    private let bootTime: UInt64
    private let intervalMilliseconds: UInt64
    private var nextReading: UInt64
    private var chance: SeededRandom
    private var sequence: UInt64 = 0
    private var light: Int
    private var temperature: Int

    init(
        number: Int, to target: IPEndpoint, from source: IPAddress?, intervalMilliseconds: UInt64, now: UInt64
    ) {
        id = Sensor.id(number)
        link = DeviceLink(clientID: id, to: target, from: source, subscribe: [Sensor.commandTopic(id)])
        bootTime = now
        self.intervalMilliseconds = intervalMilliseconds
        chance = SeededRandom(seed: UInt64(number))
        // Not all at once.
        nextReading = now + intervalMilliseconds * UInt64(number) / 6
        light = Int.random(in: 200...800, using: &chance)
        temperature = Int.random(in: 180...240, using: &chance)
    }

    /// Names that the ring spreads two and two and two over the demo's usual ports.
    static func id(_ number: Int) -> String { "esp32-0\(number)" }
    static func stateTopic(_ id: String) -> String { "sensors/\(id)/state" }
    static func commandTopic(_ id: String) -> String { "sensors/\(id)/command" }

    var nextDeadline: UInt64 { min(link.nextDeadline ?? .max, nextReading) }

    func turn(_ happened: PollEntry.Events, now: UInt64) {
        for message in link.turn(happened, now: now) {
            obey(String(decoding: message.payload, as: UTF8.self))
            publish(now: now)
        }
        if now >= nextReading {
            nextReading = now + intervalMilliseconds
            measure(now: now)
            publish(now: now)
        }
    }

    /// A light-emitting diode that blinks is lit half of the time.
    func isLit(now: UInt64) -> Bool {
        switch led {
        case .off: false
        case .on: true
        case .blink: now / 500 % 2 == 0
        }
    }

    /// `led on`, `led off`, `led blink`; anything else is not for this device.
    private func obey(_ command: String) {
        let words = command.split(separator: " ")
        guard words.count == 2, words[0] == "led", let led = LED(rawValue: String(words[1])) else { return }
        self.led = led
    }

    private func measure(now: UInt64) {
        light = min(max(light + Int.random(in: -20...20, using: &chance), 0), 1023)
        temperature = min(max(temperature + Int.random(in: -3...3, using: &chance), -100), 450)
        last = Reading(
            sequence: sequence, uptimeSeconds: (now - bootTime) / 1000, light: light, temperature: temperature)
    }

    /// Without a session the reading is lost, as with a device that keeps none; the gap in the sequence shows it.
    private func publish(now: UInt64) {
        guard var reading = last else { return }
        sequence += 1
        reading.sequence = sequence
        last = reading
        link.publish(topic: Sensor.stateTopic(id), payload: Array(json(reading).utf8), now: now)
    }

    private func json(_ reading: Reading) -> String {
        """
        {"id":"\(id)","sequence":\(reading.sequence),"uptime":\(reading.uptimeSeconds),"light":\(reading.light),\
        "temperature":\(Sensor.decimal(tenths: reading.temperature)),"led":"\(led.rawValue)"}
        """
    }

    /// `21.5`
    static func decimal(tenths: Int) -> String {
        "\(tenths < 0 ? "-" : "")\(tenths.magnitude / 10).\(tenths.magnitude % 10)"
    }
}
