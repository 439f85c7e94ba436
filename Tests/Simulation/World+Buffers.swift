// SPDX-License-Identifier: Apache-2.0
//
// The pool of buffers that receives select from: each is the kernel's or the worker's, and colours tell who errs.

import EventLoop
import Glibc

extension World {
    var heldBufferCount: Int { heldBuffers.count }

    func addBuffers(_ count: Int) {
        for _ in 0..<count where unsafe buffers.count < weather.buffersMax {
            unsafe buffers.append(.allocate(byteCount: weather.bufferBytes, alignment: 16))
            freeBuffers.append(UInt16(unsafe buffers.count - 1))
        }
    }

    func growBuffers() -> Bool {
        guard unsafe buffers.count < weather.buffersMax else { return false }
        addBuffers(max(1, unsafe buffers.count))
        return true
    }

    func bytes(of buffer: BufferID) -> UnsafeRawPointer {
        if !heldBuffers.contains(buffer.number) { fault("buffer \(buffer.number) is read by who has not got it") }
        return unsafe UnsafeRawPointer(buffers[Int(buffer.number)])
    }

    /// What is read afterwards is noticed by its colour.
    func recycle(_ buffer: BufferID) {
        if heldBuffers.remove(buffer.number) == nil { fault("buffer \(buffer.number) is given back twice") }
        unsafe memset(buffers[Int(buffer.number)], 0xDD, weather.bufferBytes)
        freeBuffers.append(buffer.number)
    }
}
