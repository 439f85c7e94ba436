// SPDX-License-Identifier: Apache-2.0
//
// Digests and crypt(3), which user files of `auth_basic_user_file` are made of.

#ifndef WEIR_CPASSWORDS_H
#define WEIR_CPASSWORDS_H

#include <stddef.h>
#include <stdint.h>

enum { CP_DIGEST_BYTES_MAX = 64, CP_CRYPT_BYTES_MAX = 384 };

#pragma clang assume_nonnull begin

/// OpenSSL has no Swift face. The digest called `name` ("MD5", "SHA1", "SHA256") of `count` bytes, into `out`, which
/// has room for CP_DIGEST_BYTES_MAX. Its length; 0: OpenSSL has none of this name.
size_t cp_digest(const char *name, const void *bytes, size_t count, uint8_t *out);

/// crypt_r(3) wants 32 KiB of scratch memory that Swift cannot name. The hash of `password` in the way that `setting`
/// tells, ended by NUL, into `out`, which has room for CP_CRYPT_BYTES_MAX. Its length; 0: crypt does not know the way.
size_t cp_crypt(const char *password, const char *setting, char *out);

#pragma clang assume_nonnull end

#endif
