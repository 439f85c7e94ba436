// SPDX-License-Identifier: Apache-2.0
//
// The handshake: whom a ClientHello asks for, which context answers, and what a peer's certificate is worth.

#include "internal.h"

#include <openssl/x509v3.h>
#include <stdio.h>

/// The length of the host name in a ClientHello's server_name extension (RFC 6066, 3), which stands at `*name`; 0 for
/// none. OpenSSL refuses a malformed one afterwards.
static size_t hello_name(SSL *ssl, const unsigned char **name) {
    const unsigned char *bytes;
    size_t length;
    if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &bytes, &length) != 1 || length < 5
        || bytes[2] != TLSEXT_NAMETYPE_host_name) {
        return 0;
    }
    size_t list = (size_t)bytes[0] << 8 | bytes[1];
    size_t count = (size_t)bytes[3] << 8 | bytes[4];
    *name = bytes + 5;
    return list != length - 2 || count != list - 3 || count > TLSEXT_MAXLEN_host_name
                   || memchr(*name, 0, count) != NULL
               ? 0
               : count;
}

/// Stops the handshake where it has changed nothing yet: version, session and certificate are the chosen server's.
/// Called for the same ClientHello again when the choice is made, and for the one that answers a HelloRetryRequest: its
/// name must be the one that led to the server (RFC 8446, 4.1.2), or a client could enter by one and be known by
/// another.
int ctls_client_hello_callback(SSL *ssl, int *alert, void *argument) {
    (void)argument;
    ctls_connection *connection = ctls_current.connection;
    // A second ClientHello may bring another session.
    connection->is_timed = 0;
    if (connection->chooses == CTLS_CHOICE_NONE) {
        return SSL_CLIENT_HELLO_SUCCESS;
    }
    const unsigned char *name = NULL;
    size_t length = hello_name(ssl, &name);
    if (connection->chooses == CTLS_CHOICE_MADE) {
        if (length == connection->name_length && (length == 0 || memcmp(name, connection->name, length) == 0)) {
            return SSL_CLIENT_HELLO_SUCCESS;
        }
        connection->is_rejected = 1;
        *alert = SSL_AD_ILLEGAL_PARAMETER;
        return SSL_CLIENT_HELLO_ERROR;
    }
    connection->chooses = CTLS_CHOICE_MADE;
    if (length == 0) {
        return SSL_CLIENT_HELLO_SUCCESS;
    }
    connection->name = malloc(length);
    if (connection->name == NULL) {
        *alert = SSL_AD_INTERNAL_ERROR;
        return SSL_CLIENT_HELLO_ERROR;
    }
    memcpy(connection->name, name, length);
    connection->name_length = (uint16_t)length;
    return SSL_CLIENT_HELLO_RETRY;
}

