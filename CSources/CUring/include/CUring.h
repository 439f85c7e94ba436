// SPDX-License-Identifier: Apache-2.0
//
// io_uring for one thread: set up, queue operations, reap completions, a ring of provided buffers. Thin over liburing,
// which does the memory ordering; here only so that Swift sees plain functions and fixed-width numbers, and so that
// names missing in Debian 12's liburing 2.3 stand in one place.
//
// Why C: liburing's preparation functions are inline functions over unions and C11 atomics, which Swift does not
// import; each function below exists for that reason unless it says another. liburing's header stays out of this one:
// it asks glibc for other definitions than Swift's own module of it has.

#pragma once

#include <stdbool.h>
#include <stdint.h>

/// One finished operation.
struct cu_completion {
    uint64_t token;
    /// The system call's result, or -errno.
    int32_t result;
    /// IORING_CQE_F_*; the buffer id stands in the upper 16 bits.
    uint32_t flags;
};

/// A ring, its provided buffers, and the addresses of connects that are queued but not yet submitted.
struct cu_ring;

/// Makes a ring for this thread alone (IORING_SETUP_SINGLE_ISSUER | DEFER_TASKRUN: Linux 6.1), with a completion queue
/// of eight times `entries`, and a ring of provided buffers with `buffer_count` of `buffer_capacity` buffers filled.
/// Memory of buffers that were never used is never touched. Returns 0 and the ring, or -errno; on failure nothing stays
/// allocated.
int32_t cu_open(struct cu_ring **ring, uint32_t entries, uint32_t buffer_bytes, uint32_t buffer_capacity,
                uint32_t buffer_count);

/// Frees all that cu_open made.
void cu_close(struct cu_ring *ring);

/// How many buffers exist; grows up to the capacity and never shrinks.
uint32_t cu_buffer_count(const struct cu_ring *ring);

/// How often what was queued had to be submitted in the middle of a turn, for want of room in the queue.
uint64_t cu_early_submits(const struct cu_ring *ring);

/// Completions that found no room in their queue; the kernel kept them until there was.
uint32_t cu_overflows(const struct cu_ring *ring);

/// Adds up to `count` buffers that did not exist; returns how many were added (0 at capacity).
uint32_t cu_grow_buffers(struct cu_ring *ring, uint32_t count);

/// Ends a wait at `at_ns` of CLOCK_MONOTONIC, or before. An alarm that is set stays until it rings, so that a wait
/// needs no timer of its own; to ask for the same or a later time again does nothing. An earlier time moves it.
int32_t cu_set_alarm(struct cu_ring *ring, uint64_t at_ns);

/// Submits what is queued and waits for a completion, not counting those of quiet and linked sends, which are there at
/// once and ask for nothing: a message is passed on and the next event awaited in one system call. At most `timeout_ns`
/// nanoseconds (negative: no limit but the alarm; 0: does not wait). Returns 0, or -errno other than -ETIME and -EINTR,
/// which are 0.
int32_t cu_submit_and_wait(struct cu_ring *ring, int64_t timeout_ns);

/// Copies up to `capacity` completions, those of quiet sends first, and frees their places in the queue. Returns how
/// many. Tokens are below 2^63.
uint32_t cu_reap(struct cu_ring *ring, struct cu_completion *into, uint32_t capacity);

/// Where the bytes of buffer `id` are.
uint8_t *cu_buffer(const struct cu_ring *ring, uint16_t id);

/// Gives buffer `id` back to the kernel.
void cu_recycle(struct cu_ring *ring, uint16_t id);

/// Accepts until told to stop; sockets are SOCK_NONBLOCK | SOCK_CLOEXEC from the start.
int32_t cu_queue_accept(struct cu_ring *ring, int32_t listener, uint64_t token);

/// Receives once, at most `bytes_max`, into a buffer of the group. `poll_first`: do not try before there is data.
int32_t cu_queue_receive(struct cu_ring *ring, int32_t socket, uint32_t bytes_max, int32_t poll_first,
                                       uint64_t token);

/// Whether this kernel has multishot receives that end by a byte count (Linux 6.17), tried at cu_open.
bool cu_arms_receives(const struct cu_ring *ring);

/// Receives into buffers of the group until `bytes_max` bytes have come. Only where cu_arms_receives.
int32_t cu_queue_receives(struct cu_ring *ring, int32_t socket, uint32_t bytes_max, uint64_t token);

/// Sends. With `waits` == 0 it completes in its submission: with all, with what there is room for, or with -EAGAIN.
int32_t cu_queue_send(struct cu_ring *ring, int32_t socket, const void *bytes, uint32_t count, int32_t waits,
                      uint64_t token);

/// Sends without waiting. When all is sent, that ends no wait, and the kernel makes no completion of it: cu_reap tells
/// of it after the submission. What falls short completes like any other operation.
int32_t cu_queue_quiet_send(struct cu_ring *ring, int32_t socket, const void *bytes, uint32_t count, uint64_t token);

/// Sends without waiting; when all is sent, that completion alone ends no wait, and the next queued operation starts.
/// Otherwise that one ends with -ECANCELED.
int32_t cu_queue_linked_send(struct cu_ring *ring, int32_t socket, const void *bytes, uint32_t count, uint64_t token);

/// A quiet or linked send that was queued since the last wait matters after all: the next wait ends with it.
void cu_heed_send(struct cu_ring *ring);

/// Connects. The address is copied: it may go once this returns. With `links_next` the next queued operation starts
/// when this one has succeeded, and ends with -ECANCELED when it fails.
int32_t cu_queue_connect(struct cu_ring *ring, int32_t socket, const void *address,
                                       uint32_t address_bytes, int32_t links_next, uint64_t token);

/// Waits once until `events` (POLLIN, POLLOUT, …) hold.
int32_t cu_queue_poll(struct cu_ring *ring, int32_t descriptor, uint32_t events, uint64_t token);

/// Ends the operation that was queued with `target`; it completes with -ECANCELED or with what it did before.
/// No completion of its own unless there was nothing to cancel.
int32_t cu_queue_cancel(struct cu_ring *ring, uint64_t target, uint64_t token);

/// Closes; no completion unless it fails.
int32_t cu_queue_close(struct cu_ring *ring, int32_t descriptor, uint64_t token);
