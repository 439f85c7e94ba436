// SPDX-License-Identifier: Apache-2.0
//
// Words that processes share: 64 bits, aligned, atomic between processes, so that no read of a number is ever torn. And
// the lock that nobody waits for.

#ifndef CSHAREDWORDS_H
#define CSHAREDWORDS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { CS_LINE_BYTES = 64 };

typedef struct {
    _Atomic(uint64_t) value;
} cs_word;

_Static_assert(sizeof(cs_word) == 8, "a word is 64 bits");
_Static_assert(ATOMIC_LLONG_LOCK_FREE == 2, "words are atomic between processes, not only between threads");
#define CS_STARTS_LINE(word) _Static_assert((word) * sizeof(cs_word) % CS_LINE_BYTES == 0, #word " starts a cache line")

#pragma clang assume_nonnull begin

static inline uint64_t cs_load(const cs_word *word) {
    return atomic_load_explicit(&((cs_word *)word)->value, memory_order_relaxed);
}
static inline void cs_store(cs_word *word, uint64_t value) {
    atomic_store_explicit(&word->value, value, memory_order_relaxed);
}
static inline uint64_t cs_load_acquire(const cs_word *word) {
    return atomic_load_explicit(&((cs_word *)word)->value, memory_order_acquire);
}
static inline void cs_store_release(cs_word *word, uint64_t value) {
    atomic_store_explicit(&word->value, value, memory_order_release);
}
/// For words with one writer.
static inline void cs_bump(cs_word *word, uint64_t amount) { cs_store(word, cs_load(word) + amount); }

static inline void cs_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/// Takes a lock for `holder`; false when it was held all through `pauses` looks.
static inline bool cs_lock(cs_word *word, uint64_t holder, uint32_t pauses) {
    for (uint32_t round = 0;; round++) {
        uint64_t none = 0;
        if (cs_load(word) == 0 && atomic_compare_exchange_strong_explicit(&word->value, &none, holder,
                                                                          memory_order_acquire, memory_order_relaxed)) {
            return true;
        }
        if (round == pauses) return false;
        cs_pause();
    }
}
/// Frees a lock if `holder` has it.
static inline void cs_unlock(cs_word *word, uint64_t holder) {
    atomic_compare_exchange_strong_explicit(&word->value, &holder, 0, memory_order_release, memory_order_relaxed);
}

/// The first index from `start` below `count` whose word is `value`, else `count`.
static inline uint32_t cs_find(const cs_word *words, uint32_t start, uint32_t count, uint64_t value) {
    for (uint32_t index = start; index < count; index++) {
        if (cs_load(&words[index]) == value) {
            atomic_thread_fence(memory_order_acquire);
            return index;
        }
    }
    return count;
}

#pragma clang assume_nonnull end

#endif
