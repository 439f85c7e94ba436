// SPDX-License-Identifier: Apache-2.0
//
// Counters that stand at several places of the shared region in the same order: TLS, histograms, outcomes of CONNECT,
// and the rings of events. Where they stand is CShared.h's.

#ifndef CSHAREDCOUNTERS_H
#define CSHAREDCOUNTERS_H

#include "CSharedWords.h"

#include <stdbool.h>
#include <stdint.h>

/// Handshakes of one side. The last two happen only where we are the server.
typedef enum {
    CS_TLS_HANDSHAKES = 0,        ///< That succeeded.
    CS_TLS_FAILED,
    CS_TLS_REUSES,                ///< Of those that succeeded, the abbreviated ones.
    CS_TLS_NO_PROTOCOL,           ///< From here on: kinds of what went wrong.
    CS_TLS_TIMEOUTS,
    CS_TLS_PEER_REJECTED,         ///< The other side did not like our certificate.
    CS_TLS_VERIFY_EXPIRED,
    CS_TLS_VERIFY_REVOKED,
    CS_TLS_VERIFY_NAME,
    CS_TLS_VERIFY_OTHER,
    CS_TLS_CLIENT_WORDS,          ///< So many where we are the client.
    CS_TLS_NO_CIPHER = CS_TLS_CLIENT_WORDS,
    CS_TLS_VERIFY_NONE,           ///< No certificate where one is required.
    CS_TLS_WORDS,
} cs_tls_field;

/// What became of the first bytes of a client, where they are read.
typedef enum {
    CS_CONNECT_ACCEPTED_31 = 0,
    CS_CONNECT_ACCEPTED_311,
    CS_CONNECT_ACCEPTED_5,
    CS_CONNECT_REFUSED_31,        ///< By us: malformed, or larger than `preread_buffer_size`.
    CS_CONNECT_REFUSED_311,
    CS_CONNECT_REFUSED_5,
    CS_CONNECT_REFUSED_UNKNOWN,
    CS_CONNECT_NOT_MQTT,          ///< Passed on or not.
    CS_CONNECT_INCOMPLETE,        ///< The client ended or was too slow.
    CS_CONNECT_WORDS = 16,
} cs_connect_field;

/// Which histogram of a worker.
typedef enum {
    CS_HISTOGRAM_CONNECT_TIME = 0,
    CS_HISTOGRAM_FIRST_BYTE_TIME,
    CS_HISTOGRAM_SESSION_LENGTH,
    CS_HISTOGRAM_TURN_LENGTH,
    CS_HISTOGRAMS,
} cs_histogram;

/// A histogram is a count for each bucket and a sum. Bucket i holds values up to 2^i steps that no bucket before holds;
/// the last one holds all that are larger.
enum {
    CS_HISTOGRAM_BUCKETS = 23,
    CS_HISTOGRAM_SUM = CS_HISTOGRAM_BUCKETS,
    CS_HISTOGRAM_WORDS = 24,
};

enum {
    CS_EVENTS = 256,
    CS_EVENT_TEXT_BYTES = 160,
};

/// Who writes a ring of events.
typedef enum { CS_EVENTS_MASTER = 0, CS_EVENTS_PROBER, CS_EVENT_RINGS } cs_event_ring;

typedef enum {
    CS_EVENT_NUMBER = 0,          ///< Counted from 1; 0 while the event is being written.
    CS_EVENT_AT,                  ///< Wall clock, milliseconds.
    CS_EVENT_KIND,
    CS_EVENT_TEXT_COUNT,
    CS_EVENT_TEXT,
    CS_EVENT_WORDS = 24,
} cs_event_field;

/// The last CS_EVENTS events of one writer: event n stands at place n % CS_EVENTS. A reader takes an event only if its
/// number is the same before and after.
typedef struct {
    cs_word count;                ///< Events ever.
    cs_word rest_of_line[7];
    cs_word places[CS_EVENTS][CS_EVENT_WORDS];
} cs_events;

CS_STARTS_LINE(CS_HISTOGRAM_WORDS);
CS_STARTS_LINE(CS_EVENT_WORDS);
_Static_assert((CS_EVENT_WORDS - CS_EVENT_TEXT) * 8 == CS_EVENT_TEXT_BYTES, "room of an event's text");
_Static_assert(CS_HISTOGRAM_SUM < CS_HISTOGRAM_WORDS, "room of a histogram's sum");
_Static_assert(CS_CONNECT_INCOMPLETE < CS_CONNECT_WORDS, "room of the outcomes");

#pragma clang assume_nonnull begin

/// The bucket for `steps`: the lowest i with steps <= 2^i.
static inline uint32_t cs_bucket(uint64_t steps) {
    if (steps <= 1) return 0;
    uint32_t bits = 64 - (uint32_t)__builtin_clzll(steps - 1);
    return bits < CS_HISTOGRAM_BUCKETS ? bits : CS_HISTOGRAM_BUCKETS - 1;
}

static inline cs_word *cs_event_count(cs_events *events) { return &events->count; }
static inline cs_word *cs_event(cs_events *events, uint64_t number, cs_event_field field) {
    return &events->places[number % CS_EVENTS][field];
}
/// By the ring's writer, before it writes event `number`.
static inline void cs_event_begin(cs_events *events, uint64_t number) {
    cs_store(cs_event(events, number, CS_EVENT_NUMBER), 0);
    atomic_thread_fence(memory_order_release);
}
/// And after.
static inline void cs_event_end(cs_events *events, uint64_t number) {
    cs_store_release(cs_event(events, number, CS_EVENT_NUMBER), number);
    cs_store_release(&events->count, number);
}
/// Before a reader reads event `number`, and again after, when only a second yes makes what it read that event.
static inline bool cs_event_is(cs_events *events, uint64_t number) {
    atomic_thread_fence(memory_order_acquire);
    return cs_load_acquire(cs_event(events, number, CS_EVENT_NUMBER)) == number;
}

#pragma clang assume_nonnull end

#endif
