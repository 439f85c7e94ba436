// SPDX-License-Identifier: Apache-2.0
//
// An application beside the devices: it comes through the TLS listener with its certificate, and switches one sensor's
// LED after the other, on in one round and off in the next.

import LinuxIO
import MQTTClient
import Vocabulary

final class BackOffice {
    /// What it last did.
    struct Deed: Equatable {
        var sensor: String
        var led: Sensor.LED
    }

    static let id = "office-01"

    let link: DeviceLink
    /// While false, it stays connected and does nothing.
    var isSwitching = true
    private(set) var lastDeed: Deed?
    private(set) var deedCount = 0
    private let sensors: [String]
    private let intervalMilliseconds: UInt64
    private var nextDeed: UInt64

    init(
        to target: IPEndpoint, secured security: DeviceSecurity, sensors: [String], intervalMilliseconds: UInt64,
        now: UInt64
    ) {
        link = DeviceLink(clientID: Self.id, to: target, secured: security)
        self.sensors = sensors
        self.intervalMilliseconds = intervalMilliseconds
        nextDeed = now + intervalMilliseconds
    }

    /// The deed of this number, from 0 on.
    static func deed(_ number: Int, _ sensors: [String]) -> Deed {
        Deed(sensor: sensors[number % sensors.count], led: number / sensors.count % 2 == 0 ? .on : .off)
    }

    var nextDeadline: UInt64 { min(link.nextDeadline ?? .max, isSwitching ? nextDeed : .max) }

    func turn(_ happened: PollEntry.Events, now: UInt64) {
        _ = link.turn(happened, now: now)
        guard isSwitching, now >= nextDeed else { return }
        nextDeed = now + intervalMilliseconds
        let deed = Self.deed(deedCount, sensors)
        // Without a session the same deed is tried again.
        guard
            link.publish(
                topic: Sensor.commandTopic(deed.sensor), payload: Array("led \(deed.led.rawValue)".utf8), now: now)
        else { return }
        lastDeed = deed
        deedCount += 1
    }
}
