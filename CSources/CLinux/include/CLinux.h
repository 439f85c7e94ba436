// SPDX-License-Identifier: Apache-2.0
//
// What Swift cannot say about Linux: calls that are variadic, that the importer hides (fork), or that exist only as
// macros (control messages, wait status, signal dispositions). Every function answers -errno for a failure, owns
// nothing and allocates nothing. LinuxIO gives them types.

#ifndef CLINUX_H
#define CLINUX_H

#include <stdbool.h>
#include <stdint.h>

// MARK: Processes (process.c)

/// 0 in the child, the child's id in the parent.
int32_t cl_fork(void);

typedef struct {
    int32_t pid;      ///< 0: nobody has ended.
    int32_t code;     ///< Exit code; meaningful when `signal` is 0.
    int32_t signal;   ///< The signal that ended the process, else 0.
    bool dumped_core;
} cl_ending;

/// waitpid(2) for `pid` (-1: any child).
int32_t cl_wait(int32_t pid, bool may_block, cl_ending *ending);

/// 64 bits of chance.
int32_t cl_random(uint64_t *value);

int32_t cl_set_parent_death_signal(int32_t signal);
/// Cut by the kernel at 15 bytes.
int32_t cl_set_name(const char *name);
int32_t cl_set_dumpable(bool on);
/// Whether permitted capabilities survive the setuid(2) that follows.
int32_t cl_keep_capabilities(bool on);
/// Narrows the permitted and effective capabilities to CAP_NET_RAW (`proxy_bind … transparent`).
int32_t cl_reduce_to_net_raw(void);

/// Bit n of word n / 64 stands for CPU n.
int32_t cl_set_affinity(const uint64_t *words, uint32_t word_count);
/// The number of words filled in.
int32_t cl_get_affinity(uint64_t *words, uint32_t word_count);

// MARK: Signals (signal.c). Bit n - 1 of a mask stands for signal n.

int32_t cl_block_signals(uint64_t mask);
/// Every disposition back to default and nothing blocked.
int32_t cl_reset_signals(void);
int32_t cl_ignore_signal(int32_t signal);
/// A non-blocking signalfd(2) for signals that are blocked.
int32_t cl_signal_descriptor(uint64_t mask);

typedef struct {
    int32_t number;
    int32_t sender;   ///< Process id, 0 for the kernel.
    int32_t code;     ///< si_code.
} cl_signal;

/// 1 with a signal, 0 when none is pending.
int32_t cl_read_signal(int32_t descriptor, cl_signal *signal);

// MARK: Files and memory (file.c)

int32_t cl_open(const char *path, int32_t flags, uint32_t mode);
int32_t cl_set_nonblocking(int32_t descriptor, bool on);
int32_t cl_set_close_on_exec(int32_t descriptor, bool on);
/// Closes first … last.
int32_t cl_close_range(uint32_t first, uint32_t last);
/// So many free bytes at the heap's end stay with the process.
void cl_keep_heap(uint32_t byte_count);
int32_t cl_memory_file(const char *name);
/// No writing, growing, shrinking or unsealing from here on.
int32_t cl_seal_all(int32_t descriptor);
/// No growing or shrinking from here on, so that a mapping never faults.
int32_t cl_seal_size(int32_t descriptor);
/// True exactly when `cl_seal_all` was done.
bool cl_is_sealed(int32_t descriptor);
/// A shared mapping; pages are not reserved.
int32_t cl_map(int32_t descriptor, uint64_t byte_count, bool is_writable, void **base);
/// A shared mapping without a file: only this process and what it forks ever has it.
int32_t cl_map_nameless(uint64_t byte_count, void **base);
/// The mapping's bytes never stand in a core file.
int32_t cl_keep_out_of_dumps(void *base, uint64_t byte_count);
/// Bytes that wait to be read.
int32_t cl_readable_bytes(int32_t descriptor);
/// The pipe's capacity after the change.
int32_t cl_set_pipe_capacity(int32_t descriptor, int32_t byte_count);

// MARK: Sockets (socket.c)

/// The next connection of a listener's queue, non-blocking and close-on-exec. `name` and `name_bytes` as in accept(2).
int32_t cl_accept(int32_t listener, void *name, uint32_t *name_bytes);

/// One packet with at most one descriptor beside it (-1: none), without blocking. The bytes sent.
int64_t cl_send_packet(int32_t socket, const void *bytes, uint64_t byte_count, int32_t descriptor);
/// One packet, without blocking. `descriptor` is -1 when none came; further ones are closed. `is_cut` says that the
/// packet or its descriptors did not fit.
int64_t cl_receive_packet(int32_t socket, void *bytes, uint64_t byte_count, int32_t *descriptor, bool *is_cut);

/// New connections of the reuseport group of `socket` go to its first `count` members, at random.
int32_t cl_steer(int32_t socket, uint32_t count);
/// Back to the kernel's own spreading.
int32_t cl_unsteer(int32_t socket);

// MARK: Splicing (splice.c)

/// splice(2) without blocking and without offsets.
int64_t cl_splice(int32_t from, int32_t to, uint64_t byte_count);

typedef enum { CL_SIDE_NONE = 0, CL_SIDE_SOURCE = 1, CL_SIDE_TARGET = 2 } cl_side;

typedef struct {
    uint64_t bytes_in;         ///< Taken from the source into the pipe.
    uint64_t bytes_out;        ///< Given from the pipe to the target.
    uint64_t pending;          ///< Left in the pipe.
    int32_t error;             ///< errno of the side that failed, else 0.
    uint8_t failed_side;       ///< cl_side.
    bool is_source_ended;      ///< The source is at its end; `pending` bytes may still be in the pipe.
    bool blocks_on_source;     ///< The pipe is empty and the source has nothing.
    bool blocks_on_target;     ///< The pipe is not empty and the target takes nothing.
} cl_pump_result;              ///< None of the flags and no error: the budget is used.

/// Moves source → pipe → target without blocking until a side would block, ends or fails, or `budget` bytes were taken
/// in. `pending` bytes are in the pipe already. At most `chunk` bytes are taken at a time.
cl_pump_result cl_splice_pump(int32_t source, int32_t pipe_write, int32_t pipe_read, int32_t target,
                              uint64_t pending, uint64_t budget, uint64_t chunk);

#endif
