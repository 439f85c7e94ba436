// SPDX-License-Identifier: Apache-2.0
//
// poll(2) over an array: the loop of processes that watch a handful of descriptors, and pipes.

import CLinux
import Glibc

/// One descriptor to watch and what became of it.
package struct PollEntry: Sendable {
    package struct Events: OptionSet, Sendable {
        package let rawValue: Int16
        package init(rawValue: Int16) { self.rawValue = rawValue }
        package static let readable = Events(rawValue: 0x1)
        package static let writable = Events(rawValue: 0x4)
        /// The peer closed its sending half.
        package static let peerEnded = Events(rawValue: 0x2000)
        /// Only reported: an error, a hang-up, a number that is no descriptor.
        package static let failed = Events(rawValue: 0x8)
        package static let hungUp = Events(rawValue: 0x10)
        package static let isInvalid = Events(rawValue: 0x20)
    }

    private var raw: pollfd

    /// A negative number is skipped by the kernel.
    package init(_ number: Int32, _ wanted: Events) {
        raw = pollfd(fd: number, events: wanted.rawValue, revents: 0)
    }

    package var number: Int32 { raw.fd }
    package var wanted: Events {
        get { Events(rawValue: raw.events) }
        set { raw.events = newValue.rawValue }
    }
    package var happened: Events { Events(rawValue: raw.revents) }
}

package enum Poll {
    /// Waits until one is ready or the time has passed (nil: for ever) and says how many are. A signal that interrupts
    /// counts as nothing ready: the caller knows its deadlines and calls again.
    package static func wait(_ entries: inout [PollEntry], milliseconds: UInt64?) throws(Errno) -> Int {
        let timeout = milliseconds.map { Int32(clamping: $0) } ?? -1
        let status = unsafe entries.withUnsafeMutableBytes { bytes in
            let first = unsafe bytes.baseAddress?.assumingMemoryBound(to: pollfd.self)
            return unsafe poll(first, nfds_t(bytes.count / MemoryLayout<pollfd>.stride), timeout)
        }
        if status >= 0 { return Int(status) }
        let error = Errno(rawValue: errno)
        guard error == .interrupted else { throw error }
        for index in entries.indices { entries[index].clear() }
        return 0
    }
}

extension PollEntry {
    fileprivate mutating func clear() { raw.revents = 0 }
}

package enum Pipes {
    /// Both ends, non-blocking and close-on-exec. `capacityBytes` asks for a size and takes what the kernel gives: a
    /// user beyond pipe-user-pages-soft gets small pipes (pipe(7)), which is no error.
    package static func make(capacityBytes: Int? = nil) throws(Errno) -> (read: Int32, write: Int32) {
        var numbers: (Int32, Int32) = (-1, -1)
        _ = try answer {
            unsafe withUnsafeMutableBytes(of: &numbers) { bytes in
                unsafe pipe(bytes.baseAddress!.assumingMemoryBound(to: Int32.self))
            }
        }
        let read = Descriptor(numbers.0)
        let write = Descriptor(numbers.1)
        try read.setNonblocking(true)
        try write.setNonblocking(true)
        try read.setCloseOnExec(true)
        try write.setCloseOnExec(true)
        if let capacityBytes { _ = cl_set_pipe_capacity(write.number, Int32(clamping: capacityBytes)) }
        return (read.release(), write.release())
    }
}
