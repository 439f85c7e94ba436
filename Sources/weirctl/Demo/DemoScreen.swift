// SPDX-License-Identifier: Apache-2.0
//
// The demo in a terminal: draws the picture a few times a second and does what keys ask for, until `q`, Ctrl-C or a
// signal.

import LinuxIO

struct DemoScreen {
    let world: DemoWorld
    let terminal: Terminal
    private static let drawMilliseconds: UInt64 = 250

    func run() throws(DemoFault) {
        say("Starting three brokers and Weir …")
        try world.start()
        terminal.begin()
        defer { terminal.restore() }
        var isRunning = true
        while isRunning, !world.isInterrupted {
            let now = monotonicMilliseconds()
            if world.takeResized() { terminal.clear() }
            terminal.draw(DemoPicture(of: world, now: now).lines(height: terminal.size.height))
            while isRunning, !world.isInterrupted, monotonicMilliseconds() < now + Self.drawMilliseconds {
                guard world.turn(until: now + Self.drawMilliseconds, input: Terminal.input) else { continue }
                let keys = terminal.keys()
                // The terminal has gone.
                if keys.isEmpty { return }
                for key in keys where !obey(key) { isRunning = false }
                break
            }
        }
    }

    /// False for the key that ends the demo.
    private func obey(_ key: UInt8) -> Bool {
        switch key {
        case UInt8(ascii: "1")...UInt8(ascii: "3"): world.toggleBroker(Int(key - UInt8(ascii: "0")))
        case UInt8(ascii: "r"): world.reload()
        case UInt8(ascii: "c"):
            for sensor in world.sensors { sensor.link.reconnect() }
            world.note("demo: every sensor reconnects")
        case UInt8(ascii: "b"):
            for sensor in world.sensors { world.command("led blink", sensor) }
            world.note("demo: 'led blink' to every sensor")
        case UInt8(ascii: "q"), Self.controlC, Self.controlD: return false
        default: break
        }
        return true
    }

    private static let controlC: UInt8 = 3
    private static let controlD: UInt8 = 4
}
