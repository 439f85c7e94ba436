// SPDX-License-Identifier: Apache-2.0
//
// Files and paths, for the master and for tools: small whole files, append-only logs, masks. These calls may block; no
// worker makes them in a turn, except appending to a log.

import CLinux
import Glibc

package enum Files {
    package static let bytesMaxDefault = 64 * 1024 * 1024

    /// The whole file. A directory is `isDirectory`; more than `bytesMax` is `fileTooLarge`. Opened without blocking,
    /// so that a FIFO named by mistake does not stop the process.
    package static func read(_ path: String, bytesMax: Int = bytesMaxDefault) throws(Errno) -> [UInt8] {
        let file = Descriptor(try result { unsafe cl_open(path, O_RDONLY | O_NONBLOCK, 0) })
        return try read(from: file.number, bytesMax: bytesMax)
    }

    /// From where the descriptor stands to the end.
    package static func read(from number: Int32, bytesMax: Int) throws(Errno) -> [UInt8] {
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 * 1024)
        while true {
            let count = try answer { unsafe Glibc.read(number, &chunk, chunk.count) }
            if count == 0 { return bytes }
            guard bytes.count + count <= bytesMax else { throw Errno.fileTooLarge }
            bytes.append(contentsOf: chunk[..<count])
        }
    }

    /// Opened for appending and made if need be: a log.
    package static func openAppend(_ path: String, mode: UInt32 = 0o644) throws(Errno) -> Descriptor {
        Descriptor(try result { unsafe cl_open(path, O_WRONLY | O_APPEND | O_CREAT, mode) })
    }

    /// Opened for reading and writing, made if need be, its content left alone: a pid file.
    package static func openKeeping(_ path: String, mode: UInt32 = 0o644) throws(Errno) -> Descriptor {
        Descriptor(try result { unsafe cl_open(path, O_RDWR | O_CREAT, mode) })
    }

    /// Takes the file's lock, which lasts as long as any copy of the descriptor (flock(2)); false when another process
    /// has it.
    package static func lock(_ number: Int32) throws(Errno) -> Bool {
        do throws(Errno) {
            _ = try answer { flock(number, LOCK_EX | LOCK_NB) }
            return true
        } catch Errno.wouldBlock {
            return false
        }
    }

    package static func truncate(_ number: Int32) throws(Errno) { _ = try answer { ftruncate(number, 0) } }

    package static func openRead(_ path: String) throws(Errno) -> Descriptor {
        Descriptor(try result { unsafe cl_open(path, O_RDONLY, 0) })
    }

    package static func openReadWrite(_ path: String) throws(Errno) -> Descriptor {
        Descriptor(try result { unsafe cl_open(path, O_RDWR, 0) })
    }

    /// One write(2): how many bytes the kernel took.
    package static func write(_ number: Int32, _ bytes: ArraySlice<UInt8>) throws(Errno) -> Int {
        try answer { unsafe bytes.withUnsafeBytes { unsafe Glibc.write(number, $0.baseAddress, $0.count) } }
    }

    /// All of the bytes, in as many writes as it takes.
    package static func writeAll(_ number: Int32, _ bytes: [UInt8]) throws(Errno) {
        var rest = bytes[...]
        while !rest.isEmpty { rest = rest.dropFirst(try write(number, rest)) }
    }

    /// Replaces the file's content; `mode` counts for a new file.
    package static func write(_ path: String, _ bytes: [UInt8], mode: UInt32 = 0o644) throws(Errno) {
        let file = Descriptor(try result { unsafe cl_open(path, O_WRONLY | O_CREAT | O_TRUNC, mode) })
        try writeAll(file.number, bytes)
        try file.close()
    }

    /// The same, and on the disk when it returns (fsync(2)).
    package static func writeDurably(_ path: String, _ bytes: [UInt8], mode: UInt32 = 0o644) throws(Errno) {
        let file = Descriptor(try result { unsafe cl_open(path, O_WRONLY | O_CREAT | O_TRUNC, mode) })
        try writeAll(file.number, bytes)
        _ = try answer { fsync(file.number) }
        try file.close()
    }

    package static func remove(_ path: String) throws(Errno) { _ = try answer { unsafe unlink(path) } }

    package static func rename(_ from: String, to: String) throws(Errno) {
        _ = try answer { unsafe Glibc.rename(from, to) }
    }

    package static func setMode(_ path: String, _ mode: UInt32) throws(Errno) {
        _ = try answer { unsafe chmod(path, mode_t(mode)) }
    }

    package static func setOwner(_ path: String, user: UInt32, group: UInt32) throws(Errno) {
        _ = try answer { unsafe chown(path, user, group) }
    }

    package static func exists(_ path: String) -> Bool { unsafe access(path, F_OK) == 0 }

    package static func isExecutable(_ path: String) -> Bool { unsafe access(path, X_OK) == 0 }

    package static func isDirectory(_ path: String) -> Bool {
        var status = stat()
        return unsafe stat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    package static func makeDirectory(_ path: String, mode: UInt32 = 0o755) throws(Errno) {
        _ = try answer { unsafe mkdir(path, mode_t(mode)) }
    }

    package static func removeDirectory(_ path: String) throws(Errno) { _ = try answer { unsafe rmdir(path) } }

    /// A new folder that only this user may enter: `prefix` and six characters.
    package static func makeTemporaryDirectory(prefix: String) throws(Errno) -> String {
        var template = (prefix + "XXXXXX").utf8CString
        let made = unsafe template.withUnsafeMutableBufferPointer { unsafe mkdtemp($0.baseAddress!) != nil }
        guard made else { throw Errno(rawValue: errno) }
        return unsafe template.withUnsafeBufferPointer { unsafe String(cString: $0.baseAddress!) }
    }

    // MARK: Paths

    /// The paths that a mask with `*`, `?` or `[` names, sorted bytewise; none is no error.
    package static func expand(_ mask: String) throws(Errno) -> [String] {
        var found = unsafe glob_t()
        defer { unsafe globfree(&found) }
        let status = unsafe glob(mask, GLOB_NOSORT, nil, &found)
        switch status {
        case 0: break
        case GLOB_NOMATCH: return []
        case GLOB_NOSPACE: throw Errno.outOfMemory
        default: throw Errno.inputOutput
        }
        var paths: [String] = []
        for index in 0..<Int(unsafe found.gl_pathc) {
            if let path = unsafe found.gl_pathv[index] { unsafe paths.append(String(cString: path)) }
        }
        return paths.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    /// Links followed, dots removed; the file must be there.
    package static func resolve(_ path: String) throws(Errno) -> String {
        guard let real = unsafe realpath(path, nil) else { throw Errno(rawValue: errno) }
        defer { unsafe free(real) }
        return unsafe String(cString: real)
    }

    /// What a symbolic link says.
    package static func linkTarget(_ path: String) throws(Errno) -> String {
        var bytes = [UInt8](repeating: 0, count: Int(PATH_MAX))
        let count = try answer {
            unsafe bytes.withUnsafeMutableBytes { buffer in
                unsafe readlink(path, buffer.baseAddress!.assumingMemoryBound(to: CChar.self), buffer.count)
            }
        }
        return String(decoding: bytes[..<count], as: UTF8.self)
    }

    package static func workingDirectory() throws(Errno) -> String {
        guard let path = unsafe getcwd(nil, 0) else { throw Errno(rawValue: errno) }
        defer { unsafe free(path) }
        return unsafe String(cString: path)
    }

    /// `path` itself when it begins with a slash, else below `folder`.
    package static func absolute(_ path: String, below folder: String) -> String {
        if path.utf8.first == UInt8(ascii: "/") { return path }
        return folder.utf8.last == UInt8(ascii: "/") ? folder + path : folder + "/" + path
    }

    /// The names in a folder, without `.` and `..`, sorted bytewise.
    package static func names(in folder: String) throws(Errno) -> [String] {
        guard let directory = unsafe opendir(folder) else { throw Errno(rawValue: errno) }
        defer { unsafe closedir(directory) }
        var names: [String] = []
        while let entry = unsafe readdir(directory) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { place in
                unsafe String(cString: UnsafeRawPointer(place).assumingMemoryBound(to: CChar.self))
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }
}
