// SPDX-License-Identifier: Apache-2.0
//
// Certificates made on the fly, for the demo: an authority of its own, and what it issues to servers and clients. Each
// is an EC key on P-256 with an X.509 v3 certificate, kept in one handle that has one owner, who frees it once.

#ifndef WEIR_CCERTIFICATES_H
#define WEIR_CCERTIFICATES_H

#include <stddef.h>
#include <stdint.h>

typedef struct ccert_pair ccert_pair;

enum { CCERT_AUTHORITY, CCERT_SERVER, CCERT_CLIENT };

/// A new key and a certificate for it, valid from an hour ago for `days` days. `issuer` signs; NULL: it signs itself.
/// `names` is X.509's subjectAltName in OpenSSL's words ("DNS:localhost,IP:127.0.0.1"); NULL: none. NULL: OpenSSL
/// refused, or no memory.
ccert_pair *ccert_make(int kind, const char *common_name, const char *names, int days, const ccert_pair *issuer);
void ccert_free(ccert_pair *pair);

/// In PEM. The length, of which at most `capacity` bytes are in `out`; 0: failed.
size_t ccert_write_certificate(const ccert_pair *pair, void *out, size_t capacity);
size_t ccert_write_key(const ccert_pair *pair, void *out, size_t capacity);

#endif
