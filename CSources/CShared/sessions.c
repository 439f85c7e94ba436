// SPDX-License-Identifier: Apache-2.0
//
// The session cache's log and index. The order of the stores in `cs_sessions_put` is what the header's rules stand on.

#include "CSharedSessions.h"

#include <string.h>
#include <unistd.h>

/// "weir-tls" in memory.
#define MAGIC 0x736C742D72696577ULL

enum {
    // Written once, by the master.
    HEADER_MAGIC = 0,
    HEADER_BYTES,
    // Written by workers.
    HEADER_LOCK = 8,    ///< The process id of whoever writes.
    HEADER_FLOOR = 16,  ///< Entries below were overwritten.
    HEADER_HEAD,        ///< Where the next entry goes.
    HEADER_WORDS = 24,

    BUCKET_WORDS = 8,
    /// About half of an entry of a client without a certificate, so that about half of the index words are in use.
    BYTES_PER_INDEX_WORD = 128,
    LOCK_PAUSES = 1000,

    // An entry, in words.
    ENTRY_EXPIRES = 0,
    ENTRY_LENGTHS,      ///< Of the session, and of the id in the bits from 32 on.
    ENTRY_ID,
    ENTRY_SESSION = ENTRY_ID + CS_SESSION_ID_BYTES_MAX / 8,
    ENTRY_WORDS_MAX = ENTRY_SESSION + CS_SESSION_BYTES_MAX / 8,
};

/// Where things stand in a cache; from its size alone.
typedef struct {
    cs_word *header;
    cs_word *buckets;
    cs_word *log;
    uint64_t bucket_count;   ///< A power of two.
    uint64_t log_words;
} places;

/// An index word: 16 bits of the id's hash, then the position in the log, in words, plus 1. The position's 48 bits last
/// for 2 PiB of sessions, which is decades of full handshakes on all cores.
enum { TAG_SHIFT = 48 };
#define POSITION_MASK ((1ULL << TAG_SHIFT) - 1)

_Static_assert(sizeof(pid_t) <= 8, "a lock word holds a process id");

static places places_of(void *cache) {
    uint64_t bytes = cs_load(&((cs_word *)cache)[HEADER_BYTES]);
    places at = {.header = cache, .bucket_count = 1};
    while (at.bucket_count * BUCKET_WORDS * BYTES_PER_INDEX_WORD < bytes) at.bucket_count *= 2;
    at.buckets = at.header + HEADER_WORDS;
    at.log = at.buckets + at.bucket_count * BUCKET_WORDS;
    at.log_words = bytes / 8 - HEADER_WORDS - at.bucket_count * BUCKET_WORDS;
    return at;
}

bool cs_sessions_format(void *cache, size_t bytes) {
    if (bytes < CS_SESSIONS_BYTES_MIN) return false;
    cs_word *header = cache;
    cs_store(&header[HEADER_BYTES], bytes);
    cs_store_release(&header[HEADER_MAGIC], MAGIC);
    return true;
}

bool cs_sessions_is_valid(const void *cache, size_t bytes) {
    const cs_word *header = cache;
    return bytes >= CS_SESSIONS_BYTES_MIN && cs_load_acquire(&header[HEADER_MAGIC]) == MAGIC
        && cs_load(&header[HEADER_BYTES]) == bytes;
}

/// FNV-1a and a mixing step. Ids are random bytes of our own making; a client that sends others finds nothing.
static uint64_t hash_of(const uint8_t *id, size_t id_length) {
    uint64_t hash = 0xCBF29CE484222325ULL;
    for (size_t index = 0; index < id_length; index++) hash = (hash ^ id[index]) * 0x100000001B3ULL;
    hash ^= hash >> 32;
    return hash * 0xD6E8FEB86659FD93ULL;
}

static void load_bytes(uint8_t *to, const cs_word *from, size_t count) {
    for (size_t done = 0; done < count; done += 8) {
        uint64_t word = cs_load(from++);
        memcpy(to + done, &word, count - done < 8 ? count - done : 8);
    }
}

static void store_bytes(cs_word *to, const uint8_t *from, size_t count) {
    for (size_t done = 0; done < count; done += 8) {
        uint64_t word = 0;
        memcpy(&word, from + done, count - done < 8 ? count - done : 8);
        cs_store(to++, word);
    }
}

static size_t words_for(size_t bytes) { return (bytes + 7) / 8; }

/// Whether entries at `position` were not overwritten when this was read.
static bool is_standing(const places *at, uint64_t position) { return position >= cs_load(&at->header[HEADER_FLOOR]); }

