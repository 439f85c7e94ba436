// SPDX-License-Identifier: Apache-2.0
//
// How a client comes back without a full handshake: the identity that keeps the sessions of one context from another,
// the cache that workers share, tickets and their keys, and an end to a session's life that resuming does not move.

#include "internal.h"

#include <openssl/core_names.h>
#include <openssl/rand.h>
#include <time.h>

enum { SESSION_BYTES_MAX = 4096 };

int ctls_context_identify(ctls_context *context, const uint8_t *bytes, size_t length) {
    uint64_t prefix = length;
    return EVP_DigestUpdate(context->identity, &prefix, sizeof prefix) == 1
                   && EVP_DigestUpdate(context->identity, bytes, length) == 1
               ? 0
               : -1;
}

int ctls_context_finish_identity(ctls_context *context) {
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned length;
    _Static_assert(SSL_MAX_SID_CTX_LENGTH == 32, "SHA-256");
    int result = EVP_DigestFinal_ex(context->identity, digest, &length) == 1
                 && SSL_CTX_set_session_id_context(context->ctx, digest, length) == 1;
    EVP_MD_CTX_free(context->identity);
    context->identity = NULL;
    return result ? 0 : -1;
}

void ctls_context_set_session_timeout(ctls_context *context, long seconds) {
    SSL_CTX_set_timeout(context->ctx, seconds);
}

/// The shared cache is that of the context that the connection began with, as the tickets are.
static int put_session(SSL *ssl, SSL_SESSION *session) {
    // OpenSSL offers sessions of TLS 1.3 that are in tickets: nobody will ask for them by id.
    if (SSL_version(ssl) == TLS1_3_VERSION && (SSL_get_options(ssl) & SSL_OP_NO_TICKET) == 0) {
        return 0;
    }
    uint8_t bytes[SESSION_BYTES_MAX];
    unsigned char *position = bytes;
    unsigned id_length;
    const unsigned char *id = SSL_SESSION_get_id(session, &id_length);
    int length = i2d_SSL_SESSION(session, NULL);
    const ctls_context *context = ctls_current.connection->first;
    if (length > 0 && length <= SESSION_BYTES_MAX && id_length > 0 && i2d_SSL_SESSION(session, &position) > 0) {
        uint64_t expires = (uint64_t)time(NULL) + (uint64_t)SSL_CTX_get_timeout(context->ctx);
        context->sessions.put(context->sessions.cache, id, id_length, bytes, (size_t)length, expires);
        OPENSSL_cleanse(bytes, (size_t)length);
    }
    return 0;
}

static SSL_SESSION *get_session(SSL *ssl, const unsigned char *id, int id_length, int *is_copy) {
    (void)ssl;
    uint8_t bytes[SESSION_BYTES_MAX];
    const ctls_context *context = ctls_current.connection->first;
    *is_copy = 0;
    if (id_length <= 0) {
        return NULL;
    }
    int length = context->sessions.get(context->sessions.cache, id, (size_t)id_length, bytes, sizeof bytes,
                                       (uint64_t)time(NULL));
    if (length <= 0 || length > SESSION_BYTES_MAX) {
        return NULL;
    }
    const unsigned char *position = bytes;
    SSL_SESSION *session = d2i_SSL_SESSION(NULL, &position, length);
    OPENSSL_cleanse(bytes, (size_t)length);
    return session;
}

static void remove_session(SSL_CTX *ctx, SSL_SESSION *session) {
    const ctls_context *context = ctls_context_of_ctx(ctx);
    unsigned id_length;
    const unsigned char *id = SSL_SESSION_get_id(session, &id_length);
    if (id_length > 0) {
        context->sessions.remove(context->sessions.cache, id, id_length);
    }
}

/// Modes and callbacks are macros.
void ctls_context_keep_sessions(ctls_context *context, int how, long builtin_sessions,
                                const ctls_session_cache *cache) {
    SSL_CTX *ctx = context->ctx;
    if (how == CTLS_CACHE_OFF) {
        SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    } else if (how == CTLS_CACHE_NONE) {
        SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_AUTO_CLEAR
                                                | SSL_SESS_CACHE_NO_INTERNAL_STORE);
        SSL_CTX_sess_set_cache_size(ctx, 1);
    } else {
        SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_SERVER
                                                | (builtin_sessions == 0 ? SSL_SESS_CACHE_NO_INTERNAL : 0));
        if (builtin_sessions > 0) {
            SSL_CTX_sess_set_cache_size(ctx, builtin_sessions);
        }
    }
    if (how == CTLS_CACHE_KEPT && cache != NULL) {
        context->sessions = *cache;
        SSL_CTX_sess_set_new_cb(ctx, put_session);
        SSL_CTX_sess_set_get_cb(ctx, get_session);
        SSL_CTX_sess_set_remove_cb(ctx, remove_session);
    }
}

void ctls_context_reuse_sessions(ctls_context *context) {
    context->reuses_sessions = 1;
    SSL_CTX_set_session_cache_mode(context->ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context->ctx, ctls_new_server_session);
}

void ctls_context_refuse_tickets(ctls_context *context) { SSL_CTX_set_options(context->ctx, SSL_OP_NO_TICKET); }

// Tickets

static void unpack_key(const uint8_t bytes[80], ctls_ticket_key *key) {
    memcpy(key->name, bytes, 16);
    memcpy(key->hmac_key, bytes + 16, 32);
    memcpy(key->aes_key, bytes + 48, 32);
    key->key_length = 32;
}

/// The key that new tickets are made with. 1, or 0 for none.
static int current_key(const ctls_context *context, ctls_ticket_key *key) {
    if (context->ticket_key_count > 0) {
        *key = context->ticket_keys[0];
        return 1;
    }
    uint8_t bytes[80];
    int found = context->tickets.current(context->tickets.region, bytes) == 1;
    if (found) {
        unpack_key(bytes, key);
        OPENSSL_cleanse(bytes, sizeof bytes);
    }
    return found;
}

