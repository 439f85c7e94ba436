// SPDX-License-Identifier: Apache-2.0
//
// Making, ending and describing processes. A process that forks starts no thread, so none of this is thread-safe and
// none of it needs to be.

import CLinux
import Glibc

package enum Processes {
    package enum ForkRole: Sendable, Equatable {
        case parent(child: Int32)
        case child
    }

    /// How a child ended.
    package struct Ended: Sendable, Equatable {
        package enum Way: Sendable, Equatable {
            case exited(Int32)
            case signalled(Int32, dumpedCore: Bool)
        }
        package var pid: Int32
        package var way: Way

        /// nginx's words: `exited with code 0`, `exited on signal 9`, `exited on signal 11 (core dumped)`.
        package var text: String {
            switch way {
            case .exited(let code): "exited with code \(code)"
            case .signalled(let number, let dumpedCore):
                "exited on signal \(number)" + (dumpedCore ? " (core dumped)" : "")
            }
        }
    }

    package static var currentID: Int32 { getpid() }
    package static var parentID: Int32 { getppid() }

    package static func fork() throws(Errno) -> ForkRole {
        let pid = try result { cl_fork() }
        return pid == 0 ? .child : .parent(child: pid)
    }

    /// Becomes another program; comes back only with an error. `environment` entries are `NAME=value`.
    package static func execute(_ path: String, _ arguments: [String], environment: [String]) -> Errno {
        let argumentTexts = unsafe arguments.map { unsafe strdup($0) } + [nil]
        let environmentTexts = unsafe environment.map { unsafe strdup($0) } + [nil]
        unsafe execve(path, argumentTexts, environmentTexts)
        let error = Errno(rawValue: errno)
        for index in unsafe argumentTexts.indices { unsafe free(argumentTexts[index]) }
        for index in unsafe environmentTexts.indices { unsafe free(environmentTexts[index]) }
        return error
    }

    /// A child that has ended (`pid` -1: any), without waiting; nil when none has, or none is left.
    package static func reap(_ pid: Int32 = -1) throws(Errno) -> Ended? {
        try collect(pid, mayBlock: false)
    }

    /// Waits for the end of one child; nil when it is not ours.
    package static func wait(for pid: Int32) throws(Errno) -> Ended? {
        try collect(pid, mayBlock: true)
    }

    private static func collect(_ pid: Int32, mayBlock: Bool) throws(Errno) -> Ended? {
        var ending = cl_ending()
        do throws(Errno) {
            try result { unsafe cl_wait(pid, mayBlock, &ending) }
        } catch Errno.noChild {
            return nil
        }
        guard ending.pid > 0 else { return nil }
        let way: Ended.Way =
            ending.signal == 0 ? .exited(ending.code) : .signalled(ending.signal, dumpedCore: ending.dumped_core)
        return Ended(pid: ending.pid, way: way)
    }

    /// Ends this process without running anything that was registered for its end: a forked child shares those with
    /// its parent.
    package static func exit(_ code: Int32) -> Never { _exit(code) }

    /// Number 0 only asks whether the process is there.
    package static func send(_ signal: Int32, to pid: Int32) throws(Errno) {
        _ = try answer { kill(pid, signal) }
    }

    /// Leaves the terminal: a new session.
    package static func startSession() throws(Errno) { _ = try answer { setsid() } }

    /// This process gets `signal` when its parent ends. The kernel forgets it when the user id changes: call it after
    /// `becomeUser`, then compare `parentID`, since the parent may have ended before.
    package static func setParentDeathSignal(_ signal: Int32) throws(Errno) {
        try result { cl_set_parent_death_signal(signal) }
    }

    package static func setFileCreationMask(_ mask: UInt32) { _ = umask(mode_t(mask)) }

    package static func changeDirectory(_ path: String) throws(Errno) { _ = try answer { unsafe chdir(path) } }

    /// nice(2), absolute, for this process.
    package static func setPriority(_ value: Int) throws(Errno) {
        _ = try answer { setpriority(Int32(PRIO_PROCESS.rawValue), 0, Int32(clamping: value)) }
    }

    /// Whoever waits for this processor has it first; returns at once where nobody does.
    package static func giveWay() { _ = sched_yield() }

    /// This process has a processor only while nothing else wants it (SCHED_IDLE), and gives it back at once.
    package static func runWhenIdle() throws(Errno) {
        let idle: Int32 = 5  // SCHED_IDLE (linux/sched.h), which glibc shows to _GNU_SOURCE alone
        var parameters = sched_param()
        _ = try answer { unsafe sched_setscheduler(0, idle, &parameters) }
    }

    package static func hostname() throws(Errno) -> String {
        var bytes = [UInt8](repeating: 0, count: 256)
        _ = try answer {
            unsafe bytes.withUnsafeMutableBytes { buffer in
                unsafe gethostname(buffer.baseAddress!.assumingMemoryBound(to: CChar.self), buffer.count - 1)
            }
        }
        return String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }

    /// `NAME=value` entries, in their order.
    package static var environment: [String] {
        var entries: [String] = []
        var place = unsafe environ
        while let entry = unsafe place.pointee {
            unsafe entries.append(String(cString: entry))
            unsafe place += 1
        }
        return entries
    }

    package static func environmentValue(_ name: String) -> String? {
        guard let value = unsafe getenv(name) else { return nil }
        return unsafe String(cString: value)
    }

    /// Replaces the environment by `NAME=value` entries.
    package static func setEnvironment(_ entries: [String]) {
        // clearenv(3) leaves no list at all, which Swift's `environ` traps on; after this there is an empty one.
        clearenv()
        unsafe setenv("_", "", 1)
        unsafe unsetenv("_")
        for entry in entries {
            guard let sign = entry.firstIndex(of: "=") else { continue }
            unsafe setenv(String(entry[..<sign]), String(entry[entry.index(after: sign)...]), 1)
        }
    }

    /// uname(2): `Linux 6.1.0`.
    package static var systemName: String {
        var name = utsname()
        guard unsafe uname(&name) == 0 else { return "Linux" }
        let system = unsafe withUnsafeBytes(of: name.sysname) { bytes in
            unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        let release = unsafe withUnsafeBytes(of: name.release) { bytes in
            unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
        }
        return "\(system) \(release)"
    }
}
