// SPDX-License-Identifier: Apache-2.0
//
// Memory for bytes on their way through TLS: small results wait in small buffers, and everything comes back.

import Testing

@testable import DataPlane

@Suite("buffers of TLS")
struct TLSBuffersTests {
    /// A large buffer with `count` bytes of `byte` in front, compacted.
    private func filled(_ byte: UInt8, _ count: Int, _ stack: inout TLSBufferStack) throws -> TLSBuffer {
        let taken = stack.take()
        let buffer = try #require(taken)
        unsafe buffer.memory.prefix(count).indices.forEach { unsafe buffer.memory[$0] = byte }
        return stack.compact(buffer, count)
    }

    @Test("a small result moves to a buffer of its own, a larger one stays")
    func compaction() throws {
        var stack = TLSBufferStack()
        let small = try filled(7, TLSBufferStack.smallCapacity, &stack)
        // The large one is free again, and the next to be taken.
        let large = try filled(8, TLSBufferStack.smallCapacity + 1, &stack)
        #expect(unsafe Array(small.bytes(512)) == [UInt8](repeating: 7, count: 512))
        #expect(unsafe Array(large.bytes(513)) == [UInt8](repeating: 8, count: 513))
        #expect(stack.inUse == 2)
        stack.giveBack(small)
        stack.giveBack(large)
        #expect(stack.inUse == 0)
    }

    @Test("when all small ones are out the large one serves, and each is another piece of memory")
    func exhaustion() throws {
        var stack = TLSBufferStack()
        let count = TLSBufferStack.smallMax + 3
        var held: [TLSBuffer] = []
        for index in 0..<count { held.append(try filled(UInt8(index % 251), 100, &stack)) }
        for (index, buffer) in held.enumerated() {
            try #require(unsafe Array(buffer.bytes(100)) == [UInt8](repeating: UInt8(index % 251), count: 100))
        }
        #expect(stack.inUse == count)
        held.forEach { stack.giveBack($0) }
        #expect(stack.inUse == 0)
        let again = try filled(1, 1, &stack)
        #expect(stack.inUse == 1)
        stack.giveBack(again)
    }
}