static int find_key(const ctls_context *context, const uint8_t name[16], ctls_ticket_key *key, int *is_current) {
    for (size_t i = 0; i < context->ticket_key_count; i++) {
        if (memcmp(context->ticket_keys[i].name, name, 16) == 0) {
            *key = context->ticket_keys[i];
            *is_current = i == 0;
            return 1;
        }
    }
    uint8_t bytes[80];
    int found = context->ticket_key_count == 0
                && context->tickets.find(context->tickets.region, name, bytes, is_current) == 1;
    if (found) {
        unpack_key(bytes, key);
        OPENSSL_cleanse(bytes, sizeof bytes);
    }
    return found;
}

/// Looked up once: in OpenSSL 3 the lookup by name costs more than the ticket.
static EVP_CIPHER *ticket_cipher(size_t key_length) {
    static EVP_CIPHER *aes_128 = NULL;
    static EVP_CIPHER *aes_256 = NULL;
    EVP_CIPHER **cipher = key_length == 16 ? &aes_128 : &aes_256;
    if (*cipher == NULL) {
        *cipher = EVP_CIPHER_fetch(NULL, key_length == 16 ? "AES-128-CBC" : "AES-256-CBC", NULL);
    }
    return *cipher;
}

static int start_mac(EVP_MAC_CTX *mac, ctls_ticket_key *key) {
    char digest[] = "SHA256";
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, key->hmac_key, key->key_length),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_MAC_CTX_set_params(mac, parameters) == 1;
}

/// OpenSSL's answers: -1 failed, 0 no ticket or none of ours, 1 good, 2 good and to be made anew.
static int ticket_callback(SSL *ssl, unsigned char name[16], unsigned char *iv, EVP_CIPHER_CTX *cipher_context,
                           EVP_MAC_CTX *mac, int is_encrypting) {
    (void)ssl;
    const ctls_context *context = ctls_current.connection->first;
    ctls_ticket_key key;
    int is_current = 0;
    int result = -1;
    if (is_encrypting ? !current_key(context, &key) : !find_key(context, name, &key, &is_current)) {
        return 0;
    }
    EVP_CIPHER *cipher = ticket_cipher(key.key_length);
    if (cipher == NULL || !start_mac(mac, &key)) {
        result = -1;
    } else if (is_encrypting) {
        memcpy(name, key.name, 16);
        if (RAND_bytes(iv, 16) == 1 && EVP_EncryptInit_ex(cipher_context, cipher, NULL, key.aes_key, iv) == 1) {
            result = 1;
        }
    } else if (EVP_DecryptInit_ex(cipher_context, cipher, NULL, key.aes_key, iv) == 1) {
        // A ticket of TLS 1.3 is used once: its owner gets another.
        result = SSL_version(ssl) == TLS1_3_VERSION || !is_current ? 2 : 1;
    }
    OPENSSL_cleanse(&key, sizeof key);
    return result;
}

static int set_ticket_callback(ctls_context *context) {
    return SSL_CTX_set_tlsext_ticket_key_evp_cb(context->ctx, ticket_callback) == 1 ? 0 : -1;
}

int ctls_context_add_ticket_key(ctls_context *context, const uint8_t *bytes, size_t length) {
    if (length != 48 && length != 80) {
        return -1;
    }
    ctls_ticket_key *keys = calloc(context->ticket_key_count + 1, sizeof *keys);
    if (keys == NULL) {
        return -1;
    }
    if (context->ticket_key_count > 0) {
        memcpy(keys, context->ticket_keys, context->ticket_key_count * sizeof *keys);
        OPENSSL_cleanse(context->ticket_keys, context->ticket_key_count * sizeof *keys);
        free(context->ticket_keys);
    }
    context->ticket_keys = keys;
    ctls_ticket_key *key = &keys[context->ticket_key_count++];
    if (length == 80) {
        unpack_key(bytes, key);
    } else {
        // In the old layout the AES key stands before the HMAC key.
        memcpy(key->name, bytes, 16);
        memcpy(key->aes_key, bytes + 16, 16);
        memcpy(key->hmac_key, bytes + 32, 16);
        key->key_length = 16;
    }
    return set_ticket_callback(context);
}

int ctls_context_take_tickets_from(ctls_context *context, const ctls_ticket_source *source) {
    context->tickets = *source;
    return set_ticket_callback(context);
}

/// OpenSSL 3.0 sets the clock of a session of TLS 1.3 anew whenever it is resumed, so that it would live for ever, past
/// the end or the revocation of the client's certificate. As nginx: what is left of its time goes down instead.
void ctls_info_callback(const SSL *ssl, int where, int result) {
    (void)result;
    if ((where & SSL_CB_ACCEPT_LOOP) != SSL_CB_ACCEPT_LOOP || SSL_version(ssl) != TLS1_3_VERSION) {
        return;
    }
    ctls_connection *connection = ctls_current.connection;
    SSL_SESSION *session = SSL_get0_session(ssl);
    if (connection->is_timed || session == NULL) {
        return;
    }
    connection->is_timed = 1;
    long now = (long)time(NULL);
    long age = now - SSL_SESSION_get_time(session);
    long timeout = SSL_SESSION_get_timeout(session);
    long configured = SSL_CTX_get_timeout(connection->first->ctx);
    timeout = timeout < configured ? timeout : configured;
    if (age >= timeout) {
        SSL_SESSION_set1_id_context(session, (const unsigned char *)"", 0);
    } else {
        SSL_SESSION_set_time(session, now);
        SSL_SESSION_set_timeout(session, timeout - age);
    }
}
