// SPDX-License-Identifier: Apache-2.0
//
// The longer steps of `demo --once`: what is done, and what must be seen within which time. The bounds leave room for a
// machine that is busy with other things; where the time itself is promised, the step in the story says so.

import Glibc
import LinuxIO
import MQTTClient
import Vocabulary

extension DemoScript {
    struct Victim {
        var broker: BrokerProcess
        var sensors: [Sensor]
        var killedAt: UInt64
    }

    static func connectAll(_ world: DemoWorld) throws(Failure) {
        try expect(world, 15_000, "six sensors connected, with a broker each") {
            world.sensors.allSatisfy { $0.link.isReady && world.broker(of: $0) != nil }
        } seen: {
            placesText(world)
        }
        try expect(world, 5000, "the operator connected") {
            world.operatorLink.isReady
        } seen: {
            world.operatorLink.lastEnd?.text ?? "not connected"
        }
    }

    /// Each observer sees a fresh message of every sensor, and none twice.
    static func seeAll(
        _ world: DemoWorld, at observers: [Observer], _ milliseconds: UInt64
    ) throws(Failure) {
        try expect(world, milliseconds, "subscribers connected") {
            observers.allSatisfy { $0.link.isReady }
        } seen: {
            "one is not: \(observers.compactMap { $0.link.lastEnd?.text })"
        }
        for observer in observers { observer.forget() }
        try expect(world, milliseconds, "every subscriber sees every sensor") {
            observers.allSatisfy { observer in world.sensors.allSatisfy { observer.hasSeen($0) } }
        } seen: {
            observers.flatMap { observer in
                world.sensors.filter { !observer.hasSeen($0) }.map { "\(observer.link.clientID) lacks \($0.id)" }
            }.joined(separator: ", ")
        }
        // Long enough for a message that goes round to come round.
        _ = world.wait(300) { false }
        let repeated = observers.flatMap(\.repeated)
        guard repeated.isEmpty else {
            throw Failure(expected: "each message once", seen: "twice: " + repeated.joined(separator: ", "))
        }
    }

    static func returnHome(_ world: DemoWorld) throws(Failure) {
        let homes = world.sensors.map { world.broker(of: $0)?.number }
        let sessions = world.sensors.map(\.link.sessionCount)
        for sensor in world.sensors { sensor.link.reconnect() }
        try expect(world, 15_000, "six new sessions") {
            zip(world.sensors, sessions).allSatisfy { $0.link.sessionCount > $1 && world.broker(of: $0) != nil }
        } seen: {
            placesText(world)
        }
        let now = world.sensors.map { world.broker(of: $0)?.number }
        guard now == homes else {
            throw Failure(expected: "brokers \(numbers(homes))", seen: "brokers \(numbers(now))")
        }
    }

    static func killBroker(_ world: DemoWorld) throws(Failure) -> Victim {
        let counts = world.brokers.map { broker in world.sensors.filter { world.broker(of: $0) === broker }.count }
        let broker = world.brokers[counts.firstIndex(of: counts.max() ?? 0) ?? 0]
        let sensors = world.sensors.filter { world.broker(of: $0) === broker }
        let killedAt = monotonicMilliseconds()
        broker.stop(SIGKILL)
        try expect(world, 10_000, "\(sensors.map(\.id)) with other brokers") {
            sensors.allSatisfy { sensor in
                guard sensor.link.isReady, let place = world.broker(of: sensor) else { return false }
                return place !== broker
            }
        } seen: {
            placesText(world)
        }
        return Victim(broker: broker, sensors: sensors, killedAt: killedAt)
    }

    /// Tried anew each second: a broker that failed a connection stays out until its `fail_timeout` has passed.
    static func comeBack(_ world: DemoWorld, _ victim: Victim) throws(Failure) {
        var nextRound: UInt64 = 0
        try expect(world, 10_000, "\(victim.sensors.map(\.id)) at broker \(victim.broker.number)") {
            let away = victim.sensors.filter { world.broker(of: $0) !== victim.broker }
            let now = monotonicMilliseconds()
            if !away.isEmpty, now >= nextRound, away.allSatisfy({ world.broker(of: $0) != nil }) {
                nextRound = now + 1000
                for sensor in away { sensor.link.reconnect() }
            }
            return away.isEmpty
        } seen: {
            placesText(world)
        }
    }

    static func reload(_ world: DemoWorld) throws(Failure) {
        let before = world.generation()
        let sessions = world.sensors.map(\.link.sessionCount)
        let observer = world.observers.first { $0.link.isReady }
        observer?.forget()
        world.reload()
        try expect(world, 10_000, "a generation after \(before.map(String.init) ?? "none")") {
            world.generation() != before
        } seen: {
            "generation \(world.generation().map(String.init) ?? "none")"
        }
        // Two rounds of readings, so that a session that is dead without having ended shows.
        _ = world.wait(2500) { false }
        let after = world.sensors.map(\.link.sessionCount)
        guard sessions == after, world.sensors.allSatisfy({ $0.link.isReady }) else {
            throw Failure(expected: "sessions \(sessions)", seen: "sessions \(after)")
        }
        let missing = observer?.missing ?? []
        guard missing.isEmpty else {
            throw Failure(expected: "every message", seen: "missing " + missing.joined(separator: ", "))
        }
    }

    static func blink(_ world: DemoWorld) throws(Failure) {
        for led in [Sensor.LED.blink, .off] {
            for sensor in world.sensors { world.command("led \(led.rawValue)", sensor) }
            try expect(world, 10_000, "every LED: \(led.rawValue)") {
                world.sensors.allSatisfy { $0.led == led }
            } seen: {
                world.sensors.map { "\($0.id) \($0.led.rawValue)" }.joined(separator: ", ")
            }
        }
    }
}
