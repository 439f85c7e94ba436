// SPDX-License-Identifier: Apache-2.0
//
// The shared region: what master, workers and prober know in common and what outlives reloads and crashes. The layout,
// and who writes which word, stand in CShared.h; here it gets types. Made by the master before the first fork, it lives
// as long as the master; `weirctl` finds it through /proc and maps it for reading.
//
// Nothing here allocates, waits or calls the kernel on the way of a session; what the master and readers do may.

import CLinux
import CShared
import Glibc
import LinuxIO

/// A handle: copies name the same region. Its words are atomic between processes, and so between threads.
@safe package struct SharedRegion: @unchecked Sendable {
    package static let workersMax = CS_WORKERS
    package static let groupsMax = CS_GROUPS
    package static let peersMax = CS_PEERS
    package static let zonesMax = CS_ZONES
    package static let fileName = "weir-shared"

    let base: UnsafeMutableRawPointer

    private init(base: UnsafeMutableRawPointer) { unsafe self.base = base }

    // MARK: Life

    /// Makes an empty region. Its file stays open in this process and its children, which is how readers find it.
    package static func create(masterPID: Int32, wallMilliseconds: UInt64) throws(Errno) -> SharedRegion {
        let byteCount = MemoryLayout<cs_region>.size
        let file = try Memory.makeShared(name: fileName, byteCount: byteCount)
        let region = unsafe SharedRegion(
            base: try Memory.map(file.number, byteCount: byteCount, isWritable: true))
        _ = file.release()
        region.setHeader(CS_HEADER_LAYOUT, UInt64(CS_LAYOUT))
        region.setHeader(CS_HEADER_BYTES, UInt64(byteCount))
        region.setHeader(CS_HEADER_MASTER_PID, UInt64(masterPID))
        region.setHeader(CS_HEADER_STARTED_AT, wallMilliseconds)
        region.setHeader(CS_HEADER_LOADED_AT, wallMilliseconds)
        unsafe cs_store_release(cs_header(region.base, CS_HEADER_MAGIC), CS_MAGIC)
        return region
    }

    /// Maps the region of a running master for reading. Every call here that writes would be ended by the processor's
    /// memory protection.
    package static func attach(pid: Int32) throws(AttachFault) -> SharedRegion {
        let file = try openFile(of: pid)
        return try attach(file: file.number)
    }

    /// The region's file, for reading only, as a running master has it open.
    package static func openFile(of pid: Int32) throws(AttachFault) -> Descriptor {
        let folder = "/proc/\(pid)/fd"
        let names: [String]
        do throws(Errno) { names = try Files.names(in: folder) } catch { throw .system(error) }
        let name = names.first { name in
            (try? Files.linkTarget("\(folder)/\(name)"))?.hasPrefix("/memfd:\(fileName)") ?? false
        }
        guard let name else { throw .noRegion }
        do throws(Errno) { return try Files.openRead("\(folder)/\(name)") } catch { throw .system(error) }
    }

    /// Maps the region behind a descriptor for reading; the descriptor may be closed afterwards.
    package static func attach(file: Int32) throws(AttachFault) -> SharedRegion {
        let byteCount = MemoryLayout<cs_region>.size
        let region: SharedRegion?
        do throws(Errno) {
            let isWhole = try Memory.byteCount(of: file) == byteCount
            region =
                isWhole
                ? unsafe SharedRegion(base: try Memory.map(file, byteCount: byteCount, isWritable: false)) : nil
        } catch {
            throw .system(error)
        }
        guard let region else { throw .otherLayout }
        guard unsafe cs_load_acquire(cs_header(region.base, CS_HEADER_MAGIC)) == CS_MAGIC,
            region.header(CS_HEADER_LAYOUT) == UInt64(CS_LAYOUT)
        else {
            region.detach()
            throw .otherLayout
        }
        return region
    }

    /// Unmaps; no copy of the handle may be used afterwards. The processes of the balancer never do this.
    package func detach() {
        unsafe Memory.unmap(base, byteCount: MemoryLayout<cs_region>.size)
    }

    // MARK: Header, which SharedRegion+Master changes and reports

    package var masterPID: Int32 { Int32(truncatingIfNeeded: header(CS_HEADER_MASTER_PID)) }
    /// Wall clock, milliseconds.
    package var startedAt: UInt64 { header(CS_HEADER_STARTED_AT) }
    /// The committed generation.
    package var generation: UInt32 { UInt32(truncatingIfNeeded: header(CS_HEADER_GENERATION)) }

    func header(_ field: cs_header_field) -> UInt64 { unsafe cs_load(cs_header(base, field)) }
    func setHeader(_ field: cs_header_field, _ value: UInt64) { unsafe cs_store(cs_header(base, field), value) }
}

/// Why a region cannot be read.
package enum AttachFault: Error, Sendable, Equatable {
    case system(Errno)
    /// The process has no region: it is no master, or one that has not started up yet.
    case noRegion
    /// The region is that of another version.
    case otherLayout
}
