// SPDX-License-Identifier: Apache-2.0
//
// One program that the demo runs: started in a session of its own, so that the terminal's Ctrl-C reaches the demo alone
// and everything ends in order, and ended by the kernel should the demo be killed.

import Glibc
import LinuxIO

struct ChildProcess {
    let pid: Int32

    /// `parentDeathSignal` is what the program gets when the demo ends without having stopped it. What it writes to its
    /// standard output and error is appended to `outputFile`.
    static func start(
        _ path: String, _ arguments: [String], outputFile: String, parentDeathSignal: Int32
    ) throws(Errno) -> ChildProcess {
        let output = try Files.openAppend(outputFile)
        let input = try Files.openRead("/dev/null")
        let environment = Processes.environment
        let demo = Processes.currentID
        switch try Processes.fork() {
        case .parent(let child):
            return ChildProcess(pid: child)
        case .child:
            do throws(Errno) {
                try Processes.startSession()
                try Signals.reset()
                try Processes.setParentDeathSignal(parentDeathSignal)
                guard Processes.parentID == demo else { Processes.exit(exitCode) }
                try Descriptors.replace(0, with: input.number)
                try Descriptors.replace(1, with: output.number)
                try Descriptors.replace(2, with: output.number)
                throw Processes.execute(path, [path] + arguments, environment: environment)
            } catch {
                try? Files.writeAll(2, Array("\(path): \(error.numberedText)\n".utf8))
                Processes.exit(exitCode)
            }
        }
    }

    /// A shell's code for a program that cannot be run.
    private static let exitCode: Int32 = 127

    func send(_ signal: Int32) { try? Processes.send(signal, to: pid) }

    /// How it ended, if it has.
    func reap() -> Processes.Ended? { (try? Processes.reap(pid)) ?? nil }

    /// Sends `signal`, waits as long as `patience` says, then kills; nil when it was not there any more.
    func stop(_ signal: Int32, patienceMilliseconds: UInt64 = 5000) -> Processes.Ended? {
        send(signal)
        let deadline = monotonicMilliseconds() + patienceMilliseconds
        while monotonicMilliseconds() < deadline {
            if let ended = reap() { return ended }
            sleep(milliseconds: 5)
        }
        send(SIGKILL)
        return (try? Processes.wait(for: pid)) ?? nil
    }
}
