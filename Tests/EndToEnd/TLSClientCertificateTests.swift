// SPDX-License-Identifier: Apache-2.0
//
// Clients that show who they are: which certificates come in, what is said of those that do not, and what a
// configuration may do with a name that a certificate vouches for.

import Foundation
import TestSupport
import Testing

@Suite("tls: client certificates")
struct TLSClientCertificateTests {
    /// The log line of a certificate that does not verify, as nginx writes it.
    private static func refusal(_ number: Int, _ reason: String) -> String {
        " client SSL certificate verify error: (\(number):\(reason)) while SSL handshaking, client: 127.0.0.1, server: "
    }

    /// What a server that returns variables says to a client; "" when it refuses it.
    private static func answer(_ port: UInt16, _ options: TLSClientOptions) throws -> String {
        // Under TLS 1.3 the client is done before the server has seen its certificate.
        try TLSTestStream(to: .ipv4(port), options).textToEnd()
    }

    // MARK: - Who comes in

    @Test(
        "on: only a good certificate of the authority comes in; every other ends in one line with the reason",
        arguments: [TLSClientOptions.Version.v12, .v13])
    func required(_ version: TLSClientOptions.Version) async throws {
        let stage = try await TLSStage()
        let port = try PortRegistry.take()
        let stream = """
            server {
                listen 127.0.0.1:\(port) ssl; \(TLSStage.lines())
                ssl_verify_client on; ssl_client_certificate ca.pem; ssl_crl ca.crl;
                return "$ssl_client_verify $ssl_client_s_dn";
            }
            """
        try await stage.withWeir(stream: stream) { weir in
            func answer(_ certificate: String?) throws -> String {
                try Self.answer(port, stage.client(certificate).only(version))
            }
            #expect(try answer("app") == "SUCCESS CN=app,O=Weir")
            let refused = [
                ("expired", Self.refusal(10, "certificate has expired")),
                ("future", Self.refusal(9, "certificate is not yet valid")),
                ("revoked", Self.refusal(23, "certificate revoked")),
                ("purpose", Self.refusal(26, "unsuitable certificate purpose")),
                ("stranger", Self.refusal(21, "unable to verify the first certificate")),
                (nil, " client sent no required SSL certificate while SSL handshaking, client: 127.0.0.1, server: "),
            ]
            for (index, (certificate, words)) in refused.enumerated() {
                #expect(try answer(certificate) == "", "\(certificate as Any)")
                try await weir.errorLine(with: "[info]", words)
                try await weir.ended("tls_client_refused", index + 1)
            }
            #expect(weir.errorLines.count { $0.contains("while SSL handshaking") } == refused.count, "\(weir.report)")
            #expect(weir.accessLines.count { $0.contains(" 500 tls_client_refused ") } == refused.count)
            #expect(try answer("app") == "SUCCESS CN=app,O=Weir")
        }
    }

