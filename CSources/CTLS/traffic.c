// SPDX-License-Identifier: Apache-2.0
//
// Plaintext from ciphertext and back, after the handshake.

#include "internal.h"

size_t ctls_output_bytes(const ctls_connection *connection) {
    return connection->unsent.end - connection->unsent.start;
}

size_t ctls_take_output(ctls_connection *connection, void *into, size_t capacity) {
    return connection->unsent.bytes == NULL ? 0 : ctls_stash_take(&connection->unsent, into, capacity);
}

/// Reads until OpenSSL asks for bytes that are not there: only then has it given its buffer back.
int ctls_open(ctls_connection *connection, const void *input, size_t length, void *output, size_t capacity,
              size_t *opened) {
    *opened = 0;
    if (connection->is_failed) {
        return CTLS_BROKEN;
    }
    connection->input = input;
    connection->input_left = length;
    connection->has_more = 0;
    ERR_clear_error();
    for (;;) {
        size_t count = 0;
        if (*opened == capacity) {
            connection->has_more = 1;
            break;
        }
        int result = SSL_read_ex(connection->ssl, (uint8_t *)output + *opened, capacity - *opened, &count);
        if (result == 1) {
            *opened += count;
            connection->messages = 0;
            continue;
        }
        int error = SSL_get_error(connection->ssl, result);
        if (error == SSL_ERROR_WANT_READ && !connection->is_flooded) {
            break;
        }
        connection->input_left = 0;
        if (error == SSL_ERROR_ZERO_RETURN) {
            return CTLS_CLOSED;
        }
        ctls_fail_ssl(connection, error, "SSL_read() failed");
        return CTLS_BROKEN;
    }
    if (ctls_stash_append(&connection->unread, connection->input, connection->input_left) != 0) {
        connection->input_left = 0;
        ctls_fail(connection, 0, "no room for what the peer sent");
        return CTLS_BROKEN;
    }
    connection->input_left = 0;
    return CTLS_OPENED;
}

int ctls_has_input(const ctls_connection *connection) { return connection->has_more; }

int64_t ctls_seal(ctls_connection *connection, const void *plain, size_t length, void *output, size_t capacity) {
    if (connection->is_failed) {
        return -1;
    }
    size_t waiting = ctls_take_output(connection, output, capacity);
    if (length == 0) {
        return (int64_t)waiting;
    }
    connection->output = (uint8_t *)output + waiting;
    connection->output_left = capacity - waiting;
    ERR_clear_error();
    size_t written = 0;
    int result = SSL_write_ex(connection->ssl, plain, length, &written);
    size_t sealed = capacity - connection->output_left;
    connection->output = NULL;
    connection->output_left = 0;
    if (result != 1) {
        ctls_fail_ssl(connection, SSL_get_error(connection->ssl, result), "SSL_write() failed");
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
    ERR_clear_error();
    SSL_shutdown(connection->ssl);
    ERR_clear_error();
}
