// SPDX-License-Identifier: Apache-2.0
//
// What is refused of TLS, names and pass, with the words of nginx; and that no file, whatever is in it, and no argument
// traps the reader.

import Testing

@testable import ProxyConfig

@Suite("TLS diagnostics")
struct TLSDiagnosticTests {
    typealias Case = DiagnosticTests.Case

    /// A TLS server with a certificate and some directives.
    private static func tls(
        _ directives: String, _ message: String, _ hint: String, _ level: Diagnostic.Level = .emerg
    ) -> Case {
        Case("stream {\n server { listen 1 ssl; return a; \(tlsPair) \(directives) }\n}", message, hint, level)
    }
    private static func proxy(_ directives: String, _ message: String, _ hint: String) -> Case {
        Case("stream {\n server { listen 1; proxy_pass b1.example:1; proxy_ssl on; \(directives) }\n}", message, hint)
    }
    private static func stream(
        _ text: String, _ message: String, _ hint: String, _ level: Diagnostic.Level = .emerg
    ) -> Case {
        Case("stream {\n \(text)\n}", message, hint, level)
    }

    static let certificateCases: [Case] = [
        stream(
            "§server { listen 1 ssl; return a; }",
            "no \"ssl_certificate\" is defined for the \"listen ... ssl\" directive", "ssl_certificate_key FILE"),
        stream(
            "server { listen 1 ssl; return a; ssl_certificate §c.pem; }",
            "no \"ssl_certificate_key\" is defined for certificate \"c.pem\"", "same file"),
        tls(
            "ssl_certificate §c2.pem;", "no \"ssl_certificate_key\" is defined for certificate \"c2.pem\"",
            "in the same order"),
        stream(
            "server { listen 1 ssl; return a; ssl_certificate §x.pem; ssl_certificate_key k.pem; }",
            "cannot load certificate \"/etc/weir/x.pem\": No such file or directory", "directory of the main file"),
        stream(
            "server { listen 1 ssl; return a; ssl_certificate §dir; ssl_certificate_key k.pem; }",
            "cannot load certificate \"/etc/weir/dir\": Is a directory", "check the path"),
        stream(
            "server { listen 1 ssl; return a; ssl_certificate c.pem; ssl_certificate_key §x.pem; }",
            "cannot load certificate key \"/etc/weir/x.pem\": No such file or directory", "who may read it"),
        tls("ssl_certificate_key §engine:a:b;", "keys of OpenSSL engines and stores are not supported", "PEM file"),
        tls("ssl_certificate_key §store:file:b;", "keys of OpenSSL engines and stores are not supported", "PEM file"),
        tls("ssl_certificate_key §data:x;", "\"data:\" needs a variable", "data:$variable"),
        tls("ssl_certificate §'';", "invalid value \"\"", "PEM file"),
        tls("ssl_certificate §$nosuch; ssl_certificate_key a;", "unknown \"nosuch\" variable", "map or set"),
        tls("ssl_dhparam §$ssl_server_name;", "\"ssl_dhparam\" takes no variables", "certificates and their keys"),
        tls("ssl_dhparam §'';", "\"ssl_dhparam\" directive invalid value", "path of a file"),
        tls("ssl_dhparam §x;", "open() \"/etc/weir/x\" failed (2: No such file or directory)", "check the path"),
        tls("ssl_password_file §x;", "open() \"/etc/weir/x\" failed (2: No such file or directory)", "check the path"),
        tls("ssl_password_file §long;", "too long line in \"/etc/weir/long\"", "4096"),
        tls("ssl_password_file §many;", "too many lines in \"/etc/weir/many\"", "1024"),
        tls("ssl_session_ticket_key §c.pem;", "\"/etc/weir/c.pem\" must be 48 or 80 bytes", "openssl rand 80"),
        tls("ssl_session_ticket_key §empty;", "\"/etc/weir/empty\" must be 48 or 80 bytes", "it has 0"),
        tls("ssl_certificate_cache §foo=1;", "invalid parameter \"foo=1\"", "max="),
        tls("ssl_certificate_cache max=1 §off;", "invalid parameter \"off\"", "max="),
        tls("ssl_certificate_cache §max=0;", "invalid parameter \"max=0\"", "from 1"),
        tls(
            "§ssl_certificate_cache valid=1m;", "\"ssl_certificate_cache\" must have the \"max\" parameter", "max=1000"
        ),
        tls("ssl_certificate_compression §on;", "certificates cannot be compressed", "OpenSSL 3.0"),
        tls("§ssl_ech_file x;", "Weir does not have the \"ssl_ech_file\" directive yet", "OpenSSL 3.0"),
    ]

