// SPDX-License-Identifier: Apache-2.0
//
// The command: which scenarios, which peers, how long, and where the figures go. It is the load itself too: devices and
// broker live in this process, held to their CPU.

import ArgumentParser
import Fleet
import LinuxIO

@main
struct WeirPerf: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "weir-perf",
        abstract: "Measures Weir and its peers in turns, on one machine, in one run.")

    private static let scenarios: [any Scenario] = [
        ChurnScenario(), MessageScenario(isSaturated: false), MessageScenario(isSaturated: true),
        BulkScenario(direction: .up), BulkScenario(direction: .down), IdleScenario(), ReloadScenario(),
        HandshakeScenario(isResumed: false), HandshakeScenario(isResumed: true),
        MessageScenario(isSaturated: false, isSecure: true), MessageScenario(isSaturated: true, isSecure: true),
        IdleScenario(isSecure: true), StormScenario(), AdminScenario(),
    ]

    @Argument(
        help: """
            churn, messages, saturated, bulk-up, bulk-down, bulk, idle, reload, tls-full, tls-resumed, tls-messages, \
            tls-saturated, tls-idle, tls-storm, tls, admin, all.
            """)
    var names: [String] = ["all"]

    @Option(help: "Who is measured, with commas between: weir, nginx, haproxy, direct.")
    var peers = "weir,nginx"

    @Option(help: "Rounds; every peer has one run in each.")
    var rounds: Int?

    @Option(help: "Length of a measurement.")
    var seconds: Double?

    @Option(help: "Sessions that messages are sent over.")
    var sessions: Int?

    @Option(help: "Messages a second.")
    var rate: Double?

    @Option(help: "Sessions that stand idle.")
    var idleSessions: Int?

    @Option(help: "Bytes of a bulk run, in MiB.")
    var bulk: Int?

    @Flag(help: "Small and short: tests the harness, measures nothing.")
    var quick = false

    @Option(help: "CPU of the proxy; -1: held to none.")
    var proxyCpu = 0

    @Option(help: "CPU of devices and broker; -1: held to none.")
    var loadCpu = 1

    @Option(help: "The program to measure.")
    var weir = ".build/release/weir"

    @Option(help: "nginx with its stream module.")
    var nginx = "/usr/sbin/nginx"

    @Option(help: "HAProxy, 2.6 or later.")
    var haproxy = "/usr/sbin/haproxy"

    @Option(help: "Writes NAME.md and NAME.tsv into Perf/Baselines.")
    var write: String?

    func run() throws {
        let settings = try makeSettings()
        let peers = try makePeers()
        let chosen = try makeScenarios()
        // Two at a time would have the same ports and the same CPUs.
        let lock = try Files.openKeeping("/tmp/weir-perf.lock", mode: 0o666)
        while !(try Files.lock(lock.number)) {
            Self.note("another weir-perf is at work")
            sleep(milliseconds: 2000)
        }
        if let processor = settings.loadProcessor { try Processes.setAffinity(Program.mask(of: processor)) }
        let folder = try Files.makeTemporaryDirectory(prefix: "/tmp/weir-perf-")
        defer { _ = Program.output(of: "/bin/rm", ["-r", folder], in: "/tmp") }

        let header = makeHeader(settings, peers, folder: folder)
        Self.print(header.joined(separator: "\n") + "\n\n")
        let rounds = Rounds(settings: settings, peers: peers, folder: folder) { Self.note($0) }
        var texts: [String] = []
        var lines = header.map { "# \($0)" } + ["scenario\tround\tpeer\tmeasure\tfigure\tstate"]
        var isClean = true
        for scenario in chosen {
            let samples = try rounds.run(scenario)
            let report = Report(scenario: scenario, settings: settings, peers: peers, samples: samples)
            Self.print(report.text + "\n")
            texts.append(report.text)
            lines += report.lines
            isClean = isClean && samples.allSatisfy { $0.faults.isEmpty }
        }
        if let write {
            if !Files.isDirectory("Perf/Baselines") { try Files.makeDirectory("Perf/Baselines") }
            let text = "# \(write)\n\n" + header.map { "- \($0)" }.joined(separator: "\n") + "\n\n"
            try Files.write("Perf/Baselines/\(write).md", Array((text + texts.joined(separator: "\n")).utf8))
            try Files.write("Perf/Baselines/\(write).tsv", Array((lines.joined(separator: "\n") + "\n").utf8))
        }
        if !isClean { throw ExitCode(1) }
    }

    private func makeSettings() throws -> Settings {
        var settings = Settings()
        if quick { settings.makeQuick() }
        if let rounds { settings.rounds = max(1, rounds) }
        if let seconds { settings.seconds = seconds }
        if let sessions { settings.sessionCount = sessions }
        if let rate { settings.messagesPerSecond = rate }
        if let idleSessions { settings.idleSessionCount = idleSessions }
        if let bulk { settings.bulkBytes = bulk << 20 }
        settings.proxyProcessor = proxyCpu < 0 ? nil : proxyCpu
        settings.loadProcessor = loadCpu < 0 ? nil : loadCpu
        let here = try Files.workingDirectory()
        settings.programs = [.weir: Files.absolute(weir, below: here), .nginx: nginx, .haproxy: haproxy]
        return settings
    }

    private func makePeers() throws -> [Peer] {
        try peers.split(separator: ",").map { name in
            guard let peer = Peer(rawValue: String(name)) else { throw ValidationError("no peer is called \(name)") }
            return peer
        }
    }

    private func makeScenarios() throws -> [any Scenario] {
        try names.flatMap { name in
            let found = Self.scenarios.filter { name == "all" || $0.name == name || $0.name.hasPrefix(name + "-") }
            if found.isEmpty { throw ValidationError("no scenario is called \(name)") }
            return found
        }
    }

    private func makeHeader(_ settings: Settings, _ peers: [Peer], folder: String) -> [String] {
        let place: (Int?) -> String = { $0.map { "CPU \($0)" } ?? "any CPU" }
        var lines = [
            "date: \(Machine.date)",
            "machine: \(Machine.processorModel), \(Machine.processorCount) CPUs, kernel \(Machine.kernel), "
                + "getppid \(Machine.systemCallNanoseconds) ns, congestion control \(Machine.congestionControl)",
            "places: proxy on \(place(settings.proxyProcessor)), "
                + "devices and broker on \(place(settings.loadProcessor))",
            "rounds: \(settings.rounds) of \(Report.number(settings.seconds, decimals: 1)) s",
        ]
        for peer in peers {
            guard let program = settings.programs[peer] else { continue }
            let text = Program.output(of: program, ["-v"], in: folder)
            lines.append("\(peer.rawValue): \(text.split(separator: "\n").first ?? "version unknown")")
        }
        return lines
    }

    private static func print(_ text: String) { try? Files.writeAll(1, Array(text.utf8)) }

    /// Progress, beside the figures.
    private static func note(_ text: String) { try? Files.writeAll(2, Array((text + "\n").utf8)) }
}
