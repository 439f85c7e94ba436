// SPDX-License-Identifier: Apache-2.0
//
// OpenSSL's errors in the words that nginx logs, and whose doing they are.

#include "internal.h"

#include <openssl/sslerr.h>
#include <stdio.h>

/// The queue and the flags of its entries are macros and out-parameters.
size_t ctls_take_errors(char *out, size_t capacity) {
    size_t length = 0;
    const char *data;
    int flags;
    unsigned long code;
    out[0] = 0;
    while ((code = ERR_peek_error_data(&data, &flags)) != 0) {
        if (length + 16 < capacity) {
            length += (size_t)snprintf(out + length, capacity - length, length == 0 ? "SSL: " : " ");
            ERR_error_string_n(code, out + length, capacity - length);
            length += strlen(out + length);
            if ((flags & ERR_TXT_STRING) && data[0] != 0 && length + 2 < capacity) {
                snprintf(out + length, capacity - length, ":%s", data);
                length += strlen(out + length);
            }
        }
        ERR_get_error();
    }
    return length;
}

/// ERR_clear_error, without OpenSSL's headers in Swift's sight.
void ctls_clear_errors(void) { ERR_clear_error(); }

/// The reasons that nginx takes for the peer's doing (ngx_ssl_connection_error), as far as OpenSSL 3.0 has them.
static const int peer_reasons[] = {
    SSL_R_NO_SUITABLE_KEY_SHARE,
    SSL_R_BAD_CHANGE_CIPHER_SPEC,
    SSL_R_BAD_KEY_SHARE,
    SSL_R_BAD_EXTENSION,
    SSL_R_BAD_DIGEST_LENGTH,
    SSL_R_MISSING_SIGALGS_EXTENSION,
    SSL_R_BAD_PACKET_LENGTH,
    SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM,
    SSL_R_BAD_KEY_UPDATE,
    SSL_R_BLOCK_CIPHER_PAD_IS_WRONG,
    SSL_R_CCS_RECEIVED_EARLY,
    SSL_R_DATA_BETWEEN_CCS_AND_FINISHED,
    SSL_R_DATA_LENGTH_TOO_LONG,
    SSL_R_DIGEST_CHECK_FAILED,
    SSL_R_ENCRYPTED_LENGTH_TOO_LONG,
    SSL_R_ERROR_IN_RECEIVED_CIPHER_LIST,
    SSL_R_EXCESSIVE_MESSAGE_SIZE,
    SSL_R_GOT_A_FIN_BEFORE_A_CCS,
    SSL_R_HTTPS_PROXY_REQUEST,
    SSL_R_HTTP_REQUEST,
    SSL_R_LENGTH_MISMATCH,
    SSL_R_LENGTH_TOO_SHORT,
    SSL_R_NO_RENEGOTIATION,
    SSL_R_NO_CIPHERS_SPECIFIED,
    SSL_R_BAD_CIPHER,
    SSL_R_NO_COMPRESSION_SPECIFIED,
    SSL_R_NO_SHARED_CIPHER,
    SSL_R_PACKET_LENGTH_TOO_LONG,
    SSL_R_RECORD_LENGTH_MISMATCH,
    SSL_R_CLIENTHELLO_TLSEXT,
    SSL_R_PARSE_TLSEXT,
    SSL_R_CALLBACK_FAILED,
    SSL_R_NO_APPLICATION_PROTOCOL,
    SSL_R_UNEXPECTED_MESSAGE,
    SSL_R_UNEXPECTED_RECORD,
    SSL_R_UNKNOWN_ALERT_TYPE,
    SSL_R_UNKNOWN_PROTOCOL,
    SSL_R_UNSUPPORTED_PROTOCOL,
    SSL_R_WRONG_VERSION_NUMBER,
    SSL_R_BAD_LENGTH,
    SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC,
    SSL_R_APPLICATION_DATA_AFTER_CLOSE_NOTIFY,
    SSL_R_BAD_LEGACY_VERSION,
    SSL_R_MIXED_HANDSHAKE_AND_NON_HANDSHAKE_DATA,
    SSL_R_RECORD_TOO_SMALL,
    SSL_R_SSL3_SESSION_ID_TOO_LONG,
    SSL_R_BAD_ECPOINT,
    SSL_R_RENEGOTIATE_EXT_TOO_LONG,
    SSL_R_RENEGOTIATION_ENCODING_ERR,
    SSL_R_RENEGOTIATION_MISMATCH,
    SSL_R_UNSAFE_LEGACY_RENEGOTIATION_DISABLED,
    SSL_R_SCSV_RECEIVED_WHEN_RENEGOTIATING,
    SSL_R_INAPPROPRIATE_FALLBACK,
    SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS,
    SSL_R_CERT_CB_ERROR,
    SSL_R_VERSION_TOO_LOW,
    SSL_R_TOO_MANY_WARN_ALERTS,
    SSL_R_BAD_RECORD_TYPE,
    1000, // SSLV3_ALERT_CLOSE_NOTIFY, which has no name
    SSL_R_SSLV3_ALERT_UNEXPECTED_MESSAGE,
    SSL_R_SSLV3_ALERT_BAD_RECORD_MAC,
    SSL_R_TLSV1_ALERT_DECRYPTION_FAILED,
    SSL_R_TLSV1_ALERT_RECORD_OVERFLOW,
    SSL_R_SSLV3_ALERT_DECOMPRESSION_FAILURE,
    SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE,
    SSL_R_SSLV3_ALERT_NO_CERTIFICATE,
    SSL_R_SSLV3_ALERT_BAD_CERTIFICATE,
    SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE,
    SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED,
    SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED,
    SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN,
    SSL_R_SSLV3_ALERT_ILLEGAL_PARAMETER,
    SSL_R_TLSV1_ALERT_UNKNOWN_CA,
    SSL_R_TLSV1_ALERT_ACCESS_DENIED,
    SSL_R_TLSV1_ALERT_DECODE_ERROR,
    SSL_R_TLSV1_ALERT_DECRYPT_ERROR,
    SSL_R_TLSV1_ALERT_EXPORT_RESTRICTION,
    SSL_R_TLSV1_ALERT_PROTOCOL_VERSION,
    SSL_R_TLSV1_ALERT_INSUFFICIENT_SECURITY,
    SSL_R_TLSV1_ALERT_INTERNAL_ERROR,
    SSL_R_TLSV1_ALERT_USER_CANCELLED,
    SSL_R_TLSV1_ALERT_NO_RENEGOTIATION,
};

