// SPDX-License-Identifier: Apache-2.0
//
// OpenSSL 3.0 for Swift: its macros, its callbacks and its stacks, which Swift cannot say. Every function that can
// fail returns 0 or -1 and leaves OpenSSL's error queue for `ctls_take_errors`; the words around it are Swift's. A
// handle that Swift gets (`ctls_context`, `ctls_connection`, `ctls_pair`, `ctls_store`, `ctls_chain`) has one owner,
// who frees it once. One thread a process: nothing here locks.

#ifndef WEIR_CTLS_H
#define WEIR_CTLS_H

#include <stddef.h>
#include <stdint.h>

typedef struct ctls_context ctls_context;
typedef struct ctls_connection ctls_connection;
typedef struct ctls_pair ctls_pair;
typedef struct ctls_store ctls_store;
typedef struct ctls_chain ctls_chain;

// Errors

/// Moves OpenSSL's error queue into `out` as nginx prints it: "SSL: error:… error:…", or nothing. Returns the length,
/// less than `capacity`.
size_t ctls_take_errors(char *out, size_t capacity);
void ctls_clear_errors(void);

// What workers share

/// Where ticket keys come from: 80 bytes each, name (16), HMAC key (32), AES key (32). Both return 1, or 0 for none.
typedef struct {
    const void *region;
    int (*current)(const void *region, uint8_t out[80]);
    int (*find)(const void *region, const uint8_t name[16], uint8_t out[80], int *is_current);
} ctls_ticket_source;

/// Sessions by id. `put` returns 0 or -1; `get` the length of what it copied, or 0.
typedef struct {
    void *cache;
    int (*put)(void *cache, const uint8_t *id, size_t id_length, const uint8_t *bytes, size_t length,
               uint64_t expires_seconds);
    int (*get)(void *cache, const uint8_t *id, size_t id_length, uint8_t *out, size_t capacity, uint64_t now_seconds);
    void (*remove)(void *cache, const uint8_t *id, size_t id_length);
} ctls_session_cache;

enum { CTLS_STAPLE_KEY_BYTES = 32, CTLS_STAPLE_BYTES_MAX = 16384 };

/// OCSP responses to staple. `get` returns the length of what it copied, or 0.
typedef struct {
    const void *region;
    int (*get)(const void *region, const uint8_t key[32], uint8_t *out, size_t capacity, uint64_t now_seconds);
} ctls_staple_source;

// Contexts

enum {
    CTLS_SSL3 = 1,
    CTLS_TLS1 = 2,
    CTLS_TLS1_1 = 4,
    CTLS_TLS1_2 = 8,
    CTLS_TLS1_3 = 16,
};

/// What a server wants of a client's certificate.
enum { CTLS_VERIFY_OFF, CTLS_VERIFY_ON, CTLS_VERIFY_OPTIONAL, CTLS_VERIFY_OPTIONAL_NO_CA };

/// Where sessions are kept: `OFF` tells clients so, `NONE` lets them believe.
enum { CTLS_CACHE_OFF, CTLS_CACHE_NONE, CTLS_CACHE_KEPT };

ctls_context *ctls_context_new(int is_server, unsigned protocols);
/// Connections that live hold what they need.
void ctls_context_free(ctls_context *context);

int ctls_context_set_ciphers(ctls_context *context, const char *list);
void ctls_context_prefer_server_ciphers(ctls_context *context);
int ctls_context_set_curves(ctls_context *context, const char *list);
int ctls_context_set_dh_parameters(ctls_context *context, const uint8_t *pem, size_t length);
/// Protocols in wire form: a length byte before each.
int ctls_context_set_alpn(ctls_context *context, const uint8_t *wire, size_t length);
int ctls_context_use_pair_certificate(ctls_context *context, const ctls_pair *pair);
int ctls_context_use_pair_key(ctls_context *context, const ctls_pair *pair);
/// Certificates come by `ctls_use_pair` in each handshake.
void ctls_context_ask_for_certificate(ctls_context *context);
void ctls_context_verify_clients(ctls_context *context, int how, int depth);
/// A client that ends the handshake when the server's certificate is not good.
void ctls_context_verify_server(ctls_context *context, int depth);
/// Adds CA certificates to those trusted; `is_sent`: their names go to clients.
int ctls_context_trust(ctls_context *context, const uint8_t *pem, size_t length, int is_sent);
int ctls_context_revoke(ctls_context *context, const uint8_t *pem, size_t length);
void ctls_context_reject(ctls_context *context);
/// A DER OCSP response that goes to every client that asks for one.
int ctls_context_staple(ctls_context *context, const uint8_t *der, size_t length);
/// The `index`-th certificate, in the order of `ctls_server_chain`, goes with what `source` has for `key` at the moment
/// of the handshake. `source` is copied, and one for all certificates.
int ctls_context_staple_from(ctls_context *context, size_t index, const ctls_staple_source *source,
                             const uint8_t key[32]);
