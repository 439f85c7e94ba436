// SPDX-License-Identifier: Apache-2.0
//
// Who may come in by certificate, in nginx's words when not, and what variables say of a certificate.

import ProxyConfig
import TLSEngine
import Testing

@Suite("client certificates")
struct ClientCertificateTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let certificate: String?
        let verification: TLSServerSettings.ClientVerification
        let refusal: String?
        let word: String

        init(
            _ certificate: String?, _ verification: TLSServerSettings.ClientVerification, _ refusal: String?,
            _ word: String
        ) {
            (self.certificate, self.verification, self.refusal, self.word) = (certificate, verification, refusal, word)
        }

        var testDescription: String { "\(certificate ?? "none"), \(verification)" }
    }

    static let cases = [
        Case("client", .on, nil, "SUCCESS"),
        Case(nil, .on, "client sent no required SSL certificate", "NONE"),
        Case(nil, .optional, nil, "NONE"),
        Case(nil, .optionalWithoutCA, nil, "NONE"),
        Case("client", .off, nil, "NONE"),
        Case(
            "expired", .on, "client SSL certificate verify error: (10:certificate has expired)",
            "FAILED:certificate has expired"),
        Case(
            "expired", .optionalWithoutCA, "client SSL certificate verify error: (10:certificate has expired)",
            "FAILED:certificate has expired"),
        Case(
            "revoked", .optional, "client SSL certificate verify error: (23:certificate revoked)",
            "FAILED:certificate revoked"),
        Case(
            "purpose", .on, "client SSL certificate verify error: (26:unsuitable certificate purpose)",
            "FAILED:unsuitable certificate purpose"),
        Case(
            "stranger", .on, "client SSL certificate verify error: (3:unable to get certificate CRL)",
            "FAILED:unable to get certificate CRL"),
        Case("stranger", .optionalWithoutCA, nil, "FAILED:unable to verify the first certificate"),
    ]

    @Test("a certificate is refused for what it is, and for nothing else", arguments: cases)
    func verified(_ one: Case) throws {
        for version in [TLSProtocols.tls12, .tls13] {
            let server = TLSServerSettings.mutual(one.verification) { settings in
                settings.common.protocols = version
                if one.certificate != "stranger" { settings.common.revocations = Certificates.file("crl.pem") }
            }
            try withLink(.with(certificate: one.certificate), server) { link in
                link.handshake()
                #expect(link.isDone)
                if one.certificate == "stranger" && one.verification == .on {
                    #expect(
                        link.server.connection.clientRefusal?.hasPrefix("client SSL certificate verify error") == true)
                } else {
                    #expect(link.server.connection.clientRefusal == one.refusal)
                    #expect(link.server.value(.tlsClientVerification) == one.word)
                }
            }
        }
    }

    @Test("who was refused is refused when it comes back")
    func refusedAgain() throws {
        for version in [TLSProtocols.tls12, .tls13] {
            let server = try TLSServerContext(
                .mutual { $0.common.protocols = version }, tickets: nil, cache: nil)
            let client = try TLSClientContext(.with(certificate: "expired"))
            let store = try #require(TLSSessionStore(capacity: 1))
            for _ in 0..<3 {
                var link = Link(client, server, store: store)
                defer { link.free() }
                link.handshake()
                #expect(link.server.connection.clientRefusal?.contains("expired") == true)
            }
        }
    }

    @Test("a revocation list that changes ends the sessions that were made before it")
    func revokedLater() throws {
        let keys = TLSFile(path: "/keys", bytes: [UInt8](repeating: 5, count: 80))
        let before = try TLSServerContext(.mutual { $0.ticketKeys = [keys] }, tickets: nil, cache: nil)
        let after = try TLSServerContext(
            .mutual { settings in
                settings.ticketKeys = [keys]
                settings.common.revocations = Certificates.file("crl.pem")
            }, tickets: nil, cache: nil)
        let client = try TLSClientContext(.with(certificate: "revoked"))
        let store = try #require(TLSSessionStore(capacity: 1))
        for (server, isReused, isRefused) in [(before, false, false), (before, true, false), (after, false, true)] {
            var link = Link(client, server, store: store)
            defer { link.free() }
            link.handshake()
            #expect(link.server.connection.isReused == isReused)
            #expect((link.server.connection.clientRefusal != nil) == isRefused)
        }
    }

    @Test("variables have nginx's forms")
    func variables() throws {
        try withLink(.with(certificate: "client"), .mutual { $0.common.protocols = .tls13 }) { link in
            link.handshake()
            let server = link.server
            let pem = String(decoding: Certificates.file("client.pem").bytes, as: UTF8.self)
            #expect(server.value(.tlsClientRawCertificate) == pem)
            #expect(
                server.value(.tlsClientCertificate)
                    == pem.dropLast().split(separator: "\n").joined(separator: "\n\t"))
            let escaped = try #require(server.value(.tlsClientEscapedCertificate))
            #expect(escaped.hasPrefix("-----BEGIN%20CERTIFICATE-----%0A"))
            #expect(escaped.hasSuffix("-----END%20CERTIFICATE-----%0A"))
            #expect(server.value(.tlsClientSubject) == "CN=Ger\\C3\\A4t 7,CN=first,O=Weir")
            #expect(server.value(.tlsClientIssuer) == "CN=ca,O=Weir")
            #expect(server.value(.tlsClientSerial) == "1A03")
            #expect(server.value(.tlsClientFingerprint)?.count == 40)
            #expect(server.value(.tlsClientFingerprint)?.allSatisfy { "0123456789abcdef".contains($0) } == true)
            #expect(server.value(.tlsClientValidFrom) == "Jan  1 00:00:00 2020 GMT")
            #expect(server.value(.tlsClientValidTo) == "Jan  1 00:00:00 2040 GMT")
            #expect(Int(server.value(.tlsClientValidDays) ?? "") ?? 0 > 300)
            #expect(server.value(.tlsClientSignatureAlgorithm) == "ecdsa_secp256r1_sha256")
            #expect(server.value(.tlsSignatureAlgorithm) == "ecdsa_secp256r1_sha256")
            #expect(server.value(.tlsClientCommonName) == "Gerät 7")
            #expect(
                server.value(.tlsClientAlternativeNames)
                    == "DNS:a.test, IP Address:10.0.0.1, IP Address:FE80:0:0:0:0:0:0:1, URI:urn:x:1, email:me@x.test")
            #expect(server.value(.tlsCipher) == "TLS_AES_256_GCM_SHA384")
            #expect(server.value(.tlsCiphers)?.hasPrefix("TLS_AES_256_GCM_SHA384:TLS_CHACHA20") == true)
            #expect(server.value(.tlsCurve) == "X25519")
            #expect(server.value(.tlsCurves)?.hasPrefix("X25519:prime256v1:") == true)
            #expect(server.value(.tlsSignatureAlgorithms)?.hasPrefix("ecdsa_secp256r1_sha256:") == true)
            #expect(server.value(.tlsSessionID)?.count == 64)
            #expect(server.value(.tlsECHStatus) == nil)
            #expect(server.value(.remoteAddress) == nil)
        }
    }

    @Test(
        "nobody forges an entry of the alternative names",
        arguments: [
            ("comma", "URI:x\\2C DNS:admin.test"), ("zero", "DNS:a\\00.\\5Cb"),
        ])
    func forged(certificate: String, names: String) throws {
        try withLink(.with(certificate: certificate), .mutual()) { link in
            link.handshake()
            #expect(link.server.value(.tlsClientAlternativeNames) == names)
        }
    }

    @Test("without a certificate its variables have no value")
    func absent() throws {
        try withLink(.with(), .mutual(.optional)) { link in
            link.handshake()
            for variable in [
                BuiltinVariable.tlsClientCertificate, .tlsClientSubject, .tlsClientSerial, .tlsClientCommonName,
                .tlsClientAlternativeNames, .tlsClientValidDays, .tlsClientFingerprint, .tlsClientRawCertificate,
            ] { #expect(link.server.value(variable) == nil) }
        }
    }
}
