// SPDX-License-Identifier: Apache-2.0
//
// For tests: a client straight on OpenSSL that can misbehave, and what OpenSSL has allocated.

#ifndef WEIR_CTESTTLS_H
#define WEIR_CTESTTLS_H

#include <stddef.h>

/// Bytes of the blocks that OpenSSL has allocated on this thread, less those that it has freed there.
long ctt_bytes_in_use(void);

/// A client over memory. `version`: 12 or 13.
void *ctt_client_new(int version);
void ctt_client_free(void *client);
void ctt_client_feed(void *client, const void *bytes, size_t length);
size_t ctt_client_take(void *client, void *into, size_t capacity);
/// 1: done.
int ctt_client_handshake(void *client);
int ctt_client_write(void *client, const void *bytes, size_t length);
/// Reads what came; bytes, or -1.
int ctt_client_read(void *client, void *into, size_t capacity);
/// Asks the other side to change its key as well.
int ctt_client_update_key(void *client);
/// Begins a handshake again (TLS 1.2).
int ctt_client_renegotiate(void *client);

#endif
