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

/// The buffers that nobody uses. A message is worked on in a large one, the same each time, and waits for its send in a
/// small one: hundreds that wait in large ones would be hundreds of cold pages.
@safe struct TLSBufferStack {
    /// More than this is given back to the system.
    private static let idleMax = 64
    /// A message of 256 bytes with its record's header and tag.
    static let smallCapacity = 512
    static let smallMax = 2048
    private var idle: [TLSBuffer] = []
    /// One piece of memory for all small ones, touched as far as they were ever in use at once.
    private var slab: UnsafeMutableRawPointer? = nil
    private var idleSmall: [UInt16] = []
    private var smallHighWater = 0
    /// Taken and not given back.
    private(set) var inUse = 0

    init() {}

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

    /// The first `count` bytes of a large buffer in a small one, if they fit and there is one; the large one is given
    /// back then.
    mutating func compact(_ buffer: TLSBuffer, _ count: Int) -> TLSBuffer {
        guard count <= Self.smallCapacity, let small = takeSmall() else { return buffer }
        unsafe small.base.copyMemory(from: buffer.base, byteCount: count)
        giveBack(buffer)
        return small
    }

    private mutating func takeSmall() -> TLSBuffer? {
        if unsafe slab == nil {
            unsafe slab = malloc(Self.smallCapacity * Self.smallMax)
            idleSmall.reserveCapacity(Self.smallMax)
        }
        guard let slab = unsafe slab else { return nil }
        var index = smallHighWater
        if let used = idleSmall.popLast() {
            index = Int(used)
        } else if smallHighWater < Self.smallMax {
            smallHighWater += 1
        } else {
            return nil
        }
        inUse += 1
        return unsafe TLSBuffer(base: slab + index * Self.smallCapacity)
    }

    /// The small buffer's place, nil for a large one.
    private func smallIndex(of buffer: TLSBuffer) -> Int? {
        guard let slab = unsafe slab else { return nil }
        let offset = unsafe buffer.base - slab
        return offset >= 0 && offset < Self.smallCapacity * Self.smallMax ? offset / Self.smallCapacity : nil
    }

    mutating func giveBack(_ buffer: TLSBuffer) {
        inUse -= 1
        if let index = smallIndex(of: buffer) {
            idleSmall.append(UInt16(index))
        } else if idle.count < TLSBufferStack.idleMax {
            idle.append(buffer)
        } else {
            unsafe free(buffer.base)
        }
    }
}
