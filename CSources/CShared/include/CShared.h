// SPDX-License-Identifier: Apache-2.0
//
// The layout of the shared region: one mapping that the master, all workers, the prober and readers like `weirctl` see
// at once. Every field is one aligned 64-bit atomic word, so that no read of a number is ever torn; texts are rows of
// such words and may be read half old, half new, which shows for one look in a report and harms nothing.
//
// 1. Every word has one writing process, named at its enum, but for the group's lock and the failure windows, which
//    several workers write. A word written by one process is plain load and store; no locked instruction.
// 2. Words of different writers never share a cache line.
// 3. A region of zeroes is a valid, empty region. `CS_MAGIC` is stored last.
// 4. A slot is taken exactly while its word in the table of hashes is not 0; that word is stored after the slot's
//    content (release) and read before it (acquire).

#ifndef CSHARED_H
#define CSHARED_H

#include "CSharedSessions.h"
#include "CSharedStaples.h"
#include "CSharedTickets.h"
#include "CSharedWords.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// "weir-shm" in memory.
#define CS_MAGIC 0x6D68732D72696577ULL
#define CS_LAYOUT 1

enum {
    CS_WORKERS = 128,
    CS_GROUPS = 2048,
    CS_PEERS = 8192,
    CS_IDENTITY_BYTES = 128,
    CS_REASON_BYTES = 64,
    CS_CLOSE_REASONS = 32,
};

/// Written by the master.
typedef enum {
    CS_HEADER_MAGIC = 0,
    CS_HEADER_LAYOUT,
    CS_HEADER_BYTES,
    CS_HEADER_MASTER_PID,
    CS_HEADER_STARTED_AT,        ///< Wall clock, milliseconds.
    CS_HEADER_GENERATION,        ///< The committed one.
    CS_HEADER_RELOADS_DONE,
    CS_HEADER_RELOADS_REFUSED,
    CS_HEADER_LAST_RELOAD_AT,    ///< Wall clock, milliseconds.
    CS_HEADER_WORKERS_USED,      ///< Slots below this were given out at some time; likewise the next two.
    CS_HEADER_GROUPS_USED,
    CS_HEADER_PEERS_USED,
    CS_HEADER_WORDS = 512,
} cs_header_field;

typedef enum {
    // Written by the master.
    CS_WORKER_PID = 0,
    CS_WORKER_STATE,
    CS_WORKER_RESPAWNS,
    // Written by the worker in this slot.
    CS_WORKER_ACCEPTED = 8,
    CS_WORKER_ACTIVE,
    CS_WORKER_REFUSED,               ///< Closed at once: no slot, no descriptor, no memory.
    CS_WORKER_BUFFERS_STARVED,       ///< Receives that found no buffer in the pool.
    CS_WORKER_DESCRIPTORS_STARVED,   ///< Times accepting paused because descriptors were used up.
    CS_WORKER_TURNS,
    CS_WORKER_LAST_TURN_AT,          ///< Monotonic milliseconds.
    CS_WORKER_CLOSED = 16,           ///< One for each CloseReason.
    CS_WORKER_WORDS = 48,
} cs_worker_field;

typedef enum {
    // Written by the master.
    CS_GROUP_USE = 0,                ///< cs_use.
    CS_GROUP_NAME_BYTES,             ///< Of the whole name, which may be longer than what is kept.
    CS_GROUP_NAME = 8,
    // Written by whichever worker changes the group's weights and windows: its process id while it does, else 0.
    CS_GROUP_LOCK = 24,
    CS_GROUP_WORDS = 32,
} cs_group_field;

typedef enum {
    // Written by the master.
    CS_PEER_USE = 0,                 ///< cs_use.
    CS_PEER_GROUP,
    CS_PEER_ADMIN,
    CS_PEER_WEIGHT,                  ///< Of the committed generation.
    CS_PEER_WEIGHT_PREPARED,
    CS_PEER_IDENTITY_BYTES,
    CS_PEER_IDENTITY = 8,
    // Written by the prober.
    CS_PEER_HEALTH = 24,
    CS_PEER_HEALTH_SINCE,            ///< Wall clock, milliseconds; 0: never set.
    CS_PEER_CHECKS,
    CS_PEER_CHECKS_FAILED,
    CS_PEER_TIMES_UNHEALTHY,
    CS_PEER_LAST_CHECK_PASSED,
    CS_PEER_LAST_CHECK_AT,           ///< Wall clock, milliseconds; 0: never.
    CS_PEER_REASON_BYTES,
    CS_PEER_REASON = 32,
    // Written by several workers, under the group's lock or, when its holder is late, without it.
    CS_PEER_FAILS = 40,
    CS_PEER_ACCESSED,
    CS_PEER_CHECKED,
    CS_PEER_EFFECTIVE_WEIGHT,
    CS_PEER_CURRENT_WEIGHT,
    CS_PEER_WORDS = 48,
} cs_peer_field;

