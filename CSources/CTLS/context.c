// SPDX-License-Identifier: Apache-2.0
//
// Contexts: one SSL_CTX each, set up step by step in the order in which nginx does it. What callbacks need beside the
// SSL_CTX hangs on it as extra data and goes when it goes, which is after the last connection.

#include "internal.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>

static int context_index = -1;
static uint64_t context_count = 0;

static void free_with_ctx(void *parent, void *pointer, CRYPTO_EX_DATA *data, int index, long argument, void *more) {
    (void)parent, (void)data, (void)index, (void)argument, (void)more;
    ctls_context *context = pointer;
    if (context != NULL) {
        BIO_free(context->bio);
        EVP_MD_CTX_free(context->identity);
        free(context->alpn);
        free(context->staple);
        free(context->stapled);
        if (context->ticket_keys != NULL) {
            OPENSSL_cleanse(context->ticket_keys, context->ticket_key_count * sizeof *context->ticket_keys);
        }
        free(context->ticket_keys);
        if (context->key_log != NULL) {
            OPENSSL_cleanse(context->key_log, CTLS_KEY_LOG_MAX);
        }
        free(context->key_log);
        free(context);
    }
}

ctls_context *ctls_context_of_ctx(const SSL_CTX *ctx) { return SSL_CTX_get_ex_data(ctx, context_index); }

/// Extra data has callbacks; options and versions are macros. As ngx_ssl_create: options say which protocols are
/// spoken, not the bounds of the system's openssl.cnf.
ctls_context *ctls_context_new(int is_server, unsigned protocols) {
    if (context_index < 0) {
        context_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_with_ctx);
    }
    ctls_context *context = calloc(1, sizeof *context);
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());
    if (context == NULL || ctx == NULL || SSL_CTX_set_ex_data(ctx, context_index, context) != 1) {
        SSL_CTX_free(ctx);
        free(context);
        return NULL;
    }
    context->ctx = ctx;
    context->number = ++context_count;
    context->bio = ctls_bio_new();
    context->identity = EVP_MD_CTX_new();
    if (context->bio == NULL || context->identity == NULL
        || EVP_DigestInit_ex(context->identity, EVP_sha256(), NULL) != 1) {
        SSL_CTX_free(ctx);
        return NULL;
    }
    uint64_t options = SSL_OP_NO_SSLv2 | SSL_OP_SINGLE_DH_USE | SSL_OP_SINGLE_ECDH_USE | SSL_OP_NO_COMPRESSION
                       | SSL_OP_NO_ANTI_REPLAY | SSL_OP_NO_RENEGOTIATION;
    SSL_CTX_clear_options(ctx, SSL_OP_NO_SSL_MASK);
    options |= protocols & CTLS_SSL3 ? 0 : SSL_OP_NO_SSLv3;
    options |= protocols & CTLS_TLS1 ? 0 : SSL_OP_NO_TLSv1;
    options |= protocols & CTLS_TLS1_1 ? 0 : SSL_OP_NO_TLSv1_1;
    options |= protocols & CTLS_TLS1_2 ? 0 : SSL_OP_NO_TLSv1_2;
    options |= protocols & CTLS_TLS1_3 ? 0 : SSL_OP_NO_TLSv1_3;
    SSL_CTX_set_options(ctx, options);
    SSL_CTX_set_min_proto_version(ctx, 0);
    SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_read_ahead(ctx, 1);
    if (is_server) {
        // OpenSSL's two are for browsers, which open several connections at once; a device comes back once, and gets
        // another ticket then. `ssl_conf_command NumTickets 2` brings the second back.
        SSL_CTX_set_num_tickets(ctx, 1);
        SSL_CTX_set_info_callback(ctx, ctls_info_callback);
        SSL_CTX_set_client_hello_cb(ctx, ctls_client_hello_callback, NULL);
        SSL_CTX_set_tlsext_servername_callback(ctx, ctls_servername_callback);
    }
    return context;
}

/// OpenSSL frees the sessions of a context with it, and would have each taken out of the shared cache as well, which
/// others still use, and whose memory may be gone before the last connection that holds the context.
void ctls_context_free(ctls_context *context) {
    SSL_CTX_sess_set_remove_cb(context->ctx, NULL);
    SSL_CTX_free(context->ctx);
}

int ctls_context_set_ciphers(ctls_context *context, const char *list) {
    return SSL_CTX_set_cipher_list(context->ctx, list) == 1 ? 0 : -1;
}

void ctls_context_prefer_server_ciphers(ctls_context *context) {
    SSL_CTX_set_options(context->ctx, SSL_OP_CIPHER_SERVER_PREFERENCE);
}

/// A macro.
int ctls_context_set_curves(ctls_context *context, const char *list) {
    return SSL_CTX_set1_curves_list(context->ctx, list) == 1 ? 0 : -1;
}