    static let argumentCases: [Case] = [
        tls("ssl_protocols §TLSv1.4;", "invalid value \"TLSv1.4\"", "did you mean \"TLSv1"),
        tls("ssl_protocols §SSLv2 SSLv3;", "no protocol of \"ssl_protocols\" is left", "OpenSSL 3.0"),
        tls("ssl_protocols TLSv1.2 §TLSv1.2;", "duplicate value \"TLSv1.2\"", "once is enough", .warn),
        tls("ssl_verify_client §maybe;", "invalid value \"maybe\"", "there are off, on, optional, optional_no_ca"),
        tls("ssl_verify_client §on;", "no ssl_client_certificate for ssl_verify_client", "FILE"),
        tls(
            "ssl_verify_client on; ssl_client_certificate §x;",
            "cannot load CA certificate \"/etc/weir/x\": No such file or directory", "check the path"),
        tls(
            "ssl_verify_client on; ssl_client_certificate /abs/ca.pem; ssl_crl §x;",
            "cannot load CRL \"/etc/weir/x\": No such file or directory", "check the path"),
        tls("ssl_alpn §'';", "\"ssl_alpn\" directive empty protocol", "1 to 255"),
        tls(
            "ssl_alpn a §\(String(repeating: "x", count: 256));", "\"ssl_alpn\" directive protocol too long",
            "1 to 255"),
        tls("ssl_session_timeout §5ms;", "\"ssl_session_timeout\" directive invalid value", "whole seconds"),
        tls("ssl_session_cache §foo;", "invalid session cache \"foo\"", "shared:NAME:SIZE"),
        tls("ssl_session_cache §shared:a;", "invalid session cache \"shared:a\"", "shared:NAME:SIZE"),
        tls("ssl_session_cache §shared::1m;", "invalid session cache \"shared::1m\"", "shared:NAME:SIZE"),
        tls("ssl_session_cache §shared:a:1k;", "session cache \"shared:a:1k\" is too small", "32k"),
        tls("ssl_session_cache §builtin:1;", "invalid session cache \"builtin:1\"", "builtin:SESSIONS"),
        tls(
            "ssl_session_cache shared:a:1m; ssl_ocsp_cache §shared:a:1m;",
            "the shared memory zone \"a\" is already declared for a different use", "another name"),
        stream(
            "\(tlsPair) server { listen 1 ssl; return a; ssl_session_cache shared:a:1m; }\n"
                + "server { listen 2 ssl; return a; ssl_session_cache §shared:a:2m; }",
            "the size 2097152 of shared memory zone \"a\" conflicts with already declared size 1048576", "one size"),
        tls(
            "ssl_ocsp §leaf; ssl_verify_client optional_no_ca;",
            "\"ssl_ocsp\" is incompatible with \"ssl_verify_client optional_no_ca\"", "ssl_verify_client on;"),
        tls(
            "ssl_ocsp on; ssl_verify_client on; ssl_client_certificate c.pem; ssl_ocsp_responder §http://nosuch.example/;",
            "host not found in OCSP responder \"http://nosuch.example/\" in \"ssl_ocsp_responder\"", "does not resolve"),
        tls("ssl_ocsp §lef;", "invalid value \"lef\"", "did you mean \"leaf\"?"),
        tls("ssl_ocsp_cache §x;", "invalid OCSP cache \"x\"", "shared:NAME:SIZE"),
        tls("ssl_stapling_responder §https://x/;", "\"ssl_stapling_responder\" directive invalid value", "http://"),
        tls(
            "ssl_stapling on; ssl_trusted_certificate §x;",
            "cannot load CA certificate \"/etc/weir/x\": No such file or directory", "check the path"),
        tls(
            "ssl_ocsp_responder §https://a/;",
            "invalid URL prefix in OCSP responder \"https://a/\" in \"ssl_ocsp_responder\"", "http://"),
        tls(
            "ssl_ocsp_responder §http://a:0/;",
            "invalid port in OCSP responder \"http://a:0/\" in \"ssl_ocsp_responder\"", "http://"),
        tls("§ssl_ciphers a b;", "invalid number of arguments in \"ssl_ciphers\" directive", "1 argument"),
        tls("ssl_ciphers a; §ssl_ciphers b;", "\"ssl_ciphers\" directive is duplicate", "take one"),
        tls("ssl_verify_depth §x;", "\"ssl_verify_depth\" directive invalid number", "from 0"),
        Case("stream {}\n§ssl_ciphers a;", "\"ssl_ciphers\" directive is not allowed here", "stream or server"),
        proxy("proxy_ssl_verify §on;", "no proxy_ssl_trusted_certificate for proxy_ssl_verify", "FILE"),
        proxy(
            "proxy_ssl_certificate §c.pem;", "no \"proxy_ssl_certificate_key\" is defined for certificate \"c.pem\"",
            "proxy_ssl_certificate_key FILE"),
        proxy("proxy_ssl_protocols §x;", "invalid value \"x\"", "there are SSLv2"),
        proxy("proxy_ssl_name §$nosuch;", "unknown \"nosuch\" variable", "map or set"),
    ]

