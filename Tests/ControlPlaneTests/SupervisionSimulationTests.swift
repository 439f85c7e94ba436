// SPDX-License-Identifier: Apache-2.0
//
// Goal: whatever children do and whenever a person signals, the supervisor keeps its invariants and always comes to an
// end. Method: a world of made-up processes that does what the supervisor says and answers, dies or keeps silent by
// chance; one seed is one run.

import ControlPlane
import Testing
import Vocabulary

/// The other side of a supervisor.
private struct World {
    enum Said { case nothing, talk, ready, commit, quit, stop }

    var supervision = Supervision(slotCount: 8)
    var now = 0
    var processes: [Child: Said] = [:]
    /// Their death is heard of only after what was decided before is done.
    var killed: Set<Child> = []
    /// Sockets a listener has, and those that a pending reload has bound.
    var positions: Int
    var boundPositions = 0
    var exitCode: Int32? = nil
    var random: SeededRandom
    var faults: [String] = []

    init(seed: UInt64) {
        random = SeededRandom(seed: seed)
        positions = Int.random(in: 1...4, using: &random)
        perform(supervision.start(workers: positions, hasAdmin: Bool.random(using: &random), now: 0))
    }

    mutating func perform(_ actions: [SupervisionAction]) {
        var queue = actions[...]
        while let action = queue.popFirst() {
            hold(exitCode == nil, "nothing follows the exit, but \(action) did")
            switch action {
            case .spawn(let child, let position, _):
                hold(processes[child] == nil, "\(child) runs already")
                if case .worker = child {
                    hold(position >= 0 && position < max(positions, boundPositions), "no socket at \(position)")
                }
                processes[child] = .talk
            case .talk(let child, _):
                hold(processes[child] != nil, "\(child) is talked to and not there")
                processes[child] = .talk
            case .commit(let child):
                if processes[child] != nil { processes[child] = .commit }
            case .abort(let child):
                if processes[child] != nil { processes[child] = .nothing }
            case .quit(let child): processes[child] = .quit
            case .stop(let child): processes[child] = .stop
            case .kill(let child):
                hold(processes[child] != nil, "\(child) is killed and not there")
                killed.insert(child)
            case .readConfiguration, .makeChange:
                if Int.random(in: 0..<4, using: &random) == 0 {
                    queue += supervision.configurationUnusable()
                } else {
                    let wanted = Int.random(in: 1...6, using: &random)
                    boundPositions = max(positions, supervision.plannedWorkers(wanted))
                    let hasAdmin = Int.random(in: 0..<4, using: &random) > 0
                    queue += supervision.configurationRead(workers: wanted, hasAdmin: hasAdmin, now: now)
                }
            case .enlist:
                if Int.random(in: 0..<8, using: &random) == 0 {
                    queue += supervision.enlistFailed("listen() failed", now: now)
                } else {
                    queue += supervision.enlisted(now: now)
                }
            case .adopt:
                positions = max(positions, boundPositions)
                boundPositions = 0
            case .discard: boundPositions = 0
            case .steer(let count): hold(count > 0 && count < positions, "steered to \(count)")
            case .closePositions(let count):
                hold(count <= positions, "closed from \(count)")
                positions = count
            case .closeRemovedListeners, .log: break
            case .exit(let code):
                hold(processes.isEmpty, "the exit leaves processes behind")
                exitCode = code
            }
        }
    }

    mutating func step() {
        switch Int.random(in: 0..<20, using: &random) {
        case 0: perform(supervision.hangup())
        case 1: now += Int.random(in: 0...3_000, using: &random)
        case 2: if Int.random(in: 0..<10, using: &random) == 0 { now += Supervision.talkMilliseconds }
        case 3: if Int.random(in: 0..<20, using: &random) == 0 { perform(supervision.dismissWorkers(now: now)) }
        case 4: if let child = anyone() { die(child, "exited on signal 11") }
        case 5: perform(supervision.change())
        default: if let child = anyone() { act(child) }
        }
        tick()
    }

    mutating func tick() {
        for child in everyone where killed.remove(child) != nil { die(child, "exited on signal 9") }
        if exitCode == nil { perform(supervision.tick(now)) }
    }

