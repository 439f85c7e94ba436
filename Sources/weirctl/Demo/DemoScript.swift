// SPDX-License-Identifier: Apache-2.0
//
// `demo --once`: the demo as a test without a terminal. Each step is one sentence that must hold, checked within a
// bound and printed with its time; the first that does not hold ends the run with what was expected and what was seen.

import Glibc
import LinuxIO
import MQTTClient
import SharedState
import Vocabulary

struct DemoScript {
    struct Failure: Error {
        var expected: String
        var seen: String
    }

    let world: DemoWorld
    private var stepNumber = 0
    private var stepText = ""
    private var stepStart: UInt64 = 0

    init(world: DemoWorld) { self.world = world }

    // MARK: The story

    mutating func run() -> Bool {
        do throws(Failure) {
            try step("three brokers and Weir are up") { world throws(Failure) in
                do throws(DemoFault) { try world.start() } catch {
                    throw Failure(expected: "all programs start", seen: error.description)
                }
                // Until its step, the back office leaves the LEDs alone.
                world.backOffice.isSwitching = false
                world.observers = world.brokers.map { Observer(broker: $0.number, at: $0.endpoint) }
            }
            try step("six sensors connect through Weir, each to a broker that its log names", Self.connectAll)
            try step("every broker passes Weir's MQTT check") { world throws(Failure) in
                try Self.expect(world, 10_000, "each broker up, with a check passed") {
                    world.brokers.allSatisfy { broker in
                        world.report(of: broker).map { $0.health == .up && $0.checks > 0 && $0.lastCheckPassed }
                            ?? false
                    }
                } seen: {
                    Self.healthText(world)
                }
            }
            try step("a subscriber at any broker sees every sensor, each message once") { world throws(Failure) in
                try Self.seeAll(world, at: world.observers, 20_000)
            }
            try step("a client id comes back to its broker, from whatever port", Self.returnHome)
            let victim = try step("the broker of most sensors is killed, and they are with the others", Self.killBroker)
            try step("Weir's check finds it dead, within an interval of the kill") { world throws(Failure) in
                // From the kill on: one interval, the check's own timeout, and half a second to tell.
                let deadline = victim.killedAt + WeirProcess.checkIntervalMilliseconds + 1500
                let now = monotonicMilliseconds()
                try Self.expect(
                    world, deadline > now ? deadline - now : 0, "broker \(victim.broker.number) unhealthy"
                ) {
                    world.report(of: victim.broker)?.health == .unhealthy
                } seen: {
                    Self.healthText(world)
                }
            }
            try step("the dashboard is there, and it and the API show the dead broker with the check's reason") {
                world throws(Failure) in
                try Self.look(world, victim)
            }
            try step("the remaining brokers are joined") { world throws(Failure) in
                // Mosquitto looks for another bridge every five seconds.
                let rest = world.observers.filter { $0.link.clientID != "observer-\(victim.broker.number)" }
                try Self.seeAll(world, at: rest, 20_000)
            }
            try step("broker \(victim.broker.number) starts again, and Weir's check finds it alive") {
                world throws(Failure) in
                do throws(Errno) { try victim.broker.start() } catch {
                    throw Failure(expected: "the broker starts", seen: error.numberedText)
                }
                let milliseconds = WeirProcess.checkIntervalMilliseconds + 2500
                try Self.expect(world, milliseconds, "broker \(victim.broker.number) up") {
                    world.report(of: victim.broker)?.health == .up
                } seen: {
                    Self.healthText(world)
                }
            }
            try step("its sensors are with it again once they reconnect") { world throws(Failure) in
                try Self.comeBack(world, victim)
            }
            try step("a reload is committed, and no session is lost") { world throws(Failure) in
                try Self.reload(world)
            }
            try step("all brokers are joined again") { world throws(Failure) in
                try Self.seeAll(world, at: world.observers, 20_000)
            }
            try step("a command reaches every sensor's LED, whichever broker it is at", Self.blink)
            try step("the back office switches every LED through TLS, with its certificate", Self.switchByTLS)
            try step("a client without a certificate is refused at the TLS port") { world throws(Failure) in
                let guest = DeviceLink(
                    clientID: "guest-tls", to: world.ports.weirSecure,
                    secured: try Self.security(world, hasCertificate: false))
                try Self.refuse(world, guest, logged: "client sent no required SSL certificate")
            }
            try step("a plaintext CONNECT is refused at the TLS port") { world throws(Failure) in
                let guest = DeviceLink(clientID: "guest-plain", to: world.ports.weirSecure)
                try Self.refuse(world, guest, logged: "SSL_do_handshake() failed")
            }
            try step("after another reload the back office's session is alive, and a new one works") {
                world throws(Failure) in
                try Self.reload(world)
                try Self.switchByTLS(world)
                try Self.returnByTLS(world)
                try Self.switchByTLS(world)
            }
            try step("Weir stops in order and leaves its ports") { world throws(Failure) in
                let ended = world.stop()
                guard ended?.way == .exited(0) else {
                    throw Failure(
                        expected: "weir exited with code 0", seen: "weir " + (ended?.text ?? "was gone before"))
                }
                let ports = world.ports
                let weirs = [ports.weirIPv4, ports.weirIPv6, ports.weirSecure, ports.weirHTTP].compactMap { $0 }
                let left = (weirs + ports.brokerEndpoints).filter { DemoWorld.accepts($0) }
                guard left.isEmpty else {
                    throw Failure(expected: "nobody listens", seen: left.map(\.text).joined(separator: ", "))
                }
            }
        } catch {
            sayFailure(error)
            return false
        }
        say("1..\(stepNumber)")
        return true
    }

