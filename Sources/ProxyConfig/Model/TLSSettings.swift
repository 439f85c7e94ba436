// SPDX-License-Identifier: Apache-2.0
//
// What TLS needs to know, for both sides: values with the bytes of every file in them, so that equal values are one
// context, over blocks and over reloads. Nothing here knows OpenSSL; TLSEngine makes contexts of it.

import Patterns
import TLSWire
import Vocabulary

/// A value that many blocks share by reference, so that a server block with TLS is no larger to copy than one without.
package final class Shared<Value: Sendable & Hashable>: Sendable, Hashable {
    package let value: Value
    package init(_ value: Value) { self.value = value }
    package static func == (left: Shared, right: Shared) -> Bool { left === right || left.value == right.value }
    package func hash(into hasher: inout Hasher) { hasher.combine(value) }
}

/// A PEM or key file as it was read. Its text for people is its path alone: the bytes may be a secret.
package struct TLSFile: Sendable, Hashable, CustomStringConvertible {
    /// Absolute.
    package var path: String
    package var bytes: [UInt8]
    package init(path: String, bytes: [UInt8]) {
        self.path = path
        self.bytes = bytes
    }
    package var description: String { path }
}

/// `ssl_certificate` and `ssl_certificate_key`, of which one stands behind the other.
package struct TLSCertificate: Sendable, Hashable {
    /// The certificate and those that sign it.
    package var chain: TLSFile
    /// May be the same file.
    package var key: TLSFile
    package init(chain: TLSFile, key: TLSFile) {
        self.chain = chain
        self.key = key
    }
}

/// A certificate that is known when the session is: a path with variables, or `data:$variable`. A path is absolute as
/// far as it begins with text; what begins with a variable is `ConfigurationOptions.pathBesideFile` of its value.
package struct TLSCertificateTemplate: Sendable, Hashable {
    package var chain: Template
    package var key: Template
    package var isChainData = false
    package var isKeyData = false
    package init(chain: Template, key: Template) {
        self.chain = chain
        self.key = key
    }
}

/// `ssl_certificate_cache max=N [inactive=time] [valid=time]`.
package struct TLSCertificateCache: Sendable, Hashable {
    package var entriesMax: Int
    package var inactiveSeconds = 10
    package var validSeconds = 60
    package init(entriesMax: Int) { self.entriesMax = entriesMax }
}

package struct TLSProtocols: OptionSet, Sendable, Hashable {
    package let rawValue: UInt8
    package init(rawValue: UInt8) { self.rawValue = rawValue }
    package static let ssl2 = TLSProtocols(rawValue: 1)
    package static let ssl3 = TLSProtocols(rawValue: 2)
    package static let tls1 = TLSProtocols(rawValue: 4)
    package static let tls11 = TLSProtocols(rawValue: 8)
    package static let tls12 = TLSProtocols(rawValue: 16)
    package static let tls13 = TLSProtocols(rawValue: 32)
    package static let usual: TLSProtocols = [.tls12, .tls13]
}

/// `ssl_conf_command NAME VALUE`, given to OpenSSL's SSL_CONF_cmd as it stands.
package struct TLSCommand: Sendable, Hashable {
    package var name: String
    package var value: String
    package init(name: String, value: String) {
        self.name = name
        self.value = value
    }
}

/// What both sides have.
package struct TLSCommonSettings: Sendable, Hashable {
    /// RSA and ECDSA side by side; empty where a block only rejects, or certificates come by variables.
    package var certificates: [TLSCertificate] = []
    package var certificateTemplates: [TLSCertificateTemplate] = []
    package var certificateCache: TLSCertificateCache? = nil
    /// The lines of `ssl_password_file`.
    package var passphrases: [[UInt8]] = []
    /// The file that they stand in, absolute.
    package var passphrasePath: String? = nil
    package var protocols = TLSProtocols.usual
    package var ciphers = "HIGH:!aNULL:!MD5"
    package var commands: [TLSCommand] = []
    package var alpn: [String] = []
    /// `ssl_trusted_certificate`: verifies, and is not sent to clients.
    package var trustedCertificates: TLSFile? = nil
    package var revocations: TLSFile? = nil
    package var verifyDepth = 1
    /// Index into `Configuration.logDestinations`: `ssl_key_log`, for debugging with Wireshark.
    package var keyLog: Int? = nil

    package init() {}
}