/// Called for a ClientHello without a name as well.
int ctls_servername_callback(SSL *ssl, int *alert, void *argument) {
    (void)argument;
    ctls_connection *connection = ctls_current.connection;
    const ctls_context *context = ctls_context_of_ctx(SSL_get_SSL_CTX(ssl));
    if (connection->is_open) {
        *alert = SSL_AD_NO_RENEGOTIATION;
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    if (context->verification != CTLS_VERIFY_OFF) {
        // A session that was made for one name must not open another that asks for a certificate (CVE-2025-23419).
        const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
        const SSL_SESSION *session = SSL_get0_session(ssl);
        const char *old_name = session == NULL ? NULL : SSL_SESSION_get0_hostname(session);
        if (name != NULL && old_name != NULL && strcmp(name, old_name) != 0) {
            connection->is_rejected = 1;
            *alert = SSL_AD_ACCESS_DENIED;
            return SSL_TLSEXT_ERR_ALERT_FATAL;
        }
    }
    if (context->rejects) {
        connection->is_rejected = 1;
        *alert = SSL_AD_UNRECOGNIZED_NAME;
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    return SSL_TLSEXT_ERR_OK;
}

/// -1 stops the handshake until `ctls_use_pair_key`.
int ctls_certificate_callback(SSL *ssl, void *argument) {
    (void)ssl, (void)argument;
    return ctls_current.connection->has_certificate ? 1 : -1;
}

/// SSL_set_SSL_CTX changes certificates and callbacks only; the rest as nginx's servername callback does it.
int ctls_use_context(ctls_connection *connection, ctls_context *context) {
    SSL *ssl = connection->ssl;
    SSL_CTX *ctx = context->ctx;
    ERR_clear_error();
    if (SSL_set_SSL_CTX(ssl, ctx) == NULL) {
        return -1;
    }
    SSL_set_verify(ssl, SSL_CTX_get_verify_mode(ctx), SSL_CTX_get_verify_callback(ctx));
    SSL_set_verify_depth(ssl, SSL_CTX_get_verify_depth(ctx));
    SSL_clear_options(ssl, SSL_get_options(ssl) & ~SSL_CTX_get_options(ctx));
    SSL_set_options(ssl, SSL_CTX_get_options(ctx) | SSL_OP_NO_RENEGOTIATION);
    return 0;
}

/// Floods of KeyUpdate keep a worker busy and carry nothing; OpenSSL has no bound.
static void count_messages(int is_writing, int version, int type, const void *bytes, size_t length, SSL *ssl,
                           void *argument) {
    (void)version, (void)bytes, (void)length, (void)ssl;
    ctls_connection *connection = argument;
    if (!is_writing && type == SSL3_RT_HANDSHAKE && ++connection->messages > CTLS_MESSAGES_MAX) {
        connection->is_flooded = 1;
    }
}

/// In nginx's words, which name the number.
static void fail_verification(ctls_connection *connection, long result) {
    char words[512];
    if (connection->lacks_name || result == X509_V_ERR_HOSTNAME_MISMATCH || result == X509_V_ERR_IP_ADDRESS_MISMATCH) {
        snprintf(words, sizeof words, "upstream SSL certificate does not match \"%.*s\"",
                 (int)(connection->name == NULL ? 0 : connection->name_length),
                 connection->name == NULL ? "" : (const char *)connection->name);
    } else {
        snprintf(words, sizeof words, "upstream SSL certificate verify error: (%ld:%s)", result,
                 X509_verify_cert_error_string(result));
    }
    ERR_clear_error();
    ctls_fail(connection, 0, words);
}

/// The keys of the exchange, 500 bytes that an SSL would hold to its end; it keeps their shells.
static void forget_exchange(SSL *ssl) {
    EVP_PKEY *own = NULL;
    EVP_PKEY *other = NULL;
    if (SSL_get_tmp_key(ssl, &own) == 1) {
        EVP_PKEY_set_type(own, EVP_PKEY_NONE);
        EVP_PKEY_free(own);
    }
    if (SSL_get_peer_tmp_key(ssl, &other) == 1) {
        EVP_PKEY_set_type(other, EVP_PKEY_NONE);
        EVP_PKEY_free(other);
    }
    ERR_clear_error();
}

/// What only the handshake needed goes.
static int finish(ctls_connection *connection) {
    if (!connection->is_server && connection->first->verifies_server) {
        long result = SSL_get_verify_result(connection->ssl);
        if (result != X509_V_OK || connection->lacks_name) {
            fail_verification(connection, result);
            return CTLS_FAILED;
        }
    }
    ctls_keep_renewed_session(connection);
    forget_exchange(connection->ssl);
    connection->is_open = 1;
    connection->has_more = connection->unread != NULL || SSL_has_pending(connection->ssl);
    free(connection->name);
    connection->name = NULL;
    connection->name_length = 0;
    if (connection->is_server) {
        ctls_forget_staple(connection);
    }
    SSL_set_msg_callback(connection->ssl, count_messages);
    SSL_set_msg_callback_arg(connection->ssl, connection);
    return CTLS_DONE;
}

int ctls_handshake(ctls_connection *connection, const void *input, size_t length) {
    if (connection->is_failed) {
        return CTLS_FAILED;
    }
    ctls_begin(connection, input, length);
    int result = SSL_do_handshake(connection->ssl);
    int error = result == 1 ? SSL_ERROR_NONE : SSL_get_error(connection->ssl, result);
    int is_kept = ctls_stash_append(&connection->unread, ctls_current.input, ctls_current.input_left) == 0;
    if (!is_kept) {
        ctls_fail(connection, 1, "too much data before the handshake is done");
        return CTLS_FAILED;
    }
    switch (error) {
    case SSL_ERROR_NONE:
        return finish(connection);
    case SSL_ERROR_WANT_READ:
        return CTLS_WANTS_INPUT;
    case SSL_ERROR_WANT_CLIENT_HELLO_CB:
        return CTLS_CHOOSE;
    case SSL_ERROR_WANT_X509_LOOKUP:
        return CTLS_WANTS_CERTIFICATE;
    default:
        break;
    }
    long verified = SSL_get_verify_result(connection->ssl);
    if (!connection->is_server && connection->first->verifies_server && verified != X509_V_OK) {
        fail_verification(connection, verified);
    } else {
        ctls_fail_ssl(connection, error, "SSL_do_handshake() failed");
    }
    return CTLS_FAILED;
}

const uint8_t *ctls_requested_name(const ctls_connection *connection, size_t *length) {
    *length = connection->name_length;
    return connection->name;
}

/// As ngx_ssl_verify_error_optional: who signed it is not asked, whether it is good otherwise is.
static int is_optional(long result) {
    return result == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT || result == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN
           || result == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY
           || result == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE;
}

size_t ctls_client_refusal(ctls_connection *connection, const ctls_context *context, char *out, size_t capacity) {
    context = context == NULL ? ctls_context_of_ctx(SSL_get_SSL_CTX(connection->ssl)) : context;
    if (context->verification == CTLS_VERIFY_OFF) {
        return 0;
    }
    long result = SSL_get_verify_result(connection->ssl);
    int length = 0;
    if (result != X509_V_OK && (context->verification != CTLS_VERIFY_OPTIONAL_NO_CA || !is_optional(result))) {
        length = snprintf(out, capacity, "client SSL certificate verify error: (%ld:%s)", result,
                          X509_verify_cert_error_string(result));
    } else if (context->verification == CTLS_VERIFY_ON && SSL_get0_peer_certificate(connection->ssl) == NULL) {
        length = snprintf(out, capacity, "client sent no required SSL certificate");
    } else if (connection->status_fault != NULL) {
        length = snprintf(out, capacity, "client SSL certificate verify error: %s", connection->status_fault);
    }
    if (length > 0) {
        SSL_CTX_remove_session(connection->first->ctx, SSL_get0_session(connection->ssl));
    }
    return length <= 0 ? 0 : (size_t)length < capacity ? (size_t)length : capacity - 1;
}

int ctls_is_reused(const ctls_connection *connection) { return SSL_session_reused(connection->ssl); }
