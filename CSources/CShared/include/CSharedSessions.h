// SPDX-License-Identifier: Apache-2.0
//
// TLS sessions that all workers share (`ssl_session_cache shared:NAME:SIZE`): one mapping, which is a log of entries
// that overwrites its oldest, and an index of buckets into it. Written by workers one at a time, read by all at any
// time without a lock.
//
//      lines of words │ buckets of 8 index words │ log: entries of whole words, none of them in two pieces
//                                                  floor ──────────────► head    (positions count on for ever)
//
// 1. An entry is there exactly while `floor` <= its position. The floor is raised before bytes are overwritten, so a
//    reader that finds it unmoved after copying has an entry of one piece.
// 2. `head` moves behind a written entry, and an index word names it after that. A worker that dies at any point of
//    this leaves a valid cache; only its lock stays, which the master takes back by its process id.
// 3. Nobody waits: a worker that does not get the lock in some microseconds does not keep the session, and the client
//    shakes hands in full next time. Entries are removed without the lock.
// 4. Lengths and positions that are read are checked before they are used for an address: they may be torn. The size
//    is the master's word and trusted.

#ifndef CSHAREDSESSIONS_H
#define CSHAREDSESSIONS_H

#include "CSharedWords.h"

#include <stddef.h>

enum {
    CS_SESSION_ID_BYTES_MAX = 32,
    CS_SESSION_BYTES_MAX = 4096,
    /// The least that nginx takes.
    CS_SESSIONS_BYTES_MIN = 32768,
};

/// Makes an empty cache of zeroes; false when `bytes` is less than the least. By the master, once.
bool cs_sessions_format(void *cache, size_t bytes);

/// Whether a mapping of `bytes` is a cache of that size.
bool cs_sessions_is_valid(const void *cache, size_t bytes);

/// Frees the lock if this process, which has ended, holds it. By the master, before it forks again.
void cs_sessions_release(void *cache, int32_t process_id);

// MARK: For OpenSSL's callbacks. Without nullability, so that Swift can hand the functions themselves to CTLS.

/// Keeps a session under its id, in place of an older one of the same id. `expires_seconds` is of the clock that
/// `cs_sessions_get` is asked with. 0: kept. -1: too long, or the lock was not to be had.
int cs_sessions_put(void *cache, const uint8_t *id, size_t id_length, const uint8_t *bytes, size_t length,
                    uint64_t expires_seconds);

/// Copies a session that has not expired and fits; its length, else 0.
int cs_sessions_get(void *cache, const uint8_t *id, size_t id_length, uint8_t *out, size_t capacity,
                    uint64_t now_seconds);

void cs_sessions_remove(void *cache, const uint8_t *id, size_t id_length);

#endif
