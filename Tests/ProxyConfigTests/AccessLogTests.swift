// SPDX-License-Identifier: Apache-2.0
//
// What `access_log` becomes: its events, and the formats that exist without being declared.

import Testing
import Vocabulary

@testable import ProxyConfig

@Suite("access_log")
struct AccessLogTests {
    private func logs(_ stream: String) throws -> (logs: [AccessLog], formats: [LogFormat]) {
        let configuration = try valid("stream { \(stream) server { listen 1; return a; } }")
        return (configuration.servers[0].accessLogs, configuration.logFormats)
    }

    private func events(connect: Bool = false, interval: Int? = nil, close: Bool = false) -> AccessLog.Events {
        var events = AccessLog.Events()
        events.atConnect = connect
        events.intervalMilliseconds = interval
        events.atClose = close
        return events
    }

    @Test("writes at the moments that events= names, and without it at the end, as nginx")
    func events() throws {
        let logs = try logs(
            """
            access_log /a json;
            access_log /b json events=connect;
            access_log /c json buffer=1k events=close,interval=1h30m,connect flush=1s;
            access_log /d json events=interval=1s if=$status;
            """
        ).logs
        #expect(
            logs.map(\.events) == [
                events(close: true), events(connect: true), events(connect: true, interval: 5_400_000, close: true),
                events(interval: 1000),
            ])
        #expect(logs[2].bufferBytes == 1024 && logs[2].flushMilliseconds == 1000 && logs[3].condition != nil)
        for event in SessionEvent.allCases {
            #expect(logs[0].events.contains(event) == (event == .close))
            #expect(logs[2].events.contains(event))
        }
    }

    @Test("takes json and mqtt without a log_format, each once")
    func presets() throws {
        let (logs, formats) = try logs("access_log /a json; access_log /b mqtt; access_log /c json;")
        #expect(logs.map { formats[$0.format].name } == ["json", "mqtt", "json"])
        #expect(formats.count == 2)
        #expect(formats.allSatisfy { $0.escape == .jsonValues })
    }

    @Test("prefers a log_format of that name, wherever it stands")
    func own() throws {
        let (logs, formats) = try logs("access_log /a json; log_format json mine; access_log /b mqtt;")
        #expect(formats[logs[0].format].template.literal == Array("mine".utf8))
        #expect(formats[logs[0].format].escape == .standard)
        #expect(formats[logs[1].format].escape == .jsonValues)
    }

    @Test("formats of our own cost nothing where nobody uses them")
    func unused() throws {
        #expect(try logs("log_format f x; access_log /a f;").formats.count == 1)
    }
}
