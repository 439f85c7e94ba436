// SPDX-License-Identifier: Apache-2.0
//
// What the variables of an access log are worth for a real session: their forms, and that they agree with each other,
// with the clock and with the host.

import Foundation
import TestSupport
import Testing
import Vocabulary

@Suite("values of variables")
struct VariableTests {
    /// A Weir whose sessions leave lines of `name=value|name=value|…`.
    private func start(_ names: [String], _ stream: String, main: String = "") async throws -> WeirInstance {
        let format = names.map { "\($0)=$\($0)" }.joined(separator: "|")
        let text = WeirInstance.configuration(
            main: main, stream: "log_format values '\(format)';\naccess_log logs/access.log values;\n\(stream)"
        ).replacingOccurrences(of: "access_log logs/access.log end;", with: "")
        return try await WeirInstance.start(in: TemporaryDirectory(), configuration: text)
    }

    /// The values in a line. Those of a name that stands there twice are apart from each other.
    private func values(of line: String) throws -> [String: [String]] {
        var values: [String: [String]] = [:]
        for part in line.split(separator: "|") {
            let end = try #require(part.firstIndex(of: "="), "\(line)")
            values[String(part[..<end]), default: []].append(String(part[part.index(after: end)...]))
        }
        return values
    }

    /// Seconds since 1970 of a text in one of ICU's forms.
    private func seconds(_ text: String, _ form: String) throws -> Double {
        let formatter = DateFormatter()
        formatter.locale = Locale(identifier: "en_US_POSIX")
        formatter.timeZone = TimeZone(secondsFromGMT: 0)
        formatter.dateFormat = form
        return try #require(formatter.date(from: text), "\(text) is no \(form)").timeIntervalSince1970
    }

    /// Milliseconds of `1.234`.
    private func milliseconds(_ text: Substring) throws -> Int {
        #expect(text.wholeMatch(of: /\d+\.\d{3}/) != nil, "\(text)")
        return try #require(Int(text.filter { $0 != "." }))
    }

    private func milliseconds(_ text: String) throws -> Int { try milliseconds(text[...]) }

    /// `$msec` stands in front and behind, so that the others must lie between.
    @Test("times of a line are one moment, in the clock's zone and in nginx's forms", arguments: ["UTC", "IST-5:30"])
    func times(zone: String) async throws {
        let port = try PortRegistry.take()
        let weir = try await start(
            ["msec", "time_local", "time_iso8601", "time_iso8601_ms", "msec"],
            "server { listen 127.0.0.1:\(port); return hello; }", main: "env TZ=\(zone);")
        let before = Int(Date().timeIntervalSince1970 * 1000)
        #expect(try TCPConnection(to: .ipv4(port)).receiveToEnd() == Array("hello".utf8))
        let line = try await weir.accessLines(atLeast: 1)[0]
        let after = Int(Date().timeIntervalSince1970 * 1000)
        try await weir.stop()

        let values = try values(of: line)
        let moments = try #require(values["msec"]).map { try milliseconds($0) }
        let (first, last) = (moments[0], moments[1])
        // The kernel's coarse clock may be a tick behind.
        #expect(first >= before - 20 && first <= last && last <= after, "\(before) \(line) \(after)")

        let local = try #require(values["time_local"]?.first)
        let short = try #require(values["time_iso8601"]?.first)
        let long = try #require(values["time_iso8601_ms"]?.first)
        let (plain, divided) = zone == "UTC" ? ("+0000", "+00:00") : ("+0530", "+05:30")
        #expect(local.hasSuffix(" " + plain) && short.hasSuffix(divided) && long.hasSuffix(divided), "\(line)")
        for (text, form) in [
            (local, "dd/MMM/yyyy:HH:mm:ss xx"), (short, "yyyy-MM-dd'T'HH:mm:ssxxx"),
        ] {
            let second = Int(try seconds(text, form))
            #expect(second >= first / 1000 && second <= last / 1000, "\(line)")
        }
        let exact = Int((try seconds(long, "yyyy-MM-dd'T'HH:mm:ss.SSSxxx") * 1000).rounded())
        #expect(exact >= first && exact <= last, "\(line)")
        // DateFormatter takes fewer digits, too.
        #expect(local.wholeMatch(of: /\d\d\/[A-Z][a-z]{2}\/\d{4}(:\d\d){3} [+]\d{4}/) != nil, "\(local)")
        #expect(short.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+]\d\d:\d\d/) != nil, "\(short)")
        #expect(long.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+]\d\d:\d\d/) != nil, "\(long)")
    }