/// SHA-256. 0 or -1.
int ctls_digest(const uint8_t *bytes, size_t length, uint8_t out[32]);
void ctls_context_log_keys(ctls_context *context);

/// Bytes that make sessions of this context its own, in order.
int ctls_context_identify(ctls_context *context, const uint8_t *bytes, size_t length);
/// After the last `identify`.
int ctls_context_finish_identity(ctls_context *context);
void ctls_context_set_session_timeout(ctls_context *context, long seconds);
/// `builtin_sessions`: 0 for none. `cache` is copied; NULL for none.
void ctls_context_keep_sessions(ctls_context *context, int how, long builtin_sessions, const ctls_session_cache *cache);
void ctls_context_refuse_tickets(ctls_context *context);
/// 48 or 80 bytes; the first one encrypts. -1: another length, or no memory.
int ctls_context_add_ticket_key(ctls_context *context, const uint8_t *key, size_t length);
int ctls_context_take_tickets_from(ctls_context *context, const ctls_ticket_source *source);
/// Sessions of servers go to the store that a connection came with.
void ctls_context_reuse_sessions(ctls_context *context);

/// 1 when the command's value is a file or a folder, which no context reads.
int ctls_command_names_file(const char *name);
/// SSL_CONF_cmd. Commands go in the order of the text.
int ctls_context_command(ctls_context *context, const char *name, const char *value);

// Certificates and keys

/// A chain in PEM, its first certificate the owner's. NULL, with errors.
ctls_pair *ctls_pair_new(const uint8_t *pem, size_t length);
/// A key in PEM. `passphrase` NULL: none. 1: read. 0: encrypted, and this passphrase does not open it. -1: no key.
int ctls_pair_read_key(ctls_pair *pair, const uint8_t *pem, size_t length, const uint8_t *passphrase,
                       size_t passphrase_length);
void ctls_pair_free(ctls_pair *pair);

// Connections

enum { CTLS_DONE, CTLS_WANTS_INPUT, CTLS_CHOOSE, CTLS_WANTS_CERTIFICATE, CTLS_FAILED };
enum { CTLS_OPENED, CTLS_CLOSED, CTLS_BROKEN };

ctls_connection *ctls_accept(ctls_context *context, int chooses);
/// `name` may be empty; `store` may be NULL, else sessions are looked for and left there under `key`.
ctls_connection *ctls_connect(ctls_context *context, const uint8_t *name, size_t name_length, int sends_name,
                              ctls_store *store, const uint8_t *key, size_t key_length);
void ctls_connection_free(ctls_connection *connection);

int ctls_handshake(ctls_connection *connection, const void *input, size_t length);
/// The name that a ClientHello asks for, between CTLS_CHOOSE and the end of the handshake; NULL for none.
const uint8_t *ctls_requested_name(const ctls_connection *connection, size_t *length);
int ctls_use_context(ctls_connection *connection, ctls_context *context);
int ctls_use_pair_certificate(ctls_connection *connection, const ctls_pair *pair);
int ctls_use_pair_key(ctls_connection *connection, const ctls_pair *pair);
/// The handshake goes on with what there is, which may be the context's own certificates alone.
void ctls_use_no_more_pairs(ctls_connection *connection);

size_t ctls_output_bytes(const ctls_connection *connection);
size_t ctls_take_output(ctls_connection *connection, void *into, size_t capacity);
/// For a send that may take a part: what it took is dropped afterwards, and only that.
size_t ctls_peek_output(const ctls_connection *connection, void *into, size_t capacity);
void ctls_drop_output(ctls_connection *connection, size_t length);

/// Plaintext into `output`; `*opened` is set whatever the result.
int ctls_open(ctls_connection *connection, const void *input, size_t length, void *output, size_t capacity,
              size_t *opened);
/// Whether bytes that came may hold plaintext that did not fit.
int ctls_has_input(const ctls_connection *connection);
/// Bytes written into `output`, or -1. What does not fit waits; so does `plain` in the middle of a message of the peer,
/// whose end, in a call of `ctls_open`, turns it into output.
int64_t ctls_seal(ctls_connection *connection, const void *plain, size_t length, void *output, size_t capacity);
void ctls_close_writing(ctls_connection *connection);

