// SPDX-License-Identifier: Apache-2.0
//
// One `ssl_session_cache shared:NAME:SIZE`, mapped. The master makes its memory file and hands it to the workers; as
// long as name and size stay, it is the same memory over reloads and over crashes of workers. The layout and the calls
// on it stand in CSharedSessions.h.

import CShared
import Glibc
import LinuxIO

/// The mapping lasts as long as the object: contexts that use `address` hold it.
@safe package final class SessionCacheRegion {
    package static let bytesMin = Int(CS_SESSIONS_BYTES_MIN)

    /// What `cs_sessions_put`, `cs_sessions_get` and `cs_sessions_remove` take.
    package let address: UnsafeMutableRawPointer
    package let byteCount: Int
    /// The inode of the memory file: equal for mappings of the same cache, whatever descriptor they came by.
    private let file: UInt64

    private init(_ descriptor: Int32, file: UInt64, byteCount: Int) throws(Errno) {
        let address = try unsafe Memory.map(descriptor, byteCount: byteCount, isWritable: true)
        unsafe self.address = address
        self.byteCount = byteCount
        self.file = file
        try unsafe Memory.keepOutOfDumps(address, byteCount: byteCount)
    }

    deinit {
        unsafe Memory.unmap(address, byteCount: byteCount)
    }

    /// By the master: the memory file of an empty cache, to attach to and to hand on.
    package static func makeFile(byteCount: Int) throws(Errno) -> Descriptor {
        let file = try Memory.makeShared(name: "weir-sessions", byteCount: byteCount)
        let region = try SessionCacheRegion(file.number, file: Memory.identity(of: file.number), byteCount: byteCount)
        guard unsafe cs_sessions_format(region.address, byteCount) else { throw Errno.invalid }
        return file
    }

    /// The cache behind a descriptor, which stays open. One that is among `known` is not mapped a second time, so that
    /// contexts which a reload leaves alone go on with the same address.
    package static func attach(
        _ descriptor: Int32, known: some Sequence<SessionCacheRegion>
    ) throws(Errno) -> SessionCacheRegion {
        let identity = try Memory.identity(of: descriptor)
        if let same = known.first(where: { $0.file == identity }) { return same }
        let byteCount = try Memory.byteCount(of: descriptor)
        guard byteCount >= bytesMin else { throw Errno.invalid }
        let region = try SessionCacheRegion(descriptor, file: identity, byteCount: byteCount)
        guard unsafe cs_sessions_is_valid(region.address, byteCount) else { throw Errno.invalid }
        return region
    }

    /// By the master, when a worker has died and before another process can have its id: a lock that it held is free.
    package func release(of processID: Int32) {
        unsafe cs_sessions_release(address, processID)
    }
}
