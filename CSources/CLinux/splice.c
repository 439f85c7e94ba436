// SPDX-License-Identifier: Apache-2.0
//
// The bulk pump. The pipe is filled only when it is empty: then EAGAIN from the source can only mean that the source
// has nothing, never that the pipe is full, and what a slow target holds back is at most one filling. How much fits a
// pipe is the kernel's business: socket pages are spliced by reference and may exceed its nominal size.
// A target that has gone raises SIGPIPE in splice(2); the process must ignore it.

#include "CLinux.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/types.h>

// Declared only with _GNU_SOURCE, which Swift's Glibc module does not promise.
int64_t cl_splice(int32_t from, int32_t to, uint64_t byte_count) {
    for (;;) {
        ssize_t count = splice(from, 0, to, 0, byte_count, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
        if (count >= 0) return count;
        if (errno != EINTR) return -errno;
    }
}

// In C so that one call serves a whole readiness: two system calls a chunk and none of Swift's work between them.
cl_pump_result cl_splice_pump(int32_t source, int32_t pipe_write, int32_t pipe_read, int32_t target,
                              uint64_t pending, uint64_t budget, uint64_t chunk) {
    cl_pump_result result = {.pending = pending};
    for (;;) {
        while (result.pending > 0) {
            int64_t count = cl_splice(pipe_read, target, result.pending);
            if (count > 0) {
                uint64_t moved = (uint64_t)count;
                result.bytes_out += moved;
                result.pending -= moved < result.pending ? moved : result.pending;
                continue;
            }
            if (count == -EAGAIN) {
                result.blocks_on_target = true;
            } else {
                result.error = count == 0 ? EIO : (int32_t)-count;
                result.failed_side = CL_SIDE_TARGET;
            }
            return result;
        }
        if (result.bytes_in >= budget) return result;
        uint64_t wanted = budget - result.bytes_in;
        int64_t count = cl_splice(source, pipe_write, wanted < chunk ? wanted : chunk);
        if (count > 0) {
            result.bytes_in += (uint64_t)count;
            result.pending += (uint64_t)count;
            continue;
        }
        if (count == 0) {
            result.is_source_ended = true;
        } else if (count == -EAGAIN) {
            result.blocks_on_source = true;
        } else {
            result.error = (int32_t)-count;
            result.failed_side = CL_SIDE_SOURCE;
        }
        return result;
    }
}
