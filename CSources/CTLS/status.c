// SPDX-License-Identifier: Apache-2.0
//
// What an OCSP responder is asked about a certificate, and what its answer is worth (RFC 6960), as nginx does both. In
// C for OpenSSL's stacks and for the answer's many owners. Knows no socket; the time is the caller's.

#include "internal.h"

#include <openssl/ocsp.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <time.h>

/// Certificates in order, each but the last before its issuer. Holds all that it needs.
struct ctls_chain {
    STACK_OF(X509) *certificates;
    /// Where the responder's certificate is looked for, beside the answer itself.
    STACK_OF(X509) *helpers;
    X509_STORE *store;
};

// Chains

/// Takes the references to both stacks over, whatever comes of it.
static ctls_chain *chain_new(STACK_OF(X509) *certificates, STACK_OF(X509) *helpers, SSL_CTX *ctx) {
    ctls_chain *chain = certificates == NULL || helpers == NULL ? NULL : calloc(1, sizeof *chain);
    if (chain == NULL) {
        sk_X509_pop_free(certificates, X509_free);
        sk_X509_pop_free(helpers, X509_free);
        return NULL;
    }
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    X509_STORE_up_ref(store);
    *chain = (ctls_chain){certificates, helpers, store};
    return chain;
}

void ctls_chain_free(ctls_chain *chain) {
    sk_X509_pop_free(chain->certificates, X509_free);
    sk_X509_pop_free(chain->helpers, X509_free);
    X509_STORE_free(chain->store);
    free(chain);
    ERR_clear_error();
}

/// The words are for the caller's log, as those of OpenSSL are.
static void say(char *words, size_t capacity, const char *text) { snprintf(words, capacity, "%s", text); }

/// A resumed connection has no verified chain: it is built once more, from what the session has kept.
static STACK_OF(X509) *verify_again(SSL *ssl, SSL_CTX *ctx, char *words, size_t capacity) {
    STACK_OF(X509) *chain = NULL;
    X509_STORE_CTX *verification = X509_STORE_CTX_new();
    if (verification == NULL
        || X509_STORE_CTX_init(verification, SSL_CTX_get_cert_store(ctx), SSL_get0_peer_certificate(ssl),
                               SSL_get_peer_cert_chain(ssl))
               != 1) {
        say(words, capacity, "X509_STORE_CTX_init() failed");
    } else if (X509_verify_cert(verification) <= 0) {
        say(words, capacity, "X509_verify_cert() failed");
    } else {
        chain = X509_STORE_CTX_get1_chain(verification);
        say(words, capacity, "X509_STORE_CTX_get1_chain() failed");
    }
    X509_STORE_CTX_free(verification);
    return chain;
}

int ctls_client_chain(ctls_connection *connection, ctls_chain **out, char *words, size_t capacity) {
    SSL *ssl = connection->ssl;
    SSL_CTX *ctx = SSL_get_SSL_CTX(ssl);
    *out = NULL;
    ERR_clear_error();
    if (SSL_get_verify_result(ssl) != X509_V_OK || SSL_get0_peer_certificate(ssl) == NULL) {
        return 0;
    }
    STACK_OF(X509) *verified = SSL_get0_verified_chain(ssl);
    say(words, capacity, "X509_chain_up_ref() failed");
    verified = verified == NULL ? verify_again(ssl, ctx, words, capacity) : X509_chain_up_ref(verified);
    if (verified == NULL) {
        return -1;
    }
    STACK_OF(X509) *helpers = X509_chain_up_ref(verified);
    *out = chain_new(verified, helpers, ctx);
    if (*out == NULL) {
        say(words, capacity, "no memory");
        return -1;
    }
    return 1;
}

/// The first of the chain that has issued `certificate`, else one that the store has; NULL with an error of the queue
/// or without one.
static X509 *issuer_of(X509 *certificate, STACK_OF(X509) *chain, X509_STORE *store) {
    for (int i = 0; i < sk_X509_num(chain); i++) {
        X509 *candidate = sk_X509_value(chain, i);
        if (X509_check_issued(candidate, certificate) == X509_V_OK) {
            X509_up_ref(candidate);
            return candidate;
        }
    }
    X509 *issuer = NULL;
    X509_STORE_CTX *search = X509_STORE_CTX_new();
    if (search != NULL && X509_STORE_CTX_init(search, store, NULL, NULL) == 1
        && X509_STORE_CTX_get1_issuer(&issuer, search, certificate) != 1) {
        issuer = NULL;
    }
    X509_STORE_CTX_free(search);
    return issuer;
}

