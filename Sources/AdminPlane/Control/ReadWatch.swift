// SPDX-License-Identifier: Apache-2.0
//
// Reading from a socket of the master's or a worker's: on a queue of its own, so that no thread of SwiftNIO and no task
// ever waits in a system call.

import Dispatch

enum ReadWatch {
    /// Calls `drain` whenever `number` has something to read, until it says that nothing comes any more. `number` stays
    /// open as long as `drain` lives, which is until then.
    static func begin(_ number: Int32, drain: @escaping @Sendable () -> Bool) {
        let source = DispatchSource.makeReadSource(
            fileDescriptor: number, queue: DispatchQueue(label: "link \(number)"))
        source.setEventHandler { if !drain() { source.cancel() } }
        // The handlers hold the source, and are let go of here.
        source.setCancelHandler { source.setEventHandler(handler: nil) }
        source.activate()
    }
}