int ctls_context_set_dh_parameters(ctls_context *context, const uint8_t *pem, size_t length) {
    BIO *bio = length > INT32_MAX ? NULL : BIO_new_mem_buf(pem, (int)length);
    EVP_PKEY *parameters = bio == NULL ? NULL : PEM_read_bio_Parameters(bio, NULL);
    BIO_free(bio);
    if (parameters == NULL) {
        return -1;
    }
    if (SSL_CTX_set0_tmp_dh_pkey(context->ctx, parameters) != 1) {
        EVP_PKEY_free(parameters);
        return -1;
    }
    return 0;
}

/// The server chooses by its own order; a list without a match ends the handshake with no_application_protocol.
static int select_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_length, const unsigned char *in,
                       unsigned in_length, void *argument) {
    (void)ssl;
    const ctls_context *context = argument;
    // The result points into `in` or into our list; both outlive the handshake. OpenSSL's prototype only lacks a const.
    return SSL_select_next_proto((unsigned char **)(uintptr_t)out, out_length, context->alpn,
                                 (unsigned)context->alpn_length, in, in_length)
                   == OPENSSL_NPN_NEGOTIATED
               ? SSL_TLSEXT_ERR_OK
               : SSL_TLSEXT_ERR_ALERT_FATAL;
}

/// A callback on the server's side; on the client's, a result that is the wrong way round.
int ctls_context_set_alpn(ctls_context *context, const uint8_t *wire, size_t length) {
    context->alpn = malloc(length);
    if (context->alpn == NULL) {
        return -1;
    }
    memcpy(context->alpn, wire, length);
    context->alpn_length = length;
    SSL_CTX_set_alpn_select_cb(context->ctx, select_alpn, context);
    return SSL_CTX_set_alpn_protos(context->ctx, wire, (unsigned)length) == 0 ? 0 : -1;
}

void ctls_context_ask_for_certificate(ctls_context *context) {
    SSL_CTX_set_cert_cb(context->ctx, ctls_certificate_callback, NULL);
}

/// As nginx: the handshake goes on whatever the certificate, the result stays for variables and for the decision.
static int verify_later(int ok, X509_STORE_CTX *store) {
    (void)ok, (void)store;
    return 1;
}

void ctls_context_verify_clients(ctls_context *context, int how, int depth) {
    context->verification = (uint8_t)how;
    if (how != CTLS_VERIFY_OFF) {
        SSL_CTX_set_verify(context->ctx, SSL_VERIFY_PEER, verify_later);
    }
    SSL_CTX_set_verify_depth(context->ctx, depth);
}

/// An error of the chain is the one to tell, as in nginx, which compares names afterwards.
static int verify_server_later(int ok, X509_STORE_CTX *store) {
    ctls_connection *connection = ctls_current.connection;
    int error = X509_STORE_CTX_get_error(store);
    if (ok) {
        return 1;
    }
    if (error != X509_V_ERR_HOSTNAME_MISMATCH && error != X509_V_ERR_IP_ADDRESS_MISMATCH) {
        connection->chain_error = (uint16_t)error;
    } else if (connection->chain_error != 0) {
        X509_STORE_CTX_set_error(store, connection->chain_error);
    }
    return 1;
}

/// The whole chain is looked at, so that the last error is the one that nginx names; then, unlike nginx, which looks at
/// the result after the handshake, the handshake ends: the server hears an alert and gets no certificate of ours.
static int verify_whole_chain(X509_STORE_CTX *store, void *argument) {
    (void)argument;
    return X509_verify_cert(store) == 1 && X509_STORE_CTX_get_error(store) == X509_V_OK;
}

void ctls_context_verify_server(ctls_context *context, int depth) {
    context->verifies_server = 1;
    SSL_CTX_set_verify(context->ctx, SSL_VERIFY_PEER, verify_server_later);
    SSL_CTX_set_cert_verify_callback(context->ctx, verify_whole_chain, NULL);
    SSL_CTX_set_verify_depth(context->ctx, depth);
}

/// 1: this was the end of the file, after `count` blocks.
static int is_end(size_t count) {
    unsigned long code = ERR_peek_last_error();
    if (count > 0 && ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE) {
        ERR_clear_error();
        return 1;
    }
    return 0;
}

static int compare_names(const X509_NAME *const *left, const X509_NAME *const *right) {
    return X509_NAME_cmp(*left, *right);
}

/// Adds a CA's name to those that go to clients, once.
static int send_name(STACK_OF(X509_NAME) *names, X509 *certificate) {
    X509_NAME *name = X509_NAME_dup(X509_get_subject_name(certificate));
    if (name == NULL) {
        return -1;
    }
    if (sk_X509_NAME_find(names, name) >= 0) {
        X509_NAME_free(name);
    } else if (sk_X509_NAME_push(names, name) == 0) {
        X509_NAME_free(name);
        return -1;
    }
    return 0;
}

