// SPDX-License-Identifier: Apache-2.0
//
// What the files of CTLS share: the structures behind the handles of CTLS.h.

#ifndef WEIR_CTLS_INTERNAL_H
#define WEIR_CTLS_INTERNAL_H

#include "CTLS.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

/// A ticket key of a file: AES-128 with a 16 byte HMAC key, or AES-256 with one of 32.
typedef struct {
    uint8_t name[16];
    uint8_t hmac_key[32];
    uint8_t aes_key[32];
    size_t key_length;
} ctls_ticket_key;

/// A certificate of a context and what a staple source knows it by.
typedef struct {
    const X509 *certificate;
    uint8_t key[CTLS_STAPLE_KEY_BYTES];
} ctls_stapled;

/// Lives as long as its SSL_CTX, which connections hold: the SSL_CTX's extra data frees it.
struct ctls_context {
    SSL_CTX *ctx;
    /// One for all connections that begin with this context.
    BIO *bio;
    EVP_MD_CTX *identity;
    uint8_t *alpn;
    size_t alpn_length;
    uint8_t *staple;
    size_t staple_length;
    ctls_staple_source staples;
    ctls_stapled *stapled;
    size_t stapled_count;
    ctls_ticket_key *ticket_keys;
    size_t ticket_key_count;
    ctls_ticket_source tickets;
    ctls_session_cache sessions;
    char *key_log;
    size_t key_log_length;
    /// Distinguishes the sessions of one client context from those of another with other ideas of trust.
    uint64_t number;
    uint8_t verification;
    uint8_t rejects;
    uint8_t verifies_server;
    uint8_t reuses_sessions;
};

struct ctls_pair {
    X509 *certificate;
    STACK_OF(X509) *chain;
    EVP_PKEY *key;
};

/// Bytes in memory of their own, from which some have been taken at the front. NULL: none.
typedef struct {
    size_t start;
    size_t end;
    size_t capacity;
    uint8_t bytes[];
} ctls_stash;

struct ctls_connection {
    SSL *ssl;
    /// The context that the connection began with: its session cache and its tickets are used, whoever is chosen.
    ctls_context *first;
    ctls_stash *unread;
    ctls_stash *unsent;
    /// Plaintext that waits for the rest of a message that the peer has sent in part. NULL: none, as nearly always.
    ctls_stash *unsealed;
    uint8_t *name;
    char *fault;
    /// What a responder's answer has against the client's certificate; NULL: nothing. Words that last.
    const char *status_fault;
    ctls_store *store;
    uint8_t *store_key;
    uint16_t store_key_length;
    uint16_t name_length;
    /// Handshake messages since the last plaintext, after the handshake.
    uint16_t messages;
    /// What is wrong with a server's chain, whatever else is wrong with its name.
    uint16_t chain_error;
    uint8_t is_server;
    /// CTLS_CHOICE_…
    uint8_t chooses;
    uint8_t has_certificate;
    uint8_t is_rejected;
    uint8_t is_timed;
    uint8_t is_open;
    uint8_t is_failed;
    uint8_t is_peer_fault;
    uint8_t is_flooded;
    uint8_t is_overfull;
    uint8_t has_more;
    uint8_t has_closed;
    uint8_t lacks_name;
};

/// What the call that is under way has been lent, and by which connection: there is one at a time. A thread has its own
/// for the sake of tests, which run on many.
typedef struct {
    ctls_connection *connection;
    const uint8_t *input;
    size_t input_left;
    uint8_t *output;
    size_t output_left;
} ctls_call;

/// Whether a ClientHello's name leads to a context: never, still, or it has.
enum { CTLS_CHOICE_NONE, CTLS_CHOICE_OPEN, CTLS_CHOICE_MADE };

extern _Thread_local ctls_call ctls_current;

enum {
    /// What waits in a connection, in either direction, before it fails.
    CTLS_STASH_MAX = 64 * 1024,
    /// Handshake messages in a row without plaintext between them; a server sends two tickets, a peer rekeys rarely.
    CTLS_MESSAGES_MAX = 32,
    CTLS_KEY_LOG_MAX = 64 * 1024,
};

ctls_context *ctls_context_of_ctx(const SSL_CTX *ctx);

BIO *ctls_bio_new(void);
/// Before every call that lets an SSL read, write or call back.
void ctls_begin(ctls_connection *connection, const void *input, size_t length);

int ctls_stash_append(ctls_stash **stash, const void *bytes, size_t length);
size_t ctls_stash_take(ctls_stash **stash, void *into, size_t length);

void ctls_fail(ctls_connection *connection, int is_peer_fault, const char *words);
void ctls_fail_ssl(ctls_connection *connection, int ssl_error, const char *words);

/// Callbacks of OpenSSL that one file has and another sets.
void ctls_info_callback(const SSL *ssl, int where, int result);
int ctls_client_hello_callback(SSL *ssl, int *alert, void *argument);
int ctls_servername_callback(SSL *ssl, int *alert, void *argument);
int ctls_certificate_callback(SSL *ssl, void *argument);
int ctls_new_server_session(SSL *ssl, SSL_SESSION *session);
void ctls_keep_renewed_session(ctls_connection *connection);

/// Once it is on its way: an SSL keeps the response until it is freed.
void ctls_forget_staple(ctls_connection *connection);

void ctls_store_retain(ctls_store *store);
void ctls_store_put(ctls_store *store, uint64_t context, const uint8_t *key, size_t length, SSL_SESSION *session);
SSL_SESSION *ctls_store_get(ctls_store *store, uint64_t context, const uint8_t *key, size_t length);

#endif
