// SPDX-License-Identifier: Apache-2.0
//
// The sessions of a worker: a fixed table made at start whose untouched part costs no memory, and a stack of free
// slots. The last slot that was freed is taken first, so that a quiet worker touches few pages.

import SessionCore

/// Sessions by slot. The only place that holds the table's pointer.
@safe struct SessionTable: ~Copyable {
    private let base: UnsafeMutablePointer<Session>
    /// Free slots below `highWater`, as a stack.
    private let free: UnsafeMutablePointer<UInt32>
    private var freeCount = 0
    /// Slots from here on were never used.
    private(set) var highWater = 0
    let capacity: Int
    private(set) var count = 0

    init(capacity: Int) {
        precondition(capacity > 0)
        self.capacity = capacity
        unsafe base = .allocate(capacity: capacity)
        unsafe free = .allocate(capacity: capacity)
    }

    deinit {
        unsafe base.deallocate()
        unsafe free.deallocate()
    }

    subscript(slot: Int) -> Session {
        @inline(__always)
        unsafeAddress {
            precondition(slot >= 0 && slot < highWater)
            return unsafe UnsafePointer(base + slot)
        }
        @inline(__always)
        nonmutating unsafeMutableAddress {
            precondition(slot >= 0 && slot < highWater)
            return unsafe base + slot
        }
    }

    /// One direction of a session, by address: a computed property would copy it out and in again for each change.
    subscript(slot: Int, way: Way) -> DirectionState {
        @inline(__always)
        unsafeAddress { unsafe UnsafePointer(direction(slot, way)) }
        @inline(__always)
        nonmutating unsafeMutableAddress { unsafe direction(slot, way) }
    }

    @inline(__always)
    private func direction(_ slot: Int, _ way: Way) -> UnsafeMutablePointer<DirectionState> {
        precondition(slot >= 0 && slot < highWater)
        let offset = way == .upload ? Session.uploadOffset : Session.downloadOffset
        let place = unsafe UnsafeMutableRawPointer(base + slot) + offset
        return unsafe place.assumingMemoryBound(to: DirectionState.self)
    }

    /// A fresh session, nil when all slots are taken. Its generation differs from those of its slot's last 2^24 lives.
    mutating func take() -> Int? {
        let slot: Int
        if freeCount > 0 {
            freeCount -= 1
            slot = unsafe Int(free[freeCount])
            let generation = unsafe (base[slot].generation + 1) & 0xFF_FFFF
            unsafe base[slot] = Session()
            unsafe base[slot].generation = generation
        } else if highWater < capacity {
            slot = highWater
            highWater += 1
            unsafe (base + slot).initialize(to: Session())
        } else {
            return nil
        }
        count += 1
        return slot
    }

    mutating func giveBack(_ slot: Int) {
        precondition(self[slot].machine.state == .free)
        unsafe free[freeCount] = UInt32(slot)
        freeCount += 1
        count -= 1
    }
}