/// Walking an SSL_CTX's certificates moves its "current" one, which matters to whoever adds to it: nobody does, later.
int ctls_server_chain(ctls_context *context, size_t index, ctls_chain **out, char *words, size_t capacity) {
    SSL_CTX *ctx = context->ctx;
    *out = NULL;
    ERR_clear_error();
    long found = SSL_CTX_set_current_cert(ctx, SSL_CERT_SET_FIRST);
    for (size_t i = 0; i < index && found == 1; i++) {
        found = SSL_CTX_set_current_cert(ctx, SSL_CERT_SET_NEXT);
    }
    // SSL_CERT_SET_FIRST passes over certificates without a key; the one that was added last is the current one.
    X509 *certificate = found == 1 || index == 0 ? SSL_CTX_get0_certificate(ctx) : NULL;
    if (certificate == NULL) {
        return 0;
    }
    STACK_OF(X509) *chain = NULL;
    SSL_CTX_get0_chain_certs(ctx, &chain);
    X509 *issuer = issuer_of(certificate, chain, SSL_CTX_get_cert_store(ctx));
    if (issuer == NULL) {
        say(words, capacity, "issuer certificate not found");
        return -1;
    }
    STACK_OF(X509) *both = sk_X509_new_reserve(NULL, 2);
    STACK_OF(X509) *helpers = chain == NULL ? sk_X509_new_null() : X509_chain_up_ref(chain);
    if (both == NULL || helpers == NULL) {
        X509_free(issuer);
    } else {
        X509_up_ref(certificate);
        sk_X509_push(both, certificate);
        sk_X509_push(both, issuer);
    }
    *out = chain_new(both, helpers, ctx);
    if (*out == NULL) {
        say(words, capacity, "no memory");
        return -1;
    }
    return 1;
}

size_t ctls_chain_count(const ctls_chain *chain) {
    int count = sk_X509_num(chain->certificates);
    return count > 1 ? (size_t)count - 1 : 0;
}

// Questions

static OCSP_CERTID *id_at(const ctls_chain *chain, size_t index) {
    return OCSP_cert_to_id(NULL, sk_X509_value(chain->certificates, (int)index),
                           sk_X509_value(chain->certificates, (int)index + 1));
}

size_t ctls_chain_responder(const ctls_chain *chain, size_t index, char *out, size_t capacity) {
    STACK_OF(OPENSSL_STRING) *places = X509_get1_ocsp(sk_X509_value(chain->certificates, (int)index));
    const char *first = places == NULL ? NULL : sk_OPENSSL_STRING_value(places, 0);
    size_t length = first == NULL ? 0 : strlen(first);
    if (length > 0) {
        memcpy(out, first, length < capacity ? length : capacity);
    }
    X509_email_free(places);
    ERR_clear_error();
    return length;
}

int ctls_chain_request(const ctls_chain *chain, size_t index, uint8_t *out, size_t capacity, char *words,
                       size_t words_capacity) {
    ERR_clear_error();
    int length = -1;
    OCSP_REQUEST *request = OCSP_REQUEST_new();
    OCSP_CERTID *id = request == NULL ? NULL : id_at(chain, index);
    if (id == NULL) {
        say(words, words_capacity, request == NULL ? "OCSP_REQUEST_new() failed" : "OCSP_cert_to_id() failed");
    } else if (OCSP_request_add0_id(request, id) == NULL) {
        say(words, words_capacity, "OCSP_request_add0_id() failed");
        OCSP_CERTID_free(id);
    } else {
        length = i2d_OCSP_REQUEST(request, NULL);
        if (length <= 0 || (size_t)length > capacity) {
            say(words, words_capacity, "i2d_OCSP_REQUEST() failed");
            length = -1;
        } else {
            length = i2d_OCSP_REQUEST(request, &out);
        }
    }
    OCSP_REQUEST_free(request);
    return length;
}

/// nginx's key is the id's parts side by side, in 60 bytes; a digest of the id fits the key of a session.
int ctls_chain_key(const ctls_chain *chain, size_t index, uint8_t out[32]) {
    ERR_clear_error();
    OCSP_CERTID *id = id_at(chain, index);
    uint8_t *der = NULL;
    int length = id == NULL ? -1 : i2d_OCSP_CERTID(id, &der);
    int result = length > 0 && EVP_Digest(der, (size_t)length, out, NULL, EVP_sha256(), NULL) == 1 ? 0 : -1;
    OPENSSL_free(der);
    OCSP_CERTID_free(id);
    return result;
}

// Answers

