// SPDX-License-Identifier: Apache-2.0
//
// From a command line to a running master. Everything that can fail happens while the terminal still listens: the
// configuration, logs, sockets, then the daemon, then the pid file. Each step takes back what the ones before it made
// when it fails, by ending the process.

import ControlLink
import LinuxIO
import ProxyConfig
import SharedState
import Vocabulary

struct Startup {
    let places: Places
    let globalDirectives: String
    let programs: ChildPrograms

    /// nginx's patience with an address that somebody else still has.
    private static let bindTries = 5
    private static let bindPauseMilliseconds: UInt64 = 500

    func run() -> Int32 {
        let hostname = (try? Processes.hostname()) ?? ""
        var log = ErrorLogWriter(hostname: hostname)
        LocalTime.loadZone()
        let reading = ConfigurationReading.read(places, globalDirectives: globalDirectives)
        Terminal.error(reading.outcome.render())
        guard let configuration = reading.outcome.configuration else {
            useStartLog(&log)
            for diagnostic in reading.outcome.diagnostics {
                log.write(diagnostic.level == .emerg ? .emerg : .warn, diagnostic.headline)
            }
            return 1
        }
        do throws(StartFault) {
            return try start(configuration, reading, &log)
        } catch {
            if !log.isInUse { useStartLog(&log) }
            log.write(.emerg, error.message)
            Terminal.error("weir: [emerg] \(error.message)\n")
            return 1
        }
    }

    private func start(
        _ configuration: Configuration, _ reading: ConfigurationReading, _ log: inout ErrorLogWriter
    ) throws(StartFault) -> Int32 {
        try configuration.checkUser()
        if configuration.main.hasMaster { try PIDFile.check(configuration.main.pidFile) }
        let proof = TLSProof(configuration, known: nil)
        let generation = try LoadedGeneration(
            number: 1, configuration: configuration, bundle: reading.bundle, proof: proof, former: nil)
        log.use(configuration, generation.logs)
        if let last = proof.faults.last {
            for fault in proof.faults.dropLast() {
                log.write(.emerg, fault)
                Terminal.error("weir: [emerg] \(fault)\n")
            }
            throw StartFault(last)
        }
        for warning in reading.stapleWarnings {
            log.write(.warn, warning)
            Terminal.error("weir: [warn] \(warning)\n")
        }
        let positions = configuration.main.hasMaster ? configuration.workerCount : 1
        raiseDescriptorLimit()
        let region = try makeRegion(configuration)
        let tickets = try makeTicketKeys()
        let staples = try makeStaples()
        var listeners = ListenerTable()
        try bind(configuration.listeners, positions: positions, &listeners, log)
        var adminListeners = ListenerTable()
        if configuration.main.hasMaster {
            try bind(configuration.admin?.listeners ?? [], positions: 1, &adminListeners, log)
        }
        announce(configuration, log)

        guard configuration.main.hasMaster else {
            return try SingleProcess(
                program: programs.worker, region: region, tickets: tickets, staples: staples, generation: generation,
                log: log
            ).run(listeners, pidFile: configuration.main.pidFile)
        }
        // Blocked before the daemon forks, so that a signal right after the pid file appears is not lost.
        let signals = try makeSignalQueue()
        let starter = configuration.main.isDaemon ? try Daemon.detach(log: configuration.errorLogName) : nil
        region.setMasterPID(Processes.currentID)
        let pidFile = try PIDFile(configuration.main.pidFile)
        Processes.setTitle("weir: master process \(CommandLine.arguments.joined(separator: " "))", shortName: "weir")
        var master = Master(
            places: places, globalDirectives: globalDirectives, programs: programs, region: region, tickets: tickets,
            staples: staples, signals: signals, starter: starter, listeners: listeners,
            adminListeners: adminListeners, pidFile: pidFile, log: log, generation: generation)
        if starter != nil { master.redirectStandardError() }
        return master.run()
    }

    // MARK: Steps

    private func makeSignalQueue() throws(StartFault) -> SignalQueue {
        do throws(Errno) {
            try Signals.ignoreBrokenPipes()
            return try SignalQueue(MasterSignal.all)
        } catch { throw StartFault("signalfd() failed (\(error.numberedText))") }
    }

