// SPDX-License-Identifier: Apache-2.0
//
// Memory for bytes on their way through TLS: what is opened or sealed cannot stay in the pool's buffer that it came in.
// The last one given back is taken first, so that a worker touches as many as are in use at once, and no more.

import Glibc
import TLSEngine

/// A piece of memory that holds what one receive becomes, decrypted and encrypted anew. Belongs to one direction of a
/// session while it is being sent.
@safe struct TLSBuffer: BitwiseCopyable {
    /// One receive of the pool's size, opened, with what was left of the record before, and sealed.
    static let capacity = 16 * 1024 + TLSConnection.openSlack + TLSConnection.sealSlack

    fileprivate let base: UnsafeMutableRawPointer

    var memory: UnsafeMutableRawBufferPointer {
        unsafe UnsafeMutableRawBufferPointer(start: base, count: TLSBuffer.capacity)
    }

    func bytes(_ count: Int) -> UnsafeRawBufferPointer {
        unsafe UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(memory)[..<count])
    }

    func pointer(at offset: Int) -> UnsafeRawPointer {
        precondition(offset < TLSBuffer.capacity)
        return unsafe UnsafeRawPointer(base) + offset
    }
}

/// The buffers that nobody uses.
struct TLSBufferStack {
    /// More than this is given back to the system.
    private static let idleMax = 64
    private var idle: [TLSBuffer] = []
    /// Taken and not given back.
    private(set) var inUse = 0

    /// Nil: no memory.
    mutating func take() -> TLSBuffer? {
        if let buffer = idle.popLast() {
            inUse += 1
            return buffer
        }
        guard let base = unsafe malloc(TLSBuffer.capacity) else { return nil }
        inUse += 1
        return unsafe TLSBuffer(base: base)
    }

    mutating func giveBack(_ buffer: TLSBuffer) {
        inUse -= 1
        if idle.count < TLSBufferStack.idleMax {
            idle.append(buffer)
        } else {
            unsafe free(buffer.base)
        }
    }
}
