// SPDX-License-Identifier: Apache-2.0
//
// The set of sockets that the fleet waits for, level-triggered. A token carries the descriptor and the generation of
// its slot, so that an event for a connection that has gone cannot meet the one that has its number now.

import CEpoll
import LinuxIO

struct Epoll: ~Copyable {
    struct Event {
        var number: Int32
        var generation: UInt32
        var isReadable: Bool
        var isWritable: Bool
    }

    private let set: Descriptor
    private var events = [ce_event](repeating: ce_event(), count: Int(CE_EVENTS_MAX))

    init() throws(Errno) {
        try Self.checked(ce_set_timer_slack(1))
        set = Descriptor(try Self.checked(ce_make()))
    }

    func add(_ number: Int32, generation: UInt32, wantsRoom: Bool) throws(Errno) {
        try Self.checked(ce_add(set.number, number, token(number, generation), wantsRoom))
    }

    /// Whether room to send is reported too.
    func change(_ number: Int32, generation: UInt32, wantsRoom: Bool) throws(Errno) {
        try Self.checked(ce_change(set.number, number, token(number, generation), wantsRoom))
    }

    /// How many events there are; `event(_:)` reads them until the next wait.
    mutating func wait(nanoseconds: UInt64) -> Int {
        let time = Int64(clamping: nanoseconds)
        let count = unsafe ce_wait(set.number, &events, UInt32(events.count), time)
        precondition(count >= 0, "epoll_pwait2 refused its arguments: \(Errno(rawValue: -count).text)")
        return Int(count)
    }

    func event(_ index: Int) -> Event {
        let event = events[index]
        return Event(
            number: Int32(truncatingIfNeeded: event.token), generation: UInt32(event.token >> 32),
            isReadable: event.is_readable, isWritable: event.is_writable)
    }

    private func token(_ number: Int32, _ generation: UInt32) -> UInt64 {
        UInt64(generation) << 32 | UInt64(number)
    }

    @discardableResult
    private static func checked(_ status: Int32) throws(Errno) -> Int32 {
        if status < 0 { throw Errno(rawValue: -status) }
        return status
    }
}
