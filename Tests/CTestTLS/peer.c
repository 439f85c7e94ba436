// SPDX-License-Identifier: Apache-2.0
//
// Clients and brokers of a simulation: OpenSSL over memory, with certificates and sessions, and with randomness that
// comes from the simulation's seed, so that one seed is one run down to the length of each signature.

#define OPENSSL_SUPPRESS_DEPRECATED
#include "CTestTLS.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <string.h>

// Chance

static _Thread_local uint64_t chance_state;
static _Thread_local int is_seeded;

// SplitMix64: good enough for lengths, and that is all that a simulation needs of it.
static int seeded_bytes(unsigned char *into, int count) {
    if (!is_seeded) {
        return RAND_OpenSSL()->bytes(into, count);
    }
    for (int index = 0; index < count; index += 1) {
        uint64_t word = chance_state += 0x9E3779B97F4A7C15;
        word = (word ^ word >> 30) * 0xBF58476D1CE4E5B9;
        word = (word ^ word >> 27) * 0x94D049BB133111EB;
        into[index] = (unsigned char)(word ^ word >> 31);
    }
    return 1;
}

static int ready(void) { return 1; }

static const RAND_METHOD seeded_method = {.bytes = seeded_bytes, .pseudorand = seeded_bytes, .status = ready};

void ctt_seed(uint64_t seed) {
    chance_state = seed;
    is_seeded = 1;
    RAND_set_rand_method(&seeded_method);
}

void ctt_unseed(void) { is_seeded = 0; }

// Counting

static _Thread_local long connections_alive;

static void count_new(void *parent, void *pointer, CRYPTO_EX_DATA *data, int index, long number, void *argument) {
    (void)parent, (void)pointer, (void)data, (void)index, (void)number, (void)argument;
    connections_alive += 1;
}

static void count_free(void *parent, void *pointer, CRYPTO_EX_DATA *data, int index, long number, void *argument) {
    (void)parent, (void)pointer, (void)data, (void)index, (void)number, (void)argument;
    connections_alive -= 1;
}

void ctt_count_connections(void) { (void)SSL_get_ex_new_index(0, NULL, count_new, NULL, count_free); }

long ctt_connections_alive(void) { return connections_alive; }

// Contexts

/// The latest session of a client's context stands in its extra data 0, which is what SSL_CTX_set_app_data means.
static int keep_session(SSL *ssl, SSL_SESSION *session) {
    SSL_CTX *ctx = SSL_get_SSL_CTX(ssl);
    SSL_SESSION_free(SSL_CTX_get_app_data(ctx));
    SSL_CTX_set_app_data(ctx, session);
    return 1;
}

void *ctt_context_new(int is_server, int version, const char *chain, const char *key) {
    SSL_CTX *ctx = SSL_CTX_new(is_server ? TLS_server_method() : TLS_client_method());
    SSL_CTX_set_max_proto_version(ctx, version == 12 ? TLS1_2_VERSION : TLS1_3_VERSION);
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    if (chain != NULL) {
        BIO *bio = BIO_new_mem_buf(chain, -1);
        X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
        BIO_free(bio);
        bio = BIO_new_mem_buf(key, -1);
        EVP_PKEY *pair = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
        BIO_free(bio);
        int is_taken = SSL_CTX_use_certificate(ctx, certificate) == 1 && SSL_CTX_use_PrivateKey(ctx, pair) == 1;
        X509_free(certificate);
        EVP_PKEY_free(pair);
        if (!is_taken) {
            SSL_CTX_free(ctx);
            return NULL;
        }
    }
    if (is_server) {
        SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"broker", 6);
    } else {
        SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
        SSL_CTX_sess_set_new_cb(ctx, keep_session);
    }
    return ctx;
}

void ctt_context_free(void *context) {
    SSL_SESSION_free(SSL_CTX_get_app_data((SSL_CTX *)context));
    SSL_CTX_free(context);
}

// Peers

void *ctt_peer_new(void *context, const char *name, int resumes) {
    SSL *ssl = SSL_new(context);
    if (SSL_is_server(ssl)) {
        SSL_set_accept_state(ssl);
    } else {
        SSL_set_connect_state(ssl);
        SSL_SESSION *session = SSL_CTX_get_app_data((SSL_CTX *)context);
        if (resumes && session != NULL) {
            SSL_set_session(ssl, session);
        }
        if (name != NULL) {
            SSL_set_tlsext_host_name(ssl, name);
        }
    }
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    return ssl;
}

int ctt_peer_handshake(void *peer) {
    ERR_clear_error();
    int result = SSL_do_handshake(peer);
    if (result == 1) {
        return 1;
    }
    return SSL_get_error(peer, result) == SSL_ERROR_WANT_READ ? 0 : -1;
}

int ctt_peer_read(void *peer, void *into, size_t capacity) {
    ERR_clear_error();
    int result = SSL_read(peer, into, (int)capacity);
    if (result > 0) {
        return result;
    }
    switch (SSL_get_error(peer, result)) {
    case SSL_ERROR_WANT_READ: return 0;
    case SSL_ERROR_ZERO_RETURN: return -1;
    default: return -2;
    }
}

void ctt_peer_close(void *peer) {
    ERR_clear_error();
    SSL_shutdown(peer);
}

size_t ctt_peer_name(void *peer, char *into, size_t capacity) {
    X509 *certificate = SSL_get0_peer_certificate(peer);
    if (certificate == NULL) {
        return 0;
    }
    int length = X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, into, (int)capacity);
    return length < 0 ? 0 : (size_t)length;
}

int ctt_peer_is_resumed(void *peer) { return SSL_session_reused(peer); }
