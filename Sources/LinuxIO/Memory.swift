// SPDX-License-Identifier: Apache-2.0
//
// Memory that processes hand each other: sealed files that never change (bundles), shared mappings, and secrets.

import CLinux
import Glibc

package enum Memory {
    /// A memory file with these bytes that nobody can change any more.
    package static func makeSealed(name: String, _ bytes: [UInt8]) throws(Errno) -> Descriptor {
        let file = Descriptor(try result { unsafe cl_memory_file(name) })
        try Files.writeAll(file.number, bytes)
        try result { cl_seal_all(file.number) }
        return file
    }

    /// The bytes of a sealed file, from its start whatever its offset is: the offset is shared with every other
    /// holder. A file that is not sealed is `invalid`, since its sender could change it while we read.
    package static func readSealed(_ number: Int32, bytesMax: Int) throws(Errno) -> [UInt8] {
        guard cl_is_sealed(number) else { throw Errno.invalid }
        var status = stat()
        _ = try answer { unsafe fstat(number, &status) }
        let size = Int(status.st_size)
        guard size <= bytesMax else { throw Errno.fileTooLarge }
        var bytes = [UInt8](repeating: 0, count: size)
        var count = 0
        while count < size {
            let moved = try answer {
                unsafe bytes.withUnsafeMutableBytes { buffer in
                    unsafe pread(number, buffer.baseAddress! + count, size - count, count)
                }
            }
            guard moved > 0 else { throw Errno.inputOutput }
            count += moved
        }
        return bytes
    }

    /// A memory file of zeroes whose size is fixed, for a shared mapping that cannot fault. Who gets a descriptor of it
    /// that only reads cannot make one through /proc that writes, unless it is the user who made the file.
    package static func makeShared(name: String, byteCount: Int) throws(Errno) -> Descriptor {
        let file = Descriptor(try result { unsafe cl_memory_file(name) })
        _ = try answer { ftruncate(file.number, byteCount) }
        try result { cl_seal_size(file.number) }
        _ = try answer { fchmod(file.number, 0o400) }
        return file
    }

    /// The size of an open file.
    package static func byteCount(of number: Int32) throws(Errno) -> Int {
        var status = stat()
        _ = try answer { unsafe fstat(number, &status) }
        return Int(status.st_size)
    }

    /// The inode of an open memory file: the same for all descriptors of one file, another for any other that lives.
    package static func identity(of number: Int32) throws(Errno) -> UInt64 {
        var status = stat()
        _ = try answer { unsafe fstat(number, &status) }
        return UInt64(status.st_ino)
    }

    /// Maps the first `byteCount` bytes, shared. The mapping stays until `unmap` or the end of the process.
    package static func map(_ number: Int32, byteCount: Int, isWritable: Bool) throws(Errno) -> UnsafeMutableRawPointer
    {
        var base: UnsafeMutableRawPointer?
        try result { unsafe cl_map(number, UInt64(byteCount), isWritable, &base) }
        return unsafe base!
    }

    /// Zeroes that this process and those it forks share and nobody else can open: there is no file. For secrets, so
    /// they are kept out of core files, too.
    package static func mapSecret(byteCount: Int) throws(Errno) -> UnsafeMutableRawPointer {
        var base: UnsafeMutableRawPointer?
        try result { unsafe cl_map_nameless(UInt64(byteCount), &base) }
        do throws(Errno) {
            try unsafe keepOutOfDumps(base!, byteCount: byteCount)
        } catch {
            unsafe unmap(base!, byteCount: byteCount)
            throw error
        }
        return unsafe base!
    }

    /// Up to so many free bytes at the heap's end stay with the process (mallopt(3), M_TRIM_THRESHOLD; glibc's own
    /// bound is 128 KiB), so that who takes and frees large blocks there again and again needs no brk(2) for each.
    package static func keepHeap(byteCount: UInt32) { cl_keep_heap(byteCount) }

    package static func keepOutOfDumps(_ base: UnsafeMutableRawPointer, byteCount: Int) throws(Errno) {
        try result { unsafe cl_keep_out_of_dumps(base, UInt64(byteCount)) }
    }

    package static func unmap(_ base: UnsafeMutableRawPointer, byteCount: Int) {
        let status = unsafe munmap(base, byteCount)
        precondition(status == 0, "munmap of what was not mapped")
    }
}
