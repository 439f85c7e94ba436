// SPDX-License-Identifier: Apache-2.0
//
// The values of nginx's $ssl_… variables in nginx's forms, and of our two, $ssl_client_cn and $ssl_client_san.

#include "internal.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

/// Counts what it has no room for, so that the caller can come again with enough.
typedef struct {
    uint8_t *bytes;
    size_t capacity;
    size_t length;
} writer;

static void put(writer *out, const void *bytes, size_t length) {
    if (out->length < out->capacity) {
        size_t room = out->capacity - out->length;
        memcpy(out->bytes + out->length, bytes, length < room ? length : room);
    }
    out->length += length;
}

static void put_text(writer *out, const char *text) {
    if (text != NULL) {
        put(out, text, strlen(text));
    }
}

static void put_format(writer *out, const char *format, ...) {
    char text[64];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    put_text(out, text);
}

static void put_hex(writer *out, const uint8_t *bytes, size_t length) {
    for (size_t i = 0; i < length; i++) {
        put_format(out, "%02x", bytes[i]);
    }
}

static void put_separator(writer *out) {
    if (out->length > 0) {
        put(out, ":", 1);
    }
}

// Lists of what the client offered

/// A macro; what a cipher is called needs the connection.
static void put_ciphers(writer *out, SSL *ssl) {
    unsigned char *ciphers;
    long size = SSL_get0_raw_cipherlist(ssl, NULL);
    long length = SSL_get0_raw_cipherlist(ssl, &ciphers);
    for (long i = 0; size > 0 && i + size <= length; i += size) {
        const SSL_CIPHER *cipher = SSL_CIPHER_find(ssl, ciphers + i);
        put_separator(out);
        if (cipher != NULL) {
            put_text(out, SSL_CIPHER_get_name(cipher));
        } else {
            put(out, "0x", 2);
            put_hex(out, ciphers + i, (size_t)size);
        }
    }
}

static void put_group(writer *out, int nid) {
    if (nid & TLSEXT_nid_unknown) {
        put_format(out, "0x%04x", nid & 0xffff);
    } else {
        put_text(out, OBJ_nid2sn(nid));
    }
}

static void put_groups(writer *out, SSL *ssl) {
    int count = (int)SSL_get1_groups(ssl, NULL);
    int *groups = count <= 0 ? NULL : calloc((size_t)count, sizeof *groups);
    if (groups != NULL) {
        count = (int)SSL_get1_groups(ssl, groups);
        for (int i = 0; i < count; i++) {
            put_separator(out);
            put_group(out, groups[i]);
        }
        free(groups);
    }
}

/// The names of RFC 8446, section 4.2.3, and of its registry, which OpenSSL 3.0 has but does not tell: it tells numbers
/// of what the client offered, and the two parts of what was agreed on.
static const struct {
    uint16_t code;
    int signature, hash;
    const char *name;
} signature_algorithms[] = {
    {0x0403, EVP_PKEY_EC, NID_sha256, "ecdsa_secp256r1_sha256"},
    {0x0503, EVP_PKEY_EC, NID_sha384, "ecdsa_secp384r1_sha384"},
    {0x0603, EVP_PKEY_EC, NID_sha512, "ecdsa_secp521r1_sha512"},
    {0x0303, EVP_PKEY_EC, NID_sha224, "ecdsa_sha224"},
    {0x0203, EVP_PKEY_EC, NID_sha1, "ecdsa_sha1"},
    {0x0807, EVP_PKEY_ED25519, NID_undef, "ed25519"},
    {0x0808, EVP_PKEY_ED448, NID_undef, "ed448"},
    {0x0804, EVP_PKEY_RSA_PSS, NID_sha256, "rsa_pss_rsae_sha256"},
    {0x0805, EVP_PKEY_RSA_PSS, NID_sha384, "rsa_pss_rsae_sha384"},
    {0x0806, EVP_PKEY_RSA_PSS, NID_sha512, "rsa_pss_rsae_sha512"},
    // The same two parts with a key that is for PSS alone: found by the key.
    {0x0809, NID_undef, NID_sha256, "rsa_pss_pss_sha256"},
    {0x080a, NID_undef, NID_sha384, "rsa_pss_pss_sha384"},
    {0x080b, NID_undef, NID_sha512, "rsa_pss_pss_sha512"},
    {0x0401, EVP_PKEY_RSA, NID_sha256, "rsa_pkcs1_sha256"},
    {0x0501, EVP_PKEY_RSA, NID_sha384, "rsa_pkcs1_sha384"},
    {0x0601, EVP_PKEY_RSA, NID_sha512, "rsa_pkcs1_sha512"},
    {0x0301, EVP_PKEY_RSA, NID_sha224, "rsa_pkcs1_sha224"},
    {0x0201, EVP_PKEY_RSA, NID_sha1, "rsa_pkcs1_sha1"},
};
enum { SIGNATURE_ALGORITHMS = sizeof signature_algorithms / sizeof signature_algorithms[0] };