    // MARK: Form

    private mutating func step<Value>(
        _ text: String, _ body: (DemoWorld) throws(Failure) -> Value
    ) throws(Failure) -> Value {
        stepNumber += 1
        stepText = text
        stepStart = monotonicMilliseconds()
        let value = try body(world)
        say("ok \(stepNumber) - \(text) (\(seconds) s)")
        return value
    }

    private var seconds: String {
        var bytes: [UInt8] = []
        bytes.appendSeconds(milliseconds: monotonicMilliseconds() - stepStart)
        return String(decoding: bytes, as: UTF8.self)
    }

    static func expect(
        _ world: DemoWorld, _ milliseconds: UInt64, _ expected: String, _ condition: () -> Bool, seen: () -> String
    ) throws(Failure) {
        guard !world.wait(milliseconds, until: condition) else { return }
        let reason = world.isInterrupted ? "interrupted" : "after \(milliseconds) ms: \(seen())"
        throw Failure(expected: expected, seen: reason)
    }

    private func sayFailure(_ failure: Failure) {
        say("not ok \(stepNumber) - \(stepText) (\(seconds) s)")
        say("# expected: \(failure.expected)")
        say("# seen:     \(failure.seen)")
        guard !world.isInterrupted else { return }
        say("# Weir's last lines:")
        for line in LogTail.lastLines(of: world.weir.errorLog, 30) + world.weir.outputLines { say("#   \(line)") }
    }

    static func placesText(_ world: DemoWorld) -> String {
        (world.sensors.map(\.link) + [world.backOffice.link]).map { link in
            let place = world.broker(of: link).map { "broker \($0.number)" }
            let state = link.isReady ? "at no broker that the log names" : link.lastEnd?.text ?? "connecting"
            return "\(link.clientID): \(place ?? state)"
        }.joined(separator: ", ")
    }

    static func healthText(_ world: DemoWorld) -> String {
        world.brokers.map { broker in
            guard let report = world.report(of: broker) else { return "broker \(broker.number): not in the region" }
            return "broker \(broker.number): \(report.health) after \(report.checks) checks, "
                + "\(report.checksFailed) failed \(report.reason)"
        }.joined(separator: "; ")
    }

    static func numbers(_ list: [Int?]) -> String {
        list.map { $0.map(String.init) ?? "?" }.joined(separator: " ")
    }
}
