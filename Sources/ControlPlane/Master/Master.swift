// SPDX-License-Identifier: Apache-2.0
//
// The master: all that it owns, and its one loop over signals and links. What happens is decided by `Supervision`; here
// events become calls of it, and `Master+Actions` does what it says. One thread, no handler, nothing that waits but
// poll(2) and, while a configuration is read, the disk and the resolver.
//
// Owns: the listening sockets, those of the admin process among them, the log files, the bundle of the generation in
// use, the shared region, the ticket keys, the memory of session caches and of stapled responses, the pid file, and the
// changes of servers that wait.

import ControlLink
import LinuxIO
import ProxyConfig
import SharedState
import Vocabulary

/// What the executable hands in, since planes do not know each other.
package struct ChildPrograms {
    package var worker: WorkerProgram
    package var prober: ChildProgram

    package init(worker: @escaping WorkerProgram, prober: @escaping ChildProgram) {
        self.worker = worker
        self.prober = prober
    }
}

struct Master: ~Copyable {
    let places: Places
    let globalDirectives: String
    let programs: ChildPrograms
    let region: SharedRegion
    let tickets: TicketKeyRegion
    let staples: StapleRegion
    let signals: SignalQueue
    let masterID: Int32
    /// Whom children run as: that of the start, whatever a reload says.
    let childUser: UserIdentity?
    /// True when diagnostics have a terminal to go to.
    let isForeground: Bool
    /// The process that waits for the daemon to serve; nil in the foreground and from the first worker that serves on.
    private var starter: Daemon.Starter?

    var supervision: Supervision
    var listeners: ListenerTable
    var adminListeners: ListenerTable
    var pidFile: PIDFile
    var log: ErrorLogWriter
    var current: LoadedGeneration
    var pending: LoadedGeneration? = nil
    /// When the present or last reload began; monotonic milliseconds.
    var reloadBegan: UInt64 = 0
    /// The last number that was given to a generation, applied or not.
    var generationCount: UInt32
    var children: [Child: ChildProcess] = [:]
    /// USR1 came and has not been answered: logs are not changed in the middle of a talk.
    var isReopenWanted = false
    /// Changes of servers that wait, and the one that is being made.
    var changes: [ChangeRequest] = []
    var activeChange: ChangeRequest? = nil
    private var exitCode: Int32? = nil

    init(
        places: Places, globalDirectives: String, programs: ChildPrograms, region: SharedRegion,
        tickets: TicketKeyRegion, staples: StapleRegion, signals: consuming SignalQueue, starter: Daemon.Starter?,
        listeners: ListenerTable, adminListeners: ListenerTable, pidFile: PIDFile, log: ErrorLogWriter,
        generation: LoadedGeneration
    ) {
        self.places = places
        self.globalDirectives = globalDirectives
        self.programs = programs
        self.region = region
        self.tickets = tickets
        self.staples = staples
        self.signals = signals
        masterID = Processes.currentID
        childUser = generation.configuration.childUser
        isForeground = starter == nil
        self.starter = starter
        supervision = Supervision(slotCount: SharedRegion.workersMax)
        self.listeners = listeners
        self.adminListeners = adminListeners
        self.pidFile = pidFile
        self.log = log
        current = generation
        generationCount = generation.number
    }

    /// Until the last child is gone; the result is the exit code.
    mutating func run() -> Int32 {
        var pace = WorkPace()
        setAdminStates(&pace)
        log.write(.notice, "start worker processes")
        perform(
            supervision.start(
                workers: current.configuration.workerCount, hasAdmin: current.configuration.admin != nil, now: now))
        while exitCode == nil { turn() }
        listeners.closeAll()
        adminListeners.closeAll()
        pidFile.remove()
        log.write(.notice, "exit")
        return exitCode ?? 0
    }

    var now: Int { Int(monotonicMilliseconds()) }

    mutating func exit(_ code: Int32) { exitCode = code }

    private mutating func turn() {
        let order = Array(children.values)
        var entries = [PollEntry(signals.descriptor.number, .readable)] + order.map(\.pollEntry)
        let moments = [supervision.deadline, ticketDeadline].compactMap(\.self)
        let wait = moments.min().map { UInt64(max(0, $0 - now)) }
        do throws(Errno) {
            _ = try Poll.wait(&entries, milliseconds: wait)
        } catch {
            log.write(.alert, "poll() failed (\(error.numberedText))")
            // Nothing that poll(2) may answer goes away by itself; do not spin on it.
            sleep(milliseconds: 100)
        }
        for (index, process) in order.enumerated() where !entries[index + 1].happened.isEmpty {
            process.flush()
            hear(process)
        }
        while let signal = nextSignal() { take(signal) }
        perform(supervision.tick(now))
        beginChange()
        rotateTickets()
        if isReopenWanted, isTalkQuiet { reopenLogs() }
    }

