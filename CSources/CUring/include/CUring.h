// SPDX-License-Identifier: Apache-2.0
//
// io_uring for one thread: set up, queue operations, reap completions, a ring of provided buffers. Thin over liburing,
// which does the memory ordering; here only so that Swift sees plain functions and fixed-width numbers, and so that
// names missing in Debian 12's liburing 2.3 stand in one place.
//
// Why C: liburing's preparation functions are macros and inline functions over unions and C11 atomics, which Swift
// does not import; each function below exists for that reason unless it says another.

#pragma once

#include <liburing.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

/// One finished operation.
struct cu_completion {
    uint64_t token;
    /// The system call's result, or -errno.
    int32_t result;
    /// IORING_CQE_F_*; the buffer id stands in the upper 16 bits.
    uint32_t flags;
};

/// A ring, its provided buffers, and the addresses of connects that are queued but not yet submitted.
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
};

/// The only buffer group.
#define CU_BUFFER_GROUP 0

/// Makes a ring for this thread alone (IORING_SETUP_SINGLE_ISSUER | DEFER_TASKRUN: Linux 6.1), with a completion queue
/// of eight times `entries`, and a ring of provided buffers with `buffer_count` of `buffer_capacity` buffers filled.
/// Memory of buffers that were never used is never touched. Returns 0 or -errno; on failure nothing stays allocated.
int32_t cu_open(struct cu_ring *ring, uint32_t entries, uint32_t buffer_bytes, uint32_t buffer_capacity,
                uint32_t buffer_count);

/// Frees all that cu_open made.
void cu_close(struct cu_ring *ring);

/// Adds up to `count` buffers that did not exist; returns how many were added (0 at capacity).
uint32_t cu_grow_buffers(struct cu_ring *ring, uint32_t count);

/// Submits what is queued and waits for one completion, at most `timeout_ns` nanoseconds (negative: no limit).
/// Returns 0, or -errno other than -ETIME and -EINTR, which are 0.
int32_t cu_submit_and_wait(struct cu_ring *ring, int64_t timeout_ns);

/// Copies up to `capacity` completions and frees their places in the queue. Returns how many.
uint32_t cu_reap(struct cu_ring *ring, struct cu_completion *into, uint32_t capacity);

/// A free submission entry; when the queue is full, what is queued is submitted first. NULL only if the kernel takes
/// nothing (out of memory): the caller ends its process, since completions would be lost.
struct io_uring_sqe *cu_entry(struct cu_ring *ring);

/// Where the bytes of buffer `id` are.
static inline uint8_t *cu_buffer(const struct cu_ring *ring, uint16_t id) {
    return ring->buffers + (size_t)id * ring->buffer_bytes;
}

/// Gives buffer `id` back to the kernel.
static inline void cu_recycle(struct cu_ring *ring, uint16_t id) {
    io_uring_buf_ring_add(ring->buffer_ring, cu_buffer(ring, id), ring->buffer_bytes, id,
                          io_uring_buf_ring_mask(ring->buffer_capacity), 0);
    io_uring_buf_ring_advance(ring->buffer_ring, 1);
}

/// Accepts until told to stop; sockets are SOCK_NONBLOCK | SOCK_CLOEXEC from the start.
static inline int32_t cu_queue_accept(struct cu_ring *ring, int32_t listener, uint64_t token) {
    struct io_uring_sqe *sqe = cu_entry(ring);
    if (!sqe) return -1;
    io_uring_prep_multishot_accept(sqe, listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    sqe->user_data = token;
    return 0;
}

/// Receives once, at most `bytes_max`, into a buffer of the group. `poll_first`: do not try before there is data.
static inline int32_t cu_queue_receive(struct cu_ring *ring, int32_t socket, uint32_t bytes_max, int32_t poll_first,
                                       uint64_t token) {
    struct io_uring_sqe *sqe = cu_entry(ring);
    if (!sqe) return -1;
    io_uring_prep_recv(sqe, socket, NULL, bytes_max, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = CU_BUFFER_GROUP;
    if (poll_first) sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
    sqe->user_data = token;
    return 0;
}

/// Sends; with `waits` == 0 it ends with -EAGAIN instead of waiting for room in the socket.
static inline int32_t cu_queue_send(struct cu_ring *ring, int32_t socket, const void *bytes, uint32_t count,
                                    int32_t waits, uint64_t token) {
    struct io_uring_sqe *sqe = cu_entry(ring);
    if (!sqe) return -1;
    io_uring_prep_send(sqe, socket, bytes, count, MSG_NOSIGNAL | (waits ? 0 : MSG_DONTWAIT));
    sqe->user_data = token;
    return 0;
}

/// Connects. The address is copied: it may go once this returns. With `links_next` the next queued operation starts
/// when this one has succeeded, and ends with -ECANCELED when it fails.
static inline int32_t cu_queue_connect(struct cu_ring *ring, int32_t socket, const void *address,
                                       uint32_t address_bytes, int32_t links_next, uint64_t token) {
    // A linked pair must enter the kernel in one submission, so make room for both.
    if (links_next && io_uring_sq_space_left(&ring->uring) < 2) io_uring_submit(&ring->uring);
    struct io_uring_sqe *sqe = cu_entry(ring);
    if (!sqe) return -1;
    // The kernel reads the address while it takes the entry, so the entry's own place can be used again after that.
    struct sockaddr_storage *copy = &ring->addresses[sqe - ring->uring.sq.sqes];
    if (address_bytes > sizeof *copy) return -1;
    __builtin_memcpy(copy, address, address_bytes);
    io_uring_prep_connect(sqe, socket, (struct sockaddr *)copy, address_bytes);
    if (links_next) sqe->flags |= IOSQE_IO_LINK;
    sqe->user_data = token;
    return 0;
}

/// Waits once until `events` (POLLIN, POLLOUT, …) hold.
static inline int32_t cu_queue_poll(struct cu_ring *ring, int32_t descriptor, uint32_t events, uint64_t token) {
    struct io_uring_sqe *sqe = cu_entry(ring);
    if (!sqe) return -1;
    io_uring_prep_poll_add(sqe, descriptor, events);
    sqe->user_data = token;
    return 0;
}

/// Ends the operation that was queued with `target`; it completes with -ECANCELED or with what it did before.
/// No completion of its own unless there was nothing to cancel.
static inline int32_t cu_queue_cancel(struct cu_ring *ring, uint64_t target, uint64_t token) {
    struct io_uring_sqe *sqe = cu_entry(ring);
    if (!sqe) return -1;
    io_uring_prep_cancel64(sqe, target, 0);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    sqe->user_data = token;
    return 0;
}

/// Closes; no completion unless it fails.
static inline int32_t cu_queue_close(struct cu_ring *ring, int32_t descriptor, uint64_t token) {
    struct io_uring_sqe *sqe = cu_entry(ring);
    if (!sqe) return -1;
    io_uring_prep_close(sqe, descriptor);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    sqe->user_data = token;
    return 0;
}
