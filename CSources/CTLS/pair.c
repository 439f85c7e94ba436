// SPDX-License-Identifier: Apache-2.0
//
// Certificates with their chain and their key, out of PEM in memory, as nginx reads them out of files.

#include "internal.h"

#include <openssl/pem.h>

/// STACK_OF is a macro; where a chain ends is an entry of the error queue.
ctls_pair *ctls_pair_new(const uint8_t *pem, size_t length) {
    ctls_pair *pair = calloc(1, sizeof *pair);
    BIO *bio = length > INT32_MAX ? NULL : BIO_new_mem_buf(pem, (int)length);
    if (pair == NULL || bio == NULL) {
        goto failed;
    }
    pair->chain = sk_X509_new_null();
    pair->certificate = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL);
    if (pair->chain == NULL || pair->certificate == NULL) {
        goto failed;
    }
    for (;;) {
        X509 *next = PEM_read_bio_X509(bio, NULL, NULL, NULL);
        if (next == NULL) {
            unsigned long code = ERR_peek_last_error();
            if (ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE) {
                ERR_clear_error();
                BIO_free(bio);
                return pair;
            }
            goto failed;
        }
        if (sk_X509_push(pair->chain, next) == 0) {
            X509_free(next);
            goto failed;
        }
    }
failed:
    BIO_free(bio);
    ctls_pair_free(pair);
    return NULL;
}

void ctls_pair_free(ctls_pair *pair) {
    if (pair != NULL) {
        X509_free(pair->certificate);
        sk_X509_pop_free(pair->chain, X509_free);
        EVP_PKEY_free(pair->key);
        free(pair);
    }
}

typedef struct {
    const uint8_t *bytes;
    size_t length;
    int was_asked;
} passphrase;

/// OpenSSL's own callback would ask at the terminal.
static int give_passphrase(char *out, int capacity, int is_writing, void *argument) {
    passphrase *given = argument;
    given->was_asked = 1;
    if (is_writing || given->bytes == NULL || given->length > (size_t)capacity) {
        return -1;
    }
    memcpy(out, given->bytes, given->length);
    return (int)given->length;
}

int ctls_pair_read_key(ctls_pair *pair, const uint8_t *pem, size_t length, const uint8_t *bytes, size_t bytes_length) {
    BIO *bio = length > INT32_MAX ? NULL : BIO_new_mem_buf(pem, (int)length);
    if (bio == NULL) {
        return -1;
    }
    passphrase given = {bytes, bytes_length, 0};
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, give_passphrase, &given);
    BIO_free(bio);
    if (key == NULL) {
        return given.was_asked ? 0 : -1;
    }
    // A block that was tried before this one may have left something.
    ERR_clear_error();
    EVP_PKEY_free(pair->key);
    pair->key = key;
    return 1;
}

/// SSL_CTX_set1_chain is a macro.
int ctls_context_use_pair_certificate(ctls_context *context, const ctls_pair *pair) {
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned length;
    if (SSL_CTX_use_certificate(context->ctx, pair->certificate) != 1
        || SSL_CTX_set1_chain(context->ctx, pair->chain) != 1
        || X509_digest(pair->certificate, EVP_sha256(), digest, &length) != 1) {
        return -1;
    }
    return ctls_context_identify(context, digest, length);
}

/// OpenSSL compares a key with a certificate of its own kind alone: an RSA key beside an ECDSA certificate would be
/// taken, and fail every handshake.
static int is_pair(const ctls_pair *pair) { return X509_check_private_key(pair->certificate, pair->key) == 1; }

int ctls_context_use_pair_key(ctls_context *context, const ctls_pair *pair) {
    return is_pair(pair) && SSL_CTX_use_PrivateKey(context->ctx, pair->key) == 1 ? 0 : -1;
}

int ctls_use_pair_certificate(ctls_connection *connection, const ctls_pair *pair) {
    ERR_clear_error();
    return SSL_use_certificate(connection->ssl, pair->certificate) == 1
                   && SSL_set1_chain(connection->ssl, pair->chain) == 1
               ? 0
               : -1;
}

int ctls_use_pair_key(ctls_connection *connection, const ctls_pair *pair) {
    ERR_clear_error();
    if (!is_pair(pair) || SSL_use_PrivateKey(connection->ssl, pair->key) != 1) {
        return -1;
    }
    connection->has_certificate = 1;
    return 0;
}

void ctls_use_no_more_pairs(ctls_connection *connection) { connection->has_certificate = 1; }
