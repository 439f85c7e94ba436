// SPDX-License-Identifier: Apache-2.0
//
// What the kernel says about one of our processes, from files below /proc that anybody may read: no rights over the
// process are needed, it is not stopped, and none of its locks is taken. That is why memory is not told in proportional
// shares (PSS): smaps_rollup is closed to other users, and walks the process's pages under the lock of its mappings.

import LinuxIO

package struct ProcessFigures: Sendable, Equatable {
    package var anonymousBytes: UInt64 = 0
    package var fileBytes: UInt64 = 0
    package var sharedBytes: UInt64 = 0
    package var processorMilliseconds: UInt64 = 0
    /// Nil: only the process's user may know.
    package var descriptors: UInt64?
    package var descriptorsMax: UInt64?

    /// Nil: there is no such process. `countsDescriptors`: not for workers, which have thousands and count them
    /// themselves.
    package static func read(pid: Int32, countsDescriptors: Bool) -> ProcessFigures? {
        guard let status = text("/proc/\(pid)/status"), let stat = text("/proc/\(pid)/stat") else { return nil }
        var figures = ProcessFigures(status: status, stat: stat)
        guard countsDescriptors else { return figures }
        figures.descriptorsMax = text("/proc/\(pid)/limits").flatMap { softDescriptorLimit($0) }
        figures.descriptors = (try? Files.names(in: "/proc/\(pid)/fd")).map { UInt64($0.count) }
        return figures
    }

    init(status: String, stat: String) {
        for line in status.split(separator: "\n") {
            let words = line.split { $0 == ":" || $0 == "\t" || $0 == " " }
            guard words.count == 3, words[2] == "kB", let kibibytes = UInt64(words[1]) else { continue }
            switch words[0] {
            case "RssAnon": anonymousBytes = kibibytes << 10
            case "RssFile": fileBytes = kibibytes << 10
            case "RssShmem": sharedBytes = kibibytes << 10
            default: continue
            }
        }
        // The name of the program, in brackets, may hold anything; what counts stands behind it. Fields 14 and 15 of
        // proc(5) are ticks, of which Linux tells a hundred a second on every machine that Weir runs on.
        let fields = stat.split(separator: ")").last?.split(separator: " ") ?? []
        if fields.count > 12, let user = UInt64(fields[11]), let system = UInt64(fields[12]) {
            processorMilliseconds = (user + system) * 10
        }
    }

    /// `Max open files   1024   1048576   files`; nil for `unlimited`.
    private static func softDescriptorLimit(_ limits: String) -> UInt64? {
        let name = "Max open files"
        guard let line = limits.split(separator: "\n").first(where: { $0.hasPrefix(name) }) else { return nil }
        return line.dropFirst(name.count).split(separator: " ").first.flatMap { UInt64($0) }
    }

    private static func text(_ path: String) -> String? {
        guard let bytes = try? Files.read(path, bytesMax: 64 * 1024) else { return nil }
        return String(decoding: bytes, as: UTF8.self)
    }
}
