// SPDX-License-Identifier: Apache-2.0
//
// A reload: prepare everywhere, then commit everywhere or nowhere.
//
//            HUP               read               all ready           sockets listen          all committed
//   idle ─────────► reading ─────────► talking ─────────────► enlisting ──────────► committing ──────────────┐
//    ▲                 │ unusable         │ refused, died, late    │ listen() failed                         │
//    ├─────────────────┴──────────────────┴────────────────────────┘                                         │
//    ├────────────────────────────────────────────────────────────────────────────── no worker leaves ───────┤
//    └──────── draining ◄──────── settling ◄──────────────────────────────────────── fewer workers ──────────┘
//     listeners closed    settled: quit
//
// HUPs that come meanwhile make one more reload. A change of servers takes the same way, only that nothing is read; one
// that comes meanwhile waits, and a HUP goes before it. With fewer workers the groups are steered away from the leaving
// ones before the commit, so that a connection made after it is met by the new generation.

import Vocabulary

extension Supervision {
    package enum Reload: Sendable, Equatable {
        case idle
        case reading
        case talking(Talk)
        case enlisting(Talk)
        case committing(Talk)
        case settling(leavers: Set<Child>, until: Int)
        case draining(leavers: Set<Child>, deadline: Int)

        var deadline: Int? {
            switch self {
            case .idle, .reading, .enlisting: nil
            case .talking(let talk), .committing(let talk): talk.deadline
            case .settling(_, let until): until
            case .draining(_, let deadline): deadline
            }
        }
    }

    package struct Talk: Sendable, Equatable {
        /// Children that have not answered yet.
        var waiting: Set<Child>
        /// Who takes part and serves already.
        var participants: Set<Child>
        /// Slots of the workers that are started for the new generation.
        var joiners: [Int]
        /// Workers that the new generation has no place for, from the commit on.
        var leavers: Set<Child> = []
        /// How many workers the new generation has.
        var workers: Int
        /// Whether the new generation has an admin process.
        var hasAdmin: Bool
        var deadline: Int
    }

    /// HUP.
    package mutating func hangup() -> [SupervisionAction] {
        guard phase == .running else { return [] }
        isReloadWanted = true
        return beginReloadIfWanted()
    }

    /// There is a change of servers to make, or still one.
    package mutating func change() -> [SupervisionAction] {
        guard phase == .running else { return [] }
        isChangeWanted = true
        return beginReloadIfWanted()
    }

    mutating func beginReloadIfWanted() -> [SupervisionAction] {
        guard isReloadWanted || isChangeWanted, phase == .running, reload == .idle else { return [] }
        for stage in stages.values {
            if case .starting = stage { return [] }
        }
        reload = .reading
        guard isReloadWanted else {
            isChangeWanted = false
            return [.makeChange]
        }
        isReloadWanted = false
        return [.readConfiguration]
    }

    /// The new configuration is no good; whoever read it has said why.
    package mutating func configurationUnusable() -> [SupervisionAction] {
        precondition(reload == .reading)
        reload = .idle
        return beginReloadIfWanted()
    }

    /// The new configuration is read and built, and its sockets are bound for the positions that `plannedWorkers` says.
    /// An admin process that is not there yet starts after the commit, so that it holds up nothing.
    package mutating func configurationRead(
        workers wanted: Int, hasAdmin: Bool = false, now: Int
    ) -> [SupervisionAction] {
        precondition(reload == .reading)
        let workers = plannedWorkers(wanted)
        guard workers > 0 else {
            // After WINCH, while every slot still has a worker that leaves.
            reload = .idle
            return [.discard(reason: "there is no room for a worker until one that leaves is gone")]
        }
        var actions: [SupervisionAction] = []
        if workers < wanted {
            actions.append(
                .log(.warn, "\(workers) workers instead of \(wanted): the others wait until leaving ones are gone"))
        }
        let staying = members.prefix(workers)
        let others: [Child] = hasAdmin ? [.prober, .admin] : [.prober]
        let participants = (others + staying.map { Child.worker(slot: $0) }).filter { stages[$0] == .running }
        let free = (0..<slotCount).lazy.filter { [stages] in stages[.worker(slot: $0)] == nil }
        let joiners = Array(free.prefix(max(0, workers - members.count)))
        let talk = Talk(
            waiting: Set(participants + joiners.map { .worker(slot: $0) }), participants: Set(participants),
            joiners: joiners, workers: workers, hasAdmin: hasAdmin, deadline: now + Supervision.talkMilliseconds)
        reload = .talking(talk)
        actions += participants.map { .talk($0, position: position(of: $0)) }
        for (offset, slot) in joiners.enumerated() {
            let child = Child.worker(slot: slot)
            stages[child] = .joining(isReady: false)
            actions.append(.spawn(child, position: members.count + offset, isPending: true))
        }
        if talk.waiting.isEmpty {
            reload = .enlisting(talk)
            actions.append(.enlist)
        }
        return actions
    }

    /// How many of `wanted` workers there is room for: slots of workers that still leave are taken.
    package func plannedWorkers(_ wanted: Int) -> Int {
        let free = (0..<slotCount).count { stages[.worker(slot: $0)] == nil }
        return min(wanted, members.count + free)
    }

    mutating func talkAnswered(by child: Child) -> [SupervisionAction] {
        guard case .talking(var talk) = reload else { return [] }
        talk.waiting.remove(child)
        guard talk.waiting.isEmpty else {
            reload = .talking(talk)
            return []
        }
        reload = .enlisting(talk)
        return [.enlist]
    }