    private func makeRegion(_ configuration: Configuration) throws(StartFault) -> SharedRegion {
        let region: SharedRegion
        do throws(Errno) {
            region = try SharedRegion.create(
                masterPID: Processes.currentID, wallMilliseconds: wallMilliseconds())
        } catch { throw StartFault("memfd_create() of the shared region failed (\(error.numberedText))") }
        do throws(SlotFault) {
            try region.assignSlots(configuration.slotRequests, zones: configuration.zoneNames)
        } catch {
            throw StartFault(error.text)
        }
        region.commitSlots(generation: 1)
        region.note(.started, wallMilliseconds: region.startedAt, text: "Weir \(weirVersion)")
        return region
    }

    private func makeTicketKeys() throws(StartFault) -> TicketKeyRegion {
        do throws(Errno) { return try TicketKeyRegion.create(nowMilliseconds: monotonicMilliseconds()) } catch {
            throw StartFault("mmap() of the ticket keys failed (\(error.numberedText))")
        }
    }

    private func makeStaples() throws(StartFault) -> StapleRegion {
        do throws(Errno) { return try StapleRegion.create() } catch {
            throw StartFault("mmap() of the stapled responses failed (\(error.numberedText))")
        }
    }

    private func bind(
        _ wanted: [Listener], positions: Int, _ listeners: inout ListenerTable, _ log: ErrorLogWriter
    ) throws(StartFault) {
        for round in 1...Startup.bindTries {
            do throws(StartFault) {
                try listeners.prepare(wanted, positions: positions)
                try listeners.enlist()
                _ = listeners.adopt(wanted)
                return
            } catch {
                listeners.discard()
                guard error.mayPass else { throw error }
                log.write(.emerg, error.message)
                Terminal.error("weir: [emerg] \(error.message)\n")
                if round < Startup.bindTries { sleep(milliseconds: Startup.bindPauseMilliseconds) }
            }
        }
        throw StartFault("still could not bind()")
    }

    /// The master holds a socket for each worker and address.
    private func raiseDescriptorLimit() {
        guard let limit = try? Processes.limit(of: .descriptors), limit.soft < limit.hard else { return }
        try? Processes.setLimit(of: .descriptors, Processes.Limit(soft: limit.hard, hard: limit.hard))
    }

    /// As long as no configuration stands, its error logs are not there; nginx then uses the one of `-e`. The terminal
    /// hears everything anyway.
    private func useStartLog(_ log: inout ErrorLogWriter) {
        guard places.errorLog != "stderr", let file = try? Files.openAppend(places.errorLog) else { return }
        log.use(descriptor: file.release())
    }

    private func announce(_ configuration: Configuration, _ log: ErrorLogWriter) {
        log.write(.notice, "using the \"io_uring\" event method")
        log.write(.notice, "weir/\(weirVersion)")
        log.write(.notice, "OS: \(Processes.systemName)")
        let notices = StartNotices(configuration)
        for text in notices.notices { log.write(.notice, text) }
        for text in notices.warnings {
            log.write(.warn, text)
            Terminal.error("weir: [warn] \(text)\n")
        }
    }
}

/// What a start says about how much fits.
struct StartNotices {
    private(set) var notices: [String] = []
    private(set) var warnings: [String] = []

    init(_ configuration: Configuration) {
        let main = configuration.main
        let limit = try? Processes.limit(of: .descriptors)
        let hard = Int(clamping: limit?.hard ?? 1024)
        let descriptors = main.descriptorLimit ?? hard
        if let limit { notices.append("getrlimit(RLIMIT_NOFILE): \(limit.soft):\(limit.hard)") }
        let capacity = SessionCapacity(
            descriptorLimit: descriptors, workerConnections: main.workerConnections,
            listeners: configuration.listeners.count, logs: configuration.logDestinations.count)
        let workers = main.hasMaster ? configuration.workerCount : 1
        notices.append(
            "\(capacity.sessions * workers) sessions fit: \(capacity.sessions) in each of \(workers) worker processes, "
                + "\(descriptors) descriptors each")
        if let connections = main.workerConnections, connections > descriptors {
            warnings.append("\(connections) worker_connections exceed open file resource limit: \(descriptors)")
        }
        if main.hasMaster, case .number(let number) = main.workerCount, number > SharedRegion.workersMax {
            warnings.append(
                "\(number) worker_processes are more than there is room for: \(SharedRegion.workersMax) start")
        }
        if main.user != nil, !Processes.isRoot {
            warnings.append(
                "the \"user\" directive makes sense only if the master process runs with super-user privileges, ignored"
            )
        }
    }
}