    /// In one order: a dictionary's would make a seed mean nothing.
    var everyone: [Child] {
        ((0..<8).map { Child.worker(slot: $0) } + [.prober, .admin]).filter { processes[$0] != nil }
    }

    mutating func anyone() -> Child? { everyone.randomElement(using: &random) }

    mutating func act(_ child: Child) {
        switch processes[child] {
        case .talk:
            if Int.random(in: 0..<12, using: &random) == 0, supervision.reload != .idle {
                processes[child] = .nothing
                perform(supervision.refused(child, "no", now: now))
            } else {
                processes[child] = .ready
                perform(supervision.ready(child, now: now))
            }
        case .commit:
            processes[child] = .nothing
            perform(supervision.committed(child, now: now))
        case .quit:
            perform(supervision.listenersClosed(child, now: now))
            if Bool.random(using: &random) { die(child, "exited with code 0") }
        case .stop: die(child, "exited with code 0")
        case .nothing, .ready, nil: break
        }
    }

    mutating func die(_ child: Child, _ how: String) {
        processes[child] = nil
        killed.remove(child)
        let isFatal = child == .admin && Int.random(in: 0..<4, using: &random) == 0
        if exitCode == nil { perform(supervision.died(child, how, isFatal: isFatal, now: now)) }
    }

    mutating func check() {
        let members = supervision.members
        hold(Set(members).count == members.count, "a slot stands twice in \(members)")
        for slot in members where supervision.phase == .running {
            switch supervision.stages[.worker(slot: slot)] {
            case .starting, .running, .waiting: break
            case .joining, .leaving, .discarded, nil: hold(false, "member \(slot) does not serve")
            }
        }
        for (child, stage) in supervision.stages {
            let isWaiting = if case .waiting = stage { true } else { false }
            hold((processes[child] == nil) == isWaiting, "\(child) is \(stage)")
        }
        if supervision.phase == .running, supervision.reload == .idle, !supervision.isAdminWanted {
            let stage = supervision.stages[.admin]
            let isLeaving = if case .discarded = stage { true } else { false }
            hold(stage == nil || isLeaving, "nobody wants the admin process, which is \(stage as Any)")
        }
        hold(processes.keys.allSatisfy { supervision.stages[$0] != nil }, "a process has no stage")
    }

    /// Cheaper than an expectation each, of which a run has thousands.
    mutating func hold(_ isTrue: Bool, _ fault: @autoclosure () -> String) {
        if !isTrue { faults.append(fault()) }
    }
}

@Suite("supervision under chance")
struct SupervisionSimulationTests {
    @Test("invariants hold in every run, and every run ends", arguments: UInt64(1)...60)
    func run(seed: UInt64) {
        var world = World(seed: seed)
        for _ in 0..<400 where world.exitCode == nil {
            world.step()
            world.check()
        }
        #expect(world.faults == [], "seed \(seed)")
        guard world.exitCode == nil else { return }
        world.perform(seed.isMultiple(of: 2) ? world.supervision.quit(now: world.now) : [])
        world.perform(world.exitCode == nil ? world.supervision.terminate(now: world.now) : [])
        for _ in 0..<10 where world.exitCode == nil {
            world.now += Supervision.stopMilliseconds
            world.tick()
        }
        #expect(world.faults == [], "seed \(seed)")
        #expect(world.exitCode != nil, "seed \(seed) does not end")
    }

    @Test(
        "without disturbance a reload comes to its end, from wherever chance has left things", arguments: UInt64(1)...60
    )
    func settles(seed: UInt64) {
        var world = World(seed: seed)
        for _ in 0..<200 where world.exitCode == nil { world.step() }
        guard world.exitCode == nil else { return }
        for _ in 0..<200 {
            world.now += 1_000
            for child in world.everyone where world.exitCode == nil { world.act(child) }
            if world.exitCode != nil { return }
            world.tick()
        }
        world.check()
        #expect(world.faults == [], "seed \(seed)")
        #expect(world.supervision.reload == .idle, "seed \(seed) is still in \(world.supervision.reload)")
        #expect(world.supervision.areWorkersWanted == !world.supervision.members.isEmpty)
        #expect(world.supervision.members.allSatisfy { world.supervision.stages[.worker(slot: $0)] == .running })
    }
}
