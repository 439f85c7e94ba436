// SPDX-License-Identifier: Apache-2.0
//
// One side of one connection: an SSL that reads from and writes to memory that the caller lends for one call.
// Input: what an earlier call left, then the lent bytes; what OpenSSL has not asked for at the end of a call is kept.
// Output: into the lent bytes while a call seals, else it waits in the connection, within a bound.
//
// A context has one BIO for all connections: one of its own would be 200 bytes that an idle connection holds for
// nothing. BIO and callbacks find the connection in the call that is under way.

#include "internal.h"

#include <openssl/x509v3.h>
#include <stdio.h>

// Stashes

/// 0, or -1 when there is no memory or too much waits.
int ctls_stash_append(ctls_stash **stash, const void *bytes, size_t length) {
    ctls_stash *old = *stash;
    size_t held = old == NULL ? 0 : old->end - old->start;
    if (length == 0) {
        return 0;
    }
    if (length > CTLS_STASH_MAX - held) {
        return -1;
    }
    if (old == NULL || old->capacity - old->end < length) {
        size_t capacity = held + length < 512 ? 512 : held + length;
        ctls_stash *larger = malloc(sizeof *larger + capacity);
        if (larger == NULL) {
            return -1;
        }
        if (held > 0) {
            memcpy(larger->bytes, old->bytes + old->start, held);
        }
        free(old);
        larger->start = 0;
        larger->end = held;
        larger->capacity = capacity;
        *stash = larger;
    }
    memcpy((*stash)->bytes + (*stash)->end, bytes, length);
    (*stash)->end += length;
    return 0;
}

/// Gives the memory back with the last byte: an idle connection holds none.
size_t ctls_stash_take(ctls_stash **stash, void *into, size_t length) {
    ctls_stash *from = *stash;
    if (from == NULL) {
        return 0;
    }
    size_t held = from->end - from->start;
    length = length < held ? length : held;
    memcpy(into, from->bytes + from->start, length);
    from->start += length;
    if (from->start == from->end) {
        free(from);
        *stash = NULL;
    }
    return length;
}

// BIO

_Thread_local ctls_call ctls_current;

static int bio_write(BIO *bio, const char *bytes, size_t length, size_t *written) {
    ctls_call *call = &ctls_current;
    BIO_clear_retry_flags(bio);
    size_t direct = 0;
    if (call->connection->unsent == NULL && call->output_left > 0) {
        direct = length < call->output_left ? length : call->output_left;
        memcpy(call->output, bytes, direct);
        call->output += direct;
        call->output_left -= direct;
    }
    if (ctls_stash_append(&call->connection->unsent, bytes + direct, length - direct) != 0) {
        call->connection->is_overfull = 1;
        return 0;
    }
    *written = length;
    return 1;
}

static int bio_read(BIO *bio, char *into, size_t capacity, size_t *read) {
    ctls_call *call = &ctls_current;
    BIO_clear_retry_flags(bio);
    if (call->connection->is_flooded) {
        return 0;
    }
    size_t count = ctls_stash_take(&call->connection->unread, into, capacity);
    size_t more = capacity - count < call->input_left ? capacity - count : call->input_left;
    if (more > 0) {
        memcpy(into + count, call->input, more);
        call->input += more;
        call->input_left -= more;
    }
    if (count + more == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    *read = count + more;
    return 1;
}

static long bio_control(BIO *bio, int command, long number, void *pointer) {
    (void)bio, (void)number, (void)pointer;
    return command == BIO_CTRL_FLUSH;
}

/// Holds nothing but what the last call found, which SSL_get_error asks for within the same call.
BIO *ctls_bio_new(void) {
    static BIO_METHOD *method = NULL;
    if (method == NULL) {
        BIO_METHOD *made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "weir");
        if (made == NULL || BIO_meth_set_write_ex(made, bio_write) != 1 || BIO_meth_set_read_ex(made, bio_read) != 1
            || BIO_meth_set_ctrl(made, bio_control) != 1) {
            BIO_meth_free(made);
            return NULL;
        }
        method = made;
    }
    BIO *bio = BIO_new(method);
    if (bio != NULL) {
        BIO_set_init(bio, 1);
    }
    return bio;
}

void ctls_begin(ctls_connection *connection, const void *input, size_t length) {
    ctls_current = (ctls_call){.connection = connection, .input = input, .input_left = length};
    ERR_clear_error();
}

// Life

