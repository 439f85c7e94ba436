// SPDX-License-Identifier: Apache-2.0
//
// Deadlines of many sessions, one each: arming, disarming and expiry cost the same however many there are. Seven levels
// of 64 slots, a millisecond at the bottom; a timer stands on the level of the highest six bits in which its deadline
// differs from the wheel's time, and sinks as the time comes near. Knows nothing of clocks: time is an argument.
//
// Invariant 1: every armed timer's deadline is later than `time`, or the timer is in the due list.
// Invariant 2: on each level only slots ahead of the time's own slot are occupied, so no slot ever wraps.

/// One timer for each index below a fixed capacity. Memory of an index that was never used is never touched.
@safe package struct TimerWheel: ~Copyable {
    private struct Node: BitwiseCopyable {
        var deadline: UInt64
        var next: UInt32
        var previous: UInt32
        /// `level * 64 + slot`, or `dueBucket`, or `unarmed`.
        var bucket: UInt16
    }

    private static let none = UInt32.max
    /// The top one reaches 139 years, farther than a machine's uptime: with six, the last timers before day 795 had no
    /// slot ahead of the time's own.
    private static let levels = 7
    private static let dueBucket = UInt16(levels * 64)
    private static let unarmed = UInt16.max
    /// Farther deadlines are cut to this: two years, longer than any session.
    private static let rangeMilliseconds: UInt64 = (1 << 36) - 1

    private let nodes: UnsafeMutablePointer<Node>
    private let capacity: Int
    private var heads: [UInt32]
    /// Bit `s` of word `l`: slot `s` of level `l` holds timers.
    private var occupied: [UInt64]
    private var time: UInt64
    package private(set) var armedCount = 0

    package init(capacity: Int, now: UInt64) {
        precondition(capacity > 0 && capacity < Int(UInt32.max))
        unsafe nodes = .allocate(capacity: capacity)
        self.capacity = capacity
        heads = Array(repeating: TimerWheel.none, count: TimerWheel.levels * 64 + 1)
        occupied = Array(repeating: 0, count: TimerWheel.levels)
        time = now
    }

    deinit { unsafe nodes.deallocate() }

    /// Must be called once before an index is used, and again each time its slot is taken anew.
    package mutating func prepare(_ index: Int) {
        precondition(index >= 0 && index < capacity)
        unsafe (nodes + index).initialize(
            to: Node(deadline: 0, next: TimerWheel.none, previous: TimerWheel.none, bucket: TimerWheel.unarmed))
    }

    package func isArmed(_ index: Int) -> Bool {
        precondition(index >= 0 && index < capacity)
        return unsafe nodes[index].bucket != TimerWheel.unarmed
    }

    /// Arms or moves the timer. A deadline that is over expires at the next `popExpired`.
    package mutating func arm(_ index: Int, deadline: UInt64) {
        disarm(index)
        unsafe nodes[index].deadline = min(deadline, time + TimerWheel.rangeMilliseconds)
        insert(UInt32(index))
        armedCount += 1
    }

    package mutating func disarm(_ index: Int) {
        guard isArmed(index) else { return }
        remove(UInt32(index))
        unsafe nodes[index].bucket = TimerWheel.unarmed
        armedCount -= 1
    }

    /// The next timer whose deadline is `now` or earlier, disarmed; nil when there is none.
    package mutating func popExpired(now: UInt64) -> Int? {
        while true {
            let due = heads[Int(TimerWheel.dueBucket)]
            if due != TimerWheel.none {
                disarm(Int(due))
                return Int(due)
            }
            guard let slot = nextSlot(), slot.start <= now else {
                time = max(time, now)
                return nil
            }
            time = max(time, slot.start)
            sink(bucket: slot.bucket)
        }
    }

    /// No timer expires before this; nil when none is armed. May be earlier than the earliest deadline, never later.
    package var nextWakeup: UInt64? {
        if heads[Int(TimerWheel.dueBucket)] != TimerWheel.none { return time }
        return nextSlot()?.start
    }

    private func nextSlot() -> (bucket: Int, start: UInt64)? {
        for level in 0..<TimerWheel.levels where occupied[level] != 0 {
            let slot = occupied[level].trailingZeroBitCount
            let shift = UInt64(level * 6)
            let start = ((time >> (shift + 6)) << (shift + 6)) | (UInt64(slot) << shift)
            return (level * 64 + slot, start)
        }
        return nil
    }

    /// Moves the timers of a slot whose time has come to where they now belong: lower, or into the due list.
    private mutating func sink(bucket: Int) {
        var index = heads[bucket]
        heads[bucket] = TimerWheel.none
        occupied[bucket / 64] &= ~(1 << UInt64(bucket % 64))
        while index != TimerWheel.none {
            let next = unsafe nodes[Int(index)].next
            insert(index)
            index = next
        }
    }

    private mutating func insert(_ index: UInt32) {
        let deadline = unsafe nodes[Int(index)].deadline
        var bucket = Int(TimerWheel.dueBucket)
        if deadline > time {
            let level = (63 - (deadline ^ time).leadingZeroBitCount) / 6
            precondition(level < TimerWheel.levels, "the clock is beyond the wheel")
            let slot = Int(deadline >> UInt64(level * 6) & 63)
            bucket = level * 64 + slot
            occupied[bucket / 64] |= 1 << UInt64(slot)
        }
        let head = heads[bucket]
        if head != TimerWheel.none { unsafe nodes[Int(head)].previous = index }
        unsafe nodes[Int(index)].next = head
        unsafe nodes[Int(index)].previous = TimerWheel.none
        unsafe nodes[Int(index)].bucket = UInt16(bucket)
        heads[bucket] = index
    }

    private mutating func remove(_ index: UInt32) {
        let node = unsafe nodes[Int(index)]
        let bucket = Int(node.bucket)
        if node.next != TimerWheel.none { unsafe nodes[Int(node.next)].previous = node.previous }
        if node.previous != TimerWheel.none {
            unsafe nodes[Int(node.previous)].next = node.next
        } else {
            heads[bucket] = node.next
            if node.next == TimerWheel.none && bucket != Int(TimerWheel.dueBucket) {
                occupied[bucket / 64] &= ~(1 << UInt64(bucket % 64))
            }
        }
    }
}
