// SPDX-License-Identifier: Apache-2.0
//
// Fetched OCSP responses in shared memory: one sequence lock a place, whose readers give up instead of waiting.

#include "CSharedStaples.h"

#include <string.h>

enum { KEY_WORDS = CS_STAPLE_KEY_BYTES / 8, LOOKS = 1000 };

static cs_word *place_of(const void *region, uint32_t place) {
    return ((cs_staples *)region)->places[place % CS_STAPLES];
}

static cs_word *bytes_of(const void *region, uint32_t place) {
    return ((cs_staples *)region)->bytes[place % CS_STAPLES];
}

static bool has_key(const cs_word *place, const uint64_t key[KEY_WORDS]) {
    for (int word = 0; word < KEY_WORDS; word++) {
        if (cs_load(&place[CS_STAPLE_KEY + word]) != key[word]) return false;
    }
    return true;
}

static uint64_t begin_writing(cs_word *place) {
    uint64_t sequence = cs_load(&place[CS_STAPLE_SEQUENCE]) | 1;
    cs_store(&place[CS_STAPLE_SEQUENCE], sequence);
    atomic_thread_fence(memory_order_release);
    return sequence;
}

static void end_writing(cs_word *place, uint64_t sequence) {
    cs_store_release(&place[CS_STAPLE_SEQUENCE], sequence + 1);
}

void cs_staples_mend(void *region) {
    for (uint32_t index = 0; index < CS_STAPLES; index++) {
        cs_word *place = place_of(region, index);
        if (cs_load(&place[CS_STAPLE_SEQUENCE]) % 2 == 0) continue;
        uint64_t sequence = begin_writing(place);
        for (int word = CS_STAPLE_SEQUENCE + 1; word < CS_STAPLE_WORDS; word++) cs_store(&place[word], 0);
        end_writing(place, sequence);
    }
}

uint32_t cs_staples_home(const uint8_t key[32]) {
    uint32_t first;
    memcpy(&first, key, sizeof first);
    return first % CS_STAPLES;
}

uint32_t cs_staples_place(const void *region, const uint8_t key[32]) {
    uint64_t words[KEY_WORDS];
    memcpy(words, key, sizeof words);
    uint32_t home = cs_staples_home(key);
    for (uint32_t step = 0; step < CS_STAPLES_REACH; step++) {
        uint32_t index = (home + step) % CS_STAPLES;
        if (has_key(place_of(region, index), words)) return index;
    }
    return CS_STAPLES;
}

bool cs_staples_key(const void *region, uint32_t place, uint8_t key[32]) {
    uint64_t words[KEY_WORDS];
    uint64_t any = 0;
    for (int word = 0; word < KEY_WORDS; word++) {
        words[word] = cs_load(&place_of(region, place)[CS_STAPLE_KEY + word]);
        any |= words[word];
    }
    memcpy(key, words, sizeof words);
    return any != 0;
}

uint64_t cs_staples_ask_at(const void *region, uint32_t place) {
    return cs_load(&place_of(region, place)[CS_STAPLE_ASK_AT]);
}

uint64_t cs_staples_holds_until(const void *region, uint32_t place) {
    return cs_load(&place_of(region, place)[CS_STAPLE_HOLDS_UNTIL]);
}

void cs_staples_put(void *region, uint32_t index, const uint8_t key[32], const uint8_t *bytes, size_t length,
                    uint64_t holds_until_seconds, uint64_t ask_at_seconds) {
    if (length > CS_STAPLE_BYTES_MAX) return;
    cs_word *place = place_of(region, index);
    cs_word *to = bytes_of(region, index);
    uint64_t words[KEY_WORDS];
    memcpy(words, key, sizeof words);
    uint64_t sequence = begin_writing(place);
    cs_store(&place[CS_STAPLE_LENGTH], length);
    cs_store(&place[CS_STAPLE_HOLDS_UNTIL], holds_until_seconds);
    cs_store(&place[CS_STAPLE_ASK_AT], ask_at_seconds);
    for (int word = 0; word < KEY_WORDS; word++) cs_store(&place[CS_STAPLE_KEY + word], words[word]);
    for (size_t done = 0; done < length; done += 8) {
        uint64_t word = 0;
        memcpy(&word, bytes + done, length - done < 8 ? length - done : 8);
        cs_store(to++, word);
    }
    end_writing(place, sequence);
}

/// A copy that is of one piece: its length, 0 for no response, or -1 when the place is not the key's or is written.
static int take(const void *region, uint32_t index, const uint64_t key[KEY_WORDS], uint8_t *out, size_t capacity,
                uint64_t now_seconds) {
    const cs_word *place = place_of(region, index);
    const cs_word *from = bytes_of(region, index);
    uint64_t before = cs_load_acquire(&place[CS_STAPLE_SEQUENCE]);
    if (before % 2 != 0 || !has_key(place, key)) return -1;
    uint64_t length = cs_load(&place[CS_STAPLE_LENGTH]);
    bool holds = cs_load(&place[CS_STAPLE_HOLDS_UNTIL]) >= now_seconds;
    if (length > CS_STAPLE_BYTES_MAX || length > capacity || !holds) length = 0;
    for (size_t done = 0; done < length; done += 8) {
        uint64_t word = cs_load(from++);
        memcpy(out + done, &word, length - done < 8 ? length - done : 8);
    }
    atomic_thread_fence(memory_order_acquire);
    return cs_load(&place[CS_STAPLE_SEQUENCE]) == before ? (int)length : -1;
}

int cs_staples_get(const void *region, const uint8_t key[32], uint8_t *out, size_t capacity, uint64_t now_seconds) {
    uint64_t words[KEY_WORDS];
    memcpy(words, key, sizeof words);
    for (int look = 0; look < LOOKS; look++) {
        // Looked up anew each time: the place may have become another key's.
        uint32_t index = cs_staples_place(region, key);
        if (index == CS_STAPLES) return 0;
        int length = take(region, index, words, out, capacity, now_seconds);
        if (length >= 0) return length;
        cs_pause();
    }
    return 0;
}
