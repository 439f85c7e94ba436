// SPDX-License-Identifier: Apache-2.0
//
// The bulk pump with types: bytes from a socket through a pipe to a socket, never copied into this process. CLinux
// explains why the pipe is filled only when it is empty.

import CLinux

package enum Splice {
    package enum Stop: Sendable, Equatable {
        /// More may be there at once.
        case budgetUsed
        /// The pipe is empty and the source has nothing now.
        case sourceDry
        /// The pipe is empty and nothing comes any more.
        case sourceEnded
        /// `pending` bytes wait in the pipe until the target is writable.
        case targetFull
        case sourceFailed(Errno)
        /// `pending` bytes are lost with the pipe.
        case targetFailed(Errno)
    }

    package struct Outcome: Sendable, Equatable {
        package var bytesIn: UInt64
        package var bytesOut: UInt64
        /// In the pipe now; handed to the next call. May exceed the pipe's nominal capacity.
        package var pending: UInt64
        package var stop: Stop
    }

    /// Moves until a side would block, ends or fails, or `budget` bytes were taken in. All descriptors are
    /// non-blocking. The process ignores SIGPIPE (`Signals.ignoreBrokenPipes`).
    package static func pump(
        from source: Int32, through pipe: (read: Int32, write: Int32), to target: Int32,
        pending: UInt64, budget: UInt64, chunk: UInt64
    ) -> Outcome {
        let moved = cl_splice_pump(source, pipe.write, pipe.read, target, pending, budget, chunk)
        let stop: Stop =
            if moved.failed_side == UInt8(CL_SIDE_SOURCE.rawValue) {
                .sourceFailed(Errno(rawValue: moved.error))
            } else if moved.failed_side == UInt8(CL_SIDE_TARGET.rawValue) {
                .targetFailed(Errno(rawValue: moved.error))
            } else if moved.blocks_on_target {
                .targetFull
            } else if moved.is_source_ended {
                .sourceEnded
            } else if moved.blocks_on_source {
                .sourceDry
            } else {
                .budgetUsed
            }
        return Outcome(bytesIn: moved.bytes_in, bytesOut: moved.bytes_out, pending: moved.pending, stop: stop)
    }
}
