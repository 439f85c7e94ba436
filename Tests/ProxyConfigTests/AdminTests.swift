// SPDX-License-Identifier: Apache-2.0
//
// What `http { … }` means: addresses, locations, rules and passwords after inheritance, and that a child builds the
// same from the bundle.

import Testing
import Vocabulary

@testable import ProxyConfig

@Suite("http")
struct AdminTests {
    /// `http` around a server's directives, beside a stream that is valid.
    static func http(_ server: String, outer: String = "") -> String {
        "stream { server { listen 1883; return a; } }\nhttp { \(outer)\nserver { listen 127.0.0.1:8080; \(server) } }"
    }

    private func admin(
        _ server: String, outer: String = "", files: [String: String] = [:]
    ) throws -> AdminSettings {
        try #require(try valid(AdminTests.http(server, outer: outer), files: files).admin)
    }

    @Test("without http there is no admin process, and an empty one is said to serve nothing")
    func absent() throws {
        #expect(try valid("stream { server { listen 1; return a; } }").admin == nil)
        let outcome = build("stream { server { listen 1; return a; } }\nhttp { }")
        #expect(outcome.configuration != nil)
        #expect(outcome.configuration?.admin == nil)
        #expect(outcome.diagnostics.map(\.message) == ["http serves nothing"])
    }

