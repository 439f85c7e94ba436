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
//
// The region is as large as 128 workers with 1024 zones and 8192 peers need it: 221 MiB of addresses, most of them
// shares. Pages that nobody has written to take no memory: 4 workers with 300 peers come to about 400 KiB.

#ifndef CSHARED_H
#define CSHARED_H

#include "CSharedCounters.h"
#include "CSharedSessions.h"
#include "CSharedStaples.h"
#include "CSharedTickets.h"
#include "CSharedWords.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// "weir-shm" in memory.
#define CS_MAGIC 0x6D68732D72696577ULL
#define CS_LAYOUT 2

enum {
    CS_WORKERS = 128,
    CS_GROUPS = 2048,
    CS_PEERS = 8192,
    CS_ZONES = 1024,
    CS_IDENTITY_BYTES = 128,
    CS_REASON_BYTES = 64,
    CS_RELOAD_BYTES = 256,
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
    CS_HEADER_ZONES_USED,
    CS_HEADER_LOADED_AT,         ///< When the committed configuration came; wall clock, milliseconds.
    CS_HEADER_LAST_RELOAD,       ///< 0: none yet, 1: done, 2: refused.
    CS_HEADER_LAST_RELOAD_TOOK,  ///< Milliseconds.
    CS_HEADER_PROBER_PID,        ///< 0: none; likewise the admin process.
    CS_HEADER_PROBER_RESPAWNS,
    CS_HEADER_ADMIN_PID,
    CS_HEADER_ADMIN_RESPAWNS,
    CS_HEADER_RELOAD_TEXT_BYTES,
    CS_HEADER_RELOAD_TEXT = 32,  ///< Why the last reload was refused.
    CS_HEADER_WORDS = 512,
} cs_header_field;

typedef enum {
    // Written by the master.
    CS_WORKER_PID = 0,
    CS_WORKER_STATE,
    CS_WORKER_RESPAWNS,
    CS_WORKER_STARTED_AT,            ///< Wall clock, milliseconds.
    // Written by the worker in this slot.
    CS_WORKER_ACCEPTED = 8,
    CS_WORKER_ACTIVE,
    CS_WORKER_REFUSED,               ///< Closed at once: no slot, no descriptor, no memory.
    CS_WORKER_BUFFERS_STARVED,       ///< Receives that found no buffer in the pool.
    CS_WORKER_DESCRIPTORS_STARVED,   ///< Times accepting paused because descriptors were used up.
    CS_WORKER_TURNS,
    CS_WORKER_LAST_TURN_AT,          ///< Monotonic milliseconds.
    CS_WORKER_WAITING,               ///< Of the active sessions those whose first packet is not complete.
    CS_WORKER_COMPLETIONS,
    CS_WORKER_LOG_LINES_LOST,
    CS_WORKER_INQUIRIES,
    // As of the last second in which the worker did something.
    CS_WORKER_DESCRIPTORS,
    CS_WORKER_DESCRIPTORS_MAX,
    CS_WORKER_SESSIONS_MAX,
    CS_WORKER_BUFFERS,               ///< Of the pool; it grows when receives find none.
    CS_WORKER_BUFFERS_MAX,
    CS_WORKER_BUFFER_BYTES,          ///< Of one.
    CS_WORKER_TLS_BUFFERS,           ///< In use.
    CS_WORKER_PIPES,
    CS_WORKER_PIPES_IDLE,
    CS_WORKER_RING_FULL,             ///< Times the submission queue was full in the middle of a turn.
    CS_WORKER_RING_OVERFLOWS,        ///< Completions that the kernel had to keep for want of room.
    CS_WORKER_GENERATIONS,           ///< Configurations that sessions still hold, the committed one included.
    CS_WORKER_SETTINGS,
    CS_WORKER_CLOSED = 40,           ///< One for each CloseReason.
    CS_WORKER_CONNECTS = 72,         ///< cs_connect_field.
    CS_WORKER_TLS_CLIENTS = 88,      ///< cs_tls_field: handshakes with clients.
    CS_WORKER_TLS_BROKERS = 104,     ///< The same with brokers.
    CS_WORKER_HISTOGRAMS = 120,      ///< cs_histogram.
    CS_WORKER_WORDS = 216,
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
    CS_PEER_ADMIN_SINCE,             ///< The last change of `ADMIN`, wall clock, milliseconds; 0: none yet.
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
    CS_PEER_DOWN_SINCE,              ///< Not up since then, wall clock; 0: up.
    CS_PEER_DOWN_TIME,               ///< Milliseconds that it was not up before.
    CS_PEER_BACK_AT,                 ///< When it was last up again, wall clock; 0: it was always up.
    CS_PEER_REASON = 40,
    // Written by several workers, under the group's lock or, when its holder is late, without it.
    CS_PEER_FAILS = 48,
    CS_PEER_ACCESSED,
    CS_PEER_CHECKED,
    CS_PEER_EFFECTIVE_WEIGHT,
    CS_PEER_CURRENT_WEIGHT,
    CS_PEER_OUT_SINCE,               ///< The last failure window: its begin, monotonic milliseconds; 0: none yet,
    CS_PEER_OUT_UNTIL,               ///< its end, which moves with each failure and comes early with a success,
    CS_PEER_OUT_TIME,                ///< and how long all windows before it were.
    CS_PEER_WORDS = 56,
} cs_peer_field;

