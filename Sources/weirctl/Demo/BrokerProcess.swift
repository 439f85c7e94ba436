// SPDX-License-Identifier: Apache-2.0
//
// One of the three Mosquitto brokers. They are joined so that a subscriber at one sees publishers at all, each message
// once: broker 2 bridges to broker 1, broker 3 to broker 1 and, as long as that one is away, to broker 2. Three brokers
// bridged in a ring or a full mesh send each message round for ever, because Mosquitto forwards over one bridge what
// came in by another; here the bridges are a tree at any time, and the death of any broker leaves the other two joined.

import Glibc
import LinuxIO
import Vocabulary

final class BrokerProcess {
    /// 1, 2, 3.
    let number: Int
    let endpoint: IPEndpoint
    private let program: String
    private let configurationFile: String
    private let outputFile: String
    private var process: ChildProcess?

    /// Writes the configuration; `endpoints` are those of all brokers.
    init(number: Int, endpoints: [IPEndpoint], program: String, folder: borrowing DemoFolder) throws(Errno) {
        self.number = number
        self.endpoint = endpoints[number - 1]
        self.program = program
        configurationFile = folder.file("broker-\(number).conf")
        outputFile = folder.file("broker-\(number).log")
        let text = Self.configuration(number: number, endpoints: endpoints)
        try Files.write(configurationFile, Array(text.utf8))
    }

    var isRunning: Bool { process != nil }

    func start() throws(Errno) {
        guard process == nil else { return }
        process = try ChildProcess.start(
            program, ["-c", configurationFile], outputFile: outputFile, parentDeathSignal: SIGKILL)
    }

    /// SIGTERM lets the broker say goodbye; SIGKILL is a broker that dies.
    func stop(_ signal: Int32 = SIGTERM) {
        _ = process?.stop(signal)
        process = nil
    }

    /// What ended it, once, if it ended by itself.
    func noticeEnd() -> Processes.Ended? {
        guard let ended = process?.reap() else { return nil }
        process = nil
        return ended
    }

    /// What it said last.
    var outputLines: [String] { LogTail.lastLines(of: outputFile, 5) }

    static func configuration(number: Int, endpoints: [IPEndpoint]) -> String {
        var text = """
            # `user root`: a broker started by root stays as it is and does not look for a user of its own.
            user root
            listener \(endpoints[number - 1].port) 127.0.0.1
            allow_anonymous true
            persistence false
            set_tcp_nodelay true
            log_dest stderr
            log_type error
            log_type warning
            log_type notice
            log_type information

            """
        let targets = endpoints[..<min(number - 1, 2)].map(\.text)
        guard !targets.isEmpty else { return text }
        text += """
            connection tree
            addresses \(targets.joined(separator: " "))
            round_robin false
            topic # both 0
            try_private true
            bridge_attempt_unsubscribe false
            notifications false
            cleansession true
            keepalive_interval 5
            restart_timeout 1
            local_clientid bridge-at-\(number)
            remote_clientid bridge-of-\(number)

            """
        return text
    }
}
