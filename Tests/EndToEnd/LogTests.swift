// SPDX-License-Identifier: Apache-2.0
//
// Access and error logs: formats, escapes, conditions, buffers, syslog, levels, and lines that stay whole and are never
// lost, whatever happens around them.

import Foundation
import Glibc
import TestSupport
import Testing

@Suite("logs")
struct LogTests {
    /// A configuration without the access log that the harness adds.
    private func start(_ stream: String, main: String = "", workers: Int = 1, level: String = "info") async throws
        -> WeirInstance
    {
        let text = WeirInstance.configuration(main: main, stream: stream, workers: workers, level: level)
            .replacingOccurrences(of: "access_log logs/access.log end;", with: "")
        return try await WeirInstance.start(in: TemporaryDirectory(), configuration: text)
    }

    @Test("escapes, JSON, conditions and several logs of one server")
    func formats() async throws {
        let broker = try NullBroker()
        let port = try PortRegistry.take()
        let stream = #"""
            map $mqtt_preread_clientid $loud { default 1; ~^quiet 0; }
            log_format plain '$mqtt_preread_clientid|$mqtt_preread_username|$status|$protocol|$server_port';
            log_format json escape=json '{"id":"$mqtt_preread_clientid",'
                                        '"user":"$mqtt_preread_username","status":$status}';
            log_format raw escape=none '$mqtt_preread_clientid';
            server {
                listen 127.0.0.1:PORT;
                mqtt_preread on;
                proxy_pass BROKER;
                access_log logs/plain.log plain;
                access_log logs/json.log json if=$loud;
                access_log logs/raw.log raw;
            }
            """#.replacingOccurrences(of: "PORT", with: "\(port)").replacingOccurrences(
                of: "BROKER", with: broker.endpoint.text)
        let weir = try await start(stream)
        let odd = "a\"b\\c\u{7}d\n"
        for id in [odd, "quiet-1", "loud-1"] {
            try MQTTTestClient.connected(to: .ipv4(port), id: id).disconnect()
            let count = id == odd ? 1 : id == "quiet-1" ? 2 : 3
            try await eventually("a line") { lines(of: weir.directory.path("logs/plain.log")).count == count }
        }
        #expect(
            lines(of: weir.directory.path("logs/plain.log")) == [
                #"a\x22b\x5Cc\x07d\x0A|-|200|TCP|PORT"#.replacingOccurrences(of: "PORT", with: "\(port)"),
                "quiet-1|-|200|TCP|\(port)", "loud-1|-|200|TCP|\(port)",
            ])
        #expect(
            lines(of: weir.directory.path("logs/json.log")) == [
                #"{"id":"a\"b\\c\u0007d\n","user":"","status":200}"#, #"{"id":"loud-1","user":"","status":200}"#,
            ])
        #expect(contents(of: weir.directory.path("logs/raw.log")) == odd + "\nquiet-1\nloud-1\n")
        try await weir.stop()
    }

    @Test("buffer= holds lines back, flush= writes them after its time, and a stop writes the rest")
    func buffers() async throws {
        let broker = try NullBroker()
        let ports = try PortRegistry.take(count: 2)
        let stream = """
            log_format id '$mqtt_preread_clientid';
            mqtt_preread on;
            server {
                listen 127.0.0.1:\(ports[0]); proxy_pass \(broker.endpoint.text);
                access_log logs/held.log id buffer=4k;
            }
            server {
                listen 127.0.0.1:\(ports[1]); proxy_pass \(broker.endpoint.text);
                access_log logs/timed.log id buffer=4k flush=700ms;
            }
            """
        let weir = try await start(stream)
        try MQTTTestClient.connected(to: .ipv4(ports[1]), id: "timed").disconnect()
        try MQTTTestClient.connected(to: .ipv4(ports[0]), id: "held").disconnect()
        try await eventually("flush=", within: .seconds(5)) {
            lines(of: weir.directory.path("logs/timed.log")) == ["timed"]
        }
        #expect(contents(of: weir.directory.path("logs/held.log")) == "")
        try await weir.stop(SIGQUIT)
        #expect(lines(of: weir.directory.path("logs/held.log")) == ["held"])
    }

    @Test("syslog over UDP and over a unix socket, access and errors")
    func syslog() async throws {
        let broker = try NullBroker()
        let directory = try TemporaryDirectory()
        let port = try PortRegistry.take()
        let udp = try DatagramReceiver(port: PortRegistry.take())
        let local = try DatagramReceiver(path: directory.path("log.sock"))
        let stream = """
            log_format id 'session of $mqtt_preread_clientid';
            server {
                listen 127.0.0.1:\(port);
                mqtt_preread on;
                proxy_pass \(broker.endpoint.text);
                access_log syslog:server=\(udp.address),facility=local3,severity=notice,tag=devices id;
                access_log syslog:server=\(local.address),nohostname id;
                error_log syslog:server=\(udp.address),tag=faults info;
            }
            """
        let weir = try await start(stream)
        try MQTTTestClient.connected(to: .ipv4(port), id: "lamp").disconnect()
        try await eventually("lines over UDP: \(udp.received)") {
            udp.received.contains { $0.hasPrefix("<157>") && $0.hasSuffix(" devices: session of lamp") }
                && udp.received.contains {
                    $0.hasPrefix("<190>") && $0.contains(" faults: ") && $0.contains("client 127.0.0.1")
                }
        }
        try await eventually("a line at the unix socket: \(local.received)") {
            local.received.contains { $0.hasPrefix("<190>") && $0.hasSuffix(" weir: session of lamp") }
        }
        try await weir.stop()
    }

    @Test("error log levels are kept, and lines about a session have its context")
    func levels() async throws {
        let dead = try PortRegistry.take()
        let port = try PortRegistry.take()
        let stream = """
            mqtt_preread on;
            server { listen 127.0.0.1:\(port); proxy_pass 127.0.0.1:\(dead); error_log logs/own.log error; }
            """
        let weir = try await start(stream, level: "warn")
        _ = try MQTTTestClient(to: .ipv4(port), id: "x").connection.waitForEnd()
        try await eventually("a line") { !lines(of: weir.directory.path("logs/own.log")).isEmpty }
        let own = lines(of: weir.directory.path("logs/own.log"))
        #expect(own.count == 1)
        let shape =
            #/
            \d{4}/\d\d/\d\d\ \d\d:\d\d:\d\d\ \[error\]\ \d+\#\d+:\ \*\d+
            \ connect\(\)\ failed\ \(111:\ Connection\ refused\)\ while\ connecting\ to\ upstream
            ,\ client:\ 127\.0\.0\.1,\ server:\ 127\.0\.0\.1:\d+,\ upstream:\ "127\.0\.0\.1:\d+"
            ,\ bytes\ from/to\ client:\d+/\d+,\ bytes\ from/to\ upstream:0/0
            /#
        #expect(own[0].wholeMatch(of: shape) != nil, "\(own[0])")
        try await weir.stop()
        #expect(!weir.errorLines.contains { $0.contains("[info]") || $0.contains("[notice]") })
    }

    @Test("two workers under load write whole lines, and USR1 loses none while logs are moved away")
    func rotation() async throws {
        let broker = try NullBroker(NullBroker.answer([0x20, 2, 0, 0]))
        let port = try PortRegistry.take()
        let stream = """
            log_format id '[$mqtt_preread_clientid]';
            server {
                listen 127.0.0.1:\(port);
                mqtt_preread on;
                proxy_pass \(broker.endpoint.text);
                access_log logs/id.log id;
                access_log logs/id.buffered.log id buffer=1k flush=200ms;
            }
            """
        let weir = try await start(stream, workers: 2, level: "notice")
        let loop = ClosedLoop(clients: 3, to: port)
        func path(_ name: String) -> String { weir.directory.path("logs/" + name) }
        for round in 1...8 {
            try await loop.progress(40)
            for name in ["id", "id.buffered"] {
                try FileManager.default.moveItem(atPath: path("\(name).log"), toPath: path("\(name).\(round)"))
            }
            weir.send(SIGUSR1)
            try await eventually("reopened") { FileManager.default.fileExists(atPath: path("id.buffered.log")) }
        }
        try await loop.progress(40)
        #expect(loop.end() == [])
        let total = loop.count
        try await eventually("sessions have ended") { broker.openCount == 0 }
        try await weir.stop(SIGQUIT)
        for name in ["id", "id.buffered"] {
            let files = (1...8).map { path("\(name).\($0)") } + [path("\(name).log")]
            let all = files.flatMap { contents(of: $0).split(separator: "\n") }
            #expect(all.count == total, "\(name)")
            #expect(all.allSatisfy { $0.hasPrefix("[loop-") && $0.hasSuffix("]") && $0.count < 16 })
        }
        #expect(weir.errorLines.contains { $0.contains("reopening logs") })
    }

    @Test(
        "children that run as nobody write logs in a folder that only root may enter",
        .enabled(if: getuid() == 0, "only root can start children as somebody else"))
    func rights() async throws {
        let broker = try NullBroker()
        let port = try PortRegistry.take()
        let directory = try TemporaryDirectory()
        try directory.makeDirectory("logs")
        try FileManager.default.setAttributes([.posixPermissions: 0o700], ofItemAtPath: directory.path)
        let text = WeirInstance.configuration(
            stream: "server { listen 127.0.0.1:\(port); mqtt_preread on; proxy_pass \(broker.endpoint.text); }"
        ).replacingOccurrences(of: "user root;", with: "user nobody nogroup;")
        let weir = try await WeirInstance.start(in: directory, configuration: text)
        try MQTTTestClient.connected(to: .ipv4(port), id: "one").disconnect()
        _ = try await weir.accessLines(atLeast: 1)
        try FileManager.default.moveItem(atPath: weir.accessLogPath, toPath: weir.accessLogPath + ".1")
        weir.send(SIGUSR1)
        try await eventually("reopened") { FileManager.default.fileExists(atPath: weir.accessLogPath) }
        try await weir.reload()
        try MQTTTestClient.connected(to: .ipv4(port), id: "two").disconnect()
        try await eventually("a line after it") { weir.accessLines.contains { $0.hasPrefix("two ") } }
        try await weir.stop()
    }
}