/// Which configuration names a slot.
typedef enum { CS_USE_COMMITTED = 1, CS_USE_PREPARED = 2 } cs_use;

/// One worker's dealings with one peer. Written by that worker; the master clears `ACTIVE` when the worker has died.
typedef enum {
    CS_SHARE_ACTIVE = 0,
    CS_SHARE_SESSIONS,
    CS_SHARE_CONNECTS_FAILED,
    CS_SHARE_BYTES_TO_PEER,
    CS_SHARE_BYTES_FROM_PEER,
    CS_SHARE_WORDS = 8,
} cs_share_field;

typedef struct {
    cs_word header[CS_HEADER_WORDS];
    cs_word group_hashes[CS_GROUPS];
    cs_word peer_hashes[CS_PEERS];
    cs_word workers[CS_WORKERS][CS_WORKER_WORDS];
    cs_word groups[CS_GROUPS][CS_GROUP_WORDS];
    cs_word peers[CS_PEERS][CS_PEER_WORDS];
    cs_word shares[CS_WORKERS][CS_PEERS][CS_SHARE_WORDS];
} cs_region;

CS_STARTS_LINE(CS_HEADER_WORDS);
CS_STARTS_LINE(CS_WORKER_ACCEPTED);
CS_STARTS_LINE(CS_WORKER_CLOSED);
CS_STARTS_LINE(CS_WORKER_WORDS);
CS_STARTS_LINE(CS_GROUP_NAME);
CS_STARTS_LINE(CS_GROUP_LOCK);
CS_STARTS_LINE(CS_GROUP_WORDS);
CS_STARTS_LINE(CS_PEER_IDENTITY);
CS_STARTS_LINE(CS_PEER_HEALTH);
CS_STARTS_LINE(CS_PEER_REASON);
CS_STARTS_LINE(CS_PEER_FAILS);
CS_STARTS_LINE(CS_PEER_WORDS);
CS_STARTS_LINE(CS_SHARE_WORDS);
_Static_assert(CS_WORKER_CLOSED + CS_CLOSE_REASONS == CS_WORKER_WORDS, "a counter for each close reason");
_Static_assert((CS_GROUP_LOCK - CS_GROUP_NAME) * 8 == CS_IDENTITY_BYTES, "room of a group's name");
_Static_assert((CS_PEER_HEALTH - CS_PEER_IDENTITY) * 8 == CS_IDENTITY_BYTES, "room of a peer's identity");
_Static_assert((CS_PEER_FAILS - CS_PEER_REASON) * 8 == CS_REASON_BYTES, "room of a reason");
_Static_assert(offsetof(cs_region, group_hashes) == 4096, "layout 1");
_Static_assert(offsetof(cs_region, peer_hashes) == 20480, "layout 1");
_Static_assert(offsetof(cs_region, workers) == 86016, "layout 1");
_Static_assert(offsetof(cs_region, groups) == 135168, "layout 1");
_Static_assert(offsetof(cs_region, peers) == 659456, "layout 1");
_Static_assert(offsetof(cs_region, shares) == 3805184, "layout 1");
_Static_assert(sizeof(cs_region) == 70914048, "layout 1");

#pragma clang assume_nonnull begin

// MARK: Where a word stands. Indices are the caller's promise: SharedState's slot types hold only valid ones.

static inline cs_word *cs_header(void *region, cs_header_field field) {
    return &((cs_region *)region)->header[field];
}
static inline cs_word *cs_worker(void *region, uint32_t worker, cs_worker_field field) {
    return &((cs_region *)region)->workers[worker][field];
}
static inline cs_word *cs_closed(void *region, uint32_t worker, uint8_t reason) {
    return &((cs_region *)region)->workers[worker][CS_WORKER_CLOSED + reason % CS_CLOSE_REASONS];
}
static inline cs_word *cs_group(void *region, uint32_t group, cs_group_field field) {
    return &((cs_region *)region)->groups[group][field];
}
static inline cs_word *cs_peer(void *region, uint32_t peer, cs_peer_field field) {
    return &((cs_region *)region)->peers[peer][field];
}
static inline cs_word *cs_share(void *region, uint32_t worker, uint32_t peer, cs_share_field field) {
    return &((cs_region *)region)->shares[worker][peer][field];
}
static inline cs_word *cs_group_hashes(void *region) { return ((cs_region *)region)->group_hashes; }
static inline cs_word *cs_peer_hashes(void *region) { return ((cs_region *)region)->peer_hashes; }

#pragma clang assume_nonnull end

#endif
