// SPDX-License-Identifier: Apache-2.0
//
// What OpenSSL says of a failed handshake, and as what it is counted.

import SharedState
import Testing

@testable import DataPlane

@Suite("Kinds of failed handshakes") struct HandshakeWordsTests {
    @Test(
        "words of OpenSSL and nginx are counted by their kind",
        arguments: [
            ("SSL_do_handshake() failed (SSL: error:0A0000C1:SSL routines::no shared cipher)", .noCommonCipher),
            ("SSL_do_handshake() failed (SSL: error:0A000102:SSL routines::unsupported protocol)", .noCommonProtocol),
            (
                "SSL_do_handshake() failed (SSL: error:0A000418:SSL routines::tlsv1 alert unknown ca)",
                .peerRejectedCertificate
            ),
            ("upstream SSL certificate verify error: (10:certificate has expired)", .verify(.expired)),
            ("upstream SSL certificate verify error: (23:certificate revoked)", .verify(.revoked)),
            ("upstream SSL certificate verify error: (18:self-signed certificate)", .verify(.other)),
            ("upstream SSL certificate does not match \"b.test\"", .verify(.hostnameMismatch)),
            ("SSL_do_handshake() failed (SSL: error:0A00009C:SSL routines::http request)", .other),
            ("peer closed connection in SSL handshake", .other),
        ] as [(String, HandshakeFailure)])
    func failures(_ words: String, _ kind: HandshakeFailure) {
        #expect(HandshakeFailure(words: words) == kind)
    }

    @Test(
        "what a client's certificate lacks is counted by its kind",
        arguments: [
            ("client sent no required SSL certificate", .noCertificate),
            ("client SSL certificate verify error: (10:certificate has expired)", .expired),
            ("client SSL certificate verify error: certificate revoked", .revoked),
            ("client SSL certificate verify error: (20:unable to get local issuer certificate)", .other),
        ] as [(String, VerifyFailure)])
    func refusals(_ words: String, _ kind: VerifyFailure) {
        #expect(VerifyFailure(words: words) == kind)
    }
}
