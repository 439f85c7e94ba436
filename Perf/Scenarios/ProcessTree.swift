// SPDX-License-Identifier: Apache-2.0
//
// What a proxy's processes have used and hold, as the kernel tells it below /proc: the process that was started and all
// its descendants. Processes that end in between are left out; none does while CPU time is measured.

import LinuxIO

struct ProcessTree {
    let root: Int32

    /// Kibibytes of all processes together.
    struct Memory {
        /// Resident, with shared pages divided among those who share them.
        var proportional = 0.0
        /// Resident and in no file: heap, stacks, buffers.
        var anonymous = 0.0
    }

    var members: [Int32] {
        var found = [root]
        var index = 0
        while index < found.count {
            for task in tasks(of: found[index]) {
                let children = ProcFile.text("/proc/\(found[index])/task/\(task)/children")
                found += children.split(separator: " ").compactMap { Int32($0) }
            }
            index += 1
        }
        return found
    }

    /// Time on a CPU, user and system, of every thread. In nanoseconds, where /proc/PID/stat counts in steps of 10 ms.
    var processorNanoseconds: UInt64 {
        var sum: UInt64 = 0
        for process in members {
            for task in tasks(of: process) {
                let fields = ProcFile.text("/proc/\(process)/task/\(task)/schedstat").split(separator: " ")
                sum += fields.first.flatMap { UInt64($0) } ?? 0
            }
        }
        return sum
    }

    var memory: Memory {
        var sum = Memory()
        for process in members {
            let lines = ProcFile.text("/proc/\(process)/smaps_rollup")
            sum.proportional += ProcFile.number("Pss:", in: lines)
            sum.anonymous += ProcFile.number("Anonymous:", in: lines)
        }
        return sum
    }

    private func tasks(of process: Int32) -> [String] {
        (try? Files.names(in: "/proc/\(process)/task")) ?? []
    }
}

/// Small files of the kernel.
enum ProcFile {
    /// Empty when the file cannot be read: its process has gone.
    static func text(_ path: String) -> String {
        guard let bytes = try? Files.read(path, bytesMax: 1 << 20) else { return "" }
        return String(decoding: bytes, as: UTF8.self).trimmed
    }

    /// The number behind `name` at the start of a line; 0 when there is none.
    static func number(_ name: String, in text: String) -> Double {
        for line in text.split(separator: "\n") where line.hasPrefix(name) {
            let fields = line.split(separator: " ", omittingEmptySubsequences: true)
            if fields.count > 1 { return Double(fields[1]) ?? 0 }
        }
        return 0
    }
}

extension StringProtocol {
    var trimmed: String {
        let isSpace: (Character) -> Bool = { $0.isWhitespace }
        let start = drop(while: isSpace)
        return String(start.reversed().drop(while: isSpace).reversed())
    }
}