/// A `status_zone`. Written by the master.
typedef enum {
    CS_ZONE_USE = 0,                 ///< cs_use.
    CS_ZONE_NAME_BYTES,              ///< Of the whole name, which may be longer than what is kept.
    CS_ZONE_NAME = 8,
    CS_ZONE_WORDS = 24,
} cs_zone_field;

/// Which configuration names a slot.
typedef enum { CS_USE_COMMITTED = 1, CS_USE_PREPARED = 2 } cs_use;

/// One worker's dealings with one peer. Written by that worker; the master clears `ACTIVE` when the worker has died.
/// Times are sums in milliseconds.
typedef enum {
    CS_SHARE_ACTIVE = 0,
    CS_SHARE_SESSIONS,               ///< Given to the peer, whatever came of it.
    CS_SHARE_CONNECTS_FAILED,
    CS_SHARE_BYTES_TO_PEER,
    CS_SHARE_BYTES_FROM_PEER,
    CS_SHARE_SELECTED_AT,            ///< The last choice: monotonic milliseconds; 0: never.
    CS_SHARE_TIMES_OUT,              ///< Failure windows that this worker began.
    CS_SHARE_CONNECTED,
    CS_SHARE_CONNECT_TIME,
    CS_SHARE_FIRST_BYTES,            ///< Sessions in which the peer has said something.
    CS_SHARE_FIRST_BYTE_TIME,
    CS_SHARE_ENDED,                  ///< Sessions that were connected and are over.
    CS_SHARE_SESSION_TIME,
    CS_SHARE_TLS,                    ///< cs_tls_field, without the last two.
    CS_SHARE_WORDS = 24,
} cs_share_field;

/// One worker's part of one zone. Written by that worker; the master clears `PROCESSING` when the worker has died.
typedef enum {
    CS_ZONE_PROCESSING = 0,
    CS_ZONE_CONNECTIONS,
    CS_ZONE_SESSIONS_2XX,
    CS_ZONE_SESSIONS_4XX,
    CS_ZONE_SESSIONS_5XX,
    CS_ZONE_DISCARDED,               ///< Connections that never became sessions.
    CS_ZONE_RECEIVED,                ///< Bytes from clients, without what TLS adds.
    CS_ZONE_SENT,
    CS_ZONE_TLS,                     ///< cs_tls_field.
    CS_ZONE_SHARE_WORDS = 24,
} cs_zone_share_field;

typedef struct {
    cs_word header[CS_HEADER_WORDS];
    cs_word group_hashes[CS_GROUPS];
    cs_word peer_hashes[CS_PEERS];
    cs_word zone_hashes[CS_ZONES];
    cs_word workers[CS_WORKERS][CS_WORKER_WORDS];
    cs_word groups[CS_GROUPS][CS_GROUP_WORDS];
    cs_word peers[CS_PEERS][CS_PEER_WORDS];
    cs_word zones[CS_ZONES][CS_ZONE_WORDS];
    cs_events events[CS_EVENT_RINGS];
    cs_word zone_shares[CS_WORKERS][CS_ZONES][CS_ZONE_SHARE_WORDS];
    cs_word shares[CS_WORKERS][CS_PEERS][CS_SHARE_WORDS];
} cs_region;

