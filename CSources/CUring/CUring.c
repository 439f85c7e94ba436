// SPDX-License-Identifier: Apache-2.0
//
// Life of the ring, its buffers, and what is queued in it. See CUring.h.

#include "ring.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/// Submits in the middle of a turn. Completions of linked sends may be taken before the turn's wait, so it must not
/// count on them.
static void submit_early(struct cu_ring *ring) {
    io_uring_submit(&ring->uring);
    ring->linked_sends = 0;
    ring->early_submits++;
}

struct io_uring_sqe *cu_entry(struct cu_ring *ring) {
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);
    if (__builtin_expect(sqe != NULL, 1)) return sqe;
    submit_early(ring);
    return io_uring_get_sqe(&ring->uring);
}

/// A linked pair must enter the kernel in one submission.
static void make_room_for_pair(struct cu_ring *ring) {
    if (io_uring_sq_space_left(&ring->uring) < 2) submit_early(ring);
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

static void unmap(void *memory, size_t bytes) {
    if (memory) munmap(memory, bytes);
}

static void release(struct cu_ring *ring) {
    free(ring->quiet);
    unmap(ring->addresses, (size_t)ring->entries * sizeof(struct sockaddr_storage));
    unmap(ring->buffers, (size_t)ring->buffer_capacity * ring->buffer_bytes);
    unmap(ring->buffer_ring, buffer_ring_bytes(ring));
    free(ring);
}

static int32_t open_buffers(struct cu_ring *ring, uint32_t buffer_count) {
    ring->addresses = map((size_t)ring->entries * sizeof(struct sockaddr_storage));
    ring->buffers = map((size_t)ring->buffer_capacity * ring->buffer_bytes);
    ring->buffer_ring = map(buffer_ring_bytes(ring));
    if (!ring->addresses || !ring->buffers || !ring->buffer_ring) return -ENOMEM;
    struct io_uring_buf_reg registration = {
        .ring_addr = (uint64_t)(uintptr_t)ring->buffer_ring,
        .ring_entries = ring->buffer_capacity,
        .bgid = CU_BUFFER_GROUP,
    };
    int result = io_uring_register_buf_ring(&ring->uring, &registration, 0);
    if (result < 0) return result;
    io_uring_buf_ring_init(ring->buffer_ring);
    cu_grow_buffers(ring, buffer_count);
    return 0;
}

/// One byte through an armed receive for one byte: kernels without the byte count refuse it (EINVAL).
static bool try_armed_receive(struct cu_ring *ring) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) return false;
    bool works = false;
    struct cu_completion completion;
    if (write(pair[1], "", 1) == 1 && cu_queue_receives(ring, pair[0], 1, 0) == 0 &&
        cu_submit_and_wait(ring, -1) == 0 && cu_reap(ring, &completion, 1) == 1) {
        works = completion.result == 1 && !(completion.flags & IORING_CQE_F_MORE);
        if (completion.flags & IORING_CQE_F_BUFFER)
            cu_recycle(ring, (uint16_t)(completion.flags >> IORING_CQE_BUFFER_SHIFT));
    }
    close(pair[0]);
    close(pair[1]);
    return works;
}

// Why C: liburing's set-up structures.
int32_t cu_open(struct cu_ring **made, uint32_t entries, uint32_t buffer_bytes, uint32_t buffer_capacity,
                uint32_t buffer_count) {
    struct cu_ring *ring = calloc(1, sizeof *ring);
    if (!ring) return -ENOMEM;
    ring->buffer_bytes = buffer_bytes;
    ring->buffer_capacity = buffer_capacity;

    struct io_uring_params params;
    memset(&params, 0, sizeof params);
    params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
    params.cq_entries = entries * 8;
    int result = io_uring_queue_init_params(entries, &ring->uring, &params);
    if (result < 0) {
        free(ring);
        return result;
    }
    ring->entries = params.sq_entries;
    // Saves a descriptor lookup in each turn; where the kernel refuses, the plain descriptor does the same.
    io_uring_register_ring_fd(&ring->uring);
    ring->quiet_capacity = params.sq_entries * 2;
    ring->quiet = calloc(ring->quiet_capacity, sizeof *ring->quiet);
    result = ring->quiet ? open_buffers(ring, buffer_count) : -ENOMEM;
    if (result < 0) {
        cu_close(ring);
        return result;
    }
    ring->arms_receives = try_armed_receive(ring);
    *made = ring;
    return 0;
}

// Why C: liburing's structures.
void cu_close(struct cu_ring *ring) {
    // The ring first: until it is gone the kernel may write into the buffers.
    io_uring_queue_exit(&ring->uring);
    release(ring);
}

// Why C: the ring is opaque to Swift.
uint64_t cu_early_submits(const struct cu_ring *ring) { return ring->early_submits; }

// Why C: the count stands in memory that the kernel writes.
uint32_t cu_overflows(const struct cu_ring *ring) { return *(volatile unsigned *)ring->uring.cq.koverflow; }

// Why C: the structure is opaque to Swift.
uint32_t cu_buffer_count(const struct cu_ring *ring) { return ring->buffer_count; }

// Why C: liburing's inline functions.
uint8_t *cu_buffer(const struct cu_ring *ring, uint16_t id) {
    return ring->buffers + (size_t)id * ring->buffer_bytes;
}