/// What the client offered; a number without a name stands as it is on the wire.
static void put_signature_algorithms(writer *out, SSL *ssl) {
    int count = SSL_get_sigalgs(ssl, 0, NULL, NULL, NULL, NULL, NULL);
    for (int i = 0; i < count; i++) {
        unsigned char signature;
        unsigned char hash;
        SSL_get_sigalgs(ssl, i, NULL, NULL, NULL, &signature, &hash);
        put_separator(out);
        size_t at = 0;
        while (at < SIGNATURE_ALGORITHMS && signature_algorithms[at].code != (hash << 8 | signature)) {
            at++;
        }
        if (at < SIGNATURE_ALGORITHMS) {
            put_text(out, signature_algorithms[at].name);
        } else {
            put_format(out, "0x%02x%02x", hash, signature);
        }
    }
}

/// What one side signed its handshake with, by `key`; nothing when it did not.
static void put_signature_algorithm(writer *out, int signature, int hash, const EVP_PKEY *key) {
    if (signature == EVP_PKEY_RSA_PSS && key != NULL && EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA_PSS) {
        signature = NID_undef;
    }
    for (size_t at = 0; at < SIGNATURE_ALGORITHMS; at++) {
        if (signature_algorithms[at].signature == signature && signature_algorithms[at].hash == hash) {
            put_text(out, signature_algorithms[at].name);
            return;
        }
    }
}

static void put_own_signature_algorithm(writer *out, SSL *ssl) {
    int signature = NID_undef;
    int hash = NID_undef;
    if (SSL_get_signature_type_nid(ssl, &signature) == 1) {
        SSL_get_signature_nid(ssl, &hash);
        put_signature_algorithm(out, signature, hash, SSL_get_privatekey(ssl));
    }
}

static void put_peer_signature_algorithm(writer *out, SSL *ssl) {
    int signature = NID_undef;
    int hash = NID_undef;
    const X509 *certificate = SSL_get0_peer_certificate(ssl);
    if (certificate != NULL && SSL_get_peer_signature_type_nid(ssl, &signature) == 1) {
        SSL_get_peer_signature_nid(ssl, &hash);
        put_signature_algorithm(out, signature, hash, X509_get0_pubkey(certificate));
    }
}

static void put_session_id(writer *out, SSL *ssl) {
    const SSL_SESSION *session = SSL_get0_session(ssl);
    unsigned length = 0;
    const unsigned char *id = session == NULL ? NULL : SSL_SESSION_get_id(session, &length);
    put_hex(out, id, length);
}

// The client's certificate

static void put_bio(writer *out, BIO *bio) {
    char *bytes;
    long length = BIO_get_mem_data(bio, &bytes);
    if (length > 0) {
        put(out, bytes, (size_t)length);
    }
}

/// Unreserved characters of RFC 3986 as they are, every other one as %XX.
static void put_escaped(writer *out, const char *bytes, size_t length) {
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)bytes[i];
        int is_plain = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'
                       || c == '.' || c == '_' || c == '~';
        if (is_plain) {
            put(out, &c, 1);
        } else {
            put_format(out, "%%%02X", c);
        }
    }
}

