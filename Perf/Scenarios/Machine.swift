// SPDX-License-Identifier: Apache-2.0
//
// The machine a measurement ran on: what it is, what it was busy with, and what its kernel holds.

import LinuxIO
import Vocabulary

enum Machine {
    /// CPU time of everything that ran, interrupts included, in steps of 10 ms. The one figure that cannot be fooled by
    /// work that the kernel does for a process elsewhere; other programs are in it too.
    static var busyNanoseconds: UInt64 {
        let line = ProcFile.text("/proc/stat").split(separator: "\n").first ?? ""
        let ticks = line.split(separator: " ").dropFirst().compactMap { UInt64($0) }
        guard ticks.count >= 8 else { return 0 }
        // user, nice, system, (idle, iowait,) irq, softirq, steal; guests are in user already.
        return (ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6] + ticks[7]) * 10_000_000
    }

    /// Kibibytes of kernel objects, sockets with their buffers' heads among them.
    static var slabKibibytes: Double { ProcFile.number("Slab:", in: ProcFile.text("/proc/meminfo")) }

    static var kernel: String { ProcFile.text("/proc/sys/kernel/osrelease") }

    static var processorModel: String {
        let line = ProcFile.text("/proc/cpuinfo").split(separator: "\n").first { $0.hasPrefix("model name") }
        return line?.split(separator: ":").last.map { $0.trimmed } ?? "unknown"
    }

    static var processorCount: Int {
        ProcFile.text("/proc/cpuinfo").split(separator: "\n").count { $0.hasPrefix("processor") }
    }

    static var congestionControl: String { ProcFile.text("/proc/sys/net/ipv4/tcp_congestion_control") }

    /// What the cheapest system call takes: a yardstick between machines.
    static var systemCallNanoseconds: Int {
        let count: UInt64 = 200_000
        let start = monotonicNanoseconds()
        for _ in 0..<count { _ = Processes.parentID }
        return Int((monotonicNanoseconds() - start) / count)
    }

    static var date: String {
        let time = LocalTime(secondsSince1970: Int64(wallMilliseconds() / 1000))
        let padded = { (number: Int) in number < 10 ? "0\(number)" : "\(number)" }
        return "\(time.year)-\(padded(time.month))-\(padded(time.day)) \(padded(time.hour)):\(padded(time.minute))"
    }
}

/// CPU time at a moment; the difference of two is what a job cost.
struct Usage {
    var proxy: UInt64
    var load: UInt64
    var machine: UInt64
    var clock: UInt64

    static func now(_ tree: ProcessTree?) -> Usage {
        Usage(
            proxy: tree?.processorNanoseconds ?? 0, load: processorNanoseconds(), machine: Machine.busyNanoseconds,
            clock: monotonicNanoseconds())
    }

    /// What was used since `start`. A proxy that ended in between takes its sum with it, and its run is thrown away.
    func since(_ start: Usage) -> Usage {
        Usage(
            proxy: proxy - min(proxy, start.proxy), load: load - start.load, machine: machine - start.machine,
            clock: clock - start.clock)
    }
}
