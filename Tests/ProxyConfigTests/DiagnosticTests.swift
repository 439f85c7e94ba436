// SPDX-License-Identifier: Apache-2.0
//
// What is refused, in nginx's words, at which place, and with which way out. `§` in a text marks where the caret has to
// stand; it is taken out before the text is read.

import Testing

@testable import ProxyConfig

@Suite("diagnostics")
struct DiagnosticTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var text: String
        var message: String
        var hint: String
        var level = Diagnostic.Level.emerg
        var testDescription: String { message }
        init(_ text: String, _ message: String, _ hint: String, _ level: Diagnostic.Level = .emerg) {
            self.text = text
            self.message = message
            self.hint = hint
            self.level = level
        }
        static func server(_ directive: String, _ message: String, _ hint: String) -> Case {
            Case(serverText(directive), message, hint)
        }
        static func stream(_ directive: String, _ message: String, _ hint: String) -> Case {
            Case("stream {\n  \(directive)\n}", message, hint)
        }
        static func warning(_ directive: String, _ message: String, _ hint: String) -> Case {
            Case("stream {\n  \(directive)\n}", message, hint, .warn)
        }
    }

    /// Exactly one finding, at the mark.
    static func check(_ example: Case, files: [String: String] = [:], directories: Set<String> = []) throws {
        let marked = Array(example.text.utf8)
        let mark = Array("§".utf8)
        let place = try #require(
            marked.indices.first { marked[$0...].starts(with: mark) }, "no mark in \(example.text)")
        let before = marked[..<place]
        let text = String(decoding: before + marked[(place + mark.count)...], as: UTF8.self)
        let outcome = build(text, files: files, directories: directories)
        #expect(outcome.diagnostics.count == 1, "\(outcome.render())")
        let diagnostic = try #require(outcome.diagnostics.first)
        #expect(diagnostic.message == example.message)
        #expect(diagnostic.hint.contains(example.hint), "\(diagnostic.hint)")
        #expect(diagnostic.level == example.level)
        #expect(diagnostic.file == "/etc/weir/weir.conf")
        #expect(diagnostic.line == before.count { $0 == UInt8(ascii: "\n") } + 1)
        #expect(diagnostic.column == before.count - ((before.lastIndex(of: UInt8(ascii: "\n")) ?? -1) + 1) + 1)
        #expect((outcome.configuration == nil) == (example.level == .emerg))
    }

    @Test("the table's own checks", arguments: tableCases) func table(_ example: Case) throws {
        try DiagnosticTests.check(example)
    }
    @Test("values", arguments: valueCases) func values(_ example: Case) throws { try DiagnosticTests.check(example) }
    @Test("servers and listeners", arguments: serverCases) func servers(_ example: Case) throws {
        try DiagnosticTests.check(example)
    }
    @Test("upstreams and checks", arguments: upstreamCases) func upstreams(_ example: Case) throws {
        try DiagnosticTests.check(example)
    }
    @Test("variables and logs", arguments: variableCases) func variables(_ example: Case) throws {
        try DiagnosticTests.check(example)
    }
    @Test("what comes later says so", arguments: laterCases) func later(_ example: Case) throws {
        try DiagnosticTests.check(example)
    }
    @Test("warnings", arguments: warningCases) func warnings(_ example: Case) throws {
        try DiagnosticTests.check(example)
    }

    static let tableCases: [Case] = [
        .server("§proxy_pas x;", "unknown directive \"proxy_pas\"", "did you mean \"proxy_pass\"?"),
        .stream("§xyzzy a { b c; }", "unknown directive \"xyzzy\"", "no directive of stream"),
        .stream(
            "§listen 1;", "\"listen\" directive is not allowed here",
            "it stands in server or http server, and this is stream"),
        .server(
            "§proxy_timeout;", "invalid number of arguments in \"proxy_timeout\" directive",
            "it takes 1 argument, and there are 0"),
        .server(
            "§proxy_timeout 1s\n tcp_nodelay on;", "invalid number of arguments in \"proxy_timeout\" directive",
            "a \";\" is missing after \"1s\" in line 3"),
        .server(
            "§listen 5\n tcp_nodelay on;", "directive \"listen\" is not terminated by \";\"",
            "a \";\" is missing after \"5\" in line 3"),
        .server(
            "proxy_timeout 1s;\n§proxy_timeout 2s;", "\"proxy_timeout\" directive is duplicate", "/etc/weir/weir.conf:3"
        ),
        .stream("§tcp_nodelay on { }", "directive \"tcp_nodelay\" is not terminated by \";\"", "it has no block"),
        .stream("§server;", "directive \"server\" has no opening \"{\"", "write server … { … }"),
        .server("tcp_nodelay on;§;", "unexpected \";\"", "take it out"),
        Case("stream {\n tcp_nodelay on §}", "unexpected \"}\"", "a \";\" is missing after \"on\" in line 2"),
        Case("stream { }\n§}", "unexpected \"}\"", "no block is open here"),
        Case(
            "stream {\n server { listen 1; return a; }\n§", "unexpected end of file, expecting \"}\"",
            "block \"stream\" opened in line 1 is not closed"),
        Case(
            "stream { }\ndaemon on§", "unexpected end of file, expecting \";\" or \"}\"",
            "a \";\" is missing after \"on\""),
        Case("stream { }\npid §\"x;\n", "unexpected end of file, expecting \";\" or \"}\"", "never closed"),
        Case("stream { }\npid §a\0b;\n", "unexpected NUL byte", "\\x00"),
        Case("stream { }\npid 'a'§b;\n", "unexpected \"b\"", "put a space after the closing quote"),
    ]

    static let valueCases: [Case] = [
        .server("proxy_timeout §1x;", "\"proxy_timeout\" directive invalid value", "30s"),
        .server("proxy_buffer_size §1g;", "\"proxy_buffer_size\" directive invalid value", "16k"),
        .server("proxy_buffer_size §0;", "\"proxy_buffer_size\" directive invalid value", "1 to"),
        .server(
            "proxy_half_close §yes;",
            "invalid value \"yes\" in \"proxy_half_close\" directive, it must be \"on\" or \"off\"", "write on or off"),
        .server(
            "proxy_next_upstream_tries §x;", "\"proxy_next_upstream_tries\" directive invalid number",
            "a number from 0 on"),
        .server("proxy_upload_rate §1x;", "\"proxy_upload_rate\" directive invalid value", "64k"),
        .server("proxy_bind §foo;", "invalid address \"foo\"", "$remote_addr"),
        .server("proxy_bind 127.0.0.1 §x;", "invalid parameter \"x\"", "transparent"),
        .server("allow §foo;", "invalid parameter \"foo\"", "192.0.2.0/24"),
        .server("allow §10.0.0.0/33;", "invalid parameter \"10.0.0.0/33\"", "192.0.2.0/24"),
        .server(
            "mqtt_preread §maybe;",
            "invalid value \"maybe\" in \"mqtt_preread\" directive, it must be \"on\" or \"off\"", "write"),
        .stream("resolver 127.0.0.1 §valid=x;", "invalid parameter: valid=x", "whole seconds"),
        .stream("resolver 127.0.0.1 §vaild=1s;", "invalid parameter \"vaild=1s\"", "did you mean \"valid=\"?"),
        .stream("§resolver valid=1s;", "no name servers defined", "address of a name server"),
        Case("stream {}\nworker_processes §0;", "\"worker_processes\" directive invalid value", "auto"),
        Case("stream {}\nworker_priority §x;", "\"worker_priority\" directive invalid number", "-20 to 19"),
        Case("stream {}\nworker_cpu_affinity §012;", "invalid character \"2\" in \"worker_cpu_affinity\"", "0001 0010"),
        Case("stream {}\nworker_rlimit_core §x;", "\"worker_rlimit_core\" directive invalid value", "16k"),
        Case("stream {}\nevents { worker_connections §x; }", "invalid number \"x\"", "connections"),
        Case("stream {}\nerror_log x §foo;", "invalid log level \"foo\"", "levels are debug"),
        Case("stream {}\nerror_log x §eror;", "invalid log level \"eror\"", "did you mean \"error\"?"),
        Case("stream {}\nerror_log x warn §error;", "duplicate log level \"error\"", "one level"),
        Case("stream {}\nerror_log syslog:§foo;", "unknown syslog parameter \"foo\"", "server="),
        Case(
            "stream {}\nerror_log §syslog:server=nosuch;", "host not found in syslog server \"nosuch\"",
            "does not resolve"),
        Case(
            "stream {}\nerror_log syslog:server=1.2.3.4,§facility=cronn;", "unknown syslog facility \"cronn\"",
            "did you mean \"cron\"?"),
    ]

    static let serverCases: [Case] = [
        .stream("§server { return a; }", "no \"listen\" is defined for server", "listen 1883;"),
        .stream("§server { listen 1; }", "no handler for server", "proxy_pass NAME;"),
        .server("listen §foo:5;", "host not found in \"foo:5\" of the \"listen\" directive", "does not resolve"),
        .server("listen §70000;", "invalid port in \"70000\" of the \"listen\" directive", "1 to 65535"),
        .server("listen §127.0.0.1;", "no port in \"127.0.0.1\" of the \"listen\" directive", "127.0.0.1:1883"),
        .server("listen 5 §foo;", "the invalid \"foo\" parameter", "there are default_server"),
        .server("listen 5 §backlgo=5;", "the invalid \"backlgo=5\" parameter", "did you mean \"backlog=\"?"),
        .server("listen 5 §backlog=x;", "invalid backlog \"backlog=x\"", "number"),
        .server("listen 5 §so_keepalive=x;", "invalid so_keepalive value: \"x\"", "30m::10"),
        .server("listen 5 §so_keepalive=1:2:3:4;", "invalid so_keepalive value: \"1:2:3:4\"", "30m::10"),
        .server("listen 5 §so_keepalive=::;", "invalid so_keepalive value: \"::\"", "30m::10"),
        .server("listen 5 §ipv6only=x;", "invalid ipv6only flags \"x\"", "on or off"),
        .server("listen §1883;", "duplicate \"0.0.0.0:1883\" address and port pair", "/etc/weir/weir.conf:3"),
        .stream(
            "server { listen 1-5; return a; }\n server { listen §*:3; return b; }",
            "duplicate \"0.0.0.0:3\" address and port pair", "server_names"),
        .stream(
            "server { listen 1; return a; }\n server { listen 2; proxy_pass §nosuch; }",
            "no port in upstream \"nosuch\"", "no upstream has this name"),
        .stream(
            "upstream brokers { server 1.2.3.4:5; }\n server { listen 2; proxy_pass §brokres; }",
            "no port in upstream \"brokres\"", "did you mean \"brokers\"?"),
        .stream(
            "server { listen 2; proxy_pass §nosuch:1; }", "host not found in upstream \"nosuch:1\"",
            "Name or service not known"),
        .stream("server { listen 2; proxy_pass §1.2.3.4; }", "no port in upstream \"1.2.3.4\"", "1.2.3.4:1883"),
        .stream(
            "upstream u { server 1.2.3.4:5; }\n server { listen 2; proxy_pass §u:12; }",
            "upstream \"u\" may not have port 12", "proxy_pass u;"),
        .stream("server { listen 2; proxy_pass §\"\"; }", "no host in upstream \"\"", "host:port"),
        .server("server_name a §'';", "server name \"\" is invalid", "alone"),
    ]

    static let upstreamCases: [Case] = [
        .stream("upstream §u { }", "no servers are inside upstream", "at least one"),
        .stream("upstream §u { server 1.2.3.4:5 backup; }", "no servers in upstream \"u\"", "backup"),
        .stream(
            "upstream u { server 1.2.3.4:5; }\n upstream §U { server 1.2.3.4:5; }", "duplicate upstream \"U\"",
            "/etc/weir/weir.conf:2"),
        .stream("upstream u { server §a; }", "no port in upstream \"a\"", "a:1883"),
        .stream("upstream u { server §nosuch:1; }", "host not found in upstream \"nosuch:1\"", "does not resolve"),
        .stream("upstream u { server 1.2.3.4:5 §weight=0; }", "invalid parameter \"weight=0\"", "from 1 to"),
        .stream(
            "upstream u { server 1.2.3.4:5 §fail_timeout=10ms; }", "invalid parameter \"fail_timeout=10ms\"",
            "ms is too fine"),
        .stream(
            "upstream u { server 1.2.3.4:5 §wieght=2; }", "invalid parameter \"wieght=2\"",
            "did you mean \"weight=\"?"),
        .stream(
            "upstream u { hash $remote_addr; server 1.2.3.4:5 §backup; server 1.2.3.4:6; }",
            "balancing method does not support parameter \"backup\"", "hash and random"),
        .stream("upstream u { hash a §foo; server 1.2.3.4:5; }", "invalid parameter \"foo\"", "consistent"),
        .stream("upstream u { random §three; server 1.2.3.4:5; }", "invalid parameter \"three\"", "random two;"),
        .stream("upstream u { zone a §x; server 1.2.3.4:5; }", "invalid zone size \"x\"", "16k"),
        .server("health_check match=§foo;", "unknown match \"foo\"", "define it"),
        .server("health_check §interval=0;", "invalid parameter \"interval=0\"", "more than 0"),
        .server("health_check §intervall=5;", "invalid parameter \"intervall=5\"", "did you mean \"interval=\"?"),
        .server("health_check §persistent;", "invalid parameter \"persistent\"", "mandatory"),
        .server("health_check §port=0;", "invalid parameter \"port=0\"", "from 1 to 65535"),
        .stream(
            "server { listen 1; return a; §health_check; }", "health_check has no group of servers to check",
            "proxy_pass"),
        .stream(
            "server { listen 1; proxy_pass $remote_addr:1; §health_check; }",
            "health_check has no group of servers to check", "without variables"),
        .stream("match a { }\n match §a { }", "duplicate match \"a\"", "another name"),
        .stream("match a { send a§\\x1; }", "invalid value \"\\x1\"", "two hexadecimal digits"),
        .stream(
            "match a { expect ~ §(; }", "pcre2_compile() failed: missing closing parenthesis in \"(\"", "expression"),
        .stream("match a { expect a §b; }", "invalid parameter \"b\"", "quotes"),
        .stream("match a { send a; §send b; }", "\"send\" directive is duplicate", "take one of them out"),
    ]

    static let variableCases: [Case] = [
        .server("set $x §$nosuch;", "unknown \"nosuch\" variable", "map or set"),
        .server("set $x a-§${remote_adr};", "unknown \"remote_adr\" variable", "did you mean \"$remote_addr\"?"),
        .server("set $x §$ssl_cypher;", "unknown \"ssl_cypher\" variable", "did you mean \"$ssl_cipher\"?"),
        .server("set $x 'a §${b';", "the closing bracket in \"b\" variable is missing", "${b}"),
        .server("set $x §$;", "invalid variable name", "a name follows"),
        .server("set §x a;", "invalid variable name \"x\"", "$name"),
        .server("set §$remote_addr a;", "the duplicate \"remote_addr\" variable", "another name"),
        .stream("map a §b { }", "invalid variable name \"b\"", "$name"),
        .stream("map a §$status { }", "the duplicate \"status\" variable", "another name"),
        .stream("map a $b { §c d e; }", "invalid number of the map parameters", "a key and a value"),
        .stream("map a $b { c d; §C e; }", "conflicting parameter \"C\"", "above"),
        .stream("map a $b { default d; §default e; }", "duplicate default map parameter", "take one"),
        .stream("map a $b { hostnames; §a.*.b e; }", "invalid hostname or wildcard \"a.*.b\"", "*.example.com"),
        .stream("map a $b { hostnames; §a..b e; }", "invalid hostname or wildcard \"a..b\"", "*.example.com"),
        .stream(
            "error_log syslog:server=1.2.3.4,§server=1.2.3.5;", "duplicate syslog \"server\"", "a second log"),
        .stream("map a $b { §c { d e; } }", "unexpected \"{\"", "between quotes"),
        .stream("log_format f §$x;", "unknown \"x\" variable", "map or set"),
        .stream("log_format f a;\n log_format §f b;", "duplicate \"log_format\" name \"f\"", "another name"),
        .stream("log_format f escape=§x b;", "unknown log format escaping \"x\"", "escape=json"),
        .stream(
            "§log_format f escape=json;", "invalid number of arguments in \"log_format\" directive", "after escape="),
        .server("§access_log /a;", "log format is not specified", "log_format"),
        .server("access_log /a §foo;", "unknown log format \"foo\"", "define it"),
        .server("access_log off §foo;", "invalid parameter \"foo\"", "nothing else"),
        .server(
            "access_log §/a$status foo;", "Weir does not have variables in the path of \"access_log\" yet", "one path"),
        .server("access_log §/a foo flush=1s;", "no buffer is defined for access_log \"/a\"", "buffer="),
        .server("access_log §syslog:server=1.2.3.4 foo buffer=1k;", "logs to syslog cannot be buffered", "out"),
        .server("access_log /a foo §buffer=x;", "invalid buffer size \"x\"", "16k"),
        .server("access_log /a foo buffer=1k §flush=x;", "invalid flush time \"x\"", "30s"),
        .server("access_log /a foo §bufer=1k;", "invalid parameter \"bufer=1k\"", "did you mean \"buffer=\"?"),
        .server("access_log /a §jsno;", "unknown log format \"jsno\"", "did you mean \"json\"?"),
        .server("access_log /a json §event=close;", "invalid parameter \"event=close\"", "did you mean \"events=\"?"),
        .server(
            "access_log /a json events=close,§conect;", "unknown event \"conect\" in \"events\"",
            "did you mean \"connect\"?"),
        .server(
            "access_log /a json events=§intervall=5m;", "unknown event \"intervall=5m\" in \"events\"",
            "did you mean \"interval=\"?"),
        .server("access_log /a json events=§interval;", "unknown event \"interval\" in \"events\"", "interval=5m"),
        .server("access_log /a json events=§open;", "unknown event \"open\" in \"events\"", "connect, interval=, close"),
        .server("access_log /a json events=§;", "unknown event \"\" in \"events\"", "connect, interval=, close"),
        .server("access_log /a json events=close,§close;", "duplicate event \"close\"", "once"),
        .server("access_log /a json events=interval=5m,§interval=1h;", "duplicate event \"interval=1h\"", "once"),
        .server("access_log /a json events=close §events=connect;", "duplicate \"events\" parameter", "with commas"),
        .server("access_log /a json events=§interval=x;", "invalid interval \"x\"", "30s"),
        .server("access_log /a json events=§interval=500ms;", "interval \"500ms\" is too short", "a second or more"),
        Case(
            "stream { log_format f a; access_log /a §g;\n server { listen 1; return a; }"
                + "server { listen 2; return a; } }",
            "unknown log format \"g\"", "did you mean \"f\"?"),
    ]

    static let laterCases: [Case] = [
        .server(
            "§js_preread x.y;", "Weir does not have the \"js_preread\" directive yet",
            "\"mqtt_preread on\" reads the client id without one"),
        .server("§limit_conn a 1;", "Weir does not have the \"limit_conn\" directive yet", "max_conns"),
        .stream("§geo $x { default 1; }", "Weir does not have the \"geo\" directive yet", "map"),
        .stream(
            "§split_clients a $x { 50% a; * b; }", "Weir does not have the \"split_clients\" directive yet", "weight"),
        .server("§proxy_protocol on;", "Weir does not have the \"proxy_protocol\" directive yet", "until then"),
        .server("§mqtt on;", "Weir does not have the \"mqtt\" directive yet", "mqtt_preread"),
        .server("listen 5 §udp;", "Weir does not have the \"udp\" parameter of \"listen\" yet", "TCP"),
        .server(
            "listen 5 §proxy_protocol;", "Weir does not have the \"proxy_protocol\" parameter of \"listen\" yet",
            "PROXY"),
        .stream(
            "upstream u { server 1.2.3.4:5 §resolve; }",
            "Weir does not have the \"resolve\" parameter of \"server\" yet", "reload"),
        .stream(
            "upstream u { server 1.2.3.4:5; §least_time connect; }",
            "Weir does not have the \"least_time\" directive yet", "least_conn"),
        .stream(
            "upstream u { server 1.2.3.4:5; random two §least_time=connect; }",
            "Weir does not have the \"least_time=connect\" method of \"random\" yet", "least_conn"),
        .server("health_check §udp;", "Weir does not have the \"udp\" parameter of \"health_check\" yet", "TCP"),
        .server(
            "access_log /a f §gzip;", "Weir does not have the \"gzip\" parameter of \"access_log\" yet", "compress"),
        .server("error_log /a §json;", "Weir does not have the \"json\" parameter of \"error_log\" yet", "until then"),
        .server("error_log §memory:32m;", "Weir does not have \"memory:\" logs yet", "stderr"),
    ]

    static let warningCases: [Case] = [
        .warning(
            "server { listen 1; return a; allow §10.0.0.1/8; }", "low address bits of 10.0.0.1/8 are meaningless",
            "10.0.0.0/8"),
        .warning(
            "server { listen 1; return a; §proxy_pass 1.2.3.4:5; }",
            "\"proxy_pass\" replaces what the server did before", "take one out"),
        .warning(
            "upstream u { server 1.2.3.4:5; least_conn; §random; }", "load balancing method redefined", "last one"),
        .warning("server { listen 1 §setfib=1; return a; }", "\"setfib=1\" is ignored", "Linux"),
        .warning("map a $b { c §$1; }", "variable \"$1\" is always empty", "expression"),
        .warning("map a $b { ~(c) §$2; }", "variable \"$2\" is always empty", "1 groups"),
        .warning(
            "server { listen 1; return a; §proxy_session_drop on; }", "\"proxy_session_drop on\" is ignored",
            "take the line out"),
        .warning(
            "upstream u { hash $mqtt_client_id; server 1.2.3.4:5; } server { listen 1; proxy_pass §u; }",
            "the key of upstream \"u\" is empty here", "\"mqtt_preread on;\" in this server or in stream"),
        Case("stream {}\nevents { §use epoll; }", "\"use\" directive is ignored", "io_uring", .warn),
        Case("stream {}\n§load_module x.so;", "\"load_module\" directive is ignored", "built in", .warn),
    ]

    @Test("without stream there is nothing to do, and that is said")
    func noStream() {
        let outcome = build("events {}")
        #expect(outcome.configuration != nil)
        #expect(outcome.diagnostics.map(\.headline) == ["no \"stream\" section in configuration"])
    }

    @Test("all errors of a run are found, in the order of the text")
    func allErrors() {
        let outcome = build(
            """
            worker_processes x;
            stream {
                access_log /a nosuch;
                server { listen 70000; return $nosuch; }
                server { listen 2; proxy_pas u; }
                upstream u { server nosuch:1; }
            }
            """)
        #expect(outcome.diagnostics.map(\.line) == [1, 3, 4, 4, 5, 6])
        #expect(outcome.errorCount == 6)
    }

    @Test("what every server inherits is one finding")
    func inheritedOnce() {
        let servers = (1...20).map { "server { listen \($0); return a; }" }.joined()
        let outcome = build("stream { proxy_bind $nosuch; proxy_upload_rate 1$x; \(servers) }")
        #expect(outcome.diagnostics.map(\.message) == ["unknown \"nosuch\" variable", "unknown \"x\" variable"])
    }

    @Test("an outcome shows fifty errors and counts the others")
    func cap() {
        let outcome = build("stream {}\n" + String(repeating: "foo;\n", count: 20_000))
        #expect(outcome.diagnostics.count == 50)
        #expect(outcome.errorCount == 20_000)
        #expect(outcome.render().hasSuffix("weir: 19950 more of these are not shown\n"))
    }

    @Test("the finding is shown as nginx's line, the source line, and a caret")
    func rendering() {
        let outcome = build("stream {\n\n\tserver {\n        listen 1;\n        proxy_pas brokers;\n    }\n}\n")
        #expect(
            outcome.render() == """
                weir: [emerg] unknown directive "proxy_pas" in /etc/weir/weir.conf:5
                    5 |         proxy_pas brokers;
                      |         ^~~~~~~~~ did you mean "proxy_pass"?

                """)
    }

    @Test("a long line is cut around the caret, and control bytes are visible")
    func excerpt() throws {
        let long = String(repeating: "x ", count: 200)
        let outcome = build("stream {}\n# \u{1B}[31m\npid \u{1B}\t'é' \(long);")
        let diagnostic = try #require(outcome.diagnostics.first)
        #expect(diagnostic.sourceLine.hasPrefix("pid \\x1b    'é' x x"))
        #expect(diagnostic.sourceLine.hasSuffix("…"))
        #expect(diagnostic.caretOffset == 0)
        let cut = build("stream { map a $b { \((0..<40).map { "k\($0) v; " }.joined()) k7 w; \(long) } }")
        let second = try #require(cut.diagnostics.first)
        #expect(second.sourceLine.hasPrefix("…"))
        #expect(second.sourceLine.hasSuffix("…"))
        let caret = second.sourceLine.unicodeScalars.dropFirst(second.caretOffset)
        #expect(caret.first == "k")
        #expect(second.sourceLine.unicodeScalars.count <= 165)
    }
}
