// SPDX-License-Identifier: Apache-2.0
//
// Another program as a child: held to a CPU, its output in a file, ended when we end.

import Glibc
import LinuxIO

final class Program {
    let pid: Int32
    private var isReaped = false

    /// `processor` nil: wherever the kernel puts it. Both outputs go to `output`.
    init(_ path: String, _ arguments: [String], processor: Int?, output: String) throws {
        let file = try Files.openAppend(output)
        switch try Processes.fork() {
        case .parent(let child):
            pid = child
        case .child:
            do {
                // SIGTERM, so that a master takes its workers with it.
                try Processes.setParentDeathSignal(SIGTERM)
                if let processor { try Processes.setAffinity(Self.mask(of: processor)) }
                try Descriptors.replace(1, with: file.number)
                try Descriptors.replace(2, with: file.number)
                _ = Processes.execute(path, [path] + arguments, environment: Processes.environment)
            } catch {}
            Processes.exit(127)
        }
    }

    static func mask(of processor: Int) -> [UInt64] {
        var words = [UInt64](repeating: 0, count: 16)
        words[processor / 64] = 1 << UInt64(processor % 64)
        return words
    }

    func hasEnded() -> Bool {
        if !isReaped, (try? Processes.reap(pid)) != nil { isReaped = true }
        return isReaped
    }

    private func waitForEnd() {
        if !isReaped, (try? Processes.wait(for: pid)) != nil { isReaped = true }
    }

    /// Asks with `signal`, then insists.
    func stop(_ signal: Int32, tree: ProcessTree) {
        if hasEnded() { return }
        let members = tree.members
        try? Processes.send(signal, to: pid)
        let deadline = monotonicMilliseconds() + 5000
        while monotonicMilliseconds() < deadline {
            if hasEnded() { return }
            sleep(milliseconds: 5)
        }
        for member in members.reversed() { try? Processes.send(SIGKILL, to: member) }
        waitForEnd()
    }

    /// What a short program prints; empty when it cannot be run.
    static func output(of path: String, _ arguments: [String], in folder: String) -> String {
        let file = folder + "/output"
        defer { try? Files.remove(file) }
        guard let program = try? Program(path, arguments, processor: nil, output: file) else { return "" }
        program.waitForEnd()
        return ProcFile.text(file)
    }
}
