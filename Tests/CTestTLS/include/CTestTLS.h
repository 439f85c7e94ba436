// SPDX-License-Identifier: Apache-2.0
//
// For tests: a client straight on OpenSSL that can misbehave, and what OpenSSL has allocated.

#ifndef WEIR_CTESTTLS_H
#define WEIR_CTESTTLS_H

#include <stddef.h>
#include <stdint.h>

/// Bytes of the blocks that OpenSSL has allocated on this thread, less those that it has freed there.
long ctt_bytes_in_use(void);

/// A client over memory. `version`: 12 or 13.
void *ctt_client_new(int version);

/// What a client offers and asks for. NULL: OpenSSL's own choice, or nothing.
struct ctt_settings {
    /// TLS1_2_VERSION and such; 0: any.
    int version_min, version_max;
    /// A file in PEM: the server is verified with it, against `server_name` where there is one.
    const char *authority;
    /// Files in PEM: a chain and its key.
    const char *certificate, *key;
    /// Sent as SNI, unless it is an address.
    const char *server_name;
    /// Of TLS 1.2, and of TLS 1.3.
    const char *ciphers, *suites;
    const char *groups, *signature_algorithms;
    /// As in the extension: each with its length in front.
    const unsigned char *protocols;
    size_t protocols_length;
    /// DER of a session to resume, from `ctt_client_session`.
    const unsigned char *session;
    size_t session_length;
    /// The session is said to allow so much early data, whatever the server said.
    unsigned early_data_max;
    /// So many extensions that nobody knows, each empty.
    unsigned strange_extensions;
};

/// A client over memory. NULL: `ctt_client_error(NULL, …)` says why.
void *ctt_client_configured(const struct ctt_settings *settings);

/// What OpenSSL said last about a failure, as text; its length, of which at most `capacity` bytes are in `into`.
size_t ctt_client_error(void *client, char *into, size_t capacity);

/// What a handshake has settled, as text: the same lengths.
enum {
    CTT_VERSION,
    CTT_CIPHER,
    CTT_PROTOCOL,
    CTT_SERVER_SUBJECT,
    CTT_SERVER_SERIAL,
    CTT_SERVER_KEY_TYPE,
    /// Subjects of all certificates that the server sent, one a line.
    CTT_SERVER_CHAIN,
    /// Names of authorities in the CertificateRequest, one a line.
    CTT_AUTHORITY_NAMES,
    CTT_GROUP,
    /// On a server's side: what SNI asked for.
    CTT_REQUESTED_NAME,
    /// "accepted", "rejected", or nothing.
    CTT_EARLY_DATA,
    /// What the session that a server gave allows of it.
    CTT_EARLY_DATA_MAX,
};
size_t ctt_client_describe(void *client, int what, char *into, size_t capacity);
int ctt_client_is_reused(void *client);
/// DER of the session as it stands now, tickets that came included.
size_t ctt_client_session(void *client, unsigned char *into, size_t capacity);
void ctt_client_free(void *client);
/// Before the handshake: asks for a stapled OCSP response, with signatures of these kinds alone.
void ctt_client_ask_for_status(void *client, const char *signatures);
/// After it: the bytes that were stapled. The length, of which at most `capacity` are in `into`; 0: none.
size_t ctt_client_status(void *client, void *into, size_t capacity);
void ctt_client_feed(void *client, const void *bytes, size_t length);
size_t ctt_client_take(void *client, void *into, size_t capacity);
/// 1: done.
int ctt_client_handshake(void *client);
int ctt_client_write(void *client, const void *bytes, size_t length);
/// Reads what came; bytes, or -1.
int ctt_client_read(void *client, void *into, size_t capacity);
/// After a call that did not succeed: an SSL_ERROR of openssl/ssl.h.
int ctt_client_condition(void *client, int result);
/// Says close_notify.
void ctt_client_close(void *client);
/// Between two ClientHellos: the name of the next one.
void ctt_client_rename(void *client, const char *name);
/// Asks the other side to change its key as well.
int ctt_client_update_key(void *client);
/// The same in place of a client's first record after its handshake, cut behind `cut` bytes of five into two records. Of
/// the client of `ctt_client_new` that has shaken hands last on this thread. The length of both records; 0: failed.
size_t ctt_client_split_update(void *client, size_t cut, unsigned char *out, size_t capacity);
/// What that needs of a context (SSL_CTX).
void ctt_keep_secrets(void *ctx);
/// Begins a handshake again (TLS 1.2). 1, or what SSL_do_handshake said.
int ctt_client_renegotiate(void *client);
/// Instead of the handshake's first step: 1 when ClientHello and the bytes are there to be taken.
int ctt_client_write_early(void *client, const void *bytes, size_t length);

struct ctt_server_settings {
    /// Files in PEM: a chain and its key.
    const char *certificate, *key;
    /// A file: clients must show a certificate of it. NULL: none is asked for.
    const char *authority;
    int version_max;
    const unsigned char *protocols;
    size_t protocols_length;
};

/// What connections of one server share. NULL: `ctt_client_error(NULL, …)` says why.
void *ctt_server_context(const struct ctt_server_settings *settings);
void ctt_server_context_free(void *context);
/// A server over memory, for all functions above that take a client.
void *ctt_server_new(void *context);

// For a simulation: see peer.c.

/// All that OpenSSL draws on this thread follows from `seed`, until `ctt_unseed`.
void ctt_seed(uint64_t seed);
void ctt_unseed(void);
/// Called once, before any connection is made.
void ctt_count_connections(void);
/// Connections (SSL) of everybody that were made on this thread, less those that were freed there.
long ctt_connections_alive(void);

/// `version`: the latest that it speaks, 12 or 13. `chain`, `key`: PEM, or NULL for none. A client's context keeps the
/// latest session. NULL: the certificate or the key is not usable.
void *ctt_context_new(int is_server, int version, const char *chain, const char *key);
void ctt_context_free(void *context);
/// One side of a connection, which side is the context's to say. It works with `ctt_client_feed`, `_take`, `_write`,
/// `_update_key` and `_free`. `name`: the server that a client asks for, or NULL.
void *ctt_peer_new(void *context, const char *name, int resumes);
/// 1: done; 0: it waits for bytes; -1: failed.
int ctt_peer_handshake(void *peer);
/// Bytes; 0: it waits for more; -1: close_notify; -2: failed.
int ctt_peer_read(void *peer, void *into, size_t capacity);
/// Says close_notify.
void ctt_peer_close(void *peer);
/// The common name of the other side's certificate.
size_t ctt_peer_name(void *peer, char *into, size_t capacity);
int ctt_peer_is_resumed(void *peer);

/// An OCSP response in DER about a certificate, signed by the authority; texts in PEM, times in seconds since 1970.
/// `status`: V_OCSP_CERTSTATUS_… of openssl/ocsp.h (0: good, 1: revoked, 2: unknown). The length; 0: failed.
size_t ctt_status_answer(const char *authority, const char *key, const char *certificate, int status, int64_t from,
                         int64_t until, unsigned char *out, size_t capacity);

#endif