/// Stacks of names.
int ctls_context_trust(ctls_context *context, const uint8_t *pem, size_t length, int is_sent) {
    X509_STORE *store = SSL_CTX_get_cert_store(context->ctx);
    STACK_OF(X509_NAME) *names = is_sent ? sk_X509_NAME_new(compare_names) : NULL;
    BIO *bio = length > INT32_MAX ? NULL : BIO_new_mem_buf(pem, (int)length);
    int result = bio == NULL || (is_sent && names == NULL) ? -1 : 0;
    for (size_t count = 0; result == 0; count++) {
        X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
        if (certificate == NULL) {
            result = is_end(count) ? 0 : -1;
            break;
        }
        if (X509_STORE_add_cert(store, certificate) != 1 || (is_sent && send_name(names, certificate) != 0)) {
            result = -1;
        }
        X509_free(certificate);
    }
    BIO_free(bio);
    if (result == 0 && is_sent) {
        SSL_CTX_set_client_CA_list(context->ctx, names);
    } else {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
    }
    return result;
}

int ctls_context_revoke(ctls_context *context, const uint8_t *pem, size_t length) {
    X509_STORE *store = SSL_CTX_get_cert_store(context->ctx);
    BIO *bio = length > INT32_MAX ? NULL : BIO_new_mem_buf(pem, (int)length);
    int result = bio == NULL ? -1 : 0;
    for (size_t count = 0; result == 0; count++) {
        X509_CRL *list = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL);
        if (list == NULL) {
            result = is_end(count) ? 0 : -1;
            break;
        }
        result = X509_STORE_add_crl(store, list) == 1 ? 0 : -1;
        X509_CRL_free(list);
    }
    BIO_free(bio);
    if (result == 0) {
        X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
    }
    return result;
}

void ctls_context_reject(ctls_context *context) { context->rejects = 1; }

/// Lines wait for the owner of the file. What does not fit is left out as a whole line.
static void log_key(const SSL *ssl, const char *line) {
    ctls_context *context = ctls_context_of_ctx(SSL_get_SSL_CTX(ssl));
    size_t length = strlen(line);
    if (context->key_log == NULL) {
        context->key_log = malloc(CTLS_KEY_LOG_MAX);
    }
    if (context->key_log != NULL && length < CTLS_KEY_LOG_MAX - context->key_log_length) {
        memcpy(context->key_log + context->key_log_length, line, length);
        context->key_log[context->key_log_length + length] = '\n';
        context->key_log_length += length + 1;
    }
}

void ctls_context_log_keys(ctls_context *context) { SSL_CTX_set_keylog_callback(context->ctx, log_key); }

size_t ctls_key_log_bytes(const ctls_connection *connection) {
    return ctls_context_of_ctx(SSL_get_SSL_CTX(connection->ssl))->key_log_length;
}

size_t ctls_take_key_log(ctls_connection *connection, char *out, size_t capacity) {
    ctls_context *context = ctls_context_of_ctx(SSL_get_SSL_CTX(connection->ssl));
    size_t length = context->key_log_length < capacity ? context->key_log_length : capacity;
    if (length > 0) {
        memcpy(out, context->key_log, length);
        memmove(context->key_log, context->key_log + length, context->key_log_length - length);
        context->key_log_length -= length;
    }
    return length;
}

static SSL_CONF_CTX *new_commands(SSL_CTX *ctx) {
    SSL_CONF_CTX *commands = SSL_CONF_CTX_new();
    if (commands != NULL) {
        SSL_CONF_CTX_set_flags(commands, SSL_CONF_FLAG_FILE | SSL_CONF_FLAG_SERVER | SSL_CONF_FLAG_CLIENT
                                             | SSL_CONF_FLAG_CERTIFICATE | SSL_CONF_FLAG_SHOW_ERRORS);
        SSL_CONF_CTX_set_ssl_ctx(commands, ctx);
    }
    return commands;
}

int ctls_command_names_file(const char *name) {
    SSL_CONF_CTX *commands = new_commands(NULL);
    int type = commands == NULL ? SSL_CONF_TYPE_UNKNOWN : SSL_CONF_cmd_value_type(commands, name);
    SSL_CONF_CTX_free(commands);
    return type == SSL_CONF_TYPE_FILE || type == SSL_CONF_TYPE_DIR || type == SSL_CONF_TYPE_STORE;
}

/// Flags are macros. One SSL_CONF_CTX for each command: what `finish` does beyond freeing concerns commands that read
/// files, which are not taken.
int ctls_context_command(ctls_context *context, const char *name, const char *value) {
    SSL_CONF_CTX *commands = new_commands(context->ctx);
    int result = commands != NULL && SSL_CONF_cmd(commands, name, value) > 0 && SSL_CONF_CTX_finish(commands) == 1;
    SSL_CONF_CTX_free(commands);
    return result ? 0 : -1;
}
