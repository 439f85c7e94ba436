// SPDX-License-Identifier: Apache-2.0
//
// epoll for the load generator, which watches eighteen thousand sockets: too many for poll(2), and Swift's Glibc module
// has no sys/epoll.h. The balancer itself lives on io_uring and does not link this. -errno for a failure.

#ifndef CEPOLL_H
#define CEPOLL_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    uint64_t token;     ///< What was given when the descriptor was added.
    bool is_readable;   ///< Bytes, an end, an error or a connection to accept.
    bool is_writable;   ///< Room to send, or a connect that has come to something.
} ce_event;

/// A new set, close-on-exec.
int32_t ce_make(void);
int32_t ce_add(int32_t set, int32_t descriptor, uint64_t token, bool wants_room);
/// Whether room to send is reported, beside what is to be read.
int32_t ce_change(int32_t set, int32_t descriptor, uint64_t token, bool wants_room);
/// The number of events; level-triggered. An interrupting signal counts as none. `count` is at most CE_EVENTS_MAX.
int32_t ce_wait(int32_t set, ce_event *events, uint32_t count, int64_t nanoseconds);
/// How late the kernel may wake this thread, 50 microseconds by default: a quarter of the latencies that are measured.
int32_t ce_set_timer_slack(uint64_t nanoseconds);

enum { CE_EVENTS_MAX = 256 };

#endif
