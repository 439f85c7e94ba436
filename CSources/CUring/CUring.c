// SPDX-License-Identifier: Apache-2.0
//
// Life of the ring and its turn. See CUring.h.

#include "CUring.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

// Why C: reads through liburing's inline functions; called out of line because it is rare to be full.
struct io_uring_sqe *cu_entry(struct cu_ring *ring) {
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);
    if (__builtin_expect(sqe != NULL, 1)) return sqe;
    io_uring_submit(&ring->uring);
    return io_uring_get_sqe(&ring->uring);
}

// Why C: fills the shared ring through liburing's inline functions.
uint32_t cu_grow_buffers(struct cu_ring *ring, uint32_t count) {
    uint32_t room = ring->buffer_capacity - ring->buffer_count;
    if (count > room) count = room;
    for (uint32_t i = 0; i < count; i++) {
        uint16_t id = (uint16_t)(ring->buffer_count + i);
        io_uring_buf_ring_add(ring->buffer_ring, cu_buffer(ring, id), ring->buffer_bytes, id,
                              io_uring_buf_ring_mask(ring->buffer_capacity), (int)i);
    }
    ring->buffer_count += count;
    io_uring_buf_ring_advance(ring->buffer_ring, (int)count);
    return count;
}

static void *map(size_t bytes) {
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return memory == MAP_FAILED ? NULL : memory;
}

static size_t buffer_ring_bytes(const struct cu_ring *ring) {
    return (size_t)ring->buffer_capacity * sizeof(struct io_uring_buf);
}

// Why C: liburing's set-up structures.
int32_t cu_open(struct cu_ring *ring, uint32_t entries, uint32_t buffer_bytes, uint32_t buffer_capacity,
                uint32_t buffer_count) {
    memset(ring, 0, sizeof *ring);
    ring->buffer_bytes = buffer_bytes;
    ring->buffer_capacity = buffer_capacity;

    struct io_uring_params params;
    memset(&params, 0, sizeof params);
    params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
    params.cq_entries = entries * 8;
    int result = io_uring_queue_init_params(entries, &ring->uring, &params);
    if (result < 0) return result;
    ring->entries = params.sq_entries;
    // Saves a descriptor lookup in each turn; where the kernel refuses, the plain descriptor does the same.
    io_uring_register_ring_fd(&ring->uring);

    ring->addresses = map((size_t)ring->entries * sizeof(struct sockaddr_storage));
    ring->buffers = map((size_t)buffer_capacity * buffer_bytes);
    ring->buffer_ring = map(buffer_ring_bytes(ring));
    if (!ring->addresses || !ring->buffers || !ring->buffer_ring) {
        cu_close(ring);
        return -ENOMEM;
    }
    struct io_uring_buf_reg registration = {
        .ring_addr = (uint64_t)(uintptr_t)ring->buffer_ring,
        .ring_entries = buffer_capacity,
        .bgid = CU_BUFFER_GROUP,
    };
    result = io_uring_register_buf_ring(&ring->uring, &registration, 0);
    if (result < 0) {
        cu_close(ring);
        return result;
    }
    io_uring_buf_ring_init(ring->buffer_ring);
    cu_grow_buffers(ring, buffer_count);
    return 0;
}

// Why C: liburing's structures.
void cu_close(struct cu_ring *ring) {
    // The ring first: until it is gone the kernel may write into the buffers.
    io_uring_queue_exit(&ring->uring);
    if (ring->addresses) munmap(ring->addresses, (size_t)ring->entries * sizeof(struct sockaddr_storage));
    if (ring->buffers) munmap(ring->buffers, (size_t)ring->buffer_capacity * ring->buffer_bytes);
    if (ring->buffer_ring) munmap(ring->buffer_ring, buffer_ring_bytes(ring));
    memset(ring, 0, sizeof *ring);
}

// Why C: liburing's wait takes a pointer to a completion and a kernel time structure.
int32_t cu_submit_and_wait(struct cu_ring *ring, int64_t timeout_ns) {
    struct io_uring_cqe *ignored;
    struct __kernel_timespec limit = {.tv_sec = timeout_ns / 1000000000, .tv_nsec = timeout_ns % 1000000000};
    int result = io_uring_submit_and_wait_timeout(&ring->uring, &ignored, 1, timeout_ns < 0 ? NULL : &limit, NULL);
    if (result >= 0 || result == -ETIME || result == -EINTR) return 0;
    return result;
}

// Why C: reads the shared completion queue through liburing's inline functions.
uint32_t cu_reap(struct cu_ring *ring, struct cu_completion *into, uint32_t capacity) {
    unsigned head;
    struct io_uring_cqe *cqe;
    uint32_t count = 0;
    io_uring_for_each_cqe(&ring->uring, head, cqe) {
        if (count == capacity) break;
        into[count++] = (struct cu_completion){.token = cqe->user_data, .result = cqe->res, .flags = cqe->flags};
    }
    io_uring_cq_advance(&ring->uring, count);
    return count;
}