/// PEM: as it is; or without its last line feed and a tab after each other one; or escaped.
static void put_certificate(writer *out, BIO *bio, enum ctls_variable which) {
    char *pem;
    long count = BIO_get_mem_data(bio, &pem);
    if (count <= 0) {
        return;
    }
    if (which == CTLS_CLIENT_RAW_CERTIFICATE) {
        put(out, pem, (size_t)count);
    } else if (which == CTLS_CLIENT_ESCAPED_CERTIFICATE) {
        put_escaped(out, pem, (size_t)count);
    } else {
        for (long i = 0; i < count - 1; i++) {
            put(out, &pem[i], 1);
            if (pem[i] == '\n') {
                put(out, "\t", 1);
            }
        }
    }
}

static void put_days(writer *out, const X509 *certificate) {
    int days = 0;
    int seconds = 0;
    if (ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(certificate)) == 1) {
        put_format(out, "%d", days > 0 ? days : 0);
    }
}

static void put_verification(writer *out, const ctls_connection *connection) {
    const SSL *ssl = connection->ssl;
    long result = SSL_get_verify_result(ssl);
    if (SSL_get0_peer_certificate(ssl) == NULL) {
        put_text(out, "NONE");
    } else if (result == X509_V_OK && connection->status_fault == NULL) {
        put_text(out, "SUCCESS");
    } else {
        put_text(out, "FAILED:");
        put_text(out, result == X509_V_OK ? connection->status_fault : X509_verify_cert_error_string(result));
    }
}

/// The last one, which is the most specific.
static void put_common_name(writer *out, const X509 *certificate) {
    const X509_NAME *name = X509_get_subject_name(certificate);
    int last = -1;
    for (int at = -1; (at = X509_NAME_get_index_by_NID(name, NID_commonName, at)) >= 0;) {
        last = at;
    }
    if (last >= 0) {
        unsigned char *text = NULL;
        int length = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, last)));
        if (length > 0) {
            put(out, text, (size_t)length);
        }
        OPENSSL_free(text);
    }
}

/// Bytes that could pass for a border between entries, or for the end of a string, stand as a backslash and two hex
/// digits: whoever reads the list sees the entries that the CA signed, and no others.
static void put_entry(writer *out, const char *kind, const ASN1_STRING *value) {
    const unsigned char *bytes = ASN1_STRING_get0_data(value);
    put_text(out, out->length > 0 ? ", " : "");
    put_text(out, kind);
    for (int i = 0; i < ASN1_STRING_length(value); i++) {
        if (bytes[i] < ' ' || bytes[i] >= 0x7f || bytes[i] == ',' || bytes[i] == '\\') {
            put_format(out, "\\%02X", bytes[i]);
        } else {
            put(out, &bytes[i], 1);
        }
    }
}

static void put_address(writer *out, const ASN1_OCTET_STRING *value) {
    const unsigned char *b = ASN1_STRING_get0_data(value);
    int length = ASN1_STRING_length(value);
    if (length != 4 && length != 16) {
        return;
    }
    put_text(out, out->length > 0 ? ", IP Address:" : "IP Address:");
    if (length == 4) {
        put_format(out, "%d.%d.%d.%d", b[0], b[1], b[2], b[3]);
        return;
    }
    for (int i = 0; i < 16; i += 2) {
        put_format(out, i == 0 ? "%X" : ":%X", b[i] << 8 | b[i + 1]);
    }
}

/// A stack.
static void put_alternative_names(writer *out, const X509 *certificate) {
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; names != NULL && i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        switch (name->type) {
        case GEN_DNS:
            put_entry(out, "DNS:", name->d.dNSName);
            break;
        case GEN_EMAIL:
            put_entry(out, "email:", name->d.rfc822Name);
            break;
        case GEN_URI:
            put_entry(out, "URI:", name->d.uniformResourceIdentifier);
            break;
        case GEN_IPADD:
            put_address(out, name->d.iPAddress);
            break;
        default:
            break;
        }
    }
    GENERAL_NAMES_free(names);
}