static int is_peer_reason(unsigned long code) {
    if (ERR_GET_LIB(code) != ERR_LIB_SSL) {
        return 0;
    }
    for (size_t i = 0; i < sizeof peer_reasons / sizeof peer_reasons[0]; i++) {
        if (peer_reasons[i] == ERR_GET_REASON(code)) {
            return 1;
        }
    }
    return 0;
}

/// Only the first fault is kept: what comes after it follows from it.
void ctls_fail(ctls_connection *connection, int is_peer_fault, const char *words) {
    char errors[1024];
    size_t length = ctls_take_errors(errors, sizeof errors);
    connection->is_failed = 1;
    if (connection->fault != NULL) {
        return;
    }
    connection->is_peer_fault = (uint8_t)is_peer_fault;
    size_t capacity = strlen(words) + length + 4;
    connection->fault = malloc(capacity);
    if (connection->fault != NULL) {
        snprintf(connection->fault, capacity, length == 0 ? "%s" : "%s (%s)", words, errors);
    }
}

/// What SSL_get_error said after `words`, in nginx's order of questions.
void ctls_fail_ssl(ctls_connection *connection, int ssl_error, const char *words) {
    if (connection->is_overfull) {
        ERR_clear_error();
        ctls_fail(connection, 1, "peer does not read its handshake");
    } else if (connection->is_flooded) {
        ERR_clear_error();
        ctls_fail(connection, 1, "peer sends only handshake messages");
    } else if (!connection->is_open && (ssl_error == SSL_ERROR_ZERO_RETURN || ERR_peek_error() == 0)) {
        ctls_fail(connection, 1, "peer closed connection in SSL handshake");
    } else if (connection->is_rejected) {
        ERR_clear_error();
        ctls_fail(connection, 1, "handshake rejected");
    } else {
        ctls_fail(connection, ssl_error == SSL_ERROR_SSL && is_peer_reason(ERR_peek_last_error()), words);
    }
}

const char *ctls_fault(const ctls_connection *connection) {
    return connection->is_failed ? (connection->fault != NULL ? connection->fault : "out of memory") : NULL;
}

int ctls_is_peer_fault(const ctls_connection *connection) { return connection->is_peer_fault; }
