// SPDX-License-Identifier: Apache-2.0
//
// The longer steps of `demo --once`: what is done, and what must be seen within which time. The bounds leave room for a
// machine that is busy with other things; where the time itself is promised, the step in the story says so.

import Glibc
import LinuxIO
import MQTTClient
import SharedState
import TLSEngine
import Vocabulary

extension DemoScript {
    struct Victim {
        var broker: BrokerProcess
        var sensors: [Sensor]
        var killedAt: UInt64
    }

    static func connectAll(_ world: DemoWorld) throws(Failure) {
        try expect(world, 15_000, "six sensors and the back office connected, with a broker each") {
            (world.sensors.map(\.link) + [world.backOffice.link]).allSatisfy {
                $0.isReady && world.broker(of: $0) != nil
            }
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

    static func look(_ world: DemoWorld, _ victim: Victim) throws(Failure) {
        let reader = PageReader(endpoint: world.ports.weirHTTP)
        let name = victim.broker.endpoint.text
        let reason = "\"reason\":\"\(world.report(of: victim.broker)?.reason ?? "none")\""
        for (path, texts) in [
            ("/", ["200 OK", "<title>Weir</title>"]),
            ("/events", ["event: state", name, "\"state\":\"unhealthy\"", reason]),
            ("/api/9/stream/upstreams/brokers", ["200 OK", name, "\"state\":\"unhealthy\""]),
        ] {
            guard reader.get(path, until: texts, milliseconds: 3000) == nil else { continue }
            throw Failure(expected: "\(texts) at \(path)", seen: "not within 3 s")
        }
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
        let links = world.sensors.map(\.link) + [world.backOffice.link]
        let sessions = links.map(\.sessionCount)
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
        let after = links.map(\.sessionCount)
        guard sessions == after, links.allSatisfy(\.isReady) else {
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

    // MARK: TLS

    /// Another round of the back office's, of which every sensor's LED tells.
    static func switchByTLS(_ world: DemoWorld) throws(Failure) {
        let office = world.backOffice
        let wanted: Sensor.LED = world.sensors.allSatisfy { $0.led == .on } ? .off : .on
        office.isSwitching = true
        defer { office.isSwitching = false }
        try expect(world, 30_000, "the back office switches every LED \(wanted.rawValue)") {
            world.sensors.allSatisfy { $0.led == wanted }
        } seen: {
            let leds = world.sensors.map { "\($0.id) \($0.led.rawValue)" }.joined(separator: ", ")
            return "\(leds) after \(office.deedCount) deeds; \(office.link.lastEnd?.text ?? "no session has ended")"
        }
    }

    /// A new session of the back office's; the access log tells of the one before, with the certificate's name.
    static func returnByTLS(_ world: DemoWorld) throws(Failure) {
        let link = world.backOffice.link
        let sessions = link.sessionCount
        let words = "client=\(BackOffice.id) cert=\(DemoCertificates.officeName) "
        let before = lines(of: world.weir.accessLog, with: words)
        link.reconnect()
        try expect(world, 10_000, "a new session of the back office") {
            link.isReady && link.sessionCount > sessions
        } seen: {
            link.lastEnd?.text ?? "not connected"
        }
        try expect(world, 5000, "a line with \(words)in the access log") {
            lines(of: world.weir.accessLog, with: words) > before
        } seen: {
            LogTail.lastLines(of: world.weir.accessLog, 3).joined(separator: "; ")
        }
    }

    static func security(_ world: DemoWorld, hasCertificate: Bool) throws(Failure) -> DeviceSecurity {
        do throws(TLSFault) { return try world.certificates.security(hasCertificate: hasCertificate) } catch {
            throw Failure(expected: "a context of the demo's certificates", seen: error.message)
        }
    }

    /// Tries until Weir has ended a connection of `guest` and said why; a CONNACK fails the step.
    static func refuse(_ world: DemoWorld, _ guest: DeviceLink, logged reason: String) throws(Failure) {
        let before = lines(of: world.weir.errorLog, with: reason)
        world.guests = [guest]
        defer {
            guest.close()
            world.guests = []
        }
        try expect(world, 10_000, "refused, and \"\(reason)\" in Weir's log") {
            guest.sessionCount > 0 || guest.lastEnd != nil && lines(of: world.weir.errorLog, with: reason) > before
        } seen: {
            guest.lastEnd?.text ?? "the connection goes on"
        }
        guard guest.sessionCount == 0, guest.lastEnd != .connectTimedOut else {
            throw Failure(expected: "refused", seen: guest.sessionCount > 0 ? "let in" : "left waiting")
        }
    }

    private static func lines(of path: String, with words: String) -> Int {
        LogTail.lastLines(of: path, .max).count { $0.contains(words) }
    }
}
