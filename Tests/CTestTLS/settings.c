// SPDX-License-Identifier: Apache-2.0
//
// A client as tests of a whole Weir need it: straight on OpenSSL, so that no mistake of the engine under test can hide
// behind the same mistake on the other side.

#include "CTestTLS.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>

static size_t copied(const char *text, size_t length, char *into, size_t capacity) {
    memcpy(into, text, length < capacity ? length : capacity);
    return length;
}

/// Empties `memory` into the caller's text, without a last line end, and frees it.
static size_t drained(BIO *memory, char *into, size_t capacity) {
    char *bytes = NULL;
    long length = BIO_get_mem_data(memory, &bytes);
    if (length > 0 && bytes[length - 1] == '\n') length--;
    size_t count = length > 0 ? copied(bytes, (size_t)length, into, capacity) : 0;
    BIO_free(memory);
    return count;
}

static int is_set_up(SSL_CTX *ctx, const struct ctt_settings *settings) {
    // Tests are about the server's choice: a level of its own must not hide weak offers of the client.
    SSL_CTX_set_security_level(ctx, 0);
    if (!SSL_CTX_set_min_proto_version(ctx, settings->version_min)) return 0;
    if (!SSL_CTX_set_max_proto_version(ctx, settings->version_max)) return 0;
    if (settings->authority) {
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
        if (!SSL_CTX_load_verify_file(ctx, settings->authority)) return 0;
    }
    if (settings->certificate && SSL_CTX_use_certificate_chain_file(ctx, settings->certificate) != 1) return 0;
    if (settings->key && SSL_CTX_use_PrivateKey_file(ctx, settings->key, SSL_FILETYPE_PEM) != 1) return 0;
    if (settings->ciphers && !SSL_CTX_set_cipher_list(ctx, settings->ciphers)) return 0;
    if (settings->suites && !SSL_CTX_set_ciphersuites(ctx, settings->suites)) return 0;
    if (settings->groups && !SSL_CTX_set1_groups_list(ctx, settings->groups)) return 0;
    if (settings->signature_algorithms && !SSL_CTX_set1_sigalgs_list(ctx, settings->signature_algorithms)) return 0;
    for (unsigned number = 0; number < settings->strange_extensions; number++) {
        if (!SSL_CTX_add_custom_ext(ctx, 0x5a00 + number, SSL_EXT_CLIENT_HELLO, NULL, NULL, NULL, NULL, NULL)) return 0;
    }
    // The one function of OpenSSL whose 0 means that all went well.
    if (settings->protocols_length > 0 &&
        SSL_CTX_set_alpn_protos(ctx, settings->protocols, (unsigned)settings->protocols_length) != 0)
        return 0;
    return 1;
}

static int is_aimed(SSL *ssl, const struct ctt_settings *settings) {
    const char *name = settings->server_name;
    if (name) {
        X509_VERIFY_PARAM *expected = SSL_get0_param(ssl);
        int is_address = X509_VERIFY_PARAM_set1_ip_asc(expected, name);
        ERR_clear_error();
        if (!is_address && (!SSL_set_tlsext_host_name(ssl, name) || !SSL_set1_host(ssl, name))) return 0;
    }
    if (settings->session_length == 0) return 1;
    const unsigned char *at = settings->session;
    SSL_SESSION *session = d2i_SSL_SESSION(NULL, &at, (long)settings->session_length);
    if (session && settings->early_data_max > 0) SSL_SESSION_set_max_early_data(session, settings->early_data_max);
    int is_taken = session && SSL_set_session(ssl, session);
    SSL_SESSION_free(session);
    return is_taken;
}

void *ctt_client_configured(const struct ctt_settings *settings) {
    ERR_clear_error();
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (!ctx) return NULL;
    SSL *ssl = is_set_up(ctx, settings) ? SSL_new(ctx) : NULL;
    SSL_CTX_free(ctx);
    if (!ssl) return NULL;
    if (!is_aimed(ssl, settings)) {
        SSL_free(ssl);
        return NULL;
    }
    SSL_set_connect_state(ssl);
    SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    return ssl;
}

