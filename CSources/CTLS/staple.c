// SPDX-License-Identifier: Apache-2.0
//
// The OCSP response that goes with a server's certificate: one for all of a context's certificates out of a file, or
// one for each out of what the processes share. In C for OpenSSL's callback.

#include "internal.h"

#include <openssl/ocsp.h>
#include <time.h>

/// OpenSSL frees what the callback gives it: a copy for each handshake.
static int give(SSL *ssl, const uint8_t *bytes, size_t length) {
    unsigned char *copy = OPENSSL_memdup(bytes, length);
    if (copy == NULL) {
        return SSL_TLSEXT_ERR_NOACK;
    }
    SSL_set_tlsext_status_ocsp_resp(ssl, copy, (long)length);
    return SSL_TLSEXT_ERR_OK;
}

static int give_file(SSL *ssl, void *argument) {
    const ctls_context *context = argument;
    return give(ssl, context->staple, context->staple_length);
}

/// A response that does not hold any more is none, as in nginx; the handshake goes on without.
static int give_shared(SSL *ssl, void *argument) {
    const ctls_context *context = argument;
    const X509 *certificate = SSL_get_certificate(ssl);
    for (size_t i = 0; i < context->stapled_count; i++) {
        const ctls_stapled *stapled = &context->stapled[i];
        if (stapled->certificate == certificate) {
            uint8_t response[CTLS_STAPLE_BYTES_MAX];
            int length = context->staples.get(context->staples.region, stapled->key, response, sizeof response,
                                              (uint64_t)time(NULL));
            return length > 0 ? give(ssl, response, (size_t)length) : SSL_TLSEXT_ERR_NOACK;
        }
    }
    return SSL_TLSEXT_ERR_NOACK;
}

/// A response that is only looked at to be sure that it is one.
int ctls_context_staple(ctls_context *context, const uint8_t *der, size_t length) {
    const unsigned char *position = der;
    OCSP_RESPONSE *response = length > INT32_MAX ? NULL : d2i_OCSP_RESPONSE(NULL, &position, (long)length);
    if (response == NULL) {
        return -1;
    }
    OCSP_RESPONSE_free(response);
    context->staple = malloc(length);
    if (context->staple == NULL) {
        return -1;
    }
    memcpy(context->staple, der, length);
    context->staple_length = length;
    SSL_CTX_set_tlsext_status_cb(context->ctx, give_file);
    SSL_CTX_set_tlsext_status_arg(context->ctx, context);
    return 0;
}

/// Walks macros. The context holds the certificate for as long as its address is compared with.
int ctls_context_staple_from(ctls_context *context, size_t index, const ctls_staple_source *source,
                             const uint8_t key[32]) {
    long found = SSL_CTX_set_current_cert(context->ctx, SSL_CERT_SET_FIRST);
    for (size_t i = 0; i < index && found == 1; i++) {
        found = SSL_CTX_set_current_cert(context->ctx, SSL_CERT_SET_NEXT);
    }
    ctls_stapled *stapled = found == 1 ? realloc(context->stapled, (context->stapled_count + 1) * sizeof *stapled)
                                       : NULL;
    if (stapled == NULL) {
        return -1;
    }
    context->stapled = stapled;
    stapled += context->stapled_count++;
    stapled->certificate = SSL_CTX_get0_certificate(context->ctx);
    memcpy(stapled->key, key, sizeof stapled->key);
    context->staples = *source;
    SSL_CTX_set_tlsext_status_cb(context->ctx, give_shared);
    SSL_CTX_set_tlsext_status_arg(context->ctx, context);
    return 0;
}

void ctls_forget_staple(ctls_connection *connection) {
    SSL_set_tlsext_status_ocsp_resp(connection->ssl, NULL, 0);
}

/// libcrypto's, for Swift, which has none.
int ctls_digest(const uint8_t *bytes, size_t length, uint8_t out[32]) {
    return EVP_Digest(bytes, length, out, NULL, EVP_sha256(), NULL) == 1 ? 0 : -1;
}
