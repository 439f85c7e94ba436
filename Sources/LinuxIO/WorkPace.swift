// SPDX-License-Identifier: Apache-2.0
//
// Long work beside a process that must not feel it. A kernel that ticks 250 times a second lets a process that computes
// keep its CPU for 4 ms, and a worker that woke up meanwhile waits for as long; who rests of his own accord is felt for
// no more than a slice, whatever the kernel's scheduler does (Decisions/0007).

/// For a process that has nothing else to do meanwhile: `pause` between pieces of work, as often as there are any.
package struct WorkPace {
    /// What a process computes at a stretch while others may wait for its CPU.
    package static let sliceNanoseconds: UInt64 = 300_000
    package static let restNanoseconds: UInt64 = 500_000

    private var restsAt: UInt64

    package init() { restsAt = monotonicNanoseconds() + WorkPace.sliceNanoseconds }

    /// Sleeps when a slice is used up.
    package mutating func pause() {
        guard monotonicNanoseconds() >= restsAt else { return }
        sleep(nanoseconds: WorkPace.restNanoseconds)
        restsAt = monotonicNanoseconds() + WorkPace.sliceNanoseconds
    }
}