    static let nameCases: [Case] = [
        stream("server { listen 1; return a; server_name §*; }", "server name \"*\" is invalid", "*.example.com"),
        stream("server { listen 1; return a; server_name §.; }", "server name \".\" is invalid", "*.example.com"),
        stream(
            "server { listen 1; return a; server_name §a.*.b; }", "invalid server name or wildcard \"a.*.b\"", "one end"
        ),
        stream(
            "server { listen 1; return a; server_name §a..b; }", "invalid server name or wildcard \"a..b\"", "one end"),
        stream("server { listen 1; return a; server_name §~; }", "empty regex in server name \"~\"", "expression"),
        stream(
            "server { listen 1; return a; server_name ~§(; }",
            "pcre2_compile() failed: missing closing parenthesis in \"(\"", "expression"),
        stream(
            "server { listen 1; return a; server_name §~(?<x>.*); }",
            "Weir does not make variables of groups in \"server_name\" yet", "map of $ssl_server_name"),
        stream(
            "server { listen 1; return a; server_name §a/b; }", "server name \"a/b\" has suspicious symbols", "dots",
            .warn),
        stream(
            "server { listen 1 ssl; server_name a; ssl_reject_handshake on; return a; }\n"
                + "§server { listen 1; server_name b; return a; }",
            "no \"ssl_certificate\" is defined for the \"listen ... ssl\" directive", "here or in stream"),
        stream(
            "server { listen 1 ssl; server_name a; return a; \(tlsPair) }\n"
                + "server { listen 1; server_name b; return a; ssl_verify_client §on; }",
            "no \"ssl_certificate\" is defined for \"ssl_verify_client\"", "of the default one"),
        stream(
            "server { listen 1; server_name a; return a; }\n server { listen §1; server_name b; return a; }",
            "servers share \"0.0.0.0:1\"", "ssl_preread", .warn),
        stream("server { listen 1; pass §127.0.0.1; }", "no port in \"127.0.0.1\" of the \"pass\" directive", ":1883"),
        stream(
            "server { listen 1; pass §nosuch:1; }", "host not found in \"nosuch:1\" of the \"pass\" directive",
            "does not resolve"),
        stream("server { listen 1; pass §127.0.0.1:2; }", "no server listens at \"127.0.0.1:2\"", "proxy_pass", .warn),
        stream(
            "server { listen 1; pass 127.0.0.1:1; §proxy_pass 127.0.0.1:2; }",
            "\"proxy_pass\" replaces what the server did before", "take one out", .warn),
        stream(
            "upstream u { hash $ssl_client_cn; server 1.2.3.4:5; } server { listen 1; proxy_pass §u; }",
            "the key of upstream \"u\" is empty here", "\"listen … ssl\"", .warn),
        stream(
            "upstream u { hash $ssl_preread_server_name; server 1.2.3.4:5; } server { listen 1; proxy_pass §u; }",
            "the key of upstream \"u\" is empty here", "\"ssl_preread on;\"", .warn),
    ]

    private static let files: [String: String] = tlsFiles.merging(
        [
            "/etc/weir/long": "a\n" + String(repeating: "x", count: 4097),
            "/etc/weir/many": String(repeating: "x\n", count: 1025),
        ], uniquingKeysWith: { $1 })

