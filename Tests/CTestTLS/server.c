// SPDX-License-Identifier: Apache-2.0
//
// The other side of the client: a server over memory, straight on OpenSSL, for brokers inside of a test. One context
// for all its connections, so that its tickets are good for the next one.

#include "CTestTLS.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

struct protocols {
    size_t length;
    unsigned char bytes[];
};

/// The server's first protocol that the client has; without one the extension is not answered.
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_length, const unsigned char *in,
                           unsigned in_length, void *argument) {
    (void)ssl;
    const struct protocols *own = argument;
    // The result points into `in` or into our list; OpenSSL's prototype only lacks a const.
    int result = SSL_select_next_proto((unsigned char **)(uintptr_t)out, out_length, own->bytes, (unsigned)own->length,
                                       in, in_length);
    return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

static int offer_protocols(SSL_CTX *ctx, const struct ctt_server_settings *settings) {
    if (settings->protocols_length == 0) return 1;
    struct protocols *own = malloc(sizeof *own + settings->protocols_length);
    if (!own) return 0;
    own->length = settings->protocols_length;
    memcpy(own->bytes, settings->protocols, own->length);
    SSL_CTX_set_app_data(ctx, own);
    SSL_CTX_set_alpn_select_cb(ctx, choose_protocol, own);
    return 1;
}

void *ctt_server_context(const struct ctt_server_settings *settings) {
    ERR_clear_error();
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (!ctx) return NULL;
    SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"test", 4);
    int is_set_up = SSL_CTX_set_max_proto_version(ctx, settings->version_max)
        && SSL_CTX_use_certificate_chain_file(ctx, settings->certificate) == 1
        && SSL_CTX_use_PrivateKey_file(ctx, settings->key, SSL_FILETYPE_PEM) == 1;
    if (is_set_up && settings->authority) {
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
        is_set_up = SSL_CTX_load_verify_file(ctx, settings->authority);
    }
    if (is_set_up && offer_protocols(ctx, settings)) return ctx;
    ctt_server_context_free(ctx);
    return NULL;
}

void ctt_server_context_free(void *context) {
    free(SSL_CTX_get_app_data(context));
    SSL_CTX_free(context);
}

void *ctt_server_new(void *context) {
    ERR_clear_error();
    SSL *ssl = SSL_new(context);
    if (!ssl) return NULL;
    SSL_set_accept_state(ssl);
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    return ssl;
}
