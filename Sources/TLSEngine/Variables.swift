// SPDX-License-Identifier: Apache-2.0
//
// Which variables an engine answers for. Those of encrypted ClientHello never have a value: OpenSSL 3.0 has none.

import CTLS
import ProxyConfig

extension BuiltinVariable {
    var engineVariable: ctls_variable? {
        switch self {
        case .tlsALPNProtocol: CTLS_ALPN_PROTOCOL
        case .tlsCipher: CTLS_CIPHER
        case .tlsCiphers: CTLS_CIPHERS
        case .tlsClientCertificate: CTLS_CLIENT_CERTIFICATE
        case .tlsClientRawCertificate: CTLS_CLIENT_RAW_CERTIFICATE
        case .tlsClientEscapedCertificate: CTLS_CLIENT_ESCAPED_CERTIFICATE
        case .tlsClientFingerprint: CTLS_CLIENT_FINGERPRINT
        case .tlsClientIssuer: CTLS_CLIENT_ISSUER
        case .tlsClientSubject: CTLS_CLIENT_SUBJECT
        case .tlsClientSerial: CTLS_CLIENT_SERIAL
        case .tlsClientSignatureAlgorithm: CTLS_CLIENT_SIGNATURE_ALGORITHM
        case .tlsClientValidFrom: CTLS_CLIENT_VALID_FROM
        case .tlsClientValidTo: CTLS_CLIENT_VALID_TO
        case .tlsClientValidDays: CTLS_CLIENT_VALID_DAYS
        case .tlsClientVerification: CTLS_CLIENT_VERIFICATION
        case .tlsClientCommonName: CTLS_CLIENT_COMMON_NAME
        case .tlsClientAlternativeNames: CTLS_CLIENT_ALTERNATIVE_NAMES
        case .tlsCurve: CTLS_CURVE
        case .tlsCurves: CTLS_CURVES
        case .tlsProtocol: CTLS_PROTOCOL
        case .tlsServerName: CTLS_SERVER_NAME
        case .tlsSessionID: CTLS_SESSION_ID
        case .tlsSessionReused: CTLS_SESSION_REUSED
        case .tlsSignatureAlgorithm: CTLS_SIGNATURE_ALGORITHM
        case .tlsSignatureAlgorithms: CTLS_SIGNATURE_ALGORITHMS
        default: nil
        }
    }
}
