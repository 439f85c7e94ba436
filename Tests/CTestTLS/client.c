// SPDX-License-Identifier: Apache-2.0
//
// What a test needs of OpenSSL and of malloc beyond what the product has.

#include "CTestTLS.h"

#include <sys/wait.h>
#include <unistd.h>

#include <malloc.h>
#include <openssl/ssl.h>

size_t ctt_bytes_in_use(void) {
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

void *ctt_client_new(int version) {
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());
    SSL_CTX_set_max_proto_version(ctx, version == 12 ? TLS1_2_VERSION : TLS1_3_VERSION);
    SSL *ssl = SSL_new(ctx);
    SSL_CTX_free(ctx);
    SSL_set_connect_state(ssl);
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    return ssl;
}

void ctt_client_free(void *client) { SSL_free(client); }

void ctt_client_feed(void *client, const void *bytes, size_t length) {
    BIO_write(SSL_get_rbio(client), bytes, (int)length);
}

size_t ctt_client_take(void *client, void *into, size_t capacity) {
    int count = BIO_read(SSL_get_wbio(client), into, (int)capacity);
    return count < 0 ? 0 : (size_t)count;
}

int ctt_client_handshake(void *client) { return SSL_do_handshake(client) == 1; }

int ctt_client_write(void *client, const void *bytes, size_t length) { return SSL_write(client, bytes, (int)length); }

int ctt_client_read(void *client, void *into, size_t capacity) { return SSL_read(client, into, (int)capacity); }

int ctt_client_update_key(void *client) {
    return SSL_key_update(client, SSL_KEY_UPDATE_REQUESTED) == 1 && SSL_do_handshake(client) == 1;
}

int ctt_client_renegotiate(void *client) {
    SSL_renegotiate(client);
    return SSL_do_handshake(client);
}

long ctt_in_child(long (*body)(void *), void *context) {
    int ends[2];
    if (pipe(ends) != 0) {
        return -1;
    }
    pid_t child = fork();
    if (child == 0) {
        alarm(60);
        long result = body(context);
        _exit(write(ends[1], &result, sizeof result) == sizeof result ? 0 : 1);
    }
    close(ends[1]);
    long result = -1;
    if (child < 0 || read(ends[0], &result, sizeof result) != sizeof result) {
        result = -1;
    }
    close(ends[0]);
    if (child > 0) {
        waitpid(child, NULL, 0);
    }
    return result;
}
