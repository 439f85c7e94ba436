// SPDX-License-Identifier: Apache-2.0
//
// The keys of session tickets that Weir makes by itself: the current one and the two before it, in shared memory that
// has no file (LinuxIO's `mapSecret`), so that nobody but the master and its children ever reaches it. Key bytes go
// from the kernel into this memory and from it into OpenSSL's; no other module holds them.
//
// 1. The master alone writes. A region of zeroes is valid and has no key.
// 2. `CS_TICKETS_SEQUENCE` is odd exactly while the master writes; a copy counts when it was even and has not moved.

#ifndef CSHAREDTICKETS_H
#define CSHAREDTICKETS_H

#include "CSharedWords.h"

/// nginx's long form: 16 bytes of name, then 64 of secrets.
enum { CS_TICKET_KEY_BYTES = 80, CS_TICKET_NAME_BYTES = 16, CS_TICKET_KEYS = 3 };

typedef enum {
    CS_TICKETS_SEQUENCE = 0,
    CS_TICKETS_COUNT,           ///< Keys there are, the current one first.
    CS_TICKETS_CREATED_AT,      ///< Of the current key: monotonic milliseconds.
    CS_TICKETS_KEYS = 8,
    CS_TICKETS_WORDS = 40,
} cs_tickets_field;

_Static_assert(CS_TICKETS_KEYS + CS_TICKET_KEYS * CS_TICKET_KEY_BYTES / 8 <= CS_TICKETS_WORDS, "room of the keys");
CS_STARTS_LINE(CS_TICKETS_KEYS);
CS_STARTS_LINE(CS_TICKETS_WORDS);

enum { CS_TICKETS_BYTES = CS_TICKETS_WORDS * 8 };

/// A new current key from getrandom(2); the oldest is gone. By the master. 0, or -errno and nothing has changed.
int32_t cs_tickets_rotate(void *region, uint64_t now_milliseconds);

/// Monotonic milliseconds; 0: there is no key.
uint64_t cs_tickets_created_at(const void *region);

// MARK: For OpenSSL's callbacks. Without nullability, so that Swift can hand the functions themselves to CTLS.

/// The key that new tickets are made with. 0: there is none, or the master is late with writing one; the connection
/// then goes without a ticket.
int cs_tickets_current(const void *region, uint8_t out[80]);

/// The key of this name. 0: none of ours, or none any more; the handshake is a full one. `is_current` says whether a
/// ticket of it needs no renewal.
int cs_tickets_find(const void *region, const uint8_t name[16], uint8_t out[80], int *is_current);

#endif