size_t ctt_client_error(void *client, char *into, size_t capacity) {
    BIO *memory = BIO_new(BIO_s_mem());
    for (unsigned long code; (code = ERR_get_error()) != 0;) {
        const char *reason = ERR_reason_error_string(code);
        BIO_printf(memory, "%s\n", reason ? reason : "unknown");
    }
    long verified = client ? SSL_get_verify_result(client) : X509_V_OK;
    if (verified != X509_V_OK) BIO_printf(memory, "%s\n", X509_verify_cert_error_string(verified));
    return drained(memory, into, capacity);
}

static void print_name(BIO *memory, const X509_NAME *name) {
    X509_NAME_print_ex(memory, name, 0, XN_FLAG_RFC2253);
    BIO_puts(memory, "\n");
}

static void print_server(BIO *memory, SSL *ssl, int what) {
    X509 *server = SSL_get0_peer_certificate(ssl);
    if (!server) return;
    if (what == CTT_SERVER_SUBJECT) print_name(memory, X509_get_subject_name(server));
    if (what == CTT_SERVER_SERIAL) i2a_ASN1_INTEGER(memory, X509_get0_serialNumber(server));
    if (what == CTT_SERVER_KEY_TYPE) BIO_puts(memory, OBJ_nid2sn(EVP_PKEY_get_base_id(X509_get0_pubkey(server))));
}

size_t ctt_client_describe(void *client, int what, char *into, size_t capacity) {
    SSL *ssl = client;
    BIO *memory = BIO_new(BIO_s_mem());
    const unsigned char *protocol;
    unsigned length;
    const STACK_OF(X509) *chain = SSL_get_peer_cert_chain(ssl);
    const STACK_OF(X509_NAME) *names = SSL_get0_peer_CA_list(ssl);
    switch (what) {
    case CTT_VERSION:
        BIO_puts(memory, SSL_get_version(ssl));
        break;
    case CTT_CIPHER:
        BIO_puts(memory, SSL_get_cipher_name(ssl));
        break;
    case CTT_PROTOCOL:
        SSL_get0_alpn_selected(ssl, &protocol, &length);
        BIO_write(memory, protocol, (int)length);
        break;
    case CTT_SERVER_CHAIN:
        for (int i = 0; i < sk_X509_num(chain); i++) print_name(memory, X509_get_subject_name(sk_X509_value(chain, i)));
        break;
    case CTT_AUTHORITY_NAMES:
        for (int i = 0; i < sk_X509_NAME_num(names); i++) print_name(memory, sk_X509_NAME_value(names, i));
        break;
    case CTT_GROUP:
        BIO_puts(memory, OBJ_nid2sn((int)SSL_get_negotiated_group(ssl)));
        break;
    case CTT_REQUESTED_NAME:
        if (SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name))
            BIO_puts(memory, SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name));
        break;
    case CTT_EARLY_DATA:
        if (SSL_get_early_data_status(ssl) == SSL_EARLY_DATA_ACCEPTED) BIO_puts(memory, "accepted");
        if (SSL_get_early_data_status(ssl) == SSL_EARLY_DATA_REJECTED) BIO_puts(memory, "rejected");
        break;
    case CTT_EARLY_DATA_MAX:
        BIO_printf(memory, "%u", SSL_SESSION_get_max_early_data(SSL_get0_session(ssl)));
        break;
    default:
        print_server(memory, ssl, what);
    }
    return drained(memory, into, capacity);
}

int ctt_client_is_reused(void *client) { return SSL_session_reused(client); }

size_t ctt_client_session(void *client, unsigned char *into, size_t capacity) {
    SSL_SESSION *session = SSL_get0_session(client);
    int length = session ? i2d_SSL_SESSION(session, NULL) : 0;
    if (length <= 0) return 0;
    if ((size_t)length <= capacity) i2d_SSL_SESSION(session, &into);
    return (size_t)length;
}

int ctt_client_condition(void *client, int result) { return SSL_get_error(client, result); }

void ctt_client_close(void *client) { SSL_shutdown(client); }

int ctt_client_write_early(void *client, const void *bytes, size_t length) {
    size_t written = 0;
    ERR_clear_error();
    return SSL_write_early_data(client, bytes, length, &written) == 1 && written == length;
}
