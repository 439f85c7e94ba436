// SPDX-License-Identifier: Apache-2.0
//
// The pid file: who the master is, for people, for `-s`, and as a lock against a second master. The lock lives as long
// as the master's descriptor, so a file left behind by a crash locks nobody out.

import LinuxIO

struct PIDFile {
    let path: String
    private var descriptor: Int32

    /// Writes our process id; another master that holds the file is a fault.
    init(_ path: String) throws(StartFault) {
        self.path = path
        do throws(Errno) {
            let file = try Files.openKeeping(path)
            guard try Files.lock(file.number) else { throw Errno.wouldBlock }
            try Files.truncate(file.number)
            try Files.writeAll(file.number, Array("\(Processes.currentID)\n".utf8))
            descriptor = file.release()
        } catch {
            if error == .wouldBlock { throw PIDFile.taken(path) }
            throw StartFault("open() \"\(path)\" failed (\(error.numberedText))")
        }
    }

    /// Whether another master holds the file; it is neither made nor changed.
    static func check(_ path: String) throws(StartFault) {
        guard let file = try? Files.openRead(path) else { return }
        let isFree: Bool
        do throws(Errno) { isFree = try Files.lock(file.number) } catch { return }
        if !isFree { throw taken(path) }
    }

    /// The number in a pid file, or nginx's words about it.
    static func read(_ path: String) throws(StartFault) -> Int32 {
        let bytes: [UInt8]
        do throws(Errno) { bytes = try Files.read(path, bytesMax: 64) } catch {
            throw StartFault("open() \"\(path)\" failed (\(error.numberedText))")
        }
        let text = String(decoding: bytes, as: UTF8.self).prefix { $0 != "\n" && $0 != "\r" }
        guard let number = Int32(text), number > 0 else {
            throw StartFault("invalid PID number \"\(text)\" in \"\(path)\"")
        }
        return number
    }

    mutating func remove() {
        try? Files.remove(path)
        Descriptors.close(descriptor)
    }

    private static func taken(_ path: String) -> StartFault {
        let number = (try? read(path)).map { "process \($0)" } ?? "a process"
        return StartFault("another master runs already: \(number) holds \"\(path)\"")
    }
}
