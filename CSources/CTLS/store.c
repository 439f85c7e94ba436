// SPDX-License-Identifier: Apache-2.0
//
// Sessions of the servers that we connect to: the latest one for each key. In C, because OpenSSL hands sessions out in
// a callback, long after the connection was made, and nothing calls from C into Swift.

#include "internal.h"

typedef struct {
    uint64_t hash;
    uint64_t used;
    SSL_SESSION *session;
    uint8_t *key;
    size_t length;
} entry;

/// Entries stand in no order: a few hundred servers are looked through faster than a handshake begins.
struct ctls_store {
    size_t owners;
    size_t capacity;
    size_t count;
    uint64_t clock;
    entry entries[];
};

ctls_store *ctls_store_new(size_t capacity) {
    ctls_store *store = calloc(1, sizeof *store + capacity * sizeof(entry));
    if (store != NULL) {
        store->owners = 1;
        store->capacity = capacity;
    }
    return store;
}

void ctls_store_retain(ctls_store *store) { store->owners++; }

void ctls_store_free(ctls_store *store) {
    if (--store->owners > 0) {
        return;
    }
    for (size_t i = 0; i < store->count; i++) {
        SSL_SESSION_free(store->entries[i].session);
        free(store->entries[i].key);
    }
    free(store);
}

size_t ctls_store_count(const ctls_store *store) { return store->count; }

/// FNV-1a, over the context and the key.
static uint64_t hash_of(uint64_t context, const uint8_t *key, size_t length) {
    uint64_t hash = 0xcbf29ce484222325u ^ (context * 0x9e3779b97f4a7c15u);
    for (size_t i = 0; i < length; i++) {
        hash = (hash ^ key[i]) * 0x100000001b3u;
    }
    return hash;
}

static entry *find(ctls_store *store, uint64_t context, const uint8_t *key, size_t length) {
    uint64_t hash = hash_of(context, key, length);
    for (size_t i = 0; i < store->count; i++) {
        entry *at = &store->entries[i];
        if (at->hash == hash && at->length == length + sizeof context && memcmp(at->key, &context, sizeof context) == 0
            && memcmp(at->key + sizeof context, key, length) == 0) {
            return at;
        }
    }
    return NULL;
}

/// A session that the caller owns a reference to, or NULL.
SSL_SESSION *ctls_store_get(ctls_store *store, uint64_t context, const uint8_t *key, size_t length) {
    entry *found = find(store, context, key, length);
    if (found == NULL || !SSL_SESSION_is_resumable(found->session)) {
        return NULL;
    }
    found->used = ++store->clock;
    SSL_SESSION_up_ref(found->session);
    return found->session;
}

/// Takes the reference to `session` over.
void ctls_store_put(ctls_store *store, uint64_t context, const uint8_t *key, size_t length, SSL_SESSION *session) {
    entry *at = find(store, context, key, length);
    if (at != NULL) {
        SSL_SESSION_free(at->session);
        at->session = session;
        at->used = ++store->clock;
        return;
    }
    uint8_t *copy = store->capacity == 0 ? NULL : malloc(length + sizeof context);
    if (copy == NULL) {
        SSL_SESSION_free(session);
        return;
    }
    memcpy(copy, &context, sizeof context);
    memcpy(copy + sizeof context, key, length);
    if (store->count < store->capacity) {
        at = &store->entries[store->count++];
    } else {
        at = &store->entries[0];
        for (size_t i = 1; i < store->count; i++) {
            at = store->entries[i].used < at->used ? &store->entries[i] : at;
        }
        SSL_SESSION_free(at->session);
        free(at->key);
    }
    *at = (entry){hash_of(context, key, length), ++store->clock, session, copy, length + sizeof context};
}
