// SPDX-License-Identifier: Apache-2.0
//
// What the ring is made of, for the files that make up CUring.

#pragma once

#include "CUring.h"

#include <liburing.h>

/// The only buffer group.
#define CU_BUFFER_GROUP 0

/// Marks the token of a quiet send in the kernel; no operation of a worker has this bit, nor the next one.
#define CU_QUIET (1ULL << 63)
/// The token of the alarm.
#define CU_ALARM (1ULL << 62)

/// A quiet send whose success has not been told yet.
struct quiet_send {
    uint64_t token;
    /// Bytes; CU_FELL_SHORT once its completion was seen, which says what it did.
    uint32_t count;
    /// The submission queue's tail behind it: it has run once the kernel's head is there.
    uint32_t tail;
};
#define CU_FELL_SHORT UINT32_MAX

struct cu_ring {
    struct io_uring uring;
    struct io_uring_buf_ring *buffer_ring;
    uint8_t *buffers;
    uint32_t buffer_bytes;
    /// A power of two; how many buffers the ring may ever hold.
    uint32_t buffer_capacity;
    /// How many buffers exist; grows up to buffer_capacity and never shrinks.
    uint32_t buffer_count;
    struct sockaddr_storage *addresses;
    uint32_t entries;
    /// In the order in which they were queued.
    struct quiet_send *quiet;
    uint32_t quiet_count;
    uint32_t quiet_capacity;
    /// When the alarm in the kernel rings, in nanoseconds of CLOCK_MONOTONIC; 0: there is none.
    uint64_t alarm_at;
    /// Read by the kernel when it takes the entry.
    struct __kernel_timespec alarm_time;
    /// The next wait must not sleep over what quiet sends did.
    bool is_heeded;
    /// Sends with a link behind them that are queued: each completes in the next submission, and when one falls short,
    /// what is linked completes, too.
    uint32_t linked_sends;
    uint64_t early_submits;
    bool arms_receives;
};

/// A free submission entry; when the queue is full, what is queued is submitted first. NULL only if the kernel takes
/// nothing (out of memory): the caller ends its process, since completions would be lost.
struct io_uring_sqe *cu_entry(struct cu_ring *ring);