static void put_fingerprint(writer *out, const X509 *certificate) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length;
    if (X509_digest(certificate, EVP_sha1(), digest, &length) == 1) {
        put_hex(out, digest, length);
    }
}

/// What OpenSSL prints itself, and prints into a BIO alone.
static void put_printed(writer *out, const X509 *certificate, enum ctls_variable which) {
    BIO *bio = BIO_new(BIO_s_mem());
    if (bio == NULL) {
        return;
    }
    switch (which) {
    case CTLS_CLIENT_ISSUER:
        X509_NAME_print_ex(bio, X509_get_issuer_name(certificate), 0, XN_FLAG_RFC2253);
        break;
    case CTLS_CLIENT_SUBJECT:
        X509_NAME_print_ex(bio, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253);
        break;
    case CTLS_CLIENT_SERIAL:
        i2a_ASN1_INTEGER(bio, X509_get0_serialNumber(certificate));
        break;
    case CTLS_CLIENT_VALID_FROM:
        ASN1_TIME_print(bio, X509_get0_notBefore(certificate));
        break;
    case CTLS_CLIENT_VALID_TO:
        ASN1_TIME_print(bio, X509_get0_notAfter(certificate));
        break;
    default:
        PEM_write_bio_X509(bio, certificate);
        put_certificate(out, bio, which);
        BIO_free(bio);
        return;
    }
    put_bio(out, bio);
    BIO_free(bio);
}

static void put_of_certificate(writer *out, const SSL *ssl, enum ctls_variable which) {
    const X509 *certificate = SSL_get0_peer_certificate(ssl);
    if (certificate == NULL) {
        return;
    }
    switch (which) {
    case CTLS_CLIENT_FINGERPRINT:
        put_fingerprint(out, certificate);
        break;
    case CTLS_CLIENT_VALID_DAYS:
        put_days(out, certificate);
        break;
    case CTLS_CLIENT_COMMON_NAME:
        put_common_name(out, certificate);
        break;
    case CTLS_CLIENT_ALTERNATIVE_NAMES:
        put_alternative_names(out, certificate);
        break;
    default:
        put_printed(out, certificate, which);
        break;
    }
}

size_t ctls_variable(ctls_connection *connection, enum ctls_variable which, uint8_t *bytes, size_t capacity) {
    SSL *ssl = connection->ssl;
    writer out = {bytes, capacity, 0};
    const unsigned char *alpn;
    unsigned alpn_length;
    int nid = NID_undef;
    switch (which) {
    case CTLS_ALPN_PROTOCOL:
        SSL_get0_alpn_selected(ssl, &alpn, &alpn_length);
        put(&out, alpn, alpn_length);
        break;
    case CTLS_CIPHER:
        put_text(&out, SSL_get_cipher_name(ssl));
        break;
    case CTLS_CIPHERS:
        put_ciphers(&out, ssl);
        break;
    case CTLS_CLIENT_SIGNATURE_ALGORITHM:
        put_peer_signature_algorithm(&out, ssl);
        break;
    case CTLS_CLIENT_VERIFICATION:
        put_verification(&out, connection);
        break;
    case CTLS_CURVE:
        nid = (int)SSL_get_negotiated_group(ssl);
        if (nid != NID_undef) {
            put_group(&out, nid);
        }
        break;
    case CTLS_CURVES:
        put_groups(&out, ssl);
        break;
    case CTLS_PROTOCOL:
        put_text(&out, SSL_get_version(ssl));
        break;
    case CTLS_SERVER_NAME:
        put_text(&out, SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name));
        break;
    case CTLS_SESSION_ID:
        put_session_id(&out, ssl);
        break;
    case CTLS_SESSION_REUSED:
        put_text(&out, SSL_session_reused(ssl) ? "r" : ".");
        break;
    case CTLS_SIGNATURE_ALGORITHM:
        put_own_signature_algorithm(&out, ssl);
        break;
    case CTLS_SIGNATURE_ALGORITHMS:
        put_signature_algorithms(&out, ssl);
        break;
    default:
        put_of_certificate(&out, ssl, which);
        break;
    }
    ERR_clear_error();
    return out.length;
}
