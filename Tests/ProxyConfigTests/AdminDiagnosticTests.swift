// SPDX-License-Identifier: Apache-2.0
//
// What is refused in `http`, where, and with which way out; `§` marks where the caret has to stand.

import Testing

@testable import ProxyConfig

@Suite("http diagnostics")
struct AdminDiagnosticTests {
    typealias Case = DiagnosticTests.Case

    /// Some directives of a server in http, which listens and serves something.
    private static func server(_ directives: String, _ message: String, _ hint: String) -> Case {
        Case(AdminTests.http("location /x { api; } \(directives)"), message, hint)
    }
    private static func location(_ directives: String, _ message: String, _ hint: String) -> Case {
        Case(AdminTests.http("location /x { \(directives) }"), message, hint)
    }
    private static func http(_ text: String, _ message: String, _ hint: String) -> Case {
        Case("stream { server { listen 1883; return a; } }\nhttp {\n \(text)\n}", message, hint)
    }

    private static let notServer = "Weir is not a web server"

    static let foreignCases: [Case] = [
        server("§root /var/www;", "\"root\" directive is not supported in http", notServer),
        server("§root /var/www;", "\"root\" directive is not supported in http", "api, prometheus and dashboard"),
        location("api; §proxy_pass http://x;", "\"proxy_pass\" directive is not supported in http", notServer),
        location(
            "api; §proxy_pass http://x;", "\"proxy_pass\" directive is not supported in http",
            "allow, api, auth_basic, auth_basic_user_file, dashboard, deny, prometheus, return"),
        http("§upstream a { server 1.2.3.4:5; }", "\"upstream\" directive is not supported in http", notServer),
        http("§types { text/html html; }", "\"types\" directive is not supported in http", notServer),
        http("§gzip on;", "\"gzip\" directive is not supported in http", notServer),
        server("§js_content main.x;", "\"js_content\" directive is not supported in http", notServer),
        location("§promethues;", "unknown directive \"promethues\"", "did you mean \"prometheus\"?"),
        server(
            "§api;", "\"api\" directive is not allowed here", "it stands in location, and this is server of http"),
        location(
            "api; §location /y { api; }", "\"location\" directive is not allowed here",
            "it stands in http server, and this is location"),
        Case(
            "stream { server { listen 1; return a; §api; } }", "\"api\" directive is not allowed here",
            "it stands in location, and this is server"),
        Case("stream { }\nhttp { }\n§http { }", "\"http\" directive is duplicate", "/etc/weir/weir.conf:2"),
        Case("stream { }\n§mail { }", "\"mail\" directive is not supported", "streams only"),
    ]

    static let blockCases: [Case] = [
        http("§server { location / { api; } }", "no \"listen\" is defined for server", "listen 127.0.0.1:8080;"),
        http("§server { listen 127.0.0.1:80; }", "no \"location\" is defined for server", "location /api { api; }"),
        server("location §/y { }", "no handler for location \"/y\"", "api; prometheus; dashboard;"),
        server("location §/x { api; }", "duplicate location \"/x\"", "/etc/weir/weir.conf:3"),
        server("location §~ ^/a { api; }", "locations are paths in Weir", "location = /path"),
        server("location §~*^/a { api; }", "locations are paths in Weir", "location = /path"),
        server("location §@a { api; }", "locations are paths in Weir", "location = /path"),
        server("location §x /a { api; }", "invalid location modifier \"x\"", "location = /path"),
        server("location §a { api; }", "invalid location \"a\"", "path of the URL"),
        server("location = §\"/a b\" { api; }", "invalid location \"/a b\"", "without spaces"),
        location("api; §dashboard;", "the location serves something already", "a location of its own"),
        location("api §write=yes;", "invalid parameter \"write=yes\"", "api write=on;"),
        location(
            "api; access_log §/a f;",
            "there is no log of HTTP requests", "access_log off"),
        server("listen §1883;", "duplicate \"0.0.0.0:1883\" address and port pair", "stream listens at it"),
        http(
            "server { listen 127.0.0.1:80; location / { api; } }\n"
                + " server { listen §127.0.0.1:80; location / { api; } }",
            "duplicate \"127.0.0.1:80\" address and port pair", "/etc/weir/weir.conf:3 has it"),
        server("listen §127.0.0.1;", "no port in \"127.0.0.1\" of the \"listen\" directive", "127.0.0.1:8080"),
        server("listen §80-90;", "range of ports in \"80-90\" of the \"listen\" directive", "one port"),
    ]