/// The index word of the entry with this id; null: there is none. What it names may be overwritten at any time.
static cs_word *find(const places *at, uint64_t hash, const uint8_t *id, size_t id_length,
                     uint64_t *index_word) {
    cs_word *bucket = at->buckets + (hash & (at->bucket_count - 1)) * BUCKET_WORDS;
    for (int slot = 0; slot < BUCKET_WORDS; slot++) {
        uint64_t word = cs_load_acquire(&bucket[slot]);
        uint64_t position = (word & POSITION_MASK) - 1;
        if (word == 0 || word >> TAG_SHIFT != hash >> TAG_SHIFT || !is_standing(at, position)) continue;
        uint64_t offset = position % at->log_words;
        if (offset + ENTRY_SESSION > at->log_words) continue;
        const cs_word *entry = at->log + offset;
        uint8_t found[CS_SESSION_ID_BYTES_MAX];
        if (cs_load(&entry[ENTRY_LENGTHS]) >> 32 != id_length) continue;
        load_bytes(found, &entry[ENTRY_ID], id_length);
        if (memcmp(found, id, id_length) != 0) continue;
        *index_word = word;
        return &bucket[slot];
    }
    return 0;
}

/// The index word that a new entry of this hash takes: a free one, one whose entry is gone, or the oldest.
static cs_word *victim(const places *at, uint64_t hash) {
    cs_word *bucket = at->buckets + (hash & (at->bucket_count - 1)) * BUCKET_WORDS;
    cs_word *oldest = bucket;
    for (int slot = 1; slot < BUCKET_WORDS; slot++) {
        if ((cs_load(&bucket[slot]) & POSITION_MASK) < (cs_load(oldest) & POSITION_MASK)) oldest = &bucket[slot];
    }
    return oldest;
}

static bool is_id(size_t id_length) { return id_length > 0 && id_length <= CS_SESSION_ID_BYTES_MAX; }

int cs_sessions_put(void *cache, const uint8_t *id, size_t id_length, const uint8_t *bytes, size_t length,
                    uint64_t expires_seconds) {
    if (!is_id(id_length) || length == 0 || length > CS_SESSION_BYTES_MAX) return -1;
    places at = places_of(cache);
    uint64_t hash = hash_of(id, id_length);
    uint64_t size = ENTRY_SESSION + words_for(length);
    uint64_t self = (uint64_t)getpid();
    cs_word *lock = &at.header[HEADER_LOCK];
    if (!cs_lock(lock, self, LOCK_PAUSES)) return -1;

    uint64_t start = cs_load(&at.header[HEADER_HEAD]);
    uint64_t offset = start % at.log_words;
    if (offset + size > at.log_words) start += at.log_words - offset;
    uint64_t end = start + size;
    // Never lowered: a worker that died behind this line may have overwritten more than this entry will.
    if (end > at.log_words && end - at.log_words > cs_load(&at.header[HEADER_FLOOR])) {
        cs_store(&at.header[HEADER_FLOOR], end - at.log_words);
    }
    atomic_thread_fence(memory_order_release);

    cs_word *entry = at.log + start % at.log_words;
    cs_store(&entry[ENTRY_EXPIRES], expires_seconds);
    cs_store(&entry[ENTRY_LENGTHS], (uint64_t)id_length << 32 | length);
    store_bytes(&entry[ENTRY_ID], id, id_length);
    store_bytes(&entry[ENTRY_SESSION], bytes, length);
    cs_store_release(&at.header[HEADER_HEAD], end);

    uint64_t former;
    cs_word *slot = find(&at, hash, id, id_length, &former);
    if (!slot) slot = victim(&at, hash);
    cs_store_release(slot, (hash >> TAG_SHIFT) << TAG_SHIFT | (start + 1));
    cs_unlock(lock, self);
    return 0;
}

int cs_sessions_get(void *cache, const uint8_t *id, size_t id_length, uint8_t *out, size_t capacity,
                    uint64_t now_seconds) {
    if (!is_id(id_length)) return 0;
    places at = places_of(cache);
    uint64_t index_word;
    if (!find(&at, hash_of(id, id_length), id, id_length, &index_word)) return 0;
    uint64_t position = (index_word & POSITION_MASK) - 1;
    uint64_t offset = position % at.log_words;
    const cs_word *entry = at.log + offset;
    uint64_t expires = cs_load(&entry[ENTRY_EXPIRES]);
    uint64_t length = cs_load(&entry[ENTRY_LENGTHS]) & 0xFFFFFFFF;
    if (length > capacity || length > CS_SESSION_BYTES_MAX) return 0;
    if (offset + ENTRY_SESSION + words_for(length) > at.log_words) return 0;
    load_bytes(out, &entry[ENTRY_SESSION], length);
    // All that was read since `find` saw the id, and the id itself, is of one piece if the floor is still below it.
    atomic_thread_fence(memory_order_acquire);
    if (!is_standing(&at, position) || expires <= now_seconds) return 0;
    return (int)length;
}

void cs_sessions_remove(void *cache, const uint8_t *id, size_t id_length) {
    if (!is_id(id_length)) return;
    places at = places_of(cache);
    uint64_t word;
    cs_word *slot = find(&at, hash_of(id, id_length), id, id_length, &word);
    // Another entry has the slot by now: the one meant is gone already.
    if (slot) {
        atomic_compare_exchange_strong_explicit(&slot->value, &word, 0, memory_order_relaxed, memory_order_relaxed);
    }
}

void cs_sessions_release(void *cache, int32_t process_id) {
    cs_unlock(&((cs_word *)cache)[HEADER_LOCK], (uint64_t)process_id);
}
