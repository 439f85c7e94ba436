// SPDX-License-Identifier: Apache-2.0
//
// The owner of a file descriptor: closed once, by whoever holds it last.

import CLinux
import Glibc

/// Owns a descriptor and closes it at the end of its life. `number` is lent to calls and never outlives the owner.
package struct Descriptor: ~Copyable, Sendable {
    package let number: Int32

    /// Takes over `number`.
    package init(_ number: Int32) {
        precondition(number >= 0, "a descriptor is not negative")
        self.number = number
    }

    /// The kernel frees the number even when close(2) reports an error, so there is no second try.
    package consuming func close() throws(Errno) {
        let number = number
        discard self
        if Glibc.close(number) == -1 { throw Errno(rawValue: errno) }
    }

    /// Gives the number to the caller, who closes it from here on.
    package consuming func release() -> Int32 {
        let number = number
        discard self
        return number
    }

    /// A second descriptor of the same open file.
    package borrowing func duplicate() throws(Errno) -> Descriptor {
        let copy = try answer { dup(number) }
        let owner = Descriptor(copy)
        try owner.setCloseOnExec(true)
        return owner
    }

    package borrowing func setNonblocking(_ on: Bool) throws(Errno) {
        try result { cl_set_nonblocking(number, on) }
    }

    package borrowing func setCloseOnExec(_ on: Bool) throws(Errno) {
        try result { cl_set_close_on_exec(number, on) }
    }

    deinit {
        if Glibc.close(number) == -1, errno == EBADF { preconditionFailure("descriptor \(number) was closed twice") }
    }
}

/// Calls on raw numbers, for those who keep descriptors in slots.
package enum Descriptors {
    /// Closes a number that `Descriptor.release()` gave out. Errors other than EBADF, which is our fault, say nothing.
    package static func close(_ number: Int32) {
        if Glibc.close(number) == -1, errno == EBADF { preconditionFailure("descriptor \(number) was closed twice") }
    }

    /// A second number for the same open file, closed on exec.
    package static func duplicate(_ number: Int32) throws(Errno) -> Descriptor {
        let owner = Descriptor(try answer { dup(number) })
        try owner.setCloseOnExec(true)
        return owner
    }

    /// Closes `first` and all above, in a child that keeps nothing else.
    package static func closeAll(from first: Int32) throws(Errno) {
        try result { cl_close_range(UInt32(first), UInt32.max) }
    }

    /// Makes `target` name the open file of `source` (dup2).
    package static func replace(_ target: Int32, with source: Int32) throws(Errno) {
        _ = try answer { dup2(source, target) }
    }

    /// Bytes that wait to be read (FIONREAD).
    package static func readableBytes(_ number: Int32) throws(Errno) -> Int {
        Int(try result { cl_readable_bytes(number) })
    }

    /// How many descriptors this process has open, the one used for counting left out. Allocates.
    package static func openCount() throws(Errno) -> Int {
        guard let directory = unsafe opendir("/proc/self/fd") else { throw Errno(rawValue: errno) }
        defer { unsafe closedir(directory) }
        var count = 0
        while let entry = unsafe readdir(directory) {
            if unsafe entry.pointee.d_name.0 != CChar(bitPattern: UInt8(ascii: ".")) { count += 1 }
        }
        return count - 1
    }
}
