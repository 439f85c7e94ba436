// SPDX-License-Identifier: Apache-2.0
//
// Plaintext from ciphertext and back, after the handshake.

#include "internal.h"

size_t ctls_output_bytes(const ctls_connection *connection) {
    return connection->unsent == NULL ? 0 : connection->unsent->end - connection->unsent->start;
}

size_t ctls_take_output(ctls_connection *connection, void *into, size_t capacity) {
    return ctls_stash_take(&connection->unsent, into, capacity);
}

size_t ctls_peek_output(const ctls_connection *connection, void *into, size_t capacity) {
    size_t held = ctls_output_bytes(connection);
    size_t length = held < capacity ? held : capacity;
    if (length > 0) {
        memcpy(into, connection->unsent->bytes + connection->unsent->start, length);
    }
    return length;
}

void ctls_drop_output(ctls_connection *connection, size_t length) {
    size_t held = ctls_output_bytes(connection);
    if (length < held) {
        connection->unsent->start += length;
    } else {
        free(connection->unsent);
        connection->unsent = NULL;
    }
}

/// Reads until nothing is left, which is when OpenSSL has given its buffer back; 0 for that, else SSL_get_error.
static int read_all(ctls_connection *connection, uint8_t *output, size_t capacity, size_t *opened) {
    for (;;) {
        size_t count = 0;
        if (*opened == capacity) {
            connection->has_more = 1;
            return 0;
        }
        int result = SSL_read_ex(connection->ssl, output + *opened, capacity - *opened, &count);
        if (result != 1) {
            int error = SSL_get_error(connection->ssl, result);
            return error == SSL_ERROR_WANT_READ && !connection->is_flooded ? 0 : error;
        }
        *opened += count;
        connection->messages = 0;
        // To ask once more would take a buffer of 16 KiB to find nothing.
        if (ctls_current.input_left == 0 && connection->unread == NULL && SSL_has_pending(connection->ssl) == 0) {
            return 0;
        }
    }
}

/// What waited for the end of a message of the peer; with the last call's output, for nobody has lent any.
static int seal_unsealed(ctls_connection *connection) {
    ctls_stash *waiting = connection->unsealed;
    if (waiting == NULL || SSL_in_init(connection->ssl)) {
        return SSL_ERROR_NONE;
    }
    size_t written = 0;
    const uint8_t *start = waiting->bytes + waiting->start;
    int result = SSL_write_ex(connection->ssl, start, waiting->end - waiting->start, &written);
    if (result != 1) {
        return SSL_get_error(connection->ssl, result);
    }
    free(waiting);
    connection->unsealed = NULL;
    return SSL_ERROR_NONE;
}

int ctls_open(ctls_connection *connection, const void *input, size_t length, void *output, size_t capacity,
              size_t *opened) {
    *opened = 0;
    if (connection->is_failed) {
        return CTLS_BROKEN;
    }
    connection->has_more = 0;
    ctls_begin(connection, input, length);
    int error = read_all(connection, output, capacity, opened);
    int is_kept =
        error != 0 || ctls_stash_append(&connection->unread, ctls_current.input, ctls_current.input_left) == 0;
    if (error == SSL_ERROR_ZERO_RETURN) {
        return CTLS_CLOSED;
    }
    if (error != 0) {
        ctls_fail_ssl(connection, error, "SSL_read() failed");
        return CTLS_BROKEN;
    }
    if (!is_kept) {
        ctls_fail(connection, 0, "no room for what the peer sent");
        return CTLS_BROKEN;
    }
    ctls_current.input_left = 0;
    error = seal_unsealed(connection);
    if (error != SSL_ERROR_NONE) {
        ctls_fail_ssl(connection, error, "SSL_write() failed");
        return CTLS_BROKEN;
    }
    return CTLS_OPENED;
}

int ctls_has_input(const ctls_connection *connection) { return connection->has_more; }

/// OpenSSL writes nothing between two records of one message, such as a KeyUpdate or a ticket that a peer has cut
/// (RFC 8446, 5.1 allows it). The rest is on its way, and with it the turn of what is to be written.
static int64_t keep_unsealed(ctls_connection *connection, const void *plain, size_t length, size_t sealed) {
    if (ctls_stash_append(&connection->unsealed, plain, length) != 0) {
        ctls_fail(connection, 1, "peer does not end its message");
        return -1;
    }
    return (int64_t)sealed;
}

int64_t ctls_seal(ctls_connection *connection, const void *plain, size_t length, void *output, size_t capacity) {
    if (connection->is_failed) {
        return -1;
    }
    size_t waiting = ctls_take_output(connection, output, capacity);
    if (length == 0) {
        return (int64_t)waiting;
    }
    if (connection->unsealed != NULL) {
        return keep_unsealed(connection, plain, length, waiting);
    }
    ctls_begin(connection, NULL, 0);
    ctls_current.output = (uint8_t *)output + waiting;
    ctls_current.output_left = capacity - waiting;
    size_t written = 0;
    int result = SSL_write_ex(connection->ssl, plain, length, &written);
    int error = result == 1 ? SSL_ERROR_NONE : SSL_get_error(connection->ssl, result);
    size_t sealed = capacity - ctls_current.output_left;
    if (error == SSL_ERROR_WANT_READ) {
        return keep_unsealed(connection, plain, length, sealed);
    }
    if (error != SSL_ERROR_NONE) {
        ctls_fail_ssl(connection, error, "SSL_write() failed");
        return -1;
    }
    return (int64_t)sealed;
}

/// Not in the middle of a handshake, where OpenSSL refuses, and not after a fault, when an alert was the last word.
void ctls_close_writing(ctls_connection *connection) {
    if (connection->has_closed || connection->is_failed || SSL_in_init(connection->ssl)) {
        return;
    }
    connection->has_closed = 1;
    ctls_begin(connection, NULL, 0);
    SSL_shutdown(connection->ssl);
    ERR_clear_error();
}