extension TLSCommonSettings: CustomStringConvertible {
    /// Says nothing: there are passphrases in it, and somebody may put it into a message.
    package var description: String { "TLS settings" }
}

/// ngx_stream_ssl_module, for one server block.
package struct TLSServerSettings: Sendable, Hashable {
    package enum ClientVerification: Sendable, Hashable { case off, on, optional, optionalWithoutCA }
    package enum OCSP: Sendable, Hashable { case off, on, leaf }
    /// `ssl_ocsp_cache shared:NAME:SIZE`.
    package struct OCSPCache: Sendable, Hashable {
        package var sharedName: String
        package var sharedBytes: Int
        package init(sharedName: String, sharedBytes: Int) {
            self.sharedName = sharedName
            self.sharedBytes = sharedBytes
        }
    }
    /// `ssl_ocsp_responder`.
    package struct Responder: Sendable, Hashable {
        package var url: ResponderURL
        /// Its addresses, with the port; empty for a name that nobody has resolved.
        package var endpoints: [IPEndpoint]
        package init(url: ResponderURL, endpoints: [IPEndpoint]) {
            self.url = url
            self.endpoints = endpoints
        }
    }
    package struct SessionCache: Sendable, Hashable {
        /// `off`: clients are told not to reuse. `none`: they are let believe that they may, and never can.
        package enum Kind: Sendable, Hashable { case off, none, kept }
        package var kind = Kind.none
        /// `builtin[:SIZE]`: sessions kept by each worker for itself; nil: not asked for.
        package var builtinSessions: Int? = nil
        /// `shared:NAME:SIZE`: one for all workers.
        package var sharedName: String? = nil
        package var sharedBytes = 0
        package init() {}
    }

    package var common = TLSCommonSettings()
    /// `auto`, or names in OpenSSL's list form.
    package var curves = "auto"
    package var dhParameters: TLSFile? = nil
    package var prefersServerCiphers = false
    package var clientVerification = ClientVerification.off
    /// `ssl_client_certificate`: verifies, and its names are sent to clients.
    package var clientCertificates: TLSFile? = nil
    package var sessionCache = SessionCache()
    package var sessionTimeoutSeconds = 300
    package var usesTickets = true
    /// 48 or 80 bytes each; the first encrypts. Empty: the automatic keys.
    package var ticketKeys: [TLSFile] = []
    package var rejectsHandshakes = false
    package var isStapling = false
    package var staplingFile: TLSFile? = nil
    package var staplingResponder: String? = nil
    package var verifiesStapling = false
    package var clientOCSP = OCSP.off
    /// Nil: each certificate names its own.
    package var clientOCSPResponder: Responder? = nil
    package var clientOCSPCache: OCSPCache? = nil

    package init() {}
}

/// `proxy_ssl*`, for one server block.
package struct TLSClientSettings: Sendable, Hashable {
    package var common: TLSCommonSettings
    package var verifies = false
    package var sendsServerName = false
    package var reusesSessions = true
    /// `proxy_ssl_name`; nil: the host of `proxy_pass`.
    package var name: Template? = nil
    /// The host of `proxy_pass`, or the upstream's name, without a port: nginx's default for `name`. Empty where
    /// `proxy_pass` has variables: then it is the host of what they come to.
    package var defaultName = ""

    package init() {
        common = TLSCommonSettings()
        common.ciphers = "DEFAULT"
    }
}

/// Which server a name leads to: exact, then the longest `*.suffix`, then the longest `prefix.*`, then the first
/// expression that matches. Names are lower case.
package struct ServerNames: Sendable {
    package struct Expression: Sendable {
        package var pattern: Pattern
        package var server: Int
        package init(pattern: Pattern, server: Int) {
            self.pattern = pattern
            self.server = server
        }
    }
    /// Indices into `Configuration.servers`.
    package var exact: [[UInt8]: Int] = [:]
    /// Keys are what stands behind `*`, dot included; `.x` stands here and in `exact`.
    package var leadingMasks: [[UInt8]: Int] = [:]
    /// Keys are what stands before `*`, dot included.
    package var trailingMasks: [[UInt8]: Int] = [:]
    package var expressions: [Expression] = []

    package init() {}

    package var isEmpty: Bool {
        exact.isEmpty && leadingMasks.isEmpty && trailingMasks.isEmpty && expressions.isEmpty
    }
}