static ctls_connection *connection_new(ctls_context *context, int is_server) {
    ERR_clear_error();
    ctls_connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL) {
        return NULL;
    }
    connection->first = context;
    connection->is_server = (uint8_t)is_server;
    connection->ssl = SSL_new(context->ctx);
    if (connection->ssl == NULL) {
        free(connection);
        return NULL;
    }
    BIO_up_ref(context->bio);
    SSL_set_bio(connection->ssl, context->bio, context->bio);
    return connection;
}

ctls_connection *ctls_accept(ctls_context *context, int chooses) {
    ctls_connection *connection = connection_new(context, 1);
    if (connection != NULL) {
        connection->chooses = chooses ? CTLS_CHOICE_OPEN : CTLS_CHOICE_NONE;
        SSL_set_accept_state(connection->ssl);
    }
    return connection;
}

/// An address is verified as one and never sent as a name (RFC 6066, 3). 0, or -1 when there is no memory.
static int set_server_name(ctls_connection *connection, int sends_name) {
    // Brackets around an IPv6 address belong to the notation of addresses with ports.
    char text[256];
    size_t length = connection->name_length;
    const uint8_t *name = connection->name;
    if (length >= 2 && name[0] == '[' && name[length - 1] == ']') {
        name += 1;
        length -= 2;
    }
    memcpy(text, name, length);
    text[length] = 0;
    ASN1_OCTET_STRING *address = a2i_IPADDRESS(text);
    ASN1_OCTET_STRING_free(address);
    ERR_clear_error();
    if (sends_name && address == NULL && SSL_set_tlsext_host_name(connection->ssl, text) != 1) {
        return -1;
    }
    if (!connection->first->verifies_server) {
        return 0;
    }
    return (address == NULL ? SSL_set1_host(connection->ssl, text)
                            : X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(connection->ssl), text))
                   == 1
               ? 0
               : -1;
}

static uint8_t *copy_of(const uint8_t *bytes, size_t length) {
    uint8_t *copy = malloc(length == 0 ? 1 : length);
    if (copy != NULL && length > 0) {
        memcpy(copy, bytes, length);
    }
    return copy;
}

ctls_connection *ctls_connect(ctls_context *context, const uint8_t *name, size_t name_length, int sends_name,
                              ctls_store *store, const uint8_t *key, size_t key_length) {
    ctls_connection *connection = connection_new(context, 0);
    if (connection == NULL) {
        return NULL;
    }
    SSL_set_connect_state(connection->ssl);
    if (name_length > 0 && name_length <= 255 && memchr(name, 0, name_length) == NULL) {
        connection->name = copy_of(name, name_length);
        connection->name_length = (uint16_t)name_length;
        if (connection->name == NULL || set_server_name(connection, sends_name) != 0) {
            goto failed;
        }
    } else {
        connection->lacks_name = 1;
    }
    if (store != NULL && context->reuses_sessions && key_length <= UINT16_MAX) {
        connection->store_key = copy_of(key, key_length);
        if (connection->store_key == NULL) {
            goto failed;
        }
        connection->store_key_length = (uint16_t)key_length;
        connection->store = store;
        ctls_store_retain(store);
        SSL_SESSION *session = ctls_store_get(store, context->number, key, key_length);
        if (session != NULL) {
            SSL_set_session(connection->ssl, session);
            SSL_SESSION_free(session);
        }
    }
    return connection;
failed:
    ctls_connection_free(connection);
    return NULL;
}

/// OpenSSL's reference becomes the store's.
int ctls_new_server_session(SSL *ssl, SSL_SESSION *session) {
    (void)ssl;
    ctls_connection *connection = ctls_current.connection;
    if (connection->store == NULL) {
        return 0;
    }
    ctls_store_put(connection->store, connection->first->number, connection->store_key, connection->store_key_length,
                   session);
    return 1;
}

/// A ticket that a server of TLS 1.2 renews while it resumes is reported by no callback (ssl_update_cache).
void ctls_keep_renewed_session(ctls_connection *connection) {
    if (connection->store != NULL && SSL_session_reused(connection->ssl)
        && SSL_version(connection->ssl) < TLS1_3_VERSION) {
        ctls_store_put(connection->store, connection->first->number, connection->store_key,
                       connection->store_key_length, SSL_get1_session(connection->ssl));
    }
}

void ctls_connection_free(ctls_connection *connection) {
    // A connection that ends without close_notify would take its session out of the cache (ssl_clear_bad_session).
    if (!connection->is_failed) {
        SSL_set_shutdown(connection->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    }
    SSL_free(connection->ssl);
    free(connection->unread);
    free(connection->unsent);
    free(connection->unsealed);
    if (connection->store != NULL) {
        ctls_store_free(connection->store);
    }
    free(connection->store_key);
    free(connection->name);
    free(connection->fault);
    free(connection);
    ERR_clear_error();
}
