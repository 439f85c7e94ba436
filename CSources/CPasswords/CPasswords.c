// SPDX-License-Identifier: Apache-2.0
//
// Digests by OpenSSL and password hashes by libcrypt.

#include "CPasswords.h"

#include <crypt.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(EVP_MAX_MD_SIZE <= CP_DIGEST_BYTES_MAX, "room of a digest");
_Static_assert(CRYPT_OUTPUT_SIZE <= CP_CRYPT_BYTES_MAX, "room of a hash");

size_t cp_digest(const char *name, const void *bytes, size_t count, uint8_t *out) {
    size_t length = 0;
    return EVP_Q_digest(NULL, name, NULL, bytes, count, out, &length) == 1 ? length : 0;
}

size_t cp_crypt(const char *password, const char *setting, char *out) {
    struct crypt_data *scratch = calloc(1, sizeof *scratch);
    if (scratch == NULL) return 0;
    const char *hash = crypt_r(password, setting, scratch);
    // A hash that begins with '*' is libxcrypt's word for "no".
    size_t length = hash == NULL || hash[0] == '*' ? 0 : strlen(hash);
    if (length >= CP_CRYPT_BYTES_MAX) length = 0;
    if (length > 0) memcpy(out, hash, length + 1);
    // The password lies in there.
    explicit_bzero(scratch, sizeof *scratch);
    free(scratch);
    return length;
}
