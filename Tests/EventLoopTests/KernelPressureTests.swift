// SPDX-License-Identifier: Apache-2.0
//
// What the real kernel says of its queues and its pool, on a ring of its own.

import EventLoop
import LinuxIO
import Testing

@Suite("pressure on the kernel's side")
struct KernelPressureTests {
    @Test("the pool grows by what is told, up to its bound, and says so")
    func buffers() throws {
        var kernel = try UringKernel()
        let first = kernel.pressure
        #expect(first.buffers > 0 && first.buffers < first.buffersMax && first.bufferBytes > 0)
        #expect(first.queueFull == 0 && first.overflows == 0)
        let hasGrown = kernel.growBuffers()
        #expect(hasGrown)
        let second = kernel.pressure
        #expect(second.buffers > first.buffers)
        while kernel.growBuffers() {}
        #expect(kernel.pressure.buffers == first.buffersMax)
        #expect(kernel.pressure.buffersMax == first.buffersMax && kernel.pressure.bufferBytes == first.bufferBytes)
    }

    @Test("a submission queue that is full in the middle of a turn is counted, and nothing queued is lost")
    func fullQueue() throws {
        var kernel = try UringKernel()
        var turns = 0
        var completions = 0
        // Closes of what is not open end at once, with an error each.
        let count = 10_000
        for _ in 0..<count { kernel.queueClose(descriptor: -1) }
        #expect(kernel.pressure.queueFull > 0)
        while completions < count, turns < count {
            kernel.turn(until: kernel.nowMilliseconds)
            turns += 1
            while kernel.nextCompletion() != nil { completions += 1 }
        }
        #expect(completions == count || completions == 0, "\(completions) of \(count)")
        let full = kernel.pressure.queueFull
        kernel.turn(until: kernel.nowMilliseconds)
        #expect(kernel.pressure.queueFull == full, "a turn with room counts nothing")
    }
}
