// SPDX-License-Identifier: Apache-2.0
//
// The kernel's "no" as a typed error, and the one place where an interrupted call is tried again.

import Glibc

/// An errno value.
package struct Errno: Error, RawRepresentable, Hashable, Sendable, BitwiseCopyable {
    package let rawValue: Int32
    package init(rawValue: Int32) { self.rawValue = rawValue }

    /// strerror(3): "Connection refused".
    package var text: String {
        unsafe String(cString: strerror(rawValue))
    }

    /// nginx's form in logs: `111: Connection refused`.
    package var numberedText: String { "\(rawValue): \(text)" }

    package static let notPermitted = Errno(rawValue: EPERM)
    package static let notFound = Errno(rawValue: ENOENT)
    package static let noProcess = Errno(rawValue: ESRCH)
    package static let interrupted = Errno(rawValue: EINTR)
    package static let inputOutput = Errno(rawValue: EIO)
    package static let badDescriptor = Errno(rawValue: EBADF)
    package static let noChild = Errno(rawValue: ECHILD)
    package static let wouldBlock = Errno(rawValue: EAGAIN)
    package static let outOfMemory = Errno(rawValue: ENOMEM)
    package static let accessDenied = Errno(rawValue: EACCES)
    package static let exists = Errno(rawValue: EEXIST)
    package static let isDirectory = Errno(rawValue: EISDIR)
    package static let notDirectory = Errno(rawValue: ENOTDIR)
    package static let invalid = Errno(rawValue: EINVAL)
    package static let systemTableFull = Errno(rawValue: ENFILE)
    package static let descriptorsUsedUp = Errno(rawValue: EMFILE)
    package static let fileTooLarge = Errno(rawValue: EFBIG)
    package static let noSpace = Errno(rawValue: ENOSPC)
    package static let brokenPipe = Errno(rawValue: EPIPE)
    package static let nameTooLong = Errno(rawValue: ENAMETOOLONG)
    package static let noSystemCall = Errno(rawValue: ENOSYS)
    package static let noBuffers = Errno(rawValue: ENOBUFS)
    package static let addressInUse = Errno(rawValue: EADDRINUSE)
    package static let addressNotAvailable = Errno(rawValue: EADDRNOTAVAIL)
    package static let networkUnreachable = Errno(rawValue: ENETUNREACH)
    package static let hostUnreachable = Errno(rawValue: EHOSTUNREACH)
    package static let connectionAborted = Errno(rawValue: ECONNABORTED)
    package static let connectionReset = Errno(rawValue: ECONNRESET)
    package static let connectionRefused = Errno(rawValue: ECONNREFUSED)
    package static let notConnected = Errno(rawValue: ENOTCONN)
    package static let timedOut = Errno(rawValue: ETIMEDOUT)
    package static let inProgress = Errno(rawValue: EINPROGRESS)
    package static let canceled = Errno(rawValue: ECANCELED)
    package static let tooManyReferences = Errno(rawValue: ETOOMANYREFS)
}

/// A libc call that answers -1 and sets errno. Interrupted calls are made again.
func answer<Value: FixedWidthInteger & SignedInteger>(_ call: () -> Value) throws(Errno) -> Value {
    while true {
        let value = call()
        if value != -1 { return value }
        let code = errno
        if code != EINTR { throw Errno(rawValue: code) }
    }
}

/// A CLinux call, which answers -errno. Interrupted calls are made again.
@discardableResult
func result<Value: FixedWidthInteger & SignedInteger>(_ call: () -> Value) throws(Errno) -> Value {
    while true {
        let value = call()
        if value >= 0 { return value }
        let code = Int32(truncatingIfNeeded: 0 - value)
        if code != EINTR { throw Errno(rawValue: code) }
    }
}
