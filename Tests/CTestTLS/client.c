// SPDX-License-Identifier: Apache-2.0
//
// What a test needs of OpenSSL and of malloc beyond what the product has.

#include "CTestTLS.h"

#include <malloc.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

// What OpenSSL has allocated and freed on this thread; memory that goes to another thread's free counts here for good.
static _Thread_local long bytes_in_use;

static void *counting_malloc(size_t size, const char *file, int line) {
    (void)file, (void)line;
    void *block = malloc(size);
    bytes_in_use += (long)malloc_usable_size(block);
    return block;
}

static void counting_free(void *block, const char *file, int line) {
    (void)file, (void)line;
    bytes_in_use -= (long)malloc_usable_size(block);
    free(block);
}

static void *counting_realloc(void *block, size_t size, const char *file, int line) {
    (void)file, (void)line;
    long former = (long)malloc_usable_size(block);
    void *moved = realloc(block, size);
    if (moved != NULL) {
        bytes_in_use += (long)malloc_usable_size(moved) - former;
    }
    return moved;
}

// Before OpenSSL allocates anything: it refuses later.
__attribute__((constructor)) static void count_allocations(void) {
    CRYPTO_set_mem_functions(counting_malloc, counting_realloc, counting_free);
    ctt_count_connections();
}

long ctt_bytes_in_use(void) { return bytes_in_use; }

void *ctt_client_new(int version) {
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());
    SSL_CTX_set_max_proto_version(ctx, version == 12 ? TLS1_2_VERSION : TLS1_3_VERSION);
    ctt_keep_secrets(ctx);
    SSL *ssl = SSL_new(ctx);
    SSL_CTX_free(ctx);
    SSL_set_connect_state(ssl);
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    return ssl;
}

void ctt_client_rename(void *client, const char *name) { SSL_set_tlsext_host_name((SSL *)client, name); }

void ctt_client_free(void *client) { SSL_free(client); }

void ctt_client_ask_for_status(void *client, const char *signatures) {
    SSL_set_tlsext_status_type(client, TLSEXT_STATUSTYPE_ocsp);
    SSL_set1_sigalgs_list(client, signatures);
}

size_t ctt_client_status(void *client, void *into, size_t capacity) {
    const unsigned char *bytes = NULL;
    long length = SSL_get_tlsext_status_ocsp_resp(client, &bytes);
    if (length <= 0) {
        return 0;
    }
    memcpy(into, bytes, (size_t)length < capacity ? (size_t)length : capacity);
    return (size_t)length;
}

void ctt_client_feed(void *client, const void *bytes, size_t length) {
    BIO_write(SSL_get_rbio(client), bytes, (int)length);
}

size_t ctt_client_take(void *client, void *into, size_t capacity) {
    int count = BIO_read(SSL_get_wbio(client), into, (int)capacity);
    return count < 0 ? 0 : (size_t)count;
}

int ctt_client_handshake(void *client) {
    ERR_clear_error();
    return SSL_do_handshake(client) == 1;
}

int ctt_client_write(void *client, const void *bytes, size_t length) {
    ERR_clear_error();
    return SSL_write(client, bytes, (int)length);
}

int ctt_client_read(void *client, void *into, size_t capacity) {
    ERR_clear_error();
    return SSL_read(client, into, (int)capacity);
}

int ctt_client_update_key(void *client) {
    return SSL_key_update(client, SSL_KEY_UPDATE_REQUESTED) == 1 && SSL_do_handshake(client) == 1;
}

int ctt_client_renegotiate(void *client) {
    SSL_renegotiate(client);
    return SSL_do_handshake(client);
}
