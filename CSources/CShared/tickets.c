// SPDX-License-Identifier: Apache-2.0
//
// Ticket keys in shared memory: a sequence lock whose readers give up instead of waiting, and getrandom(2) into it.

#include "CSharedTickets.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

enum { KEY_WORDS = CS_TICKET_KEY_BYTES / 8, LOOKS = 1000 };

typedef struct {
    uint64_t count;
    uint64_t keys[CS_TICKET_KEYS][KEY_WORDS];
} snapshot;

static cs_word *words(const void *region) { return (cs_word *)region; }

/// A copy that is of one piece; false when the master wrote all through `LOOKS` looks, as only one that was stopped in
/// the middle does.
static bool take(const void *region, snapshot *copy) {
    const cs_word *from = words(region);
    for (int look = 0; look < LOOKS; look++) {
        uint64_t before = cs_load_acquire(&from[CS_TICKETS_SEQUENCE]);
        if (before % 2 == 0) {
            copy->count = cs_load(&from[CS_TICKETS_COUNT]);
            for (int key = 0; key < CS_TICKET_KEYS; key++) {
                for (int word = 0; word < KEY_WORDS; word++) {
                    copy->keys[key][word] = cs_load(&from[CS_TICKETS_KEYS + key * KEY_WORDS + word]);
                }
            }
            atomic_thread_fence(memory_order_acquire);
            if (cs_load(&from[CS_TICKETS_SEQUENCE]) == before) return copy->count <= CS_TICKET_KEYS;
        }
        cs_pause();
    }
    return false;
}

int32_t cs_tickets_rotate(void *region, uint64_t now_milliseconds) {
    uint64_t fresh[KEY_WORDS];
    ssize_t count;
    do {
        count = getrandom(fresh, sizeof fresh, 0);
    } while (count < 0 && errno == EINTR);
    if (count != (ssize_t)sizeof fresh) return count < 0 ? -errno : -EIO;

    cs_word *to = words(region);
    uint64_t sequence = cs_load(&to[CS_TICKETS_SEQUENCE]);
    cs_store(&to[CS_TICKETS_SEQUENCE], sequence + 1);
    atomic_thread_fence(memory_order_release);
    for (int word = CS_TICKET_KEYS * KEY_WORDS - 1; word >= KEY_WORDS; word--) {
        cs_store(&to[CS_TICKETS_KEYS + word], cs_load(&to[CS_TICKETS_KEYS + word - KEY_WORDS]));
    }
    for (int word = 0; word < KEY_WORDS; word++) cs_store(&to[CS_TICKETS_KEYS + word], fresh[word]);
    uint64_t keys = cs_load(&to[CS_TICKETS_COUNT]);
    cs_store(&to[CS_TICKETS_COUNT], keys < CS_TICKET_KEYS ? keys + 1 : CS_TICKET_KEYS);
    cs_store(&to[CS_TICKETS_CREATED_AT], now_milliseconds);
    cs_store_release(&to[CS_TICKETS_SEQUENCE], sequence + 2);
    explicit_bzero(fresh, sizeof fresh);
    return 0;
}

int cs_tickets_current(const void *region, uint8_t out[80]) {
    snapshot copy;
    bool is_there = take(region, &copy) && copy.count > 0;
    if (is_there) memcpy(out, copy.keys[0], CS_TICKET_KEY_BYTES);
    explicit_bzero(&copy, sizeof copy);
    return is_there;
}

int cs_tickets_find(const void *region, const uint8_t name[16], uint8_t out[80], int *is_current) {
    snapshot copy;
    int is_there = 0;
    if (take(region, &copy)) {
        for (uint64_t key = 0; key < copy.count && !is_there; key++) {
            if (memcmp(copy.keys[key], name, CS_TICKET_NAME_BYTES) != 0) continue;
            memcpy(out, copy.keys[key], CS_TICKET_KEY_BYTES);
            *is_current = key == 0;
            is_there = 1;
        }
    }
    explicit_bzero(&copy, sizeof copy);
    return is_there;
}

uint64_t cs_tickets_created_at(const void *region) { return cs_load(&words(region)[CS_TICKETS_CREATED_AT]); }
