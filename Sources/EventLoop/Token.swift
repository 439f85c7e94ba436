// SPDX-License-Identifier: Apache-2.0
//
// What travels with an operation into the kernel and back: who asked, and for which life of the slot. A completion of
// a former life carries an older generation and can never hit the session that lives in the slot now.

/// 64 bits: operation (8), slot generation (24), slot index (32).
package struct Token: Sendable, Equatable, BitwiseCopyable {
    package let bits: UInt64

    package init(bits: UInt64) { self.bits = bits }

    package init(operation: UInt8, generation: UInt32, index: UInt32) {
        precondition(generation <= 0xFF_FFFF)
        bits = UInt64(operation) << 56 | UInt64(generation) << 32 | UInt64(index)
    }

    package var operation: UInt8 { UInt8(truncatingIfNeeded: bits >> 56) }
    package var generation: UInt32 { UInt32(truncatingIfNeeded: bits >> 32) & 0xFF_FFFF }
    package var index: UInt32 { UInt32(truncatingIfNeeded: bits) }
}

/// One finished operation.
package struct Completion: Sendable, BitwiseCopyable {
    package var token: Token
    /// The system call's result, or -errno.
    package var result: Int32
    /// The provided buffer that holds the received bytes; the receiver gives it back.
    package var buffer: BufferID?
    /// The operation goes on (multishot); without it, it must be queued anew.
    package var hasMore: Bool
    /// After this receive there were more bytes in the socket.
    package var hasMoreData: Bool

    package init(
        token: Token, result: Int32, buffer: BufferID? = nil, hasMore: Bool = false, hasMoreData: Bool = false
    ) {
        self.token = token
        self.result = result
        self.buffer = buffer
        self.hasMore = hasMore
        self.hasMoreData = hasMoreData
    }
}

/// A buffer of the kernel's pool.
package struct BufferID: Sendable, Equatable, BitwiseCopyable {
    package let number: UInt16
    package init(_ number: UInt16) { self.number = number }
}
