// SPDX-License-Identifier: Apache-2.0
//
// The ways down: QUIT and WINCH let sessions end, TERM and INT do not wait for them.

extension Supervision {
    /// QUIT: the workers let their sessions end; when the last is gone, so are we.
    package mutating func quit(now: Int) -> [SupervisionAction] {
        guard phase == .running else { return [] }
        let actions = withdrawReload() + quitWorkers() + [.closePositions(count: 0)]
        phase = .quitting
        return actions + endIfEmpty()
    }

    /// TERM or INT.
    package mutating func terminate(now: Int) -> [SupervisionAction] {
        if case .stopping = phase { return [] }
        return stopAll(now)
    }

    /// WINCH: as QUIT, but the master stays with its sockets, and a reload starts workers again.
    package mutating func dismissWorkers() -> [SupervisionAction] {
        guard phase == .running, areWorkersWanted else { return [] }
        areWorkersWanted = false
        let actions = withdrawReload() + quitWorkers()
        members = []
        return actions
    }

    mutating func stopAll(_ now: Int) -> [SupervisionAction] {
        let withdrawn = withdrawReload()
        forgetWaiting()
        let actions = withdrawn + inOrder(stages.keys).map { .stop($0) }
        phase = .stopping(killAt: now + Supervision.stopMilliseconds)
        return actions + endIfEmpty()
    }

    /// What the last death decides while we go down: the prober serves until the last worker is gone.
    mutating func endIfEmpty() -> [SupervisionAction] {
        if stages.isEmpty { return [.exit(code: exitCode)] }
        if phase == .quitting, stages.keys.elementsEqual([.prober]), stages[.prober] != .discarded {
            stages[.prober] = .discarded
            return [.stop(.prober)]
        }
        return []
    }

    private mutating func quitWorkers() -> [SupervisionAction] {
        forgetWaiting()
        var actions: [SupervisionAction] = []
        for child in inOrder(stages.keys) where child != .prober {
            switch stages[child] {
            case .starting, .running, .leaving:
                // A second `quit` to one that is leaving already does no harm.
                stages[child] = .leaving
                actions.append(.quit(child))
            case .joining, .discarded, .waiting, nil: break
            }
        }
        return actions
    }

    private mutating func forgetWaiting() {
        for (child, stage) in stages {
            guard case .waiting = stage else { continue }
            // After WINCH the prober's next start still has to come.
            if child == .prober, !areWorkersWanted { continue }
            stages[child] = nil
        }
    }

    /// A reload that is not decided is given up without a word of its own; one that is decided needs no more care.
    private mutating func withdrawReload() -> [SupervisionAction] {
        isReloadWanted = false
        switch reload {
        case .talking, .enlisting: return giveUp("shutting down", except: nil)
        case .idle, .reading: return []
        case .committing:
            reload = .idle
            return [.closeRemovedListeners]
        case .settling, .draining: return endDraining()
        }
    }
}
