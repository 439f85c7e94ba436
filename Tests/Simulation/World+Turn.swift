// SPDX-License-Identifier: Apache-2.0
//
// The turn: what was queued is submitted, time goes on to whatever is next, completions are handed out.

import EventLoop
import LinuxIO
import Vocabulary

extension World {
    func turn(until deadline: UInt64?) {
        if batchNext < batch.count { fault("a turn began with completions that nobody has taken") }
        if chance(30) { now += 1 }
        brokenQuietSends = 0
        submit()
        pollReal()
        let quiet = quietSends
        quietSends = 0
        while true {
            while let first = events.first, first.at <= now { happen(popEvent()) }
            if deliver(beyond: quiet) { return }
            if !masterEvents.isEmpty || deadline.map({ $0 <= now }) ?? false {
                _ = deliver(beyond: 0)
                return
            }
            var next = deadline
            for other in [events.first?.at, ready.lazy.map(\.at).filter({ [now] in $0 > now }).min()] {
                if let other { next = min(next ?? other, other) }
            }
            guard let next else {
                isStuck = true
                return
            }
            now = max(now, next)
        }
    }

    /// As io_uring_enter waits for a number of completions: `quiet` ones alone do not end the wait.
    func deliver(beyond quiet: Int) -> Bool {
        guard ready.count(where: { $0.at <= now }) + brokenQuietSends > quiet else { return false }
        batch = ready.filter { $0.at <= now }
        ready.removeAll { $0.at <= now }
        batch.sort { ($0.at, $0.key) < ($1.at, $1.key) }
        batchNext = 0
        return true
    }

    /// What the last turn brought.
    var batchCount: Int { batch.count }

    func nextCompletion() -> Completion? {
        guard batchNext < batch.count else { return nil }
        let entry = batch[batchNext]
        batchNext += 1
        if !entry.completion.hasMore { inFlight[entry.operation.token.bits] = nil }
        if let socket = entry.operation.socket, !socket.isDescriptorClosed, entry.completion.result > 0 {
            switch entry.operation.kind {
            case .receive, .receives: socket.heardReceived += Int(entry.completion.result)
            case .send: socket.heardSent += Int(entry.completion.result)
            default: break
            }
        }
        if case .accept = entry.operation.kind, entry.completion.result >= 0 { acceptedCount += 1 }
        if let buffer = entry.completion.buffer { heldBuffers.insert(buffer.number) }
        return entry.completion
    }

    func submit() {
        let list = submissions
        submissions.removeAll(keepingCapacity: true)
        for submission in list {
            switch submission {
            case .start(let operation): attempt(operation, isFirst: true)
            case .cancel(let token): cancel(token)
            case .close(let number): closeNow(number)
            }
        }
    }

    func pollReal() {
        for operation in realPolls where !operation.isDone {
            guard case .pollReal(let number, let events) = operation.kind else { continue }
            var entries = [PollEntry(number, events == .readable ? .readable : .writable)]
            if ((try? Poll.wait(&entries, milliseconds: 0)) ?? 0) > 0 { complete(operation, 1) }
        }
        realPolls.removeAll { $0.isDone }
    }
}