// Why C: liburing's inline functions.
void cu_recycle(struct cu_ring *ring, uint16_t id) {
    io_uring_buf_ring_add(ring->buffer_ring, cu_buffer(ring, id), ring->buffer_bytes, id,
                          io_uring_buf_ring_mask(ring->buffer_capacity), 0);
    io_uring_buf_ring_advance(ring->buffer_ring, 1);
}

// Why C: liburing's inline functions.
int32_t cu_queue_accept(struct cu_ring *ring, int32_t listener, uint64_t token) {
    struct io_uring_sqe *sqe = cu_entry(ring);
    if (!sqe) return -1;
    io_uring_prep_multishot_accept(sqe, listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    sqe->user_data = token;
    return 0;
}

// Why C: liburing's inline functions.
int32_t cu_queue_receive(struct cu_ring *ring, int32_t socket, uint32_t bytes_max, int32_t poll_first,
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

// Why C: liburing's inline functions.
int32_t cu_queue_send(struct cu_ring *ring, int32_t socket, const void *bytes, uint32_t count, int32_t waits,
                      uint64_t token) {
    struct io_uring_sqe *sqe = cu_entry(ring);
    if (!sqe) return -1;
    io_uring_prep_send(sqe, socket, bytes, count, MSG_NOSIGNAL | (waits ? 0 : MSG_DONTWAIT));
    sqe->user_data = token;
    return 0;
}

/// MSG_WAITALL makes a short send a failed one (Linux 5.19), which breaks its link and is told of; it does not make it
/// wait.
static void prepare_whole_send(struct io_uring_sqe *sqe, int32_t socket, const void *bytes, uint32_t count) {
    io_uring_prep_send(sqe, socket, bytes, count, MSG_NOSIGNAL | MSG_DONTWAIT | MSG_WAITALL);
}

// Why C: liburing's inline functions.
int32_t cu_queue_quiet_send(struct cu_ring *ring, int32_t socket, const void *bytes, uint32_t count, uint64_t token) {
    // More than the list holds between two turns: a send that tells of itself.
    if (ring->quiet_count == ring->quiet_capacity) return cu_queue_send(ring, socket, bytes, count, 0, token);
    struct io_uring_sqe *sqe = cu_entry(ring);
    if (!sqe) return -1;
    prepare_whole_send(sqe, socket, bytes, count);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    sqe->user_data = token | CU_QUIET;
    ring->quiet[ring->quiet_count++] =
        (struct quiet_send){.token = token, .count = count, .tail = ring->uring.sq.sqe_tail};
    return 0;
}

// Why C: liburing's inline functions.
int32_t cu_queue_linked_send(struct cu_ring *ring, int32_t socket, const void *bytes, uint32_t count, uint64_t token) {
    make_room_for_pair(ring);
    struct io_uring_sqe *sqe = cu_entry(ring);
    if (!sqe) return -1;
    prepare_whole_send(sqe, socket, bytes, count);
    sqe->flags |= IOSQE_IO_LINK;
    sqe->user_data = token;
    ring->linked_sends++;
    return 0;
}

// Why C: the structure is opaque to Swift.
void cu_heed_send(struct cu_ring *ring) {
    if (ring->quiet_count > 0) ring->is_heeded = true;
    if (ring->linked_sends > 0) ring->linked_sends--;
}

// Why C: liburing's inline functions; the byte count stands in a field that liburing 2.3 has no name for.
int32_t cu_queue_receives(struct cu_ring *ring, int32_t socket, uint32_t bytes_max, uint64_t token) {
    struct io_uring_sqe *sqe = cu_entry(ring);
    if (!sqe) return -1;
    io_uring_prep_recv_multishot(sqe, socket, NULL, 0, 0);
    sqe->flags |= IOSQE_BUFFER_SELECT;
    sqe->buf_group = CU_BUFFER_GROUP;
    sqe->ioprio |= IORING_RECVSEND_POLL_FIRST;
    // sqe->optlen in newer headers.
    sqe->file_index = bytes_max;
    sqe->user_data = token;
    return 0;
}

// Why C: the structure is opaque to Swift.
bool cu_arms_receives(const struct cu_ring *ring) { return ring->arms_receives; }

// Why C: liburing's inline functions.
int32_t cu_queue_connect(struct cu_ring *ring, int32_t socket, const void *address,
                                       uint32_t address_bytes, int32_t links_next, uint64_t token) {
    if (links_next) make_room_for_pair(ring);
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

// Why C: liburing's inline functions.
int32_t cu_queue_poll(struct cu_ring *ring, int32_t descriptor, uint32_t events, uint64_t token) {
    struct io_uring_sqe *sqe = cu_entry(ring);
    if (!sqe) return -1;
    io_uring_prep_poll_add(sqe, descriptor, events);
    sqe->user_data = token;
    return 0;
}

// Why C: liburing's inline functions.
int32_t cu_queue_cancel(struct cu_ring *ring, uint64_t target, uint64_t token) {
    struct io_uring_sqe *sqe = cu_entry(ring);
    if (!sqe) return -1;
    io_uring_prep_cancel64(sqe, target, 0);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    sqe->user_data = token;
    return 0;
}

// Why C: liburing's inline functions.
int32_t cu_queue_close(struct cu_ring *ring, int32_t descriptor, uint64_t token) {
    struct io_uring_sqe *sqe = cu_entry(ring);
    if (!sqe) return -1;
    io_uring_prep_close(sqe, descriptor);
    sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
    sqe->user_data = token;
    return 0;
}
