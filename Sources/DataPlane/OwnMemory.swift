// SPDX-License-Identifier: Apache-2.0
//
// Bytes that belong to one session: what it read before a broker was chosen, its client id, or what a slow reader has
// not taken yet. A plain value, so that a session stays one; the session's close frees it, exactly once.

import Glibc

/// A piece of memory, or nothing. Copying the value does not copy the bytes: one owner, by rule.
@safe struct OwnMemory: BitwiseCopyable {
    private var base: UnsafeMutableRawPointer? = nil
    private(set) var count: UInt32 = 0

    init() {}

    var isEmpty: Bool { count == 0 }

    /// The bytes; valid until the next change.
    var bytes: UnsafeRawBufferPointer { unsafe UnsafeRawBufferPointer(start: base, count: Int(count)) }

    /// Appends; false when there is no memory.
    mutating func append(_ more: UnsafeRawBufferPointer) -> Bool {
        guard unsafe !more.isEmpty else { return true }
        guard let larger = unsafe realloc(base, Int(count) + more.count) else { return false }
        unsafe base = larger
        unsafe (larger + Int(count)).copyMemory(from: more.baseAddress!, byteCount: more.count)
        count += UInt32(more.count)
        return true
    }

    mutating func append(_ more: [UInt8]) -> Bool {
        unsafe more.withUnsafeBytes { bytes in unsafe append(bytes) }
    }

    /// A pointer for a send.
    func pointer(at offset: UInt32) -> UnsafeRawPointer {
        precondition(offset < count)
        return unsafe UnsafeRawPointer(base!) + Int(offset)
    }

    mutating func free() {
        unsafe Glibc.free(base)
        unsafe base = nil
        count = 0
    }
}

/// A part of a session's memory: client id, user name, a variable's value.
struct ByteRange: BitwiseCopyable {
    var offset: UInt32 = 0
    var count: UInt32 = 0

    var range: Range<Int> { Int(offset)..<Int(offset) + Int(count) }
}
