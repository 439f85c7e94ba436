// SPDX-License-Identifier: Apache-2.0
//
// A turn's two halves: the wait, and the completions that it brought. See CUring.h.

#include "ring.h"

#include <errno.h>

// Why C: liburing's inline functions, and an absolute time in a structure of the kernel's.
int32_t cu_set_alarm(struct cu_ring *ring, uint64_t at_ns) {
    if (ring->alarm_at != 0 && ring->alarm_at <= at_ns) return 0;
    struct io_uring_sqe *sqe = cu_entry(ring);
    if (!sqe) return -1;
    ring->alarm_time = (struct __kernel_timespec){.tv_sec = at_ns / 1000000000, .tv_nsec = at_ns % 1000000000};
    if (ring->alarm_at == 0) {
        io_uring_prep_timeout(sqe, &ring->alarm_time, 0, IORING_TIMEOUT_ABS);
        sqe->user_data = CU_ALARM;
    } else {
        // One that rings just now is not found; it wakes the caller, who sets the next one.
        io_uring_prep_timeout_update(sqe, &ring->alarm_time, CU_ALARM, IORING_TIMEOUT_ABS);
        sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
        sqe->user_data = 0;
    }
    ring->alarm_at = at_ns;
    return 0;
}

// Why C: liburing's wait takes a pointer to a completion and a kernel time structure.
int32_t cu_submit_and_wait(struct cu_ring *ring, int64_t timeout_ns) {
    struct io_uring_cqe *ignored;
    struct __kernel_timespec limit = {.tv_sec = timeout_ns / 1000000000, .tv_nsec = timeout_ns % 1000000000};
    unsigned wait_count = 1 + ring->linked_sends;
    bool sleeps = timeout_ns != 0 && !ring->is_heeded;
    ring->linked_sends = 0;
    ring->is_heeded = false;
    int result;
    if (!sleeps) {
        result = io_uring_submit_and_get_events(&ring->uring);
    } else if (timeout_ns < 0) {
        result = io_uring_submit_and_wait(&ring->uring, wait_count);
    } else {
        result = io_uring_submit_and_wait_timeout(&ring->uring, &ignored, wait_count, &limit, NULL);
    }
    if (result >= 0 || result == -ETIME || result == -EINTR) return 0;
    return result;
}

/// Marks the quiet sends whose completions stand in the queue.
static void note_short_sends(struct cu_ring *ring) {
    unsigned head;
    struct io_uring_cqe *cqe;
    io_uring_for_each_cqe(&ring->uring, head, cqe) {
        if (!(cqe->user_data & CU_QUIET)) continue;
        for (uint32_t i = 0; i < ring->quiet_count; i++) {
            if (ring->quiet[i].token == (cqe->user_data & ~CU_QUIET)) ring->quiet[i].count = CU_FELL_SHORT;
        }
    }
}

/// Completions of the quiet sends that have run and did all: the kernel has made none.
static uint32_t reap_quiet(struct cu_ring *ring, struct cu_completion *into, uint32_t capacity) {
    // What the completion queue had no room for may be a send that fell short; the next wait fetches it.
    if (*(volatile unsigned *)ring->uring.sq.kflags & IORING_SQ_CQ_OVERFLOW) return 0;
    note_short_sends(ring);
    uint32_t submitted = *(volatile unsigned *)ring->uring.sq.khead;
    uint32_t told = 0, kept = 0;
    for (uint32_t i = 0; i < ring->quiet_count; i++) {
        struct quiet_send send = ring->quiet[i];
        if ((int32_t)(submitted - send.tail) < 0 || told == capacity) {
            ring->quiet[kept++] = send;
        } else if (send.count != CU_FELL_SHORT) {
            into[told++] = (struct cu_completion){.token = send.token, .result = (int32_t)send.count};
        }
    }
    ring->quiet_count = kept;
    return told;
}

// Why C: reads the shared completion queue through liburing's inline functions.
uint32_t cu_reap(struct cu_ring *ring, struct cu_completion *into, uint32_t capacity) {
    uint32_t count = ring->quiet_count > 0 ? reap_quiet(ring, into, capacity) : 0;
    unsigned head;
    struct io_uring_cqe *cqe;
    uint32_t taken = 0;
    io_uring_for_each_cqe(&ring->uring, head, cqe) {
        if (count == capacity) break;
        taken++;
        if (cqe->user_data == CU_ALARM) {
            ring->alarm_at = 0;
            continue;
        }
        into[count++] =
            (struct cu_completion){.token = cqe->user_data & ~CU_QUIET, .result = cqe->res, .flags = cqe->flags};
    }
    io_uring_cq_advance(&ring->uring, taken);
    return count;
}
