// SPDX-License-Identifier: Apache-2.0
//
// A program that a test runs. It dies with the test run, however that ends: it is started through setpriv(1) with a
// parent-death signal, by one thread that lives as long as the run (the signal follows the thread, not the process).
// Ended by its own id only. Standard output and standard error go to one file.

import Foundation
import Glibc
import Synchronization

package final class ManagedProcess: Sendable {
    package enum Ending: Sendable, Equatable {
        case exited(Int32)
        case signalled(Int32)
    }

    package let name: String
    package let id: Int32
    /// Where its output goes; outlives the object when the caller keeps the folder.
    package let outputPath: String
    private let directory: TemporaryDirectory?
    private let ending = Mutex<Ending?>(nil)

    /// `program` is searched in PATH. `output` names the file for stdout and stderr.
    package init(
        _ program: String, _ arguments: [String] = [], output: String? = nil, input: String? = nil,
        workingDirectory: String? = nil, environment: [String: String] = [:], namespace: NetworkNamespace? = nil
    ) throws {
        name = program
        if let output {
            outputPath = output
            directory = nil
        } else {
            let directory = try TemporaryDirectory()
            outputPath = directory.path("output")
            self.directory = directory
        }
        var words = ["setpriv", "--pdeathsig", "KILL", "--"] + (namespace?.launcher ?? [])
        if let workingDirectory { words += ["env", "--chdir=\(workingDirectory)"] }
        if !environment.isEmpty { words += ["env"] + environment.map { "\($0.key)=\($0.value)" } }
        id = try Spawner.shared.start(words + [program] + arguments, output: outputPath, input: input ?? "/dev/null")
    }

    deinit { kill() }

    package var output: String { contents(of: outputPath) }

    /// Nil while it runs.
    package var currentEnding: Ending? {
        ending.withLock { ending in
            if let ending { return ending }
            var status: Int32 = 0
            guard unsafe waitpid(id, &status, WNOHANG) == id else { return nil }
            ending = status & 0x7F == 0 ? .exited(status >> 8 & 0xFF) : .signalled(status & 0x7F)
            return ending
        }
    }

    package var isRunning: Bool { currentEnding == nil }

    package func send(_ signal: Int32) {
        // Under the lock, so that the id cannot have been reaped and given to somebody else.
        ending.withLock { ending in
            if ending == nil { _ = Glibc.kill(id, signal) }
        }
    }

    package func wait(within duration: Duration = .seconds(20)) async throws -> Ending {
        try await eventually("\(name) (\(id)) ends; its output: \(output)", within: duration) { currentEnding }
    }

    /// SIGKILL, and gone when this returns.
    package func kill() {
        guard isRunning else { return }
        send(SIGKILL)
        while isRunning { usleep(500) }
    }

    /// The same with what it has started, as far as that is still in its process group.
    package func killGroup() {
        ending.withLock { ending in
            if ending == nil { _ = Glibc.kill(-id, SIGKILL) }
        }
        kill()
    }

    /// Runs a program to its end.
    package static func run(
        _ program: String, _ arguments: [String] = [], input: String? = nil, namespace: NetworkNamespace? = nil,
        within duration: Duration = .seconds(20)
    ) async throws -> (ending: Ending, output: String) {
        let process = try ManagedProcess(program, arguments, input: input, namespace: namespace)
        let ending = try await process.wait(within: duration)
        return (ending, process.output)
    }
}

extension ManagedProcess {
    /// Runs a program to its end and blocks the thread meanwhile: for files that are made once, outside of any task.
    ///
    /// Foundation's Process hears of an end by a socket that programs inherit which others start at that moment; it would
    /// wait for those, too, and with it a test run whose few threads wait for the files.
    package static func runBlocking(_ program: String, _ arguments: [String], in folder: String) throws -> Ending {
        let process = try ManagedProcess(program, arguments, workingDirectory: folder)
        while true {
            if let ending = process.currentEnding { return ending }
            usleep(1000)
        }
    }
}

/// The thread that starts programs. Never ends.
private final class Spawner: Sendable {
    static let shared = Spawner()

    private final class Order: Sendable {
        let words: [String]
        let output: String
        let input: String
        let answer = Mutex<Result<Int32, TestFault>?>(nil)
        let isAnswered = DispatchSemaphore(value: 0)

        init(words: [String], output: String, input: String) {
            self.words = words
            self.output = output
            self.input = input
        }
    }

    private let orders = Mutex<[Order]>([])
    private let wake = DispatchSemaphore(value: 0)

    private init() {
        let thread = Thread { [self] in
            while true {
                wake.wait()
                let order = orders.withLock { $0.removeFirst() }
                let answer = spawn(order)
                order.answer.withLock { $0 = answer }
                order.isAnswered.signal()
            }
        }
        thread.name = "spawner"
        thread.start()
    }

    func start(_ words: [String], output: String, input: String) throws -> Int32 {
        let order = Order(words: words, output: output, input: input)
        orders.withLock { $0.append(order) }
        wake.signal()
        order.isAnswered.wait()
        guard let answer = order.answer.withLock({ $0 }) else { throw TestFault("no answer from the spawner") }
        return try answer.get()
    }

    private func spawn(_ order: Order) -> Result<Int32, TestFault> {
        // Descriptors of the tests are all close-on-exec.
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        unsafe posix_spawn_file_actions_addopen(&actions, 0, order.input, O_RDONLY, 0)
        unsafe posix_spawn_file_actions_addopen(&actions, 1, order.output, O_WRONLY | O_CREAT | O_APPEND, 0o644)
        unsafe posix_spawn_file_actions_adddup2(&actions, 1, 2)

        var attributes = posix_spawnattr_t()
        unsafe posix_spawnattr_init(&attributes)
        defer { unsafe posix_spawnattr_destroy(&attributes) }
        // Threads of a test run may block signals; a program starts with none blocked and none ignored.
        var none = sigset_t()
        var all = sigset_t()
        unsafe sigemptyset(&none)
        unsafe sigfillset(&all)
        unsafe posix_spawnattr_setsigmask(&attributes, &none)
        unsafe posix_spawnattr_setsigdefault(&attributes, &all)
        let flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP
        unsafe posix_spawnattr_setflags(&attributes, Int16(flags))

        var words: [UnsafeMutablePointer<CChar>?] = unsafe order.words.map { unsafe strdup($0) } + [nil]
        defer { for index in order.words.indices { unsafe free(words[index]) } }
        var id: pid_t = 0
        let code = unsafe posix_spawnp(&id, order.words[0], &actions, &attributes, &words, environ)
        return code == 0 ? .success(id) : .failure(TestFault.system("posix_spawn(\(order.words[0]))", code))
    }
}
