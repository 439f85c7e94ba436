// SPDX-License-Identifier: Apache-2.0
//
// What a child does between fork(2) and its program: it drops all that is the master's, takes the limits and the place
// that the configuration gives it, and gives up its rights. The order is nginx's: what needs root comes first.

import ControlLink
import LinuxIO
import ProxyConfig
import SharedState
import Vocabulary

/// A worker's whole program; the result is its exit code.
package typealias WorkerProgram = (
    _ slot: Int, _ link: consuming LinkEndpoint, _ region: SharedRegion, _ tickets: TicketKeyRegion,
    _ staples: StapleRegion
) -> Int32

/// Any other child's.
package typealias ChildProgram = (
    _ slot: Int, _ link: consuming LinkEndpoint, _ region: SharedRegion, _ staples: StapleRegion
) -> Int32

struct ChildSetup {
    var title: String
    var main: MainSettings
    /// Worker 0, 1, …; nil for the prober, which gets no CPU of its own and no priority.
    var position: Int?
    /// Nil when the master is not root: then all stay what it is.
    var user: UserIdentity?
    var keepsNetRaw: Bool
    var masterID: Int32
    var log: ErrorLogWriter

    /// Where the link is after `enter`: the first number behind standard error.
    static let linkDescriptor: Int32 = 3
    /// nginx's code for a child that need not be started again.
    static let fatalCode: Int32 = 2

    /// Leaves the link at `linkDescriptor` and no other descriptor open but the standard ones; with `region`, whose
    /// program is another one, that at `AdminProgram.regionDescriptor`.
    func enter(link: Int32, region: Int32? = nil) {
        do throws(Errno) {
            try Signals.reset()
            try Signals.block(region == nil ? ChildSetup.masterOnly : ChildSetup.nobodys)
            try Signals.ignoreBrokenPipes()
        } catch { log.write(.alert, "sigprocmask() failed (\(error.numberedText))") }
        Processes.setTitle("weir: \(title)", shortName: "weir")
        setLimits()
        if let position { setPlace(position) }
        if let user {
            do throws(CallFault) { try Processes.become(user, keepsNetRaw: keepsNetRaw) } catch {
                log.write(.emerg, "\(error.call) failed (\(error.error.numberedText))")
                Processes.exit(ChildSetup.fatalCode)
            }
        }
        if let directory = main.workingDirectory {
            attempt("chdir(\"\(directory)\")") { () throws(Errno) in try Processes.changeDirectory(directory) }
        }
        Processes.setEnvironment(keptEnvironment)
        LocalTime.loadZone()
        do throws(Errno) {
            try keep(link, region)
            // Forgotten by the kernel when the user changes, so it comes after that.
            try Processes.setParentDeathSignal(ChildSetup.terminate)
        } catch { Processes.exit(ChildSetup.fatalCode) }
        if Processes.parentID != masterID { Processes.exit(0) }
    }

    /// Either may have the other's number, so the region steps aside first.
    private func keep(_ link: Int32, _ region: Int32?) throws(Errno) {
        guard let region else {
            try Descriptors.replace(ChildSetup.linkDescriptor, with: link)
            return try Descriptors.closeAll(from: ChildSetup.linkDescriptor + 1)
        }
        let aside = max(link, region, AdminProgram.regionDescriptor) + 1
        try Descriptors.replace(aside, with: region)
        try Descriptors.replace(ChildSetup.linkDescriptor, with: link)
        try Descriptors.replace(AdminProgram.regionDescriptor, with: aside)
        try Descriptors.closeAll(from: AdminProgram.regionDescriptor + 1)
        // dup2(2) of a number to itself leaves it to be closed by exec.
        let kept = Descriptor(ChildSetup.linkDescriptor)
        try kept.setCloseOnExec(false)
        _ = kept.release()
    }

    private static let terminate: Int32 = 15
    /// HUP, USR1, USR2, WINCH: a terminal that hangs up tells all its processes, and only the master knows what to do.
    static let masterOnly: SignalSet = [1, 10, 12, 28]
    /// The same, and INT and QUIT: a terminal sends them to all, and a program with threads ends by its link.
    private static let nobodys: SignalSet = [1, 2, 3, 10, 12, 28]

    private func setLimits() {
        if let count = main.descriptorLimit {
            attempt("setrlimit(RLIMIT_NOFILE, \(count))") { () throws(Errno) in
                try Processes.setLimit(of: .descriptors, .init(soft: UInt(count), hard: UInt(count)))
            }
        } else if let limit = try? Processes.limit(of: .descriptors), limit.soft < limit.hard {
            try? Processes.setLimit(of: .descriptors, .init(soft: limit.hard, hard: limit.hard))
        }
        // A ring's memory counts against this limit for all processes of a user without CAP_IPC_LOCK together (seen
        // with Linux 6.18): with the usual 8 MiB, a worker of a machine with many CPUs could not start.
        if let limit = try? Processes.limit(of: .lockedBytes), limit.soft != .max {
            do throws(Errno) { try Processes.setLimit(of: .lockedBytes, .init(soft: .max, hard: .max)) } catch {
                try? Processes.setLimit(of: .lockedBytes, .init(soft: limit.hard, hard: limit.hard))
            }
        }
        if let bytes = main.coreSizeLimitBytes {
            attempt("setrlimit(RLIMIT_CORE, \(bytes))") { () throws(Errno) in
                try Processes.setLimit(of: .coreBytes, .init(soft: UInt(bytes), hard: UInt(bytes)))
            }
        }
    }

    private func setPlace(_ position: Int) {
        if let priority = main.workerPriority {
            attempt("setpriority(\(priority))") { () throws(Errno) in try Processes.setPriority(priority) }
        }
        guard let words = main.affinity.mask(position: position, allowed: (try? Processes.affinity()) ?? []) else {
            return
        }
        attempt("sched_setaffinity()") { () throws(Errno) in try Processes.setAffinity(words) }
    }

    /// nginx: TZ stays whatever `env` says; a bare name keeps the master's value.
    private var keptEnvironment: [String] {
        var entries: [String] = []
        for entry in ["TZ"] + main.environment {
            if entry.contains("=") {
                entries.append(entry)
            } else if let value = Processes.environmentValue(entry) {
                entries.append("\(entry)=\(value)")
            }
        }
        return entries
    }

    /// What cannot be set is an alert, and the child works without it, as in nginx.
    private func attempt(_ call: String, _ body: () throws(Errno) -> Void) {
        do throws(Errno) { try body() } catch { log.write(.alert, "\(call) failed (\(error.numberedText))") }
    }
}

extension MainSettings.Affinity {
    /// The CPUs of the worker at `position` out of those that this process may use; nil: all.
    func mask(position: Int, allowed: [UInt64]) -> [UInt64]? {
        switch self {
        case .none: return nil
        case .masks(let masks): return masks.isEmpty ? nil : masks[min(position, masks.count - 1)].words
        case .automatic(let limit):
            let cpus = (0..<(allowed.count * 64)).filter { cpu in
                allowed[cpu / 64] >> UInt64(cpu % 64) & 1 == 1 && (limit?.contains(cpu) ?? true)
            }
            guard !cpus.isEmpty else { return nil }
            let cpu = cpus[position % cpus.count]
            var words = [UInt64](repeating: 0, count: cpu / 64 + 1)
            words[cpu / 64] = 1 << UInt64(cpu % 64)
            return words
        }
    }
}
