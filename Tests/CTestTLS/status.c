// SPDX-License-Identifier: Apache-2.0
//
// What an OCSP responder says of a certificate, signed by the authority itself: for simulated responders.

#include "CTestTLS.h"

#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <string.h>

static X509 *read_certificate(const char *text) {
    BIO *bio = BIO_new_mem_buf(text, -1);
    X509 *certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL);
    BIO_free(bio);
    return certificate;
}

static EVP_PKEY *read_key(const char *text) {
    BIO *bio = BIO_new_mem_buf(text, -1);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    BIO_free(bio);
    return key;
}

size_t ctt_status_answer(const char *authority, const char *key, const char *certificate, int status, int64_t from,
                         int64_t until, unsigned char *out, size_t capacity) {
    X509 *issuer = read_certificate(authority);
    X509 *subject = read_certificate(certificate);
    EVP_PKEY *signer = read_key(key);
    OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
    OCSP_CERTID *id = OCSP_cert_to_id(NULL, subject, issuer);
    ASN1_TIME *first = ASN1_TIME_set(NULL, (time_t)from);
    ASN1_TIME *last = ASN1_TIME_set(NULL, (time_t)until);
    OCSP_RESPONSE *response = NULL;
    if (OCSP_basic_add1_status(basic, id, status, OCSP_REVOKED_STATUS_NOSTATUS, first, first, last) != NULL
        && OCSP_basic_sign(basic, issuer, signer, EVP_sha256(), NULL, OCSP_NOCERTS) == 1) {
        response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
    }
    int length = response == NULL ? 0 : i2d_OCSP_RESPONSE(response, NULL);
    if (length > 0 && (size_t)length <= capacity) {
        i2d_OCSP_RESPONSE(response, &out);
    } else {
        length = 0;
    }
    OCSP_RESPONSE_free(response);
    ASN1_TIME_free(last);
    ASN1_TIME_free(first);
    OCSP_CERTID_free(id);
    OCSP_BASICRESP_free(basic);
    EVP_PKEY_free(signer);
    X509_free(subject);
    X509_free(issuer);
    return (size_t)length;
}
