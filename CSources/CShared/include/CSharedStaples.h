// SPDX-License-Identifier: Apache-2.0
//
// OCSP responses that the prober has fetched and all workers staple: a table of places in memory without a file, each
// with the key of one certificate and the response for it. It lives as long as the master, so that a response outlives
// reloads and crashes.
//
// 1. The prober alone writes. A region of zeroes is valid and has no response.
// 2. A place's sequence is odd exactly while it is written; a copy counts when the sequence was even and has not moved.
//    A prober that dies in the middle leaves it odd, and its successor clears such places before all else.
// 3. A key stands within `CS_STAPLES_REACH` places from the one that its first bytes name, and nowhere else. Places are
//    never freed, only taken over, so that a response of a certificate that comes back is still there.
// 4. Lengths that are read are checked before they are used: they may be torn.

#ifndef CSHAREDSTAPLES_H
#define CSHAREDSTAPLES_H

#include "CSharedWords.h"

#include <stddef.h>

enum {
    CS_STAPLE_KEY_BYTES = 32,
    /// nginx's bound of an answer.
    CS_STAPLE_BYTES_MAX = 16384,
    CS_STAPLES = 1024,
    CS_STAPLES_REACH = 16,
};

typedef enum {
    CS_STAPLE_SEQUENCE = 0,
    CS_STAPLE_LENGTH,           ///< Of the response; 0: none.
    CS_STAPLE_HOLDS_UNTIL,      ///< Wall clock, seconds: the response's nextUpdate, or the largest number for none.
    CS_STAPLE_ASK_AT,           ///< Wall clock, seconds: when the prober asks again.
    CS_STAPLE_KEY,
    CS_STAPLE_WORDS = 8,
} cs_staple_field;

typedef struct {
    cs_word places[CS_STAPLES][CS_STAPLE_WORDS];
    cs_word bytes[CS_STAPLES][CS_STAPLE_BYTES_MAX / 8];
} cs_staples;

_Static_assert(CS_STAPLE_KEY + CS_STAPLE_KEY_BYTES / 8 <= CS_STAPLE_WORDS, "room of a key");
_Static_assert((CS_STAPLES & (CS_STAPLES - 1)) == 0, "places are found by a mask");
CS_STARTS_LINE(CS_STAPLE_WORDS);

enum { CS_STAPLES_BYTES = sizeof(cs_staples) };

/// Clears what a prober that died has left half written. By the prober, before it writes.
void cs_staples_mend(void *region);

/// The place of a key, or `CS_STAPLES`: it has none.
uint32_t cs_staples_place(const void *region, const uint8_t key[32]);

/// Keeps a response at a place, which becomes the key's. `place` is that of `cs_staples_place`, or within reach of the
/// key's first place. By the prober.
void cs_staples_put(void *region, uint32_t place, const uint8_t key[32], const uint8_t *bytes, size_t length,
                    uint64_t holds_until_seconds, uint64_t ask_at_seconds);

/// The first place of a key; the others of its reach follow, from the last on to 0.
uint32_t cs_staples_home(const uint8_t key[32]);

/// The key at a place; false: none has been there.
bool cs_staples_key(const void *region, uint32_t place, uint8_t key[32]);

/// When the prober meant to ask again for the response at a place, and until when it holds.
uint64_t cs_staples_ask_at(const void *region, uint32_t place);
uint64_t cs_staples_holds_until(const void *region, uint32_t place);

// MARK: For OpenSSL's callback. Without nullability, so that Swift can hand the function itself to CTLS.

/// Copies the response for a key into `out`; its length. 0: there is none, it does not hold any more, it does not fit,
/// or the prober is late with writing it; the handshake then goes without.
int cs_staples_get(const void *region, const uint8_t key[32], uint8_t *out, size_t capacity, uint64_t now_seconds);

#endif
