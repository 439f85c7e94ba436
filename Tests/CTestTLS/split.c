// SPDX-License-Identifier: Apache-2.0
//
// A KeyUpdate in two records, which RFC 8446 (5.1) allows and OpenSSL never sends: sealed by hand with the secret that
// the key log tells.

#include "CTestTLS.h"

#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

enum { HASH_BYTES = 48, KEY_BYTES = 32, NONCE_BYTES = 12, TAG_BYTES = 16, HEADER_BYTES = 5 };

/// CLIENT_TRAFFIC_SECRET_0 of the client that has shaken hands last on this thread.
static _Thread_local unsigned char traffic_secret[HASH_BYTES];

static void keep_secret(const SSL *ssl, const char *line) {
    (void)ssl;
    static const char label[] = "CLIENT_TRAFFIC_SECRET_0 ";
    if (strncmp(line, label, sizeof label - 1) != 0) return;
    const char *digits = strrchr(line, ' ') + 1;
    if (strlen(digits) != 2 * HASH_BYTES) return;
    for (size_t index = 0; index < HASH_BYTES; index += 1) {
        char pair[3] = {digits[2 * index], digits[2 * index + 1], 0};
        traffic_secret[index] = (unsigned char)strtoul(pair, NULL, 16);
    }
}

void ctt_keep_secrets(void *ctx) { SSL_CTX_set_keylog_callback(ctx, keep_secret); }

/// HKDF-Expand-Label (RFC 8446, 7.1) without a context.
static int expand(const char *label, unsigned char *out, size_t length) {
    unsigned char info[32] = {0, (unsigned char)length, (unsigned char)(6 + strlen(label))};
    memcpy(info + 3, "tls13 ", 6);
    memcpy(info + 9, label, strlen(label));
    int info_length = (int)(10 + strlen(label));
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, NULL);
    int is_done = EVP_PKEY_derive_init(context) == 1
        && EVP_PKEY_CTX_set_hkdf_mode(context, EVP_PKEY_HKDEF_MODE_EXPAND_ONLY) == 1
        && EVP_PKEY_CTX_set_hkdf_md(context, EVP_sha384()) == 1
        && EVP_PKEY_CTX_set1_hkdf_key(context, traffic_secret, HASH_BYTES) == 1
        && EVP_PKEY_CTX_add1_hkdf_info(context, info, info_length) == 1
        && EVP_PKEY_derive(context, out, &length) == 1;
    EVP_PKEY_CTX_free(context);
    return is_done;
}

/// One record of handshake bytes with AES-256-GCM (RFC 8446, 5.2 and 5.3). Its length.
static size_t seal(const unsigned char *key, const unsigned char *nonce, unsigned char number,
                   const unsigned char *bytes, size_t length, unsigned char *out) {
    unsigned char plain[16];
    unsigned char own[NONCE_BYTES];
    size_t sealed = length + 1 + TAG_BYTES;
    int count = 0;
    memcpy(plain, bytes, length);
    plain[length] = SSL3_RT_HANDSHAKE;
    memcpy(own, nonce, NONCE_BYTES);
    own[NONCE_BYTES - 1] ^= number;
    const unsigned char header[HEADER_BYTES] = {SSL3_RT_APPLICATION_DATA, 3, 3, 0, (unsigned char)sealed};
    memcpy(out, header, HEADER_BYTES);
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    EVP_EncryptInit_ex(context, EVP_aes_256_gcm(), NULL, key, own);
    EVP_EncryptUpdate(context, NULL, &count, header, HEADER_BYTES);
    EVP_EncryptUpdate(context, out + HEADER_BYTES, &count, plain, (int)length + 1);
    EVP_EncryptFinal_ex(context, out + HEADER_BYTES + count, &count);
    EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, out + HEADER_BYTES + length + 1);
    EVP_CIPHER_CTX_free(context);
    return HEADER_BYTES + sealed;
}

size_t ctt_client_split_update(void *client, size_t cut, unsigned char *out, size_t capacity) {
    static const unsigned char update[] = {SSL3_MT_KEY_UPDATE, 0, 0, 1, SSL_KEY_UPDATE_REQUESTED};
    unsigned char key[KEY_BYTES];
    unsigned char nonce[NONCE_BYTES];
    unsigned char own[64];
    if (capacity < 2 * (HEADER_BYTES + sizeof update + 1 + TAG_BYTES) || cut == 0 || cut >= sizeof update
        || strcmp(SSL_get_cipher_name(client), "TLS_AES_256_GCM_SHA384") != 0 || !expand("key", key, sizeof key)
        || !expand("iv", nonce, sizeof nonce) || ctt_client_update_key(client) != 1) {
        return 0;
    }
    // The client's own record moves its keys on; the two stand in its place.
    if (ctt_client_take(client, own, sizeof own) != HEADER_BYTES + sizeof update + 1 + TAG_BYTES) return 0;
    size_t first = seal(key, nonce, 0, update, cut, out);
    return first + seal(key, nonce, 1, update + cut, sizeof update - cut, out + first);
}
