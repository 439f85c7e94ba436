// SPDX-License-Identifier: Apache-2.0
//
// What a text means: defaults, inheritance, groups, addresses, variables.

import Patterns
import Testing
import Vocabulary

@testable import ProxyConfig

@Suite("meaning")
struct ModelTests {
    @Test("the sample means what it says")
    func sample() throws {
        let configuration = try valid(sampleText)
        #expect(configuration.main.user == "nobody")
        #expect(configuration.main.group == "nogroup")
        #expect(configuration.main.workerCount == .automatic)
        #expect(configuration.main.workerConnections == 10_000)
        #expect(configuration.main.pidFile == "/srv/weir/logs/weir.pid")
        #expect(
            configuration.logDestinations == [.file("/srv/weir/logs/error.log"), .file("/srv/weir/logs/access.log")])
        let brokers = configuration.upstreams[0]
        #expect(brokers.zone == "brokers")
        #expect(brokers.peers.map(\.endpoint.text) == ["192.0.2.1:1883", "192.0.2.2:1883", "192.0.2.9:1883"])
        #expect(brokers.peers.map(\.serverText) == ["b1.example:1883", "b1.example:1883", "192.0.2.9:1883"])
        #expect(brokers.peers.map(\.ringHost) == ["192.0.2.1", "192.0.2.2", "192.0.2.9"])
        #expect(brokers.peers.map(\.ringPort) == ["1883", "1883", "1883"])
        #expect(brokers.peers.map(\.maxFails) == [2, 2, 1])
        #expect(brokers.peers.map(\.weight) == [1, 1, 3])
        guard case .hash(let key, true) = brokers.method else {
            Issue.record("not consistent")
            return
        }
        #expect(key.text(in: configuration) == "<mqtt_preread_clientid>")
        #expect(
            configuration.listeners.map(\.endpoint.text) == [
                "0.0.0.0:1883", "[::]:1883", "0.0.0.0:1900", "0.0.0.0:1901", "0.0.0.0:1902",
            ])
        #expect(configuration.listeners.map(\.server) == [0, 0, 1, 1, 1])
        #expect(configuration.listeners[0].keepAlive?.idleSeconds == 1800)
        #expect(configuration.listeners[0].keepAlive?.intervalSeconds == nil)
        #expect(configuration.listeners[0].keepAlive?.probes == 10)
        #expect(configuration.listeners[0].backlog == 511)
        let server = configuration.servers[0]
        #expect(server.origin == "/etc/weir/weir.conf:20")
        #expect(server.mqttPreread == .on)
        #expect(server.connectTimeoutMilliseconds == 1000)
        #expect(server.idleTimeoutMilliseconds == 600_000)
        #expect(server.accessRules.count == 2)
        #expect(server.assignments.map { $0.value.text(in: configuration) } == ["hall-3"])
        #expect(server.accessLogs.map(\.bufferBytes) == [32 * 1024])
        #expect(server.errorLogs == [ErrorLog(destination: 0, level: .notice)])
        let check = try #require(server.healthChecks.first)
        #expect(check.upstream == 0)
        #expect(check.match == 0)
        #expect(check.intervalMilliseconds == 3000)
        #expect(check.passes == 2)
        #expect(check.isMandatory)
        #expect(check.connectTimeoutMilliseconds == 1000)
        let match = configuration.matches[0]
        #expect(match.send == [0x10, 0x0C, 0, 4, 0x4D, 0x51, 0x54, 0x54, 4, 2, 0, 0, 0, 0])
        guard case .literal(let answer) = match.expect else {
            Issue.record("no literal")
            return
        }
        #expect(answer == [0x20, 2, 0, 0])
        #expect(
            configuration.logFormats[0].template.text(in: configuration)
                == "<remote_addr> [<time_local>] <protocol> <status> <bytes_received> <bytes_sent> <upstream_addr> "
                + "\"<mqtt_preread_clientid>\" <session_time>s")
        #expect(configuration.maps[0].expressions.map { $0.value.text(in: configuration) } == ["pool_<1>-<2>"])
        guard case .respond(let text) = configuration.servers[1].content else {
            Issue.record("no return")
            return
        }
        #expect(text.text(in: configuration) == "<hostname>\n")
    }

    @Test("a server has what stream says unless it says it itself")
    func inheritance() throws {
        let configuration = try valid(
            """
            stream {
                proxy_timeout 1m; preread_timeout 5s; tcp_nodelay off; proxy_upload_rate 1k; mqtt_preread on;
                proxy_bind 127.0.0.2; health_check_timeout 7s; proxy_buffer_size 4k;
                server { listen 1; proxy_pass 192.0.2.1:1; }
                server { listen 2; proxy_pass 192.0.2.1:1; proxy_timeout 2m; tcp_nodelay on; proxy_upload_rate 0;
                         mqtt_preread off; proxy_bind off; health_check; }
                proxy_connect_timeout 3s;
            }
            """)
        let servers = configuration.servers
        #expect(servers.map(\.idleTimeoutMilliseconds) == [60_000, 120_000])
        #expect(servers.map(\.prereadTimeoutMilliseconds) == [5000, 5000])
        #expect(servers.map(\.isTCPNoDelay) == [false, true])
        #expect(servers.map(\.uploadRate?.literal) == [Array("1024".utf8), nil])
        #expect(servers.map(\.mqttPreread) == [.on, .off])
        #expect(servers.map { $0.proxyBind == nil } == [false, true])
        #expect(servers.map(\.connectTimeoutMilliseconds) == [3000, 3000])
        #expect(servers[1].healthChecks[0].timeoutMilliseconds == 7000)
        #expect(servers[1].healthChecks[0].answerBytesMax == 4096)
    }

    @Test("lists are a level's own or all of the outer one")
    func lists() throws {
        let configuration = try valid(
            """
            error_log /m;
            stream {
                log_format f x;
                access_log /a f; allow 192.0.2.1; deny all; error_log /s1; error_log /s2 info;
                server { listen 1; return a; }
                server { listen 2; return a; access_log /b f; access_log /c f; allow all; error_log stderr; }
                server { listen 3; return a; access_log off; }
            }
            """)
        func names(_ logs: [Int]) -> [LogDestination] { logs.map { configuration.logDestinations[$0] } }
        let servers = configuration.servers
        #expect(names(servers[0].accessLogs.map(\.destination)) == [.file("/a")])
        #expect(names(servers[1].accessLogs.map(\.destination)) == [.file("/b"), .file("/c")])
        #expect(servers[2].accessLogs.isEmpty)
        #expect(servers.map(\.accessRules.count) == [2, 1, 2])
        #expect(names(servers[0].errorLogs.map(\.destination)) == [.file("/s1"), .file("/s2")])
        #expect(servers[0].errorLogs.map(\.level) == [.error, .info])
        #expect(names(servers[1].errorLogs.map(\.destination)) == [.standardError])
        #expect(names(configuration.main.errorLogs.map(\.destination)) == [.file("/m")])
    }

    @Test("without error_log the default is below the prefix, or what -e says")
    func defaultErrorLog() throws {
        var options = testOptions
        let text = "stream { server { listen 1; return a; } }"
        #expect(build(text, options: options).configuration?.logDestinations == [.file("/srv/weir/logs/error.log")])
        options.defaultErrorLog = "/var/log/e"
        #expect(build(text, options: options).configuration?.logDestinations == [.file("/var/log/e")])
        options.defaultErrorLog = "stderr"
        let outcome = build(text, options: options)
        #expect(outcome.configuration?.logDestinations == [.standardError])
        #expect(outcome.configuration?.servers[0].errorLogs == [ErrorLog(destination: 0, level: .error)])
    }

    @Test("-g is read first, in the main context")
    func globalDirectives() throws {
        var options = testOptions
        options.globalDirectives = "daemon off; worker_processes 3;"
        let outcome = build("stream { server { listen 1; return a; } }", options: options)
        #expect(outcome.configuration?.main.isDaemon == false)
        #expect(outcome.configuration?.main.workerCount == .number(3))
        options.globalDirectives = "daemon off; daemon on; foo"
        let bad = build("daemon on;", options: options)
        #expect(
            bad.diagnostics.filter { $0.level == .emerg }.map(\.headline) == [
                "\"daemon\" directive is duplicate in command line",
                "unexpected end of parameter, expecting \";\" in command line",
                "\"daemon\" directive is duplicate in /etc/weir/weir.conf:1",
            ])
    }

    @Test("proxy_pass to an address makes one group for each text, after the upstreams")
    func implicitGroups() throws {
        let configuration = try valid(
            """
            stream {
                server { listen 1; proxy_pass 192.0.2.1:1; health_check; }
                server { listen 2; proxy_pass 192.0.2.1:1; }
                server { listen 3; proxy_pass b1.example:9; }
                server { listen 4; proxy_pass unix:/run/b; }
                server { listen 5; proxy_pass U; }
                server { listen 6; proxy_pass [2001:db8::1]:7; }
                server { listen 7; proxy_pass $remote_addr:1883; }
                upstream u { server localhost:1; }
            }
            """)
        #expect(
            configuration.upstreams.map(\.name) == [
                "u", "192.0.2.1:1", "b1.example:9", "unix:/run/b", "[2001:db8::1]:7",
            ])
        #expect(configuration.upstreams.map(\.isExplicit) == [true, false, false, false, false])
        #expect(configuration.upstreams.map(\.peers.count) == [2, 1, 2, 1, 1])
        #expect(configuration.upstreams[0].peers.map(\.ringHost) == ["127.0.0.1", "[::1]"])
        #expect(configuration.upstreams[3].peers.map(\.ringHost) == ["/run/b"])
        #expect(configuration.upstreams[4].peers.map(\.ringHost) == ["[2001:db8::1]"])
        let targets = configuration.servers.map { server -> Int? in
            if case .proxy(let upstream) = server.content { upstream } else { nil }
        }
        #expect(targets == [1, 1, 2, 3, 0, 4, nil])
    }

    @Test("a map sorts its keys, and its values know the groups of their expression")
    func maps() throws {
        let configuration = try valid(
            #"""
            stream {
                map $remote_addr $m {
                    hostnames; volatile;
                    default d; Name-1 "v $status"; *.example.com p; .example.org o; mail.* s;
                    \default literal; \~tilde t;
                    ~*^(?<first>.)(.)$ $2$first$remote_port; "~a;b" e;
                }
                map $m $n { a $o; include entries; }
                server { listen 1; set $o $n; return "$m$n$o"; }
            }
            """#, files: ["/etc/weir/entries": "b c;\n"])
        let map = configuration.maps[0]
        #expect(map.isVolatile)
        func text(_ template: Template?) -> String? { template?.text(in: configuration) }
        #expect(text(map.defaultValue) == "d")
        #expect(text(map.exact[Array("name-1".utf8)]) == "v <status>")
        #expect(text(map.exact[Array("example.org".utf8)]) == "o")
        #expect(text(map.exact[Array("default".utf8)]) == "literal")
        #expect(text(map.exact[Array("~tilde".utf8)]) == "t")
        #expect(text(map.prefixMasks[Array(".example.com".utf8)]) == "p")
        #expect(text(map.prefixMasks[Array(".example.org".utf8)]) == "o")
        #expect(text(map.suffixMasks[Array("mail.".utf8)]) == "s")
        #expect(map.expressions.map { text($0.value) } == ["<2><1><remote_port>", "e"])
        #expect(map.expressions[0].pattern.matches(Array("AB".utf8)))
        let second = configuration.maps[1]
        #expect(text(second.source) == "<map m>")
        #expect(text(second.exact[[UInt8(ascii: "a")]]) == "<set o>")
        #expect(text(second.exact[[UInt8(ascii: "b")]]) == "c")
        guard case .respond(let value) = configuration.servers[0].content else { return }
        #expect(text(value) == "<map m><map n><set o>")
    }

    @Test("every variable of ours is known by its name, in any case")
    func variables() throws {
        for variable in BuiltinVariable.allCases {
            let configuration = try valid(serverText("set $x \"${\(variable.rawValue.uppercased())}\";"))
            #expect(configuration.servers[0].assignments[0].value.parts == [.variable(.builtin(variable))])
        }
    }

    @Test("listen takes its parameters, names with several addresses, and ranges")
    func listen() throws {
        let configuration = try valid(
            """
            stream { server {
                listen localhost:5 backlog=10 rcvbuf=8k sndbuf=16k fastopen=3 deferred multipath bind reuseport;
                listen unix:/run/w; listen [::]:6 ipv6only=off; listen 7 so_keepalive=off default_server;
                return a;
            } }
            """)
        #expect(
            configuration.listeners.map(\.endpoint.text) == [
                "127.0.0.1:5", "[::1]:5", "unix:/run/w", "[::]:6", "0.0.0.0:7",
            ])
        let first = configuration.listeners[0]
        #expect(first.backlog == 10)
        #expect(first.receiveBufferBytes == 8192)
        #expect(first.sendBufferBytes == 16384)
        #expect(first.fastOpenQueue == 3)
        #expect(first.isDeferred)
        #expect(first.isMultipath)
        #expect(configuration.listeners.map(\.isIPv6Only) == [true, true, true, false, true])
        #expect(configuration.listeners[4].keepAlive?.isOn == false)
    }

    @Test("servers with different names share an address; options are once an address; default_server decides")
    func sharedAddress() throws {
        let outcome = build(
            """
            stream {
                server { listen 1; server_name a; return a; }
                server { listen 1 backlog=9 default_server; server_name b c; return b; }
            }
            """)
        let configuration = try #require(outcome.configuration)
        #expect(configuration.listeners.count == 1)
        #expect(configuration.listeners[0].server == 1)
        #expect(configuration.listeners[0].backlog == 9)
        #expect(configuration.servers.map(\.name) == ["a", "b"])
        #expect(outcome.warningCount == 1)
    }

    @Test("syslog destinations carry nginx's parameters")
    func syslog() throws {
        let configuration = try valid(
            """
            error_log syslog:server=unix:/dev/log,nohostname,tag=t,facility=cron;
            stream { server { listen 1; return a; error_log syslog:server=localhost:99,severity=debug; } }
            """)
        var first = LogDestination.Syslog(server: .unix("/dev/log"))
        first.hasHostname = false
        first.tag = "t"
        first.facility = 15
        var second = LogDestination.Syslog(
            server: .ip(IPEndpoint(address: IPAddress(ipv4: 0x7F00_0001), port: 99)))
        second.severity = 7
        #expect(configuration.logDestinations == [.syslog(first), .syslog(second)])
    }

    @Test("processes: affinity, priority, environment, limits")
    func processes() throws {
        let main = try valid(
            """
            worker_cpu_affinity 01 "1 0"; worker_priority -5; env TZ; env A=b; worker_rlimit_nofile 99;
            worker_rlimit_core 1g; worker_shutdown_timeout 5s; working_directory /x; pid p; master_process off;
            events { multi_accept on; } stream {}
            """
        ).main
        #expect(main.affinity == .masks([CPUMask(words: [1]), CPUMask(words: [2])]))
        #expect(main.workerPriority == -5)
        #expect(main.environment == ["TZ", "A=b"])
        #expect(main.descriptorLimit == 99)
        #expect(main.coreSizeLimitBytes == 1 << 30)
        #expect(main.shutdownTimeoutMilliseconds == 5000)
        #expect(main.workingDirectory == "/x")
        #expect(main.pidFile == "/srv/weir/p")
        #expect(!main.hasMaster)
        #expect(main.acceptsMany)
        #expect(try valid("worker_cpu_affinity auto; stream {}").main.affinity == .automatic(nil))
        #expect(
            try valid("worker_cpu_affinity auto 101; stream {}").main.affinity == .automatic(CPUMask(words: [5])))
    }
}
