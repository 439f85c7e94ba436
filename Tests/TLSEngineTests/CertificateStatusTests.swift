// SPDX-License-Identifier: Apache-2.0
//
// Questions to OCSP responders, and answers that `openssl ocsp` made, good ones and those that must not be believed.

import Glibc
import ProxyConfig
import TLSEngine
import Testing

@Suite("certificate status")
struct CertificateStatusTests {
    /// The chain of a client that has shaken hands.
    private func withClient<Result>(
        _ certificate: TLSCertificate?, verification: TLSServerSettings.ClientVerification = .on,
        change: (inout TLSServerSettings) -> Void = { _ in }, body: (StatusChain?) throws -> Result
    ) throws -> Result {
        var client = TLSClientSettings()
        if let certificate { client.common.certificates = [certificate] }
        return try withLink(client, .mutual(verification, change: change)) { link in
            link.handshake()
            let chain = try StatusChain.ofClient(link.server.connection)
            defer { chain?.free() }
            return try body(chain)
        }
    }

    private static let deep = TLSCertificate(
        chain: Certificates.file("deep-chain.pem"), key: Certificates.file("deep.key"))

    static let now = Int64(time(nil))

    struct Case: Sendable, CustomTestStringConvertible {
        let answer: String
        let certificate: String
        let status: CertificateStatus
        var testDescription: String { answer }
    }

    static let cases = [
        Case(answer: "good", certificate: "client", status: .good),
        Case(answer: "endless", certificate: "client", status: .good),
        Case(answer: "revoked", certificate: "revoked", status: .revoked),
        Case(answer: "unknown", certificate: "client", status: .unknown),
    ]

    @Test("an answer says what the responder knows", arguments: cases)
    func statuses(_ one: Case) throws {
        try withClient(Certificates.pair(one.certificate)) { chain in
            let chain = try #require(chain)
            #expect(chain.count == 1)
            let response = Certificates.file("\(one.answer).der").bytes
            let answer = try chain.check(response.span, about: 0, trust: .verified, nowSeconds: Self.now)
            #expect(answer.status == one.status)
            if one.answer == "endless" {
                #expect(answer.validUntilSeconds == nil)
            } else {
                let left = try #require(answer.validUntilSeconds) - Self.now
                #expect(abs(left - 7 * 24 * 3600) < 300)
            }
        }
    }

    static let strangers: [(String, String)] = [
        ("stranger", "OCSP_basic_verify() failed (SSL: error:13800065:OCSP routines::certificate verify error:"),
        ("usurper", "OCSP_basic_verify() failed (SSL: error:13800067:OCSP routines::missing ocspsigning usage"),
        ("revoked", "certificate status not found in the OCSP response"),
    ]