    @Test("certificates and files", arguments: certificateCases) func certificates(_ example: Case) throws {
        try DiagnosticTests.check(example, files: TLSDiagnosticTests.files, directories: ["/etc/weir/dir"])
    }
    @Test("arguments", arguments: argumentCases) func arguments(_ example: Case) throws {
        try DiagnosticTests.check(example, files: TLSDiagnosticTests.files)
    }
    @Test("names and pass", arguments: nameCases) func names(_ example: Case) throws {
        try DiagnosticTests.check(example, files: TLSDiagnosticTests.files)
    }

    @Test("what all servers inherit is one finding")
    func inheritedOnce() {
        let servers = (1...20).map { "server { listen \($0) ssl; return a; }" }.joined()
        let outcome = build("stream { ssl_certificate x; ssl_certificate_key x; \(servers) }")
        #expect(
            outcome.diagnostics.map(\.message) == ["cannot load certificate \"/etc/weir/x\": No such file or directory"]
        )
    }

    // MARK: - Hostile input

    @Test("a file too large is refused, and NUL bytes are bytes")
    func largeFiles() throws {
        var source = DictionarySource(files: tlsFiles)
        source.files["/etc/weir/c.pem"] = [UInt8](repeating: 0, count: 1000)
        source.files["/etc/weir/k.pem"] = [UInt8](repeating: 0x2D, count: (32 << 20) + 1)
        source.files["/etc/weir/pass"] = Array("a\0b\n\0\n".utf8)
        let text = "stream { server { listen 1 ssl; return a; ssl_password_file pass; ssl_certificate c.pem;"
        source.files[testOptions.file] = Array((text + "ssl_certificate_key k.pem; } }").utf8)
        let refused = ConfigurationBuilder.buildAll(&source, options: testOptions)
        #expect(
            refused.diagnostics.map(\.message) == ["cannot load certificate key \"/etc/weir/k.pem\": File too large"])
        source.files[testOptions.file] = Array((text + "ssl_certificate_key c.pem; } }").utf8)
        let built = ConfigurationBuilder.buildAll(&source, options: testOptions)
        let common = try #require(built.configuration?.servers[0].tls).value.common
        #expect(common.passphrases == [Array("a\0b".utf8), [0]])
        #expect(common.certificates[0].chain.bytes.count == 1000)
    }

    @Test("passphrases of every shape end", arguments: ["", "\n", "\r\n", "\r", "\n\n\r\r\n", "a", "a\n", "\0\n\0"])
    func passphrases(_ text: String) {
        var files = tlsFiles
        files["/etc/weir/pass"] = text
        let outcome = build(
            "stream { \(tlsPair) ssl_password_file pass; server { listen 1 ssl; return a; } }", files: files)
        #expect(outcome.configuration != nil)
    }

    /// Every directive of TLS with words that fit none of them, or each of them a little.
    @Test(
        "no argument traps",
        arguments: (DirectiveTable.tlsDirectives + DirectiveTable.proxyTLSDirectives).map(\.name))
    func hostileArguments(_ directive: String) {
        let words = [
            "''", "$", "${", "$ssl_cipher", "data:", "data:$ssl_cipher", "data:$", "engine:", "shared:", "shared:::",
            "shared:a:99999999999999999999", "shared:\u{FFFD}:1m", "builtin:", "builtin:99999999999999999999", "max=",
            "max=99999999999999999999 valid=99999999999y", "/", ".", "../../../..", "http://", "-1",
            "9223372036854775807",
            String(repeating: "x", count: 3000), "off off off", "on", "a b c d e f", "c.pem c.pem", "TLSv1.3 TLSv1.3",
        ]
        for word in words {
            let outcome = build(
                """
                stream { \(tlsPair)
                server { listen 1 ssl; proxy_ssl on; proxy_pass b1.example:1; \(directive) \(word); } }
                """, files: tlsFiles)
            #expect((outcome.configuration == nil) == (outcome.errorCount > 0))
            #expect(outcome.diagnostics.allSatisfy { !$0.hint.isEmpty && $0.message.utf8.count < 1000 })
        }
    }

    @Test("many names at many ports are linked in slices", .timeLimit(.minutes(1)))
    func manyNames() throws {
        let names = (0..<200).map { "n\($0).example" }.joined(separator: " ")
        let configuration = try valid(
            """
            stream { \(tlsPair) server { listen 1-200 ssl; server_name a; return a; }
            server { listen 1-200; server_name \(names); return b; } }
            """, files: tlsFiles)
        #expect(configuration.listeners.allSatisfy { $0.isTLS && $0.names.exact.count == 201 })
    }
}
