// SPDX-License-Identifier: Apache-2.0
//
// One peer in one run: started, waited for until it listens, reloaded, stopped.

import Glibc
import LinuxIO
import Vocabulary

/// Why a run cannot go on.
struct RunFault: Error, CustomStringConvertible {
    var description: String
}

final class RunningPeer {
    private(set) var configuration: PeerConfiguration
    let tree: ProcessTree
    private let program: Program

    init(_ configuration: PeerConfiguration, programPath: String, processor: Int?) throws {
        self.configuration = configuration
        let folder = configuration.folder
        try Files.write(configuration.path, Array(configuration.text.utf8))
        let arguments =
            switch configuration.peer {
            case .weir, .nginx: ["-p", folder, "-c", configuration.path, "-e", folder + "/error.log"]
            case .haproxy: ["-db", "-f", configuration.path]
            case .direct: [String]()
            }
        // A ring that accepts holds its socket a moment longer than its process lives: the kernel takes it down later,
        // on a thread of its own (io_ring_exit_work).
        let freeBy = monotonicMilliseconds() + 5000
        while Self.isListening(Place.port) {
            guard monotonicMilliseconds() < freeBy else {
                throw RunFault(description: "somebody else listens at port \(Place.port)")
            }
            sleep(milliseconds: 20)
        }
        program = try Program(programPath, arguments, processor: processor, output: folder + "/output.log")
        tree = ProcessTree(root: program.pid)
        let deadline = monotonicMilliseconds() + 10_000
        while !Self.isListening(Place.port) {
            let hasEnded = program.hasEnded()
            guard !hasEnded, monotonicMilliseconds() < deadline else {
                if !hasEnded { program.stop(SIGKILL, tree: tree) }
                throw RunFault(description: "\(configuration.peer.rawValue) does not listen: \(log)")
            }
            sleep(milliseconds: 10)
        }
        // What is left to do after listening (a worker's rings, a prober's first round) is not what is measured.
        sleep(milliseconds: 200)
    }

    var isRunning: Bool { !program.hasEnded() }

    func stop() { program.stop(SIGTERM, tree: tree) }

    func reload(_ change: (inout PeerConfiguration) -> Void) throws {
        change(&configuration)
        try Files.write(configuration.path, Array(configuration.text.utf8))
        try Processes.send(SIGHUP, to: program.pid)
    }

    /// The end of what it logged and printed.
    var log: String {
        let texts = ["error.log", "output.log"].map { ProcFile.text(configuration.folder + "/" + $0) }
        return String(texts.joined(separator: "\n").trimmed.suffix(2000))
    }

    static func isListening(_ port: UInt16) -> Bool {
        let address = SocketAddress(IPEndpoint(address: Place.address, port: port))
        guard let socket = try? Sockets.makeStream(for: address) else { return false }
        do throws(Errno) {
            if try Sockets.connect(socket.number, to: address) == .connected { return true }
            var entries = [PollEntry(socket.number, .writable)]
            guard try Poll.wait(&entries, milliseconds: 500) == 1 else { return false }
            return try Sockets.takeError(socket.number) == nil
        } catch {
            return false
        }
    }
}
