// SPDX-License-Identifier: Apache-2.0
//
// What is to come, in the order of virtual time: a heap of events, and who hears of which.

import Vocabulary

extension World {
    func schedule(_ event: Event, at: UInt64) {
        order += 1
        let entry = (at: max(at, now), order: order, event: event)
        var index = events.count
        events.append(entry)
        while index > 0, isEarlier(entry, events[(index - 1) / 2]) {
            events[index] = events[(index - 1) / 2]
            index = (index - 1) / 2
        }
        events[index] = entry
    }

    func schedule(_ actor: Actor, at: UInt64) {
        if let planned = actor.stepsAt, planned <= at { return }
        actor.stepsAt = at
        schedule(.step(actor), at: at)
    }

    func isEarlier(
        _ one: (at: UInt64, order: UInt64, event: Event), _ other: (at: UInt64, order: UInt64, event: Event)
    ) -> Bool {
        (one.at, one.order) < (other.at, other.order)
    }

    func popEvent() -> Event {
        let first = events[0].event
        let last = events.removeLast()
        guard !events.isEmpty else { return first }
        var index = 0
        while true {
            var child = 2 * index + 1
            guard child < events.count else { break }
            if child + 1 < events.count, isEarlier(events[child + 1], events[child]) { child += 1 }
            guard isEarlier(events[child], last) else { break }
            events[index] = events[child]
            index = child
        }
        events[index] = last
        return first
    }

    func happen(_ event: Event) {
        switch event {
        case .step(let actor):
            if actor.stepsAt == now || (actor.stepsAt ?? now) < now { actor.stepsAt = nil }
            actor.step()
        case .connectEnds(let operation, let result):
            guard !operation.isDone, case .connect(let address) = operation.kind else { return }
            if result >= 0, let socket = operation.socket { meetsBroker(address, socket) }
            complete(operation, result)
        case .arrival(let client): arrivals(client)
        case .master(let event): masterEvents.append(event)
        }
    }

    /// Something about the socket has changed: its owner looks.
    func touched(_ socket: SimulatedSocket?) {
        guard let socket else { return }
        if let actor = socket.actor {
            if actor.stepsAt == nil || actor.stepsAt! > now + 3 { schedule(actor, at: now + pause(0...2)) }
            return
        }
        for operation in socket.operations where !operation.isDone { attempt(operation, isFirst: false) }
    }

    func offer(_ socket: SimulatedSocket, to listener: Listener) {
        listener.queue.append(socket)
        if let accept = listener.accept { attempt(accept, isFirst: false) }
    }
}