    @Test("a session's own addresses and its server's name, over IPv4 and IPv6")
    func places() async throws {
        let ports = try PortRegistry.take(count: 2)
        let weir = try await start(
            ["server_addr", "server_port", "server_name", "binary_remote_addr", "hostname", "nginx_version"],
            """
            server {
                listen 127.0.0.2:\(ports[0]);
                listen [::1]:\(ports[1]);
                server_name first.test second.test;
                return hello;
            }
            """)
        let host = try Data(contentsOf: URL(fileURLWithPath: "/proc/sys/kernel/hostname"))
        let common = [
            "server_name": ["first.test"],
            "hostname": [String(decoding: host, as: UTF8.self).trimmingCharacters(in: .newlines)],
            "nginx_version": [weirVersion],
        ]
        func expect(_ own: [String: [String]], of client: TCPConnection, line index: Int) async throws {
            #expect(try client.receiveToEnd() == Array("hello".utf8))
            let line = try await weir.accessLines(atLeast: index + 1)[index]
            #expect(try values(of: line) == common.merging(own) { $1 }, "\(line)")
        }
        // Bytes that are no ASCII are escaped, which makes all four or sixteen of an address visible.
        try await expect(
            [
                "server_addr": ["127.0.0.2"], "server_port": ["\(ports[0])"],
                "binary_remote_addr": [#"\x7F\x00\x00\x03"#],
            ], of: TCPConnection(to: .ipv4(ports[0], host: "127.0.0.2"), from: "127.0.0.3"), line: 0)
        try await expect(
            [
                "server_addr": ["::1"], "server_port": ["\(ports[1])"],
                "binary_remote_addr": [String(repeating: #"\x00"#, count: 15) + #"\x01"#],
            ], of: TCPConnection(to: .ipv6(ports[1])), line: 1)
        try await weir.stop()
    }

    @Test("the times of tries are seconds behind their connect, - where nothing came, and the last address is the last")
    func tries() async throws {
        let delay = 60
        let broker = try NullBroker { session in
            guard try session.receive() != nil else { return }
            Thread.sleep(forTimeInterval: Double(delay) / 1000)
            try session.connection.send([0x20, 2, 0, 0])
            while try session.receive() != nil {}
        }
        let good = broker.endpoint.text
        let ports = try PortRegistry.take(count: 6)
        let dead = ports[4...].map { "127.0.0.1:\($0)" }
        let weir = try await start(
            [
                "upstream_addr", "upstream_last_addr", "upstream_connect_time", "upstream_first_byte_time",
                "upstream_session_time", "session_time",
            ],
            """
            upstream some { server \(dead[0]) max_fails=0; server \(good) backup; }
            upstream none { server \(dead[0]) max_fails=0; server \(dead[1]) backup; }
            server { listen 127.0.0.1:\(ports[0]); mqtt_preread on; proxy_pass some; }
            server { listen 127.0.0.1:\(ports[1]); mqtt_preread on; proxy_pass none; }
            upstream rest { server \(dead[0]) max_fails=0; server \(dead[1]) down; }
            server { listen 127.0.0.1:\(ports[2]); return hello; }
            server { listen 127.0.0.1:\(ports[3]); mqtt_preread on; proxy_pass rest; }
            """)
        func session(_ index: Int) async throws -> [String: String] {
            let before = weir.accessLines.count
            let client = try TCPConnection(to: .ipv4(ports[index]))
            if index != 2 { try client.send(connect("device")) }
            if index == 0 {
                #expect(try client.receive(exactly: 4) == [0x20, 2, 0, 0])
                client.close()
            } else {
                _ = try client.waitForEnd()
            }
            return try values(of: try await weir.accessLines(atLeast: before + 1)[before]).compactMapValues(\.first)
        }

        let served = try await session(0)
        #expect(served["upstream_addr"] == "\(dead[0]), \(good)")
        #expect(served["upstream_last_addr"] == good)
        func pair(_ name: String) throws -> (String, String) {
            let parts = try #require(served[name]).components(separatedBy: ", ")
            try #require(parts.count == 2, "\(served)")
            return (parts[0], parts[1])
        }
        let connected = try pair("upstream_connect_time")
        let firstByte = try pair("upstream_first_byte_time")
        let whole = try pair("upstream_session_time")
        #expect(connected.0 == "-" && firstByte.0 == "-")
        let failed = try milliseconds(whole.0)
        let spent = try milliseconds(whole.1)
        let waited = try milliseconds(firstByte.1)
        // Ends of a span are read from a clock of ticks: a span may be short by one of them.
        let tick = 10
        #expect(waited >= delay - tick, "\(served)")
        #expect(try milliseconds(connected.1) <= waited && waited <= spent, "\(served)")
        #expect(failed + spent <= (try milliseconds(#require(served["session_time"]))) + tick, "\(served)")

        let refused = try await session(1)
        #expect(refused["upstream_addr"] == "\(dead[0]), \(dead[1])")
        #expect(refused["upstream_last_addr"] == dead[1])
        #expect(refused["upstream_connect_time"] == "-, -" && refused["upstream_first_byte_time"] == "-, -")
        for part in try #require(refused["upstream_session_time"]).components(separatedBy: ", ") {
            _ = try milliseconds(part)
        }

        // Nobody is left to try: the list ends with the group's name, but the last server is the one that failed.
        let left = try await session(3)
        #expect(left["upstream_addr"] == "\(dead[0]), rest" && left["upstream_last_addr"] == dead[0], "\(left)")

        let own = try await session(2)
        for name in own.keys where name.hasPrefix("upstream_") { #expect(own[name] == "-", "\(own)") }
        #expect(own.count == 6)
        try await weir.stop()
    }
}
