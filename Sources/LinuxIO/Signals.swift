// SPDX-License-Identifier: Apache-2.0
//
// Signals as values that are read: blocked in the whole process, taken from a descriptor in the event loop. No handler
// ever runs.

import CLinux
import Glibc

/// A set of signal numbers; bit n - 1 stands for signal n.
package struct SignalSet: Sendable, Equatable, ExpressibleByArrayLiteral {
    fileprivate(set) var mask: UInt64 = 0

    package init(arrayLiteral numbers: Int32...) {
        for number in numbers {
            precondition((1...64).contains(number), "signals are numbered from 1 to 64")
            mask |= 1 << UInt64(number - 1)
        }
    }
}

/// One signal that arrived.
package struct Signal: Sendable, Equatable {
    package var number: Int32
    /// The process that sent it; 0 for the kernel.
    package var sender: Int32
}

/// Where blocked signals are read; `descriptor.number` goes into a poll set or a ring.
package struct SignalQueue: ~Copyable {
    package let descriptor: Descriptor

    /// Blocks the signals in this process and opens their queue.
    package init(_ signals: SignalSet) throws(Errno) {
        try Signals.block(signals)
        descriptor = Descriptor(try result { cl_signal_descriptor(signals.mask) })
    }

    /// Nil when none waits.
    package borrowing func next() throws(Errno) -> Signal? {
        var signal = cl_signal()
        let number = descriptor.number
        guard try result({ unsafe cl_read_signal(number, &signal) }) == 1 else { return nil }
        return Signal(number: signal.number, sender: signal.sender)
    }
}

package enum Signals {
    package static func block(_ signals: SignalSet) throws(Errno) {
        try result { cl_block_signals(signals.mask) }
    }

    /// Default dispositions and an empty mask: what a child starts from, since fork(2) inherits both and execve(2) the
    /// mask.
    package static func reset() throws(Errno) { try result { cl_reset_signals() } }

    /// A write to a connection that has gone is an error of the call and not the end of the process. `send(2)` has a
    /// flag for it; splice(2) and write(2) have none, so every process does this at start and after `reset`.
    package static func ignoreBrokenPipes() throws(Errno) { try result { cl_ignore_signal(SIGPIPE) } }
}
