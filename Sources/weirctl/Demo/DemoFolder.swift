// SPDX-License-Identifier: Apache-2.0
//
// The demo's files: one temporary folder that only this user may enter, removed at the end. A janitor process holds the
// other end of a pipe and does what is left to do when the demo is killed: removes the folder, gives the terminal back.

import LinuxIO

struct DemoFolder: ~Copyable {
    let path: String
    private let janitor: Int32
    /// Its end tells the janitor that the demo has ended.
    private let lifeline: Descriptor

    /// To be made before any other child and before signals are blocked.
    init(terminal: Terminal?) throws(Errno) {
        let parent = Processes.environmentValue("TMPDIR") ?? "/tmp"
        let path = try Files.makeTemporaryDirectory(prefix: Files.absolute("weir-demo-", below: parent))
        let pipe = try Pipes.make()
        let end = Descriptor(pipe.read)
        let owner = Descriptor(pipe.write)
        janitor = try DemoFolder.startJanitor(path, terminal: terminal, end: end.number, lifeline: pipe.write)
        lifeline = owner
        self.path = path
    }

    private static func startJanitor(
        _ path: String, terminal: Terminal?, end: Int32, lifeline: Int32
    ) throws(Errno) -> Int32 {
        switch try Processes.fork() {
        case .parent(let child):
            return child
        case .child:
            Descriptors.close(lifeline)
            clean(path, terminal: terminal, after: end)
        }
    }

    func file(_ name: String) -> String { path + "/" + name }

    /// Removes the folder and waits for the janitor, which finds nothing to do.
    consuming func remove() {
        DemoFolder.removeTree(path)
        let janitor = janitor
        try? lifeline.close()
        _ = try? Processes.wait(for: janitor)
    }

    /// The janitor's life. Programs that die with the demo may write a last line: it tries until the folder stays away.
    private static func clean(_ path: String, terminal: Terminal?, after end: Int32) -> Never {
        try? Processes.startSession()
        var entries = [PollEntry(end, .readable)]
        while ((try? Poll.wait(&entries, milliseconds: nil)) ?? 1) == 0 {}
        if Files.exists(path) {
            terminal?.restore()
            for _ in 0..<30 {
                removeTree(path)
                sleep(milliseconds: 100)
                if !Files.exists(path) { break }
            }
        }
        Processes.exit(0)
    }

    /// Follows no symbolic link: a link is removed as the file that it is.
    static func removeTree(_ path: String) {
        do throws(Errno) { try Files.remove(path) } catch {
            guard Files.isDirectory(path) else { return }
            for name in (try? Files.names(in: path)) ?? [] { removeTree(path + "/" + name) }
            try? Files.removeDirectory(path)
        }
    }
}
