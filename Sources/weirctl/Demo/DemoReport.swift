// SPDX-License-Identifier: Apache-2.0
//
// The demo where there is no terminal (a pipe, a log of a container): the same picture, printed every few seconds in
// plain text, until a signal ends it.

import LinuxIO

struct DemoReport {
    let world: DemoWorld
    private static let periodMilliseconds: UInt64 = 5000

    func run() throws(DemoFault) {
        try world.start()
        say("Look    \(world.page) in a browser: brokers, sessions and events, live")
        for line in DemoPicture(of: world, now: monotonicMilliseconds()).joinIn { say(line) }
        while true {
            _ = world.wait(Self.periodMilliseconds) { false }
            guard !world.isInterrupted else { return }
            let picture = DemoPicture(of: world, now: monotonicMilliseconds())
            say()
            for line in picture.tables { say(line.plainText) }
        }
    }
}