/// Why the last call failed; NULL when it did not.
const char *ctls_fault(const ctls_connection *connection);
int ctls_is_peer_fault(const ctls_connection *connection);
/// After a server's handshake: why the client may not go on, into `out`; 0 when it may, else the length.
/// `context`: whose wishes count, NULL for those of the context that the handshake was made with.
size_t ctls_client_refusal(ctls_connection *connection, const ctls_context *context, char *out, size_t capacity);
int ctls_is_reused(const ctls_connection *connection);
/// Moves the key log's lines out; returns the length, at most `capacity`.
size_t ctls_take_key_log(ctls_connection *connection, char *out, size_t capacity);
size_t ctls_key_log_bytes(const ctls_connection *connection);

enum ctls_variable {
    CTLS_ALPN_PROTOCOL,
    CTLS_CIPHER,
    CTLS_CIPHERS,
    CTLS_CLIENT_CERTIFICATE,
    CTLS_CLIENT_RAW_CERTIFICATE,
    CTLS_CLIENT_ESCAPED_CERTIFICATE,
    CTLS_CLIENT_FINGERPRINT,
    CTLS_CLIENT_ISSUER,
    CTLS_CLIENT_SUBJECT,
    CTLS_CLIENT_SERIAL,
    CTLS_CLIENT_SIGNATURE_ALGORITHM,
    CTLS_CLIENT_VALID_FROM,
    CTLS_CLIENT_VALID_TO,
    CTLS_CLIENT_VALID_DAYS,
    CTLS_CLIENT_VERIFICATION,
    CTLS_CLIENT_COMMON_NAME,
    CTLS_CLIENT_ALTERNATIVE_NAMES,
    CTLS_CURVE,
    CTLS_CURVES,
    CTLS_PROTOCOL,
    CTLS_SERVER_NAME,
    CTLS_SESSION_ID,
    CTLS_SESSION_REUSED,
    CTLS_SIGNATURE_ALGORITHM,
    CTLS_SIGNATURE_ALGORITHMS,
};

/// The value's length, of which at most `capacity` bytes are in `out`; 0: no value.
size_t ctls_variable(ctls_connection *connection, enum ctls_variable which, uint8_t *out, size_t capacity);

// The status of certificates (OCSP)

/// `UNANSWERED` comes from no answer: it is what the client's certificate is worth without one.
enum { CTLS_STATUS_GOOD, CTLS_STATUS_REVOKED, CTLS_STATUS_UNKNOWN, CTLS_STATUS_UNANSWERED };
/// Who may sign an answer: the issuer and whom it delegates it to (RFC 6960, 4.2.2.2), verified to the store; whoever
/// stands in the server's own chain as well; or whoever is in the answer.
enum { CTLS_RESPONDER_VERIFIED, CTLS_RESPONDER_CHAIN_TRUSTED, CTLS_RESPONDER_UNVERIFIED };
/// How far the responder's clock may be ahead or behind.
enum { CTLS_STATUS_SKEW_SECONDS = 300 };

// `words` get nginx's words for what failed; OpenSSL's reasons are in the error queue.

/// The client's verified chain. 1; 0: no certificate, or one that is not good; -1: failed.
int ctls_client_chain(ctls_connection *connection, ctls_chain **out, char *words, size_t capacity);
/// The `index`-th certificate of a server and its issuer. 1; 0: there is no such certificate; -1: failed.
int ctls_server_chain(ctls_context *context, size_t index, ctls_chain **out, char *words, size_t capacity);
void ctls_chain_free(ctls_chain *chain);
/// What came of asking about the client's certificates, for `ctls_client_refusal` and the variables.
void ctls_set_client_status(ctls_connection *connection, int status);
/// How many certificates have their issuer behind them; indices below are less.
size_t ctls_chain_count(const ctls_chain *chain);
/// The first OCSP place of the certificate's Authority Information Access. The length, of which at most `capacity` are
/// in `out`; 0: none.
size_t ctls_chain_responder(const ctls_chain *chain, size_t index, char *out, size_t capacity);
/// An OCSP request in DER. Its length, or -1.
int ctls_chain_request(const ctls_chain *chain, size_t index, uint8_t *out, size_t capacity, char *words,
                       size_t words_capacity);
/// What a cache knows the certificate by. 0 or -1.
int ctls_chain_key(const ctls_chain *chain, size_t index, uint8_t out[32]);
/// What an answer in DER says. A status, or -1. `until`: the answer's nextUpdate in seconds since 1970; INT64_MAX: it
/// has none.
int ctls_chain_check(const ctls_chain *chain, size_t index, const uint8_t *der, size_t length, int trust, int64_t now,
                     int64_t *until, char *words, size_t capacity);

// Sessions of servers

/// Keeps the latest session of each key, the `capacity` keys used last.
ctls_store *ctls_store_new(size_t capacity);
/// Connections that live keep it.
void ctls_store_free(ctls_store *store);
size_t ctls_store_count(const ctls_store *store);

#endif
