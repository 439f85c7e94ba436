// SPDX-License-Identifier: Apache-2.0
//
// What prober and admin process get of a bundle: every secret that they use, no other one, and a configuration that
// builds as the whole one does.

import Testing

@testable import ProxyConfig

@Suite("secrets of a bundle")
struct BundleSecretsTests {
    private static func block(_ label: String, _ text: String) -> String {
        "-----BEGIN \(label)-----\n\(text)\n-----END \(label)-----\n"
    }

    /// Each private part names its file.
    private static let files: [String: String] = [
        "/etc/weir/device.pem": block("CERTIFICATE", "device chain") + block("EC PRIVATE KEY", "secret of device"),
        "/etc/weir/broker.pem": block("CERTIFICATE", "broker chain"),
        "/etc/weir/broker.key": block("ENCRYPTED PRIVATE KEY", "secret of broker"),
        "/etc/weir/broker.pass": "secret of broker.pass\n",
        "/etc/weir/unchecked.pem": block("CERTIFICATE", "unchecked chain"),
        "/etc/weir/unchecked.key": block("PRIVATE KEY", "secret of unchecked"),
        "/etc/weir/admin.pem": block("CERTIFICATE", "admin chain"),
        "/etc/weir/admin.key": block("RSA PRIVATE KEY", "secret of admin"),
        "/etc/weir/admin.pass": "secret of admin.pass\n",
        "/etc/weir/ca.pem": block("CERTIFICATE", "authority"),
        "/etc/weir/tickets": String(repeating: "secret of tickets", count: 5).prefix(80).description,
        "/etc/weir/users": "ada:{PLAIN}secret of users\n",
    ]

    private static let text = """
        stream {
            upstream u { server 192.0.2.1:1883; }
            server {
                listen 8883 ssl; ssl_certificate device.pem; ssl_certificate_key device.pem;
                ssl_session_ticket_key tickets; ssl_stapling on; ssl_verify_client on; ssl_client_certificate ca.pem;
                proxy_ssl on; proxy_ssl_certificate broker.pem; proxy_ssl_certificate_key broker.key;
                proxy_ssl_password_file broker.pass; proxy_pass u; health_check;
            }
            server {
                listen 8884; proxy_pass 192.0.2.2:1883; proxy_ssl on;
                proxy_ssl_certificate unchecked.pem; proxy_ssl_certificate_key unchecked.key;
            }
        }
        http {
            server {
                listen 127.0.0.1:8080 ssl; ssl_certificate admin.pem; ssl_certificate_key admin.key;
                ssl_password_file admin.pass; ssl_verify_client on; ssl_client_certificate ca.pem;
                location /api { api; auth_basic "Weir"; auth_basic_user_file users; }
            }
        }
        """

    private struct Share {
        var text: String
        var configuration: Configuration

        /// What each names itself: `secret of NAME`.
        var secrets: Set<String> {
            let names = ["device", "broker", "broker.pass", "unchecked", "admin", "admin.pass", "tickets", "users"]
            return Set(names.filter { text.contains("secret of \($0)\n") || text.contains("secret of \($0)s") })
        }
    }

    private func share(_ of: (Configuration) -> SecretShares) throws -> Share {
        var inner = DictionarySource(files: Self.files)
        inner.files[testOptions.file] = Array(Self.text.utf8)
        var source = RecordingSource(inner)
        testOptions.record(into: &source.bundle)
        let outcome = ConfigurationBuilder.buildAll(&source, options: testOptions)
        guard let configuration = outcome.configuration else { throw Invalid(report: outcome.render()) }
        let bundle = try #require(source.bundle.withSecrets(of(configuration)))
        let bytes = bundle.encoded()
        var child = BundleSource(try #require(Bundle(encoded: bytes)))
        let second = ConfigurationBuilder.buildAll(&child, options: testOptions)
        guard let built = second.configuration else { throw Invalid(report: second.render()) }
        return Share(text: String(decoding: bytes, as: UTF8.self), configuration: built)
    }

    @Test("the admin process has the keys, passphrases and users of http, and nothing of stream's")
    func admin() throws {
        let share = try share(\.adminSecrets)
        #expect(share.secrets == ["admin", "admin.pass", "users"])
        let server = try #require(share.configuration.admin?.servers.first)
        let tls = try #require(server.tls?.value)
        #expect(tls.common.passphrases == [Array("secret of admin.pass".utf8)])
        #expect(tls.clientCertificates?.bytes == Array(Self.files["/etc/weir/ca.pem", default: ""].utf8))
        #expect(server.locations.first?.basicAuth?.usersBytes == Array(Self.files["/etc/weir/users", default: ""].utf8))
        // The rest is there in its shape.
        #expect(share.configuration.servers.count == 2 && share.configuration.servers[0].tls != nil)
    }

    @Test("the prober has what its checks show to brokers, and of servers' certificates what anybody may see")
    func prober() throws {
        let share = try share(\.proberSecrets)
        #expect(share.secrets == ["broker", "broker.pass"])
        let server = share.configuration.servers[0]
        #expect(server.tls?.value.common.certificates.first?.chain.bytes == Array(Self.block("CERTIFICATE", "device chain").utf8))
        #expect(server.healthChecks.first?.tls?.value.common.passphrases == [Array("secret of broker.pass".utf8)])
        #expect(share.configuration.admin?.servers.count == 1)
    }

    @Test("a bundle without secrets that are too many is the same for all")
    func same() throws {
        var source = RecordingSource(DictionarySource(files: [testOptions.file: "stream { server { listen 1; return a; } }"]))
        let outcome = ConfigurationBuilder.buildAll(&source, options: testOptions)
        let configuration = try #require(outcome.configuration)
        #expect(source.bundle.withSecrets(configuration.adminSecrets) == nil)
        #expect(source.bundle.withSecrets(configuration.proberSecrets) == nil)
    }

    @Test("of PEM only whole blocks of certificates and revocations stay, and they stay as they are")
    func blocks() {
        let certificate = Self.block("CERTIFICATE", "one\ntwo")
        let list = Self.block("X509 CRL", "three")
        let key = Self.block("PRIVATE KEY", "secret")
        for (text, rest) in [
            ("", ""), ("nothing\n", ""), (certificate, certificate), (key, ""),
            ("subject=x\n" + key + certificate + "secret\n" + list, certificate + list),
            // Cut, one inside of another, and with the other one's end.
            ("-----BEGIN CERTIFICATE-----\nsecret\n", ""),
            ("-----BEGIN CERTIFICATE-----\nhalf\n" + key + certificate, certificate),
            ("-----BEGIN PRIVATE KEY-----\nsecret\n-----END CERTIFICATE-----\n", ""),
            ("-----BEGIN RSA PRIVATE KEY-----\nsecret\n" + certificate, certificate),
            (certificate.replacing("\n", with: "\r\n"), certificate.replacing("\n", with: "\r\n")),
        ] {
            let result = PEM.withoutSecrets(Array(text.utf8))
            #expect(String(decoding: result, as: UTF8.self) == rest)
            #expect(PEM.withoutSecrets(result) == result)
        }
    }
}
