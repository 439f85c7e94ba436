// SPDX-License-Identifier: Apache-2.0
//
// Who lives, who is asked to go, and what a reload waits for. Pure: events and the time go in, actions come out; the
// master forks, sends and logs. `Supervision+Reload` holds the reload, `Supervision+Stop` the ways down.
//
// A child's stages:
//
//        spawn            ready+committed           quit                    gone
//   ─► starting ────────────► running ────────────► leaving ──────────────► (no entry)
//        ▲  │ died               │ died                ▲
//        │  ▼                    ▼                     │ reload with fewer workers, WINCH, QUIT
//        └─ waiting ◄────────────┘               joining: started for a reload that is not decided yet
//           (back-off)                                 │ given up: stop
//                                                      ▼
//                                                  discarded
//
// A slot is a worker's identity in the shared region; it is free when its process is gone. `members` are the slots
// that serve, in the order in which their sockets joined the reuseport groups: member `p` serves with the sockets at
// position `p` of every listener, whatever its slot. Groups grow and shrink at their end only, so that a steering
// program's index and a position are the same thing.
//
// Invariant 1: `members` holds no slot twice, and each of them has a stage starting, running or waiting.
// Invariant 2: while a reload is talking, no member is `starting`.

import Vocabulary

/// A process that the master looks after.
package enum Child: Hashable, Sendable {
    case worker(slot: Int)
    case prober
    /// Only where the configuration has `http {}`.
    case admin

    package var name: String {
        switch self {
        case .worker: "worker process"
        case .prober: "prober process"
        case .admin: "admin process"
        }
    }

    var isWorker: Bool {
        switch self {
        case .worker: true
        case .prober, .admin: false
        }
    }
}

/// What the master has to do, in order.
package enum SupervisionAction: Sendable, Equatable {
    /// Fork, and send the talk of the pending generation or of the one in use. `position` is -1 where the child is no
    /// worker.
    case spawn(Child, position: Int, isPending: Bool)
    /// Send the talk of the pending generation to a running child.
    case talk(Child, position: Int)
    /// Commit the pending generation, or the one in use at a child that starts.
    case commit(Child)
    case abort(Child)
    case quit(Child)
    case stop(Child)
    case kill(Child)
    /// Make the next change of servers in the configuration in use, and go on as with one that was read; answered by
    /// the same two.
    case makeChange
    /// Read the configuration; answered by `configurationRead` or `configurationUnusable`.
    case readConfiguration
    /// Make the new sockets listen, in the order of positions; answered by `enlisted` or `enlistFailed`.
    case enlist
    /// The pending generation is the one in use from here on.
    case adopt
    /// Close what the pending generation has opened and forget it, saying why it is not applied.
    case discard(reason: String)
    /// All children have committed, and workers have let go of the listeners that the generation in use has no more:
    /// close them, and say that the reload is done.
    case closeRemovedListeners
    /// Keep new connections away from positions `count` and above.
    case steer(count: Int)
    /// Close the sockets at positions `count` and above, highest first, and let the kernel choose freely again. With 0
    /// the sockets that all workers share go, too.
    case closePositions(count: Int)
    case log(LogLevel, String)
    case exit(code: Int32)
}

