// SPDX-License-Identifier: Apache-2.0
//
// What the kernel tells about processes and sockets under /proc.

import Foundation

/// A child of the master.
package struct WeirProcess: Sendable, Hashable {
    package enum Role: String, Sendable, Hashable { case worker, prober, admin, other }

    package var id: Int32
    package var role: Role
    package var title: String
}

package enum ProcessTable {
    /// The living children of `parent`; zombies do not count.
    package static func children(of parent: Int32) -> [WeirProcess] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return names.compactMap { name in
            guard let id = Int32(name) else { return nil }
            // The command's name stands in parentheses and may hold anything.
            let stat = contents(of: "/proc/\(id)/stat")
            guard let end = stat.lastIndex(of: ")") else { return nil }
            let fields = stat[end...].split(separator: " ")
            guard fields.count > 2, fields[2] == "\(parent)", fields[1] != "Z" else { return nil }
            let title = contents(of: "/proc/\(id)/cmdline").split(separator: "\0").joined(separator: " ")
            let roles: [WeirProcess.Role] = [.worker, .prober, .admin]
            let role = roles.first { title.contains("\($0.rawValue) process") } ?? .other
            return WeirProcess(id: id, role: role, title: title)
        }.sorted { $0.id < $1.id }
    }

    package static func isAlive(_ id: Int32) -> Bool {
        let stat = contents(of: "/proc/\(id)/stat")
        guard let end = stat.lastIndex(of: ")") else { return false }
        return !stat[end...].hasPrefix(") Z")
    }

    /// Proportional set size: what the process costs when shared pages are split among those who share them.
    package static func proportionalKilobytes(of id: Int32) -> Int {
        let rollup = contents(of: "/proc/\(id)/smaps_rollup")
        let line = rollup.split(separator: "\n").first { $0.hasPrefix("Pss:") }
        return line.flatMap { Int($0.split(separator: " ")[1]) } ?? 0
    }

    /// Memory that is the process's alone and backed by no file: its heap and stacks.
    package static func anonymousKilobytes(of id: Int32) -> Int {
        let rollup = contents(of: "/proc/\(id)/smaps_rollup")
        let line = rollup.split(separator: "\n").first { $0.hasPrefix("Anonymous:") }
        return line.flatMap { Int($0.split(separator: " ")[1]) } ?? 0
    }

    package static func descriptorCount(of id: Int32) -> Int {
        ((try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(id)/fd")) ?? []).count
    }

    package static func threadCount(of id: Int32) -> Int {
        ((try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(id)/task")) ?? []).count
    }

    /// User and system time so far, in clock ticks.
    package static func processorTicks(of id: Int32) -> Int {
        let stat = contents(of: "/proc/\(id)/stat")
        guard let end = stat.lastIndex(of: ")") else { return 0 }
        let fields = stat[end...].split(separator: " ")
        return (Int(fields[12]) ?? 0) + (Int(fields[13]) ?? 0)
    }
}

package enum ListeningPorts {
    /// True when some TCP socket listens on `port` in the network that a process is in.
    package static func contains(_ port: UInt16, seenBy process: String = "self") -> Bool {
        let suffix = ":" + String(format: "%04X", Int(port))
        return ["/proc/\(process)/net/tcp", "/proc/\(process)/net/tcp6"].contains { table in
            listeners(in: table).contains { $0[1].hasSuffix(suffix) }
        }
    }

    /// The kernel gives a table out piece by piece, which Foundation takes for its end, and lists listeners first,
    /// before what may be a hundred thousand connections.
    private static func listeners(in table: String) -> [[Substring]] {
        guard let file = FileHandle(forReadingAtPath: table) else { return [] }
        defer { try? file.close() }
        var text = ""
        while let piece = try? file.read(upToCount: 4096), !piece.isEmpty {
            text += String(decoding: piece, as: UTF8.self)
            let lines = text.split(separator: "\n").dropFirst().map { $0.split(separator: " ") }.filter { $0.count > 3 }
            if let other = lines.firstIndex(where: { $0[3] != "0A" }) { return Array(lines[..<other]) }
        }
        return text.split(separator: "\n").dropFirst().map { $0.split(separator: " ") }.filter { $0.count > 3 }
    }
}
