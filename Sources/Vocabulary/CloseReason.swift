// SPDX-License-Identifier: Apache-2.0
//
// Why a session ended. Log, metrics, API and tests use these words and no others; `$status` follows nginx's numbers.

/// Whose doing the end of a session was, and what happened. One for each session.
package enum CloseReason: UInt8, Sendable, CaseIterable, BitwiseCopyable {
    /// The client closed its connection, or `proxy_half_close` saw both sides closed.
    case clientClosed
    /// The client's connection broke (reset, unreachable).
    case clientReset
    /// The broker closed its connection.
    case brokerClosed
    /// The broker's connection broke after it was established.
    case brokerReset
    /// Nothing moved for `proxy_timeout`.
    case idleTimeout
    /// The client did not complete its first packet within `preread_timeout`.
    case prereadTimeout
    /// The first packet does not fit `preread_buffer_size`.
    case prereadBufferFull
    /// `mqtt_preread required` met bytes that are no valid CONNECT.
    case badConnect
    /// `deny` met the client's address.
    case accessDenied
    /// No eligible server was left, or every try failed.
    case noBroker
    /// The last try's connect was refused or failed.
    case connectFailed
    /// The last try's connect took longer than `proxy_connect_timeout`.
    case connectTimeout
    /// The client's connection ended without TLS's close_notify: what it wanted to say may be cut.
    case clientTruncated
    /// The broker's connection ended without TLS's close_notify.
    case brokerTruncated
    /// The client's handshake failed: no common version or cipher, plain bytes, a lie, an end in the middle.
    case tlsHandshakeFailed
    /// The client did not finish its handshake within `ssl_handshake_timeout`.
    case tlsHandshakeTimeout
    /// The client's certificate is missing or did not verify.
    case tlsClientRefused
    /// After the handshake, bytes of one side were no TLS record of this connection.
    case tlsBroken
    /// The last try's handshake with the broker failed, or its certificate did not verify.
    case brokerHandshakeFailed
    /// `return` sent its value.
    case returned
    /// `worker_shutdown_timeout`, a fast stop, or a graceful stop that met a session not yet connected.
    case shutdown
    /// A limit of ours: descriptors, memory, `worker_connections`.
    case outOfResources
    /// A fault of ours, or a configuration that only shows itself at run time (an unresolvable `proxy_pass $name`).
    case internalError
    /// Somebody ended this session through the API.
    case administrator

    /// nginx's `$status`: idle, preread and shutdown ends count as 200 there, too.
    package var status: UInt16 {
        switch self {
        case .clientClosed, .clientReset, .brokerClosed, .brokerReset, .clientTruncated, .brokerTruncated,
            .idleTimeout, .prereadTimeout, .returned, .shutdown, .administrator:
            200
        case .prereadBufferFull, .badConnect: 400
        case .accessDenied: 403
        case .outOfResources, .internalError, .tlsHandshakeFailed, .tlsHandshakeTimeout, .tlsClientRefused, .tlsBroken:
            500
        case .noBroker, .connectFailed, .connectTimeout, .brokerHandshakeFailed: 502
        }
    }

    /// The word for `$close_reason`.
    package var name: String {
        switch self {
        case .clientClosed: "client_closed"
        case .clientReset: "client_reset"
        case .brokerClosed: "broker_closed"
        case .brokerReset: "broker_reset"
        case .idleTimeout: "idle_timeout"
        case .prereadTimeout: "preread_timeout"
        case .prereadBufferFull: "preread_buffer_full"
        case .badConnect: "bad_connect"
        case .accessDenied: "access_denied"
        case .noBroker: "no_broker"
        case .connectFailed: "connect_failed"
        case .connectTimeout: "connect_timeout"
        case .clientTruncated: "client_truncated"
        case .brokerTruncated: "broker_truncated"
        case .tlsHandshakeFailed: "tls_handshake_failed"
        case .tlsHandshakeTimeout: "tls_handshake_timeout"
        case .tlsClientRefused: "tls_client_refused"
        case .tlsBroken: "tls_broken"
        case .brokerHandshakeFailed: "broker_handshake_failed"
        case .returned: "returned"
        case .shutdown: "shutdown"
        case .outOfResources: "out_of_resources"
        case .internalError: "internal_error"
        case .administrator: "administrator"
        }
    }
}