package struct Supervision: Sendable {
    package enum Stage: Sendable, Equatable {
        /// No process; the next one starts at `until`.
        case waiting(until: Int)
        case starting(deadline: Int)
        case running
        case joining(isReady: Bool)
        /// It was told to quit, or will be as soon as new connections stay away from it.
        case leaving
        /// It was told to stop, and is killed if it does not.
        case discarded(killAt: Int)
    }

    package enum Phase: Sendable, Equatable {
        case running
        case quitting
        case stopping(killAt: Int)
    }

    /// How long a child may take to build a generation before it counts as hung.
    package static let talkMilliseconds = 60_000
    /// From steering away to `quit`: time for handshakes under way to end at the socket that began them.
    package static let settleMilliseconds = 250
    /// How long a leaving worker may take to empty its listeners.
    package static let drainMilliseconds = 10_000
    /// From `stop` to SIGKILL, as in nginx.
    package static let stopMilliseconds = 1_000

    package internal(set) var stages: [Child: Stage] = [:]
    package internal(set) var members: [Int] = []
    package internal(set) var phase = Phase.running
    package internal(set) var reload = Reload.idle
    /// A HUP came that no reload has answered yet.
    package internal(set) var isReloadWanted = false
    /// A change of servers waits for its turn.
    package internal(set) var isChangeWanted = false
    /// False after WINCH, until a reload starts workers again.
    package internal(set) var areWorkersWanted = true
    /// Whether the generation in use has something for the admin process to do.
    package internal(set) var isAdminWanted = false
    /// Sockets a listener has, which is more than `members` after WINCH.
    package internal(set) var positionCount = 0
    package internal(set) var exitCode: Int32 = 0

    var backOffs: [Child: CrashBackOff] = [:]
    /// True once any worker has committed: before that, a refusal means that this machine cannot run us.
    var hasEverServed = false
    let slotCount: Int

    /// `slotCount`: how many workers the shared region has room for.
    package init(slotCount: Int) {
        self.slotCount = slotCount
    }

    // MARK: Start

    package mutating func start(workers: Int, hasAdmin: Bool = false, now: Int) -> [SupervisionAction] {
        precondition(stages.isEmpty && workers <= slotCount)
        members = Array(0..<workers)
        positionCount = workers
        isAdminWanted = hasAdmin
        let others: [Child] = hasAdmin ? [.prober, .admin] : [.prober]
        return members.map { spawn(.worker(slot: $0), now) } + others.map { spawn($0, now) }
    }

    mutating func spawn(_ child: Child, _ now: Int) -> SupervisionAction {
        stages[child] = .starting(deadline: now + Supervision.talkMilliseconds)
        return .spawn(child, position: position(of: child), isPending: false)
    }

    func discarded(_ now: Int) -> Stage { .discarded(killAt: now + Supervision.stopMilliseconds) }

    func position(of child: Child) -> Int {
        guard case .worker(let slot) = child else { return -1 }
        return members.firstIndex(of: slot) ?? -1
    }

    // MARK: What children say

    package mutating func ready(_ child: Child, now: Int) -> [SupervisionAction] {
        guard phase == .running else { return [] }
        switch stages[child] {
        case .starting: return [.commit(child)]
        case .joining:
            stages[child] = .joining(isReady: true)
            return talkAnswered(by: child)
        case .running: return talkAnswered(by: child)
        case .waiting, .leaving, .discarded, nil: return []
        }
    }

    package mutating func committed(_ child: Child, now: Int) -> [SupervisionAction] {
        if case .starting = stages[child] {
            stages[child] = .running
            if child.isWorker { hasEverServed = true }
        }
        return commitAnswered(by: child, now) + beginReloadIfWanted()
    }

    package mutating func refused(_ child: Child, _ text: String, now: Int) -> [SupervisionAction] {
        guard phase == .running else { return [] }
        switch stages[child] {
        case .starting:
            if !hasEverServed, child.isWorker {
                exitCode = 1
                return [.log(.emerg, "\(child.name) cannot start: \(text)")] + stopAll(now)
            }
            return [.log(.alert, "\(child.name) cannot start: \(text)"), .stop(child)]
        case .running, .joining:
            return giveUp("\(child.name) refused it: \(text)", except: child, now) + beginReloadIfWanted()
        case .waiting, .leaving, .discarded, nil: return []
        }
    }

    package mutating func listenersClosed(_ child: Child, now: Int) -> [SupervisionAction] {
        drained(child) + beginReloadIfWanted()
    }

    // MARK: Death

    /// `description` says how, as in `exited on signal 9`. `isFatal`: it said itself that a successor would fare no
    /// better (nginx's exit code 2).
    package mutating func died(
        _ child: Child, _ description: String, isFatal: Bool = false, now: Int
    ) -> [SupervisionAction] {
        guard let stage = stages.removeValue(forKey: child) else { return [] }
        guard phase == .running else { return endIfEmpty(now) }
        var actions: [SupervisionAction] = []
        switch stage {
        case .leaving, .discarded, .waiting:
            backOffs[child] = nil
            // Sent away by one reload and wanted again by the next.
            if child == .admin, isAdminWanted { stages[child] = .waiting(until: now) }
            actions += drained(child)
        case .joining:
            actions += giveUp("\(child.name) \(description) while it was preparing", except: child, now)
        case .running, .starting:
            if isFatal, !hasEverServed, child.isWorker {
                exitCode = 1
                return [.log(.emerg, "\(child.name) cannot run on this system, so there is nothing to serve with")]
                    + stopAll(now)
            }
            stages[child] = .waiting(until: now)
            if isTalking(to: child) {
                actions += giveUp("\(child.name) \(description) while it was preparing", except: child, now)
            }
            if isFatal, child == .admin {
                stages[child] = nil
                actions.append(.log(.alert, "there is no admin process until the next reload; all else goes on"))
                return actions + commitAnswered(by: child, now) + tick(now)
            }
            let delay = backOffs[child, default: CrashBackOff()].died(at: now)
            stages[child] = .waiting(until: now + delay)
            if delay > 0 {
                actions.append(
                    .log(.alert, "\(child.name) dies again and again, the next one starts in \(delay / 1000) s"))
            }
            actions += commitAnswered(by: child, now)
        }
        return actions + tick(now)
    }

    // MARK: Time

    /// The next moment at which `tick` has something to do.
    package var deadline: Int? {
        var moments: [Int] = []
        if case .stopping(let killAt) = phase { return stages.isEmpty ? nil : killAt }
        if let moment = reload.deadline { moments.append(moment) }
        for stage in stages.values {
            switch stage {
            case .discarded(let killAt): moments.append(killAt)
            case .waiting(let until): if mayRespawn { moments.append(until) }
            case .starting(let moment): if phase == .running { moments.append(moment) }
            case .running, .joining, .leaving: break
            }
        }
        return moments.min()
    }

    /// A child that started now would miss a generation that the others are about to get.
    private var mayRespawn: Bool {
        switch reload {
        case .reading, .talking, .enlisting: false
        case .idle, .committing, .settling, .draining: true
        }
    }

    package mutating func tick(_ now: Int) -> [SupervisionAction] {
        if case .stopping(let killAt) = phase {
            guard now >= killAt, !stages.isEmpty else { return [] }
            phase = .stopping(killAt: now + Supervision.stopMilliseconds)
            return inOrder(stages.keys).map { .kill($0) }
        }
        var actions: [SupervisionAction] = []
        for child in inOrder(stages.keys) {
            guard case .discarded(let killAt) = stages[child], now >= killAt else { continue }
            stages[child] = discarded(now)
            actions.append(.kill(child))
        }
        guard phase == .running else { return actions }
        actions += reloadTick(now)
        for child in inOrder(stages.keys) {
            switch stages[child] {
            case .waiting(let until) where now >= until && mayRespawn: actions.append(spawn(child, now))
            case .starting(let moment) where now >= moment:
                stages[child] = .starting(deadline: now + Supervision.talkMilliseconds)
                actions += [.log(.alert, "\(child.name) does not answer and is killed"), .kill(child)]
            default: break
            }
        }
        return actions + beginReloadIfWanted()
    }

    /// Actions come in one order, whatever a dictionary says: the prober, workers by slot, then the admin process.
    func inOrder(_ children: some Sequence<Child>) -> [Child] {
        func rank(_ child: Child) -> Int {
            switch child {
            case .worker(let slot): slot
            case .prober: -1
            case .admin: .max
            }
        }
        return children.sorted { rank($0) < rank($1) }
    }
}

extension Supervision {
    /// Whether the next process of this child replaces one that died.
    package func hasDied(_ child: Child) -> Bool { backOffs[child] != nil }
}