    @Test("optional: no certificate comes in, a bad one does not; optional_no_ca: who signed it is not asked")
    func optional() async throws {
        let stage = try await TLSStage()
        let ports = try PortRegistry.take(count: 2)
        let stream = """
            \(TLSStage.lines())
            ssl_client_certificate ca.pem;
            server { listen 127.0.0.1:\(ports[0]) ssl; ssl_verify_client optional; return $ssl_client_verify; }
            server {
                listen 127.0.0.1:\(ports[1]) ssl; ssl_verify_client optional_no_ca;
                return "$ssl_client_verify $ssl_client_cn";
            }
            """
        try await stage.withWeir(stream: stream) { weir in
            #expect(try Self.answer(ports[0], stage.client()) == "NONE")
            #expect(try Self.answer(ports[0], stage.client("app")) == "SUCCESS")
            #expect(try Self.answer(ports[0], stage.client("stranger")) == "")
            try await weir.errorLine(with: Self.refusal(21, "unable to verify the first certificate"))

            #expect(try Self.answer(ports[1], stage.client()) == "NONE ")
            #expect(try Self.answer(ports[1], stage.client("app")) == "SUCCESS app")
            #expect(
                try Self.answer(ports[1], stage.client("stranger"))
                    == "FAILED:unable to verify the first certificate stranger")
            #expect(try Self.answer(ports[1], stage.client("expired")) == "")
            try await weir.errorLine(with: Self.refusal(10, "certificate has expired"))
        }
    }

    @Test("ssl_verify_depth: how many authorities may stand between a client and the one that is trusted")
    func depth() async throws {
        let stage = try await TLSStage()
        let ports = try PortRegistry.take(count: 2)
        let stream = """
            \(TLSStage.lines()) \(TLSStage.mutualLines)
            server { listen 127.0.0.1:\(ports[0]) ssl; return $ssl_client_i_dn; }
            server { listen 127.0.0.1:\(ports[1]) ssl; ssl_verify_depth 0; return $ssl_client_i_dn; }
            """
        try await stage.withWeir(stream: stream) { weir in
            let below = stage.client().with {
                $0.pair = CertificateAuthority.Pair(
                    certificate: stage.path("below-chain.pem"), key: stage.path("below.key"))
            }
            #expect(try Self.answer(ports[0], below) == "CN=middle,O=Weir")
            #expect(try Self.answer(ports[1], stage.client("app")) == "CN=ca,O=Weir")
            #expect(try Self.answer(ports[1], below) == "")
            // OpenSSL's word for it, and nginx's: it does not look for an issuer any further.
            try await weir.errorLine(with: "[info]", Self.refusal(20, "unable to get local issuer certificate"))
        }
    }

    @Test("names of ssl_client_certificate are sent to clients, those of ssl_trusted_certificate are not; both count")
    func authorityNames() async throws {
        let stage = try await TLSStage()
        let ports = try PortRegistry.take(count: 2)
        let stream = """
            \(TLSStage.lines())
            ssl_verify_client on;
            server {
                listen 127.0.0.1:\(ports[0]) ssl; ssl_client_certificate ca.pem; ssl_trusted_certificate other.pem;
                return $ssl_client_i_dn;
            }
            server { listen 127.0.0.1:\(ports[1]) ssl; ssl_trusted_certificate other.pem; return $ssl_client_i_dn; }
            """
        try await stage.withWeir(stream: stream) { _ async throws in
            for (port, certificate, names, issuer) in [
                (ports[0], "app", "CN=ca,O=Weir", "CN=ca,O=Weir"),
                (ports[0], "stranger", "CN=ca,O=Weir", "CN=other,O=Weir"),
                (ports[1], "stranger", "", "CN=other,O=Weir"),
            ] {
                for version in [TLSClientOptions.Version.v12, .v13] {
                    let client = try TLSTestStream(to: .ipv4(port), stage.client(certificate).only(version))
                    #expect(client.fact(.authorityNames) == names)
                    #expect(try client.textToEnd() == issuer)
                }
            }
        }
    }

    // MARK: - What a configuration does with it

    @Test("all variables of a certificate stand in the access log, escaped there, and as they are where asked for")
    func variables() async throws {
        let stage = try await TLSStage()
        let port = try PortRegistry.take()
        let names = [
            "verify", "s_dn", "i_dn", "cn", "san", "serial", "fingerprint", "v_start", "v_end", "v_remain", "sigalg",
            "cert",
        ]
        let stream = """
            log_format plain escape=none '\(names.map { "$ssl_client_\($0)" }.joined(separator: "|"))';
            log_format escaped '$ssl_client_s_dn|$ssl_client_cn|$ssl_client_cert';
            log_format json escape=json '{"cn":"$ssl_client_cn","pem":"$ssl_client_raw_cert"}';
            log_format session '$ssl_protocol|$ssl_cipher|$ssl_curve|$ssl_server_name|$ssl_session_reused|'
                               '$ssl_session_id|$ssl_alpn_protocol|$ssl_client_escaped_cert|$ssl_ech_status';
            server {
                listen 127.0.0.1:\(port) ssl; \(TLSStage.lines()) \(TLSStage.mutualLines) ssl_alpn mqtt;
                access_log logs/plain plain; access_log logs/escaped escaped; access_log logs/json json;
                access_log logs/session session;
                return hello;
            }
            """
        try await stage.withWeir(stream: stream) { weir in
            let options = stage.client("client").with { $0.applicationProtocols = ["mqtt"] }
            let client = try TLSTestStream(to: .ipv4(port), options)
            #expect(try client.textToEnd() == "hello")
            func text(of log: String) async throws -> String {
                let path = stage.path("logs/\(log)")
                return try await eventually("\(log) is written\n\(weir.report)") {
                    let text = contents(of: path)
                    return text.hasSuffix("\n") ? String(text.dropLast()) : nil
                }
            }
            func asked(_ words: String...) async throws -> String {
                let (ending, output) = try await ManagedProcess.run(
                    "openssl", ["x509", "-noout", "-in", stage.path("client.pem")] + words)
                #expect(ending == .exited(0))
                return String(output.dropLast().split(separator: "=").last ?? "")
            }
            let pem = contents(of: stage.path("client.pem"))
            let tabbed = pem.dropLast().replacingOccurrences(of: "\n", with: "\n\t")

            let plain = try await text(of: "plain").split(separator: "|", omittingEmptySubsequences: false)
            let values = Dictionary(uniqueKeysWithValues: zip(names, plain.map(String.init)))
            #expect(plain.count == names.count)
            #expect(values["verify"] == "SUCCESS")
            #expect(values["s_dn"] == #"CN=Ger\C3\A4t 7,CN=first,O=Weir"#)
            #expect(values["i_dn"] == "CN=ca,O=Weir")
            #expect(values["cn"] == "Gerät 7")
            #expect(values["san"] == "DNS:a.test, IP Address:10.0.0.1, URI:urn:device:7, email:me@x.test")
            #expect(values["serial"] == (try await asked("-serial")))
            let fingerprint = try await asked("-fingerprint", "-sha1")
            #expect(values["fingerprint"] == fingerprint.replacingOccurrences(of: ":", with: "").lowercased())
            #expect(values["v_start"] == "Jan  1 00:00:00 2020 GMT")
            #expect(values["v_end"] == "Jan  1 00:00:00 2040 GMT")
            #expect(Int(values["v_remain"] ?? "").map { $0 > 300 } == true)
            #expect(values["sigalg"]?.isEmpty == false)
            #expect(values["cert"] == tabbed)

            let escaped = #"CN=Ger\x5CC3\x5CA4t 7,CN=first,O=Weir|Ger\xC3\xA4t 7|"#
                + tabbed.replacingOccurrences(of: "\n\t", with: #"\x0A\x09"#)
            #expect(try await text(of: "escaped") == escaped)

            let json = try JSONDecoder().decode([String: String].self, from: Data(try await text(of: "json").utf8))
            #expect(json == ["cn": "Gerät 7", "pem": pem])

            let session = try await text(of: "session").components(separatedBy: "|")
            #expect(
                Array(session.prefix(5)) == [
                    client.fact(.version), client.fact(.cipher), client.fact(.group), "server.test", ".",
                ])
            #expect(session[5].count == 64 && session[5].allSatisfy(\.isHexDigit))
            #expect(session[6] == "mqtt")
            #expect(session[7].removingPercentEncoding == pem && !session[7].contains("\n"))
            #expect(session[8] == "-")
        }
    }

    @Test("a map of the common name says who may enter, and another which group of brokers it is")
    func commonNameInMaps() async throws {
        let stage = try await TLSStage()
        let port = try PortRegistry.take()
        let groups = try (0..<2).map { _ in try NullBroker() }
        let stream = """
            map $ssl_client_s_dn $unit { default nowhere; "~CN=app(?:,|$)" offices; "~CN=Ger" labs; }
            map $ssl_client_san $place { default none; "~DNS:a\\.test" a; }
            upstream offices { server \(groups[0].endpoint.text); }
            upstream labs { server \(groups[1].endpoint.text); }
            upstream nowhere { server 127.0.0.1:1 down; }
            log_format who '$ssl_client_cn $place $status $close_reason';
            server {
                listen 127.0.0.1:\(port) ssl; \(TLSStage.lines()) \(TLSStage.mutualLines)
                access_log logs/who who;
                mqtt_preread on;
                proxy_pass $unit;
            }
            """
        try await stage.withWeir(stream: stream) { weir in
            for (certificate, index) in [("app", 0), ("client", 1), ("app", 0)] {
                let before = groups.map(\.connectionCount)
                let client = try MQTTTestClient.connected(
                    to: .ipv4(port), id: "same", tls: stage.client(certificate))
                try client.ping()
                client.disconnect()
                #expect(groups[index].connectionCount == before[index] + 1)
                #expect(groups[1 - index].connectionCount == before[1 - index])
            }
            // `below` is of a trusted authority, and of no unit.
            let below = stage.client().with {
                $0.pair = CertificateAuthority.Pair(
                    certificate: stage.path("below-chain.pem"), key: stage.path("below.key"))
            }
            let client = try MQTTTestClient(to: .ipv4(port), id: "same", tls: below)
            _ = try client.secure?.waitForEnd()
            client.disconnect()
            try await eventually("four ends are logged: \(lines(of: stage.path("logs/who")))") {
                lines(of: stage.path("logs/who")).sorted()
                    == [
                        #"Ger\xC3\xA4t 7 a 200 client_closed"#, "app none 200 client_closed",
                        "app none 200 client_closed", "below none 502 no_broker",
                    ].sorted()
            }
        }
    }

    @Test("hash $ssl_client_cn: a certificate's name chooses the broker, whatever client id it brings")
    func commonNameInHash() async throws {
        let stage = try await TLSStage()
        let ports = try PortRegistry.take(count: 2)
        let group = try NullGroup(5)
        // The second server hashes the same texts, so that a test can say where each belongs.
        let stream = """
            upstream by_name { hash $ssl_client_cn consistent; \(group.servers()) }
            upstream by_id { hash $mqtt_preread_clientid consistent; \(group.servers()) }
            mqtt_preread on;
            server {
                listen 127.0.0.1:\(ports[0]) ssl; \(TLSStage.lines()) \(TLSStage.mutualLines)
                proxy_pass by_name;
            }
            server { listen 127.0.0.1:\(ports[1]); proxy_pass by_id; }
            """
        try await stage.withWeir(stream: stream, workers: 2) { _ async throws in
            func place(_ client: MQTTTestClient, _ before: [Int]) -> Int? {
                defer { client.disconnect() }
                return group.counts.indices.first { group.counts[$0] > before[$0] }
            }
            for (certificate, name) in [("app", "app"), ("client", "Gerät 7")] {
                var before = group.counts
                let home = place(try MQTTTestClient.connected(to: .ipv4(ports[1]), id: name), before)
                #expect(home != nil)
                for index in 0..<6 {
                    before = group.counts
                    let client = try MQTTTestClient.connected(
                        to: .ipv4(ports[0]), id: "id-\(index)", tls: stage.client(certificate))
                    #expect(place(client, before) == home)
                }
            }
        }
    }
}