/// OCSP_check_validity with the caller's clock and without a bound on the answer's age.
static int is_timely(const ASN1_GENERALIZEDTIME *from, const ASN1_GENERALIZEDTIME *to, time_t now) {
    time_t latest = now + CTLS_STATUS_SKEW_SECONDS;
    time_t earliest = now - CTLS_STATUS_SKEW_SECONDS;
    if (ASN1_GENERALIZEDTIME_check(from) != 1) {
        ERR_raise(ERR_LIB_OCSP, OCSP_R_ERROR_IN_THISUPDATE_FIELD);
    } else if (X509_cmp_time(from, &latest) > 0) {
        ERR_raise(ERR_LIB_OCSP, OCSP_R_STATUS_NOT_YET_VALID);
    } else if (to == NULL) {
        return 1;
    } else if (ASN1_GENERALIZEDTIME_check(to) != 1) {
        ERR_raise(ERR_LIB_OCSP, OCSP_R_ERROR_IN_NEXTUPDATE_FIELD);
    } else if (X509_cmp_time(to, &earliest) < 0) {
        ERR_raise(ERR_LIB_OCSP, OCSP_R_STATUS_EXPIRED);
    } else if (ASN1_STRING_cmp(to, from) < 0) {
        ERR_raise(ERR_LIB_OCSP, OCSP_R_NEXTUPDATE_BEFORE_THISUPDATE);
    } else {
        return 1;
    }
    return 0;
}

/// -1: not a time.
static int64_t seconds_of(const ASN1_GENERALIZEDTIME *when) {
    struct tm parts;
    return ASN1_TIME_to_tm(when, &parts) == 1 ? (int64_t)timegm(&parts) : -1;
}

static int read_status(const ctls_chain *chain, OCSP_BASICRESP *basic, OCSP_CERTID *id, int trust, int64_t now,
                       int64_t *until, char *words, size_t capacity) {
    unsigned long flags = trust == CTLS_RESPONDER_UNVERIFIED      ? OCSP_NOVERIFY
                          : trust == CTLS_RESPONDER_CHAIN_TRUSTED ? OCSP_TRUSTOTHER
                                                                  : 0;
    if (OCSP_basic_verify(basic, chain->helpers, chain->store, flags) != 1) {
        say(words, capacity, "OCSP_basic_verify() failed");
        return -1;
    }
    int status;
    ASN1_GENERALIZEDTIME *from;
    ASN1_GENERALIZEDTIME *to;
    // What the verification left over is no reason for what comes.
    ERR_clear_error();
    if (OCSP_resp_find_status(basic, id, &status, NULL, NULL, &from, &to) != 1) {
        ERR_clear_error();
        say(words, capacity, "certificate status not found in the OCSP response");
        return -1;
    }
    if (!is_timely(from, to, (time_t)now)) {
        say(words, capacity, "OCSP_check_validity() failed");
        return -1;
    }
    *until = to == NULL ? INT64_MAX : seconds_of(to);
    if (*until < 0) {
        say(words, capacity, "invalid nextUpdate time in certificate status");
        return -1;
    }
    return status == V_OCSP_CERTSTATUS_GOOD      ? CTLS_STATUS_GOOD
           : status == V_OCSP_CERTSTATUS_REVOKED ? CTLS_STATUS_REVOKED
                                                 : CTLS_STATUS_UNKNOWN;
}

int ctls_chain_check(const ctls_chain *chain, size_t index, const uint8_t *der, size_t length, int trust, int64_t now,
                     int64_t *until, char *words, size_t capacity) {
    ERR_clear_error();
    const unsigned char *position = der;
    int result = -1;
    OCSP_BASICRESP *basic = NULL;
    OCSP_CERTID *id = NULL;
    OCSP_RESPONSE *response = length > INT32_MAX ? NULL : d2i_OCSP_RESPONSE(NULL, &position, (long)length);
    if (response == NULL) {
        say(words, capacity, "d2i_OCSP_RESPONSE() failed");
    } else if (OCSP_response_status(response) != OCSP_RESPONSE_STATUS_SUCCESSFUL) {
        int status = OCSP_response_status(response);
        snprintf(words, capacity, "OCSP response not successful (%d: %s)", status, OCSP_response_status_str(status));
    } else if ((basic = OCSP_response_get1_basic(response)) == NULL) {
        say(words, capacity, "OCSP_response_get1_basic() failed");
    } else if ((id = id_at(chain, index)) == NULL) {
        say(words, capacity, "OCSP_cert_to_id() failed");
    } else {
        result = read_status(chain, basic, id, trust, now, until, words, capacity);
    }
    OCSP_CERTID_free(id);
    OCSP_BASICRESP_free(basic);
    OCSP_RESPONSE_free(response);
    return result;
}

/// nginx's words (ngx_ssl_ocsp_get_status).
void ctls_set_client_status(ctls_connection *connection, int status) {
    connection->status_fault = status == CTLS_STATUS_GOOD      ? NULL
                               : status == CTLS_STATUS_REVOKED ? "certificate revoked"
                               : status == CTLS_STATUS_UNKNOWN ? "certificate status unknown"
                                                               : "certificate status request failed";
}
