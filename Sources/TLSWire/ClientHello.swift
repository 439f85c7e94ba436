// SPDX-License-Identifier: Apache-2.0
//
// A ClientHello as far as a balancer uses it: whom it asks for, in which protocols, with which version. It owns its
// bytes, since a hello may be spread over records and then lies nowhere in one piece.

package struct ClientHello: Sendable, Equatable {
    /// As nginx tells it: 0x0304 where the hello has supported_versions (RFC 8446 section 4.2.1) whatever it lists,
    /// else `legacy_version`; 0x0002 for SSL 2.
    package var version: UInt16
    /// The first name of server_name (RFC 6066 section 3), as sent; nil: none is asked for.
    package var serverName: [UInt8]?
    /// The protocols of ALPN (RFC 7301 section 3.1) with commas between, which is nginx's form; nil: none are offered.
    package var protocols: [UInt8]?

    package init(version: UInt16, serverName: [UInt8]? = nil, protocols: [UInt8]? = nil) {
        self.version = version
        self.serverName = serverName
        self.protocols = protocols
    }

    /// `$ssl_preread_protocol`; nil for a version that has no name.
    package var versionName: StaticString? {
        switch version {
        case 0x0002: "SSLv2"
        case 0x0300: "SSLv3"
        case 0x0301: "TLSv1"
        case 0x0302: "TLSv1.1"
        case 0x0303: "TLSv1.2"
        case 0x0304: "TLSv1.3"
        default: nil
        }
    }
}

/// What a scan of the first bytes of a connection found.
package enum ClientHelloScan: Sendable, Equatable {
    /// Right so far; the hello is not whole yet, and it fits the limit as far as is known.
    case needsMore
    case complete(ClientHello)
    /// TLS, but no hello that a server would take.
    case malformed(ClientHelloFault)
    /// Right so far, and longer than the limit.
    case tooLarge
    /// Another protocol.
    case notTLS
}

package enum ClientHelloFault: Error, Sendable, Equatable {
    /// Behind the first record comes another kind than a handshake's, or one without bytes, or with more than 2^14.
    case record
    /// Another handshake message came first.
    case messageType
    /// A length reaches beyond what holds it, or ends before it.
    case length
    /// server_name, ALPN or supported_versions twice: which one counts would be the reader's choice.
    case duplicateExtension
    /// A name that is not a DNS name's kind.
    case nameType
}
