// SPDX-License-Identifier: Apache-2.0
//
// `weirctl top`: brokers, sessions and rates as a live table over the API.

import ArgumentParser
import Glibc
import LinuxIO

struct TopCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "top", abstract: "A live table of brokers, sessions and rates.",
        discussion: """
            q or Ctrl-C ends it. With --once, or where the output is no terminal, one table is printed, with rates \
            of one interval. Exit codes: 0; 1 no answer; 64 wrong usage.
            """)

    @Flag(help: "Print one table and end.")
    var once = false
    @Option(help: "Seconds between two looks.")
    var interval = 1.0
    @OptionGroup var options: APIOptions

    func validate() throws {
        guard interval >= 0.1, interval <= 3600 else { throw ValidationError("--interval is from 0.1 to 3600 seconds") }
    }

    func run() throws {
        try CommandFault.reporting { () throws(CommandFault) in
            let client = try options.client()
            if options.json { return say(try JSONText.of(try Self.look(client))) }
            if !once, let terminal = Terminal() { return try live(client, terminal) }
            let first = try Self.look(client)
            usleep(UInt32(interval * 1_000_000))
            let picture = TopPicture(snapshot: try Self.look(client), former: (first, interval))
            for line in picture.lines() { say(line.plainText) }
        }
    }

    private static func look(_ client: APIClient) throws(CommandFault) -> TopSnapshot {
        TopSnapshot(upstreams: try client.upstreams(), connections: try client.connections())
    }

    /// A Weir that does not answer is said in the table's place, and asked again.
    private func live(_ client: APIClient, _ terminal: Terminal) throws(CommandFault) {
        var former: (snapshot: TopSnapshot, at: UInt64)? = nil
        let step = UInt64(interval * 1000)
        // Before the first request makes threads, which inherit what is blocked: the terminal is given back always.
        let signals: SignalQueue
        do throws(Errno) { signals = try SignalQueue([SIGINT, SIGTERM, SIGHUP]) } catch {
            throw CommandFault("cannot wait for signals: \(error.numberedText)")
        }
        // The first look fails as a command, not as a picture.
        _ = try Self.look(client)
        terminal.begin()
        defer { terminal.restore() }
        while true {
            let now = monotonicMilliseconds()
            do throws(CommandFault) {
                let snapshot = try Self.look(client)
                var picture = TopPicture(snapshot: snapshot)
                picture.former = former.map { ($0.snapshot, Double(now - $0.at) / 1000) }
                terminal.draw(picture.lines())
                former = (snapshot, now)
            } catch {
                terminal.draw([StyledLine(error.text, .red), "", "Asking again …"])
            }
            while monotonicMilliseconds() < now + step {
                guard Self.waits(for: signals.descriptor.number, until: now + step) else { continue }
                if (try? signals.next()) != nil { return }
                let keys = terminal.keys()
                let controlC: UInt8 = 3
                if keys.isEmpty || keys.contains(UInt8(ascii: "q")) || keys.contains(controlC) { return }
            }
        }
    }

    /// True when a key or a signal is there.
    private static func waits(for signals: Int32, until deadline: UInt64) -> Bool {
        var inputs = [
            pollfd(fd: Terminal.input, events: Int16(POLLIN), revents: 0),
            pollfd(fd: signals, events: Int16(POLLIN), revents: 0),
        ]
        let now = monotonicMilliseconds()
        return unsafe poll(&inputs, 2, Int32(deadline - min(deadline, now))) > 0
    }
}