    static let valueCases: [Case] = [
        location("return §99;", "invalid return code \"99\"", "200 to 599"),
        location("return §text;", "invalid return code \"text\"", "a URL to go to"),
        location("return §301;", "no URL to go to in \"return\"", "return 301 /path;"),
        location("return 301 §\"/a\nb\";", "no URL to go to in \"return\"", "return 301 /path;"),
        location("return 200 §$remote_addr;", "\"return\" takes no variables in http", "text"),
        location(
            "api; auth_basic §\"a\nb\";", "invalid value \"a\\x0ab\" in \"auth_basic\" directive",
            "auth_basic \"Weir\";"),
        location("api; auth_basic §a;", "no \"auth_basic_user_file\" is defined for \"auth_basic\"", "FILE;"),
        location(
            "api; auth_basic a; auth_basic_user_file §x;",
            "open() \"/etc/weir/x\" failed (2: No such file or directory)",
            "who may read it"),
        location("api; auth_basic a; auth_basic_user_file §nobody;", "no users are in \"/etc/weir/nobody\"", "openssl"),
        location(
            "api; auth_basic_user_file §$x;", "\"auth_basic_user_file\" takes no variables", "write the path of a file"),
        server(
            "listen §127.0.0.1:443 ssl;", "no \"ssl_certificate\" is defined for the \"listen ... ssl\" directive",
            "in this server"),
        server(
            "listen 127.0.0.1:443 ssl; ssl_certificate §c-$ssl_server_name; ssl_certificate_key k;",
            "certificates have no variables in http", "PEM file"),
        server("location = §/weir { dashboard; }", "\"dashboard\" is not allowed in an exact location", "leave out the ="),
        server(
            "ssl_verify_client §optional_no_ca;", "\"ssl_verify_client\" is on, optional or off in http", "one of these"),
        server("§ssl_ciphers HIGH;", "\"ssl_ciphers\" directive is not supported in http", notServer),
    ]

    private static let everybody = "\"write=on\" lets everybody who reaches 0.0.0.0:8080 change Weir"
    static let writeCases: [Case] = [
        http("server { listen 8080; location / { api §write=on; } }", everybody, "deny all; or auth_basic"),
        http(
            "server { listen 127.0.0.1:1; listen 8080; location / { api §write=on; allow all; deny all; } }", everybody,
            "listen at 127.0.0.1"),
        http("server { listen 8080; location / { api §write=on; allow 10.0.0.0/8; } }", everybody, "deny all"),
        http("deny all; server { listen 8080; location / { api §write=on; allow all; } }", everybody, "deny all"),
    ]

    @Test("what is not there is refused with what there is", arguments: foreignCases)
    func foreign(_ example: Case) throws { try DiagnosticTests.check(example) }
    @Test("servers and locations", arguments: blockCases)
    func blocks(_ example: Case) throws { try DiagnosticTests.check(example) }
    @Test("values and files", arguments: valueCases)
    func values(_ example: Case) throws {
        try DiagnosticTests.check(example, files: ["/etc/weir/nobody": "# ada:x\n:y\njust words\n"])
    }
    @Test("writing is for somebody, not for everybody", arguments: writeCases)
    func writing(_ example: Case) throws { try DiagnosticTests.check(example) }

    @Test("all errors of a block are found at once, in the order of the text")
    func allErrors() {
        let outcome = build(
            """
            stream { server { listen 1; return a; } }
            http {
                gzip on;
                server { listen 8080; root /x;
                    location /a { api write=on; }
                    location /b { return 99; }
                    location /c { auth_basic a; prometheus; }
                }
            }
            """)
        #expect(outcome.diagnostics.map(\.line) == [3, 4, 5, 6, 7])
        #expect(outcome.errorCount == 5)
    }
}
