// SPDX-License-Identifier: Apache-2.0
//
// The ways down: QUIT and WINCH let sessions end, TERM and INT do not wait for them.

extension Supervision {
    /// QUIT: the workers let their sessions end; when the last is gone, so are we.
    package mutating func quit(now: Int) -> [SupervisionAction] {
        guard phase == .running else { return [] }
        let actions = withdrawReload(now) + quitWorkers() + [.closePositions(count: 0)]
        phase = .quitting
        forgetWaiting(.prober)
        forgetWaiting(.admin)
        return actions + endIfEmpty(now)
    }

    /// TERM or INT.
    package mutating func terminate(now: Int) -> [SupervisionAction] {
        if case .stopping = phase { return [] }
        return stopAll(now)
    }

    /// WINCH: as QUIT, but the master stays with its sockets, and a reload starts workers again.
    package mutating func dismissWorkers(now: Int) -> [SupervisionAction] {
        guard phase == .running, areWorkersWanted else { return [] }
        areWorkersWanted = false
        let actions = withdrawReload(now) + quitWorkers()
        members = []
        return actions
    }

    mutating func stopAll(_ now: Int) -> [SupervisionAction] {
        let withdrawn = withdrawReload(now)
        for child in stages.keys { forgetWaiting(child) }
        let actions = withdrawn + inOrder(stages.keys).map { .stop($0) }
        phase = .stopping(killAt: now + Supervision.stopMilliseconds)
        return actions + endIfEmpty(now)
    }

    /// What the last death decides while we go down: prober and admin process serve until the last worker is gone.
    mutating func endIfEmpty(_ now: Int) -> [SupervisionAction] {
        if stages.isEmpty { return [.exit(code: exitCode)] }
        guard phase == .quitting, !stages.keys.contains(where: \.isWorker) else { return [] }
        return inOrder(stages.keys).compactMap { child in
            if case .discarded = stages[child] { return nil }
            stages[child] = discarded(now)
            return .stop(child)
        }
    }

    private mutating func quitWorkers() -> [SupervisionAction] {
        var actions: [SupervisionAction] = []
        for child in inOrder(stages.keys) where child.isWorker {
            switch stages[child] {
            case .starting, .running, .leaving:
                // A second `quit` to one that is leaving already does no harm.
                stages[child] = .leaving
                actions.append(.quit(child))
            case .waiting: forgetWaiting(child)
            case .joining, .discarded, nil: break
            }
        }
        return actions
    }

    /// A child that has no process now gets none any more.
    private mutating func forgetWaiting(_ child: Child) {
        if case .waiting = stages[child] { stages[child] = nil }
    }

    /// A reload that is not decided is given up without a word of its own; one that is decided needs no more care.
    private mutating func withdrawReload(_ now: Int) -> [SupervisionAction] {
        isReloadWanted = false
        isChangeWanted = false
        switch reload {
        case .talking, .enlisting: return giveUp("shutting down", except: nil, now)
        case .idle, .reading: return []
        case .committing:
            reload = .idle
            return [.closeRemovedListeners]
        case .settling, .draining: return endDraining()
        }
    }
}