    @Test("an answer of somebody else, or about somebody else, is not believed", arguments: strangers)
    func refused(answer: String, words: String) throws {
        try withClient(Certificates.pair("client")) { chain in
            let chain = try #require(chain)
            let response = Certificates.file("\(answer).der").bytes
            let fault = #expect(throws: TLSFault.self) {
                try chain.check(response.span, about: 0, trust: .verified, nowSeconds: Self.now)
            }
            #expect(fault?.message.hasPrefix(words) == true, "\(fault?.message ?? "none")")
        }
    }

    static let unfit: [([UInt8], String)] = [
        ([], "d2i_OCSP_RESPONSE() failed"),
        (Array("<html>".utf8), "d2i_OCSP_RESPONSE() failed (SSL: error:"),
        ([0x30, 0x03, 0x0A, 0x01, 0x06], "OCSP response not successful (6: unauthorized)"),
        ([0x30, 0x03, 0x0A, 0x01, 0x03], "OCSP response not successful (3: trylater)"),
        ([0x30, 0x03, 0x0A, 0x01, 0x00], "OCSP_response_get1_basic() failed (SSL: error:"),
    ]

    @Test("what is no answer is told in nginx's words", arguments: unfit)
    func unfitBytes(response: [UInt8], words: String) throws {
        try withClient(Certificates.pair("client")) { chain in
            let chain = try #require(chain)
            let fault = #expect(throws: TLSFault.self) {
                try chain.check(response.span, about: 0, trust: .verified, nowSeconds: Self.now)
            }
            #expect(fault?.message.hasPrefix(words) == true, "\(fault?.message ?? "none")")
        }
    }

    @Test("an answer holds between its times, and five minutes longer at both ends")
    func validity() throws {
        try withClient(Certificates.pair("client")) { chain in
            let chain = try #require(chain)
            let response = Certificates.file("good.der").bytes
            let until = try #require(
                try chain.check(response.span, about: 0, trust: .verified, nowSeconds: Self.now).validUntilSeconds)
            let from = until - 7 * 24 * 3600
            for fits in [from - 299, from, until, until + 299] {
                #expect(throws: Never.self) {
                    try chain.check(response.span, about: 0, trust: .verified, nowSeconds: fits)
                }
            }
            for (unfit, reason) in [(from - 301, "status not yet valid"), (until + 301, "status expired")] {
                let fault = #expect(throws: TLSFault.self) {
                    try chain.check(response.span, about: 0, trust: .verified, nowSeconds: unfit)
                }
                #expect(fault?.message.hasPrefix("OCSP_check_validity() failed (SSL: error:") == true)
                #expect(fault?.message.contains(reason) == true, "\(fault?.message ?? "none")")
            }
            let endless = Certificates.file("endless.der").bytes
            #expect(throws: Never.self) {
                try chain.check(endless.span, about: 0, trust: .verified, nowSeconds: until + 1_000_000_000)
            }
        }
    }

    /// Goal: no bytes crash the reader, and no change makes another status of an answer. Method: each bit of each eighth
    /// byte turned; every prefix.
    @Test("a changed answer is never believed")
    func changed() throws {
        try withClient(Certificates.pair("revoked")) { chain in
            let chain = try #require(chain)
            let response = Certificates.file("revoked.der").bytes
            for count in 0..<response.count {
                let cut = Array(response[..<count])
                #expect(throws: TLSFault.self) {
                    try chain.check(cut.span, about: 0, trust: .verified, nowSeconds: Self.now)
                }
            }
            for index in stride(from: 0, to: response.count, by: 8) {
                var bytes = response
                bytes[index] ^= 1 << UInt8(index / 8 % 8)
                let answer = try? chain.check(bytes.span, about: 0, trust: .verified, nowSeconds: Self.now)
                #expect(answer == nil || answer?.status == .revoked, "byte \(index)")
            }
        }
    }

    @Test("a chain is asked about up to its root, and says whom to ask")
    func deepChain() throws {
        try withClient(Self.deep, change: { $0.common.verifyDepth = 2 }) { chain in
            let chain = try #require(chain)
            #expect(chain.count == 2)
            #expect(chain.responder(of: 0).map { String(decoding: $0, as: UTF8.self) } == "http://[::1]:99/x")
            #expect(chain.responder(of: 1) == nil)
            #expect(try chain.key(of: 0) != chain.key(of: 1))
            #expect(try chain.key(of: 0).count == 32)
            let response = Certificates.file("deep.der").bytes
            #expect(
                try chain.check(response.span, about: 0, trust: .verified, nowSeconds: Self.now).status == .good)
            #expect(throws: TLSFault.self) {
                try chain.check(response.span, about: 1, trust: .verified, nowSeconds: Self.now)
            }
        }
    }

    @Test("the question is the certificate's id and nothing else")
    func request() throws {
        try withClient(Certificates.pair("client")) { chain in
            let request = try #require(chain).request(about: 0)
            // OCSPRequest, TBSRequest, a list of one Request, its CertID, sha1 (RFC 6960, 4.1.1).
            #expect(request[0] == 0x30 && Int(request[1]) == request.count - 2)
            #expect(Array(request[10..<21]) == [0x30, 0x09, 0x06, 0x05, 0x2B, 0x0E, 0x03, 0x02, 0x1A, 0x05, 0x00])
            #expect(request.count < 100)
        }
    }

    @Test("who did not come with a good certificate is not asked about")
    func noChain() throws {
        try withClient(nil, verification: .optional) { #expect($0 == nil) }
        try withClient(Certificates.pair("expired")) { #expect($0 == nil) }
        try withClient(Certificates.pair("stranger"), verification: .optionalWithoutCA) { #expect($0 == nil) }
        try withClient(Certificates.pair("client"), verification: .off) { #expect($0 == nil) }
    }

    @Test("a resumed connection has its chain as well", arguments: [TLSProtocols.tls12, .tls13])
    func resumed(version: TLSProtocols) throws {
        let client = TLSClientSettings.with(certificate: "client")
        let server = TLSServerSettings.mutual { $0.common.protocols = version }
        let contexts = (
            try TLSClientContext(client), try TLSServerContext(server, tickets: nil, cache: nil)
        )
        let store = TLSSessionStore(capacity: 4)
        var keys: [[UInt8]] = []
        for round in 0..<2 {
            var link = Link(contexts.0, contexts.1, store: store)
            defer { link.free() }
            link.handshake()
            _ = link.send([1])
            #expect(link.server.connection.isReused == (round == 1))
            let chain = try #require(try StatusChain.ofClient(link.server.connection))
            defer { chain.free() }
            keys.append(try chain.key(of: 0))
        }
        #expect(keys[0] == keys[1])
    }

    @Test("a server's certificate finds its issuer in its chain, or among those trusted")
    func serverChains() throws {
        let inFile = TLSServerSettings.with { settings in
            settings.common.certificates = [
                TLSCertificate(chain: Certificates.file("chain.pem"), key: Certificates.file("server.key")),
            ]
        }
        let inStore = TLSServerSettings.with("server") { settings in
            settings.common.trustedCertificates = Certificates.file("ca.pem")
        }
        for settings in [inFile, inStore] {
            let context = try TLSServerContext(settings, tickets: nil, cache: nil)
            let chain = try #require(try StatusChain.ofServer(context, certificate: 0))
            defer { chain.free() }
            #expect(chain.count == 1)
            #expect(chain.responder(of: 0) == nil)
            #expect(try StatusChain.ofServer(context, certificate: 1) == nil)
            // Signed by the server's own certificate: good enough where the client is to judge.
            let response = Certificates.file("server.der").bytes
            #expect(
                try chain.check(response.span, about: 0, trust: .unverified, nowSeconds: Self.now).status == .good)
            #expect(throws: TLSFault.self) {
                try chain.check(response.span, about: 0, trust: .verified, nowSeconds: Self.now)
            }
        }
        let alone = try TLSServerContext(.with("server"), tickets: nil, cache: nil)
        #expect(throws: TLSFault(message: "issuer certificate not found")) {
            try StatusChain.ofServer(alone, certificate: 0)
        }
        let both = try TLSServerContext(
            .with("server", "rsa") { $0.common.trustedCertificates = Certificates.file("ca.pem") }, tickets: nil,
            cache: nil)
        let chains = try (0..<2).map { try #require(try StatusChain.ofServer(both, certificate: $0)) }
        defer { for chain in chains { chain.free() } }
        #expect(try chains[0].key(of: 0) != chains[1].key(of: 0))
        #expect(try StatusChain.ofServer(both, certificate: 2) == nil)
    }

    @Test("a chain needs neither its connection nor its context")
    func outlives() throws {
        let chain = try withLink(.with(certificate: "client"), .mutual()) { link in
            link.handshake()
            return try #require(try StatusChain.ofClient(link.server.connection))
        }
        defer { chain.free() }
        let response = Certificates.file("good.der").bytes
        #expect(try chain.check(response.span, about: 0, trust: .verified, nowSeconds: Self.now).status == .good)
    }
}