CS_STARTS_LINE(CS_HEADER_WORDS);
CS_STARTS_LINE(CS_WORKER_ACCEPTED);
CS_STARTS_LINE(CS_WORKER_CLOSED);
CS_STARTS_LINE(CS_WORKER_HISTOGRAMS);
CS_STARTS_LINE(CS_WORKER_WORDS);
CS_STARTS_LINE(CS_GROUP_NAME);
CS_STARTS_LINE(CS_GROUP_LOCK);
CS_STARTS_LINE(CS_GROUP_WORDS);
CS_STARTS_LINE(CS_PEER_IDENTITY);
CS_STARTS_LINE(CS_PEER_HEALTH);
CS_STARTS_LINE(CS_PEER_REASON);
CS_STARTS_LINE(CS_PEER_FAILS);
CS_STARTS_LINE(CS_PEER_WORDS);
CS_STARTS_LINE(CS_ZONE_WORDS);
CS_STARTS_LINE(CS_SHARE_WORDS);
CS_STARTS_LINE(CS_ZONE_SHARE_WORDS);
_Static_assert(CS_HEADER_RELOAD_TEXT_BYTES < CS_HEADER_RELOAD_TEXT, "the header's numbers end before its text");
_Static_assert(CS_HEADER_RELOAD_TEXT + CS_RELOAD_BYTES / 8 <= CS_HEADER_WORDS, "room of a reload's reason");
_Static_assert(CS_WORKER_SETTINGS < CS_WORKER_CLOSED, "a worker's numbers end before its tables");
_Static_assert(CS_WORKER_CLOSED + CS_CLOSE_REASONS == CS_WORKER_CONNECTS, "a counter for each close reason");
_Static_assert(CS_WORKER_CONNECTS + CS_CONNECT_WORDS == CS_WORKER_TLS_CLIENTS, "a counter for each outcome");
_Static_assert(CS_WORKER_TLS_CLIENTS + CS_TLS_WORDS <= CS_WORKER_TLS_BROKERS, "room of TLS towards clients");
_Static_assert(CS_WORKER_TLS_BROKERS + CS_TLS_WORDS <= CS_WORKER_HISTOGRAMS, "room of TLS towards brokers");
_Static_assert(CS_WORKER_HISTOGRAMS + CS_HISTOGRAMS * CS_HISTOGRAM_WORDS == CS_WORKER_WORDS, "room of histograms");
_Static_assert(CS_SHARE_TLS + CS_TLS_CLIENT_WORDS <= CS_SHARE_WORDS, "room of a peer's TLS");
_Static_assert(CS_ZONE_TLS + CS_TLS_WORDS <= CS_ZONE_SHARE_WORDS, "room of a zone's TLS");
_Static_assert((CS_GROUP_LOCK - CS_GROUP_NAME) * 8 == CS_IDENTITY_BYTES, "room of a group's name");
_Static_assert((CS_ZONE_WORDS - CS_ZONE_NAME) * 8 == CS_IDENTITY_BYTES, "room of a zone's name");
_Static_assert((CS_PEER_HEALTH - CS_PEER_IDENTITY) * 8 == CS_IDENTITY_BYTES, "room of a peer's identity");
_Static_assert((CS_PEER_FAILS - CS_PEER_REASON) * 8 == CS_REASON_BYTES, "room of a reason");
_Static_assert(offsetof(cs_region, group_hashes) == 4096, "layout 2");
_Static_assert(offsetof(cs_region, peer_hashes) == 20480, "layout 2");
_Static_assert(offsetof(cs_region, zone_hashes) == 86016, "layout 2");
_Static_assert(offsetof(cs_region, workers) == 94208, "layout 2");
_Static_assert(offsetof(cs_region, groups) == 315392, "layout 2");
_Static_assert(offsetof(cs_region, peers) == 839680, "layout 2");
_Static_assert(offsetof(cs_region, zones) == 4509696, "layout 2");
_Static_assert(offsetof(cs_region, events) == 4706304, "layout 2");
_Static_assert(offsetof(cs_region, zone_shares) == 4804736, "layout 2");
_Static_assert(offsetof(cs_region, shares) == 29970560, "layout 2");
_Static_assert(sizeof(cs_region) == 231297152, "layout 2");

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
static inline cs_word *cs_worker_connects(void *region, uint32_t worker, cs_connect_field field) {
    return &((cs_region *)region)->workers[worker][CS_WORKER_CONNECTS + field];
}
static inline cs_word *cs_worker_histogram(void *region, uint32_t worker, cs_histogram histogram) {
    return &((cs_region *)region)->workers[worker][CS_WORKER_HISTOGRAMS + histogram * CS_HISTOGRAM_WORDS];
}
static inline cs_word *cs_zone(void *region, uint32_t zone, cs_zone_field field) {
    return &((cs_region *)region)->zones[zone][field];
}
static inline cs_word *cs_zone_share(void *region, uint32_t worker, uint32_t zone, cs_zone_share_field field) {
    return &((cs_region *)region)->zone_shares[worker][zone][field];
}
static inline cs_events *cs_events_of(void *region, cs_event_ring ring) {
    return &((cs_region *)region)->events[ring];
}
static inline cs_word *cs_zone_hashes(void *region) { return ((cs_region *)region)->zone_hashes; }
static inline cs_word *cs_group_hashes(void *region) { return ((cs_region *)region)->group_hashes; }
static inline cs_word *cs_peer_hashes(void *region) { return ((cs_region *)region)->peer_hashes; }

#pragma clang assume_nonnull end

#endif
