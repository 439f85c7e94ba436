// SPDX-License-Identifier: Apache-2.0
//
// `daemon on`: leaving the terminal. The process that was started stays until the daemon serves or has failed, so that
// its exit code tells the truth and `weir -s` may follow at once. nginx leaves earlier.

import LinuxIO

enum Daemon {
    /// What the daemon says to the process that waits for it.
    struct Starter {
        fileprivate var pair: Int32

        /// The daemon serves; without this call the waiting process ends with 1 when the daemon does.
        consuming func succeeded() {
            _ = try? Sockets.send(pair, [1][...])
            Descriptors.close(pair)
        }
    }

    /// Returns in the daemon only. Descriptors stay open; standard input and output go to /dev/null, standard error is
    /// left until `redirectStandardError`. `log` is where a person is sent when the daemon fails.
    static func detach(log: String) throws(StartFault) -> Starter {
        do throws(Errno) {
            let pair = try Sockets.makePair(keepsPackets: true)
            guard case .child = try Processes.fork() else {
                Descriptors.close(pair.second)
                waitForDaemon(pair.first, log)
            }
            Descriptors.close(pair.first)
            try Processes.startSession()
            Processes.setFileCreationMask(0)
            let null = try Files.openReadWrite("/dev/null")
            try Descriptors.replace(0, with: null.number)
            try Descriptors.replace(1, with: null.number)
            return Starter(pair: pair.second)
        } catch {
            throw StartFault("daemon() failed (\(error.numberedText))")
        }
    }

    /// Standard error goes to `log`, where a crash of ours still leaves its last words, or to /dev/null.
    static func redirectStandardError(to log: Int32?) {
        if let log {
            try? Descriptors.replace(2, with: log)
        } else if let null = try? Files.openReadWrite("/dev/null") {
            try? Descriptors.replace(2, with: null.number)
        }
    }

    private static func waitForDaemon(_ pair: Int32, _ log: String) -> Never {
        var entries = [PollEntry(pair, .readable)]
        while true {
            guard let count = try? Poll.wait(&entries, milliseconds: nil) else { Processes.exit(1) }
            if count == 0 { continue }
            var word: [UInt8] = []
            _ = try? Sockets.receive(pair, appendingTo: &word, bytesMax: 1)
            if word == [1] { Processes.exit(0) }
            Terminal.error("weir: [emerg] the daemon ended before it served; its reason is above or in \(log)\n")
            Processes.exit(1)
        }
    }
}