    package mutating func enlistFailed(_ text: String, now: Int) -> [SupervisionAction] {
        giveUp(text, except: nil, now) + beginReloadIfWanted()
    }

    /// All sockets listen: nothing can fail any more.
    package mutating func enlisted(now: Int) -> [SupervisionAction] {
        guard case .enlisting(var talk) = reload else { preconditionFailure("enlisted in \(reload)") }
        areWorkersWanted = true
        var actions: [SupervisionAction] = [.adopt]
        let leavingSlots = members.dropFirst(talk.workers)
        members = members.prefix(talk.workers) + talk.joiners
        for slot in leavingSlots {
            let child = Child.worker(slot: slot)
            if stages[child] == .running {
                stages[child] = .leaving
                talk.leavers.insert(child)
            } else {
                stages[child] = nil
            }
        }
        for slot in talk.joiners { stages[.worker(slot: slot)] = .starting(deadline: talk.deadline) }
        if positionCount > talk.workers { actions.append(.steer(count: talk.workers)) }
        let children = talk.participants.union(talk.joiners.map { .worker(slot: $0) })
        actions += inOrder(children).map { .commit($0) } + adoptAdmin(talk, now)
        talk.waiting = children
        talk.deadline = now + Supervision.talkMilliseconds
        reload = .committing(talk)
        if children.isEmpty { actions += commitsDone(talk, now) }
        return actions
    }

    /// Starts the admin process that the new generation is the first to have, or ends the one that it has not.
    private mutating func adoptAdmin(_ talk: Talk, _ now: Int) -> [SupervisionAction] {
        isAdminWanted = talk.hasAdmin
        switch stages[.admin] {
        case nil: return talk.hasAdmin ? [spawn(.admin, now)] : []
        case .waiting:
            if !talk.hasAdmin { stages[.admin] = nil }
            return []
        case .discarded, .starting, .running, .joining, .leaving:
            guard !talk.hasAdmin else { return [] }
            stages[.admin] = discarded(now)
            return [.stop(.admin)]
        }
    }

    mutating func commitAnswered(by child: Child, _ now: Int) -> [SupervisionAction] {
        guard case .committing(var talk) = reload else { return [] }
        talk.waiting.remove(child)
        reload = .committing(talk)
        return talk.waiting.isEmpty ? commitsDone(talk, now) : []
    }

    private mutating func commitsDone(_ talk: Talk, _ now: Int) -> [SupervisionAction] {
        if positionCount > talk.workers {
            reload = .settling(leavers: talk.leavers, until: now + Supervision.settleMilliseconds)
        } else {
            reload = .idle
        }
        if positionCount < talk.workers { positionCount = talk.workers }
        return [.closeRemovedListeners]
    }

    /// A leaving worker has emptied and closed its listeners, or is gone.
    mutating func drained(_ child: Child) -> [SupervisionAction] {
        switch reload {
        case .settling(var leavers, let until):
            leavers.remove(child)
            reload = .settling(leavers: leavers, until: until)
            return []
        case .draining(var leavers, let deadline):
            leavers.remove(child)
            reload = .draining(leavers: leavers, deadline: deadline)
            return leavers.isEmpty ? endDraining() : []
        case .committing(var talk):
            talk.leavers.remove(child)
            reload = .committing(talk)
            return []
        case .idle, .reading, .talking, .enlisting: return []
        }
    }

    mutating func endDraining() -> [SupervisionAction] {
        reload = .idle
        positionCount = members.count
        return [.closePositions(count: members.count)]
    }

    /// True while the pending reload counts on this child.
    func isTalking(to child: Child) -> Bool {
        switch reload {
        case .talking(let talk), .enlisting(let talk): talk.participants.contains(child)
        case .idle, .reading, .committing, .settling, .draining: false
        }
    }

    /// Nothing changes anywhere. `except` has nothing prepared: it refused, or it is dead.
    mutating func giveUp(_ reason: String, except: Child?, _ now: Int) -> [SupervisionAction] {
        let talk: Talk
        switch reload {
        case .talking(let pending), .enlisting(let pending): talk = pending
        case .idle, .reading, .committing, .settling, .draining: return []
        }
        reload = .idle
        var actions: [SupervisionAction] = inOrder(talk.participants.subtracting([except].compactMap(\.self)))
            .map { .abort($0) }
        for slot in talk.joiners where stages[.worker(slot: slot)] != nil {
            stages[.worker(slot: slot)] = discarded(now)
            actions.append(.stop(.worker(slot: slot)))
        }
        actions.append(.discard(reason: reason))
        return actions
    }

    mutating func reloadTick(_ now: Int) -> [SupervisionAction] {
        guard let deadline = reload.deadline, now >= deadline else { return [] }
        switch reload {
        case .talking(let talk):
            let late = inOrder(talk.waiting)[0]
            return giveUp("\(late.name) did not answer in time", except: nil, now)
        case .committing(var talk):
            // It said ready and then went silent: the others go on, and it gets a successor.
            let late = inOrder(talk.waiting)
            talk.deadline = now + Supervision.talkMilliseconds
            reload = .committing(talk)
            return late.flatMap { child -> [SupervisionAction] in
                [.log(.alert, "\(child.name) does not answer and is killed"), .kill(child)]
            }
        case .settling(let leavers, _):
            reload = .draining(leavers: leavers, deadline: now + Supervision.drainMilliseconds)
            return leavers.isEmpty ? endDraining() : inOrder(leavers).map { .quit($0) }
        case .draining:
            return [.log(.warn, "a leaving worker has not closed its listeners in time")] + endDraining()
        case .idle, .reading, .enlisting: return []
        }
    }
}