    @Test("every content of a location, exact and by prefix")
    func contents() throws {
        let admin = try admin(
            """
            server_name weir.example localhost;
            location = / { return 301 /dashboard; }
            location =/old { return https://weir.example/; }
            location ^~ /api { api write=on; }
            location /api/9 { api write=off; }
            location /read { api; }
            location /metrics { prometheus; }
            location /dashboard { dashboard; }
            location /health { return 200 "ok\n"; }
            location /nothing { return 404; }
            """)
        #expect(admin.servers.map(\.origin) == ["/etc/weir/weir.conf:3"])
        #expect(admin.servers[0].names == ["weir.example", "localhost"])
        let locations = admin.servers[0].locations
        #expect(
            locations.map(\.path) == [
                "/", "/old", "/api", "/api/9", "/read", "/metrics", "/dashboard", "/health", "/nothing",
            ])
        #expect(locations.map(\.isExact) == [true, true] + Array(repeating: false, count: 7))
        #expect(
            locations.map(\.content) == [
                .redirect(status: 301, target: "/dashboard"), .redirect(status: 302, target: "https://weir.example/"),
                .api(isWritable: true), .api(isWritable: false), .api(isWritable: false), .prometheus, .dashboard,
                .respond(status: 200, text: "ok\n"), .respond(status: 404, text: ""),
            ])
    }

    @Test("addresses of every form, each with its server")
    func addresses() throws {
        let configuration = try valid(
            """
            stream { server { listen 1883; return a; } }
            http {
                server { listen 127.0.0.1:8080 backlog=16; listen [::1]:8080 ipv6only=on; location / { api; } }
                server { listen unix:/run/weir.sock default_server; listen localhost:8081; location / { api; } }
                server { listen 8082; location / { api; } }
            }
            """)
        let admin = try #require(configuration.admin)
        #expect(
            admin.listeners.map(\.endpoint.text) == [
                "127.0.0.1:8080", "[::1]:8080", "unix:/run/weir.sock", "127.0.0.1:8081", "[::1]:8081", "0.0.0.0:8082",
            ])
        #expect(admin.listeners.map(\.server) == [0, 0, 1, 1, 1, 2])
        #expect(admin.listeners.map(\.backlog) == [16, 511, 511, 511, 511, 511])
        #expect(configuration.listeners.map(\.endpoint.text) == ["0.0.0.0:1883"])
        #expect(configuration.servers.count == 1)
    }

    @Test("rules of a location replace those of the server, and these those of http")
    func accessRules() throws {
        let admin = try admin(
            """
            location /inherits { api; }
            location /own { api; allow 192.0.2.0/24; allow unix:; deny all; }
            """, outer: "allow 127.0.0.1; deny all;")
        let rules = admin.servers[0].locations.map(\.accessRules)
        #expect(
            rules[0] == [
                .init(isAllowed: true, source: .network(IPAddress(ipv4: 127 << 24 | 1), prefixLength: 32)),
                .init(isAllowed: false, source: .all),
            ])
        #expect(rules[1].map(\.isAllowed) == [true, true, false])
        let server = try self.admin("deny all; location / { api; }", outer: "allow all;")
        #expect(server.servers[0].locations[0].accessRules == [.init(isAllowed: false, source: .all)])
    }

    @Test("realm and password file are inherited one by one, and off is off")
    func basicAuth() throws {
        let admin = try admin(
            """
            auth_basic "Weir";
            location /a { api; }
            location /b { api; auth_basic "other"; }
            location /c { api; auth_basic off; }
            location /d { api; auth_basic_user_file more; }
            """, outer: "auth_basic_user_file users;",
            files: ["/etc/weir/users": "# people\nada:$6$x$y:first\n", "/etc/weir/more": "bob:{PLAIN}x"])
        let auths = admin.servers[0].locations.map(\.basicAuth)
        #expect(auths.map { $0?.realm } == ["Weir", "other", nil, "Weir"])
        #expect(auths.map { $0?.usersPath } == ["/etc/weir/users", "/etc/weir/users", nil, "/etc/weir/more"])
        #expect(auths[3]?.usersBytes == Array("bob:{PLAIN}x".utf8))
        #expect("\(try #require(auths[3]))" == "/etc/weir/more")
    }

    @Test("an address with ssl has the settings of its server or of http")
    func secure() throws {
        let files = [
            "/etc/weir/c.pem": "C", "/etc/weir/k.pem": "K", "/etc/weir/ca.pem": "A", "/etc/weir/p": "secret\n",
        ]
        let text = """
            stream { server { listen 1883; return a; } }
            http {
                ssl_certificate c.pem; ssl_certificate_key k.pem; ssl_password_file p;
                server { listen 127.0.0.1:8443 ssl; ssl_protocols TLSv1.3; location / { api; } }
                server { listen 8444 ssl; ssl_verify_client on; ssl_client_certificate ca.pem;
                         location / { api write=on; } }
                server { listen 127.0.0.1:8080; location / { api; } }
            }
            """
        let admin = try #require(try valid(text, files: files).admin)
        #expect(admin.listeners.map(\.isTLS) == [true, true, false])
        #expect(admin.servers.map { $0.tls == nil } == [false, false, true])
        let first = try #require(admin.servers[0].tls?.value)
        #expect(first.common.protocols == .tls13)
        #expect(first.common.certificates.map(\.chain.path) == ["/etc/weir/c.pem"])
        #expect(first.common.passphrases == [Array("secret".utf8)])
        let second = try #require(admin.servers[1].tls?.value)
        #expect(second.clientVerification == .on)
        #expect(second.clientCertificates?.bytes == Array("A".utf8))
    }

    @Test("messages go to the error log of http, or to the main one")
    func errorLogs() throws {
        let own = try valid(AdminTests.http("location / { api; }", outer: "error_log http.log warn;"))
        let log = try #require(own.admin?.errorLogs.first)
        #expect(own.logDestinations[log.destination] == .file("/srv/weir/http.log"))
        #expect(log.level == .warn)
        let inherited = try valid(AdminTests.http("location / { api; }"))
        #expect(inherited.admin?.errorLogs == inherited.main.errorLogs)
    }

    @Test(
        "writing is let through where it is local, or somebody is kept out",
        arguments: [
            "listen unix:/run/w.sock; location / { api write=on; }",
            "listen [::1]:8080; location / { api write=on; }",
            "listen 127.9.9.9:8080; location / { api write=on; }",
            "listen 8080; location / { api write=on; allow 192.0.2.0/24; deny all; }",
            "listen 8080; deny all; location / { api write=on; }",
            "listen 8080; auth_basic a; auth_basic_user_file users; location / { api write=on; }",
            "listen 8080; location / { api write=off; }",
        ])
    func guarded(_ server: String) throws {
        let text = "stream { server { listen 1; return a; } }\nhttp { server { \(server) } }"
        #expect(try valid(text, files: ["/etc/weir/users": "ada:x"]).admin != nil)
    }

    @Test("a child builds the same from the bundle, passwords included")
    func bundle() throws {
        var inner = DictionarySource(files: ["/etc/weir/users": "ada:{PLAIN}x\n"])
        inner.files[testOptions.file] = Array(
            AdminTests.http("location / { api; auth_basic a; auth_basic_user_file users; }").utf8)
        var source = RecordingSource(inner)
        let first = ConfigurationBuilder.buildAll(&source, options: testOptions)
        #expect(source.bundle[.secret, "/etc/weir/users"] != nil)
        #expect(source.bundle[.file, "/etc/weir/users"] == nil)
        #expect(!first.files.map(\.path).contains("/etc/weir/users"))
        var child = BundleSource(try #require(Bundle(encoded: source.bundle.encoded())))
        let second = ConfigurationBuilder.buildAll(&child, options: testOptions)
        let auth = try #require(first.configuration?.admin?.servers[0].locations[0].basicAuth)
        #expect(second.configuration?.admin?.servers[0].locations[0].basicAuth == auth)
    }
}