    /// Takes in all that a child has said; also once more when it has died, since its last words may explain why.
    mutating func hear(_ process: ChildProcess) {
        while let message = process.hear() {
            let child = process.child
            switch message.kind {
            // An answer about a generation that was given up meanwhile is none to what is asked now.
            case .ready, .refused, .committed:
                guard message.generation == (pending ?? current).number || message.generation == current.number else {
                    continue
                }
            case .listenersClosed, .prepare, .log, .listener, .sessionCache, .build, .commit, .abort, .reopen, .quit,
                .stop, .inquiry, .change, .changed, .changeRefused:
                break
            }
            switch message.kind {
            case .ready: perform(supervision.ready(child, now: now))
            case .refused: perform(supervision.refused(child, message.text, now: now))
            case .committed:
                if case .worker(let slot) = child {
                    setState(.running, slot)
                    starter.take()?.succeeded()
                }
                perform(supervision.committed(child, now: now))
            case .listenersClosed: perform(supervision.listenersClosed(child, now: now))
            case .change:
                if child == .admin { ask(message, process) }
            case .prepare, .log, .listener, .sessionCache, .build, .commit, .abort, .reopen, .quit, .stop, .inquiry,
                .changed, .changeRefused:
                break
            }
        }
    }

    func setState(_ state: WorkerState, _ slot: Int) {
        if let worker = WorkerSlot(index: slot) { region.setState(state, of: worker) }
    }

    // MARK: Signals

    private func nextSignal() -> Signal? {
        do throws(Errno) { return try signals.next() } catch { return nil }
    }

    private mutating func take(_ signal: Signal) {
        guard let kind = MasterSignal(rawValue: signal.number) else { return }
        // A terminal sends WINCH to whatever runs in it when its window changes; that is no wish to stop.
        if kind == .windowChange, signal.sender == 0 { return }
        let sender = signal.sender > 0 ? " from \(signal.sender)" : ""
        log.write(.notice, "signal \(signal.number) (\(kind.name)) received\(sender)\(kind.consequence)")
        switch kind {
        case .hangup: perform(supervision.hangup())
        case .quit: perform(supervision.quit(now: now))
        case .terminate, .interrupt: perform(supervision.terminate(now: now))
        case .windowChange: perform(supervision.dismissWorkers(now: now))
        case .user1: isReopenWanted = true
        case .user2:
            log.write(.crit, "the changing binary signal is ignored: this version cannot change its binary yet")
        case .child: reap()
        }
    }

    private mutating func reap() {
        while true {
            let ended: Processes.Ended?
            do throws(Errno) { ended = try Processes.reap() } catch { return }
            guard let ended else { return }
            guard let process = children.values.first(where: { $0.pid == ended.pid }) else { continue }
            hear(process)
            let child = process.child
            children[child] = nil
            let level: LogLevel = if case .exited(0) = ended.way { .notice } else { .alert }
            log.write(level, "\(child.name) \(ended.pid) \(ended.text)")
            if level == .alert {
                region.note(
                    .processDied, wallMilliseconds: wallMilliseconds(),
                    text: "\(child.name) \(ended.pid) \(ended.text)")
            }
            if let helper = child.helper { region.endHelper(helper) }
            if case .worker(let slot) = child, let worker = WorkerSlot(index: slot) {
                region.endWorker(worker, state: .free)
                for cache in current.sessionCaches + (pending?.sessionCaches ?? []) { cache.release(of: ended.pid) }
            }
            let isFatal = ended.way == .exited(ChildSetup.fatalCode)
            perform(supervision.died(child, "\(ended.pid) \(ended.text)", isFatal: isFatal, now: now))
            if case .waiting = supervision.stages[child], case .worker(let slot) = child { setState(.pausing, slot) }
        }
    }

    /// No child is in a talk, so a log can be handed over for the committed generation.
    private var isTalkQuiet: Bool {
        pending == nil
            && !supervision.stages.values.contains { stage in
                if case .starting = stage { true } else { false }
            }
    }
}

/// The signals that mean something to a master.
enum MasterSignal: Int32 {
    case hangup = 1
    case interrupt = 2
    case quit = 3
    case user1 = 10
    case user2 = 12
    case terminate = 15
    case child = 17
    case windowChange = 28

    static let all: SignalSet = [1, 2, 3, 10, 12, 15, 17, 28]

    var name: String {
        switch self {
        case .hangup: "SIGHUP"
        case .interrupt: "SIGINT"
        case .quit: "SIGQUIT"
        case .user1: "SIGUSR1"
        case .user2: "SIGUSR2"
        case .terminate: "SIGTERM"
        case .child: "SIGCHLD"
        case .windowChange: "SIGWINCH"
        }
    }

    /// nginx's words behind the signal.
    var consequence: String {
        switch self {
        case .hangup: ", reconfiguring"
        case .interrupt, .terminate: ", exiting"
        case .quit: ", shutting down"
        case .user1: ", reopening logs"
        case .user2: ", ignoring"
        case .windowChange: ", stop accepting connections"
        case .child: ""
        }
    }
}
