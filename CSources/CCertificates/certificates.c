// SPDX-License-Identifier: Apache-2.0
//
// X.509 by OpenSSL, whose builders are macros and stacks that Swift cannot say. Errors are not told apart: with the
// arguments of the demo there are none but a lack of memory or of randomness.

#include "ccertificates.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

struct ccert_pair {
    X509 *certificate;
    EVP_PKEY *key;
};

/// What each kind may do (RFC 5280 sections 4.2.1.3, 4.2.1.9 and 4.2.1.12), as OpenSSL's configuration files word it.
static const struct {
    const char *constraints, *usage, *extended_usage;
} kinds[] = {
    [CCERT_AUTHORITY] = {"critical,CA:TRUE", "critical,keyCertSign,cRLSign", NULL},
    [CCERT_SERVER] = {"critical,CA:FALSE", "critical,digitalSignature", "serverAuth"},
    [CCERT_CLIENT] = {"critical,CA:FALSE", "critical,digitalSignature", "clientAuth"},
};

static int add_extension(X509 *certificate, X509 *issuer, int nid, const char *value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    if (!extension) return 0;
    int is_added = X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
    return is_added;
}

/// 63 random bits: positive, and one authority never gives a number twice.
static int set_serial_number(X509 *certificate) {
    uint64_t number;
    if (RAND_bytes((unsigned char *)&number, sizeof number) != 1) return 0;
    return ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), number >> 1);
}

static int fill(X509 *certificate, EVP_PKEY *key, int kind, const char *common_name, const char *names, int days,
                X509 *issuer) {
    X509_NAME *subject = X509_get_subject_name(certificate);
    const long hour = 60 * 60;
    return X509_set_version(certificate, X509_VERSION_3) && set_serial_number(certificate) &&
           X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, (const unsigned char *)common_name, -1, -1, 0) &&
           X509_set_issuer_name(certificate, X509_get_subject_name(issuer)) &&
           X509_gmtime_adj(X509_getm_notBefore(certificate), -hour) &&
           X509_gmtime_adj(X509_getm_notAfter(certificate), days * 24 * hour) && X509_set_pubkey(certificate, key) &&
           add_extension(certificate, issuer, NID_basic_constraints, kinds[kind].constraints) &&
           add_extension(certificate, issuer, NID_key_usage, kinds[kind].usage) &&
           (!kinds[kind].extended_usage ||
            add_extension(certificate, issuer, NID_ext_key_usage, kinds[kind].extended_usage)) &&
           add_extension(certificate, issuer, NID_subject_key_identifier, "hash") &&
           (issuer == certificate || add_extension(certificate, issuer, NID_authority_key_identifier, "keyid")) &&
           (!names || add_extension(certificate, issuer, NID_subject_alt_name, names));
}

ccert_pair *ccert_make(int kind, const char *common_name, const char *names, int days, const ccert_pair *issuer) {
    ccert_pair *pair = calloc(1, sizeof *pair);
    if (!pair) return NULL;
    pair->key = EVP_EC_gen("P-256");
    pair->certificate = X509_new();
    const ccert_pair *signer = issuer ? issuer : pair;
    if (pair->key && pair->certificate &&
        fill(pair->certificate, pair->key, kind, common_name, names, days, signer->certificate) &&
        X509_sign(pair->certificate, signer->key, EVP_sha256()))
        return pair;
    ccert_free(pair);
    return NULL;
}

void ccert_free(ccert_pair *pair) {
    if (!pair) return;
    X509_free(pair->certificate);
    EVP_PKEY_free(pair->key);
    free(pair);
}

/// Takes `memory`, which may be NULL.
static size_t copy_out(BIO *memory, int is_written, void *out, size_t capacity) {
    char *bytes = NULL;
    long length = memory && is_written ? BIO_get_mem_data(memory, &bytes) : 0;
    if (length > 0) memcpy(out, bytes, (size_t)length < capacity ? (size_t)length : capacity);
    BIO_free(memory);
    return length > 0 ? (size_t)length : 0;
}

size_t ccert_write_certificate(const ccert_pair *pair, void *out, size_t capacity) {
    BIO *memory = BIO_new(BIO_s_mem());
    return copy_out(memory, memory && PEM_write_bio_X509(memory, pair->certificate), out, capacity);
}

size_t ccert_write_key(const ccert_pair *pair, void *out, size_t capacity) {
    // In OpenSSL's secure memory BIO, which is wiped when it is freed.
    BIO *memory = BIO_new(BIO_s_secmem());
    int is_written = memory && PEM_write_bio_PrivateKey(memory, pair->key, NULL, NULL, 0, NULL, NULL);
    return copy_out(memory, is_written, out, capacity);
}
