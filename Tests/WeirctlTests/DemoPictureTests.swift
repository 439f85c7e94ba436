// SPDX-License-Identifier: Apache-2.0
//
// The demo's picture as lines: what it says, and that it fits any screen.

import Testing

@testable import weirctl

@Suite struct DemoPictureTests {
    static let picture = DemoPicture(
        weirPort: 11_883, brokerPort: 18_831, hasIPv6: true, generation: 3, isWeirRunning: true,
        brokers: [
            DemoPicture.Broker(number: 1, address: "127.0.0.1:18831", isRunning: true, state: .up, sessionsNow: 4),
            DemoPicture.Broker(
                number: 2, address: "127.0.0.1:18832", isRunning: false, state: .unhealthy,
                reason: "connect() failed (111: Connection refused)"),
            DemoPicture.Broker(number: 3, address: "127.0.0.1:18833", isRunning: true, state: .checking),
        ],
        devices: [
            DemoPicture.Device(
                id: "esp32-01", broker: 1, isConnected: true, sequence: 12, uptimeSeconds: 60, light: 512,
                temperature: "21.5", led: "on", isLit: true),
            DemoPicture.Device(id: "esp32-02", broker: nil, isConnected: false),
        ],
        logLines: (1...50).map { "line \($0)" })

    static func line(_ start: String) -> String? {
        picture.lines(height: 60).map(\.plainText).first { $0.hasPrefix(start) }
    }

    @Test("a broker's row says state, sessions and why it is out")
    func broker() throws {
        #expect(try #require(Self.line("1  ")).contains("● up"))
        let second = try #require(Self.line("2  "))
        #expect(second.contains("● unhealthy") && second.contains("stopped") && second.contains("111"))
    }

    @Test("a sensor's row says its broker, its LED and its last reading")
    func sensor() throws {
        let first = try #require(Self.line("esp32-01"))
        for text in ["● on", "12", "60 s", "512", "21.5 °C"] { #expect(first.contains(text)) }
        #expect(try #require(Self.line("esp32-02")).contains("none"))
    }

    @Test("the commands to join in name the right ports")
    func joinIn() {
        let text = Self.picture.joinIn.joined(separator: "\n")
        #expect(text.contains("mosquitto_sub -h 127.0.0.1 -p 11883 -v -t 'sensors/#'\n"))
        #expect(text.contains("-p 18831)"))
        #expect(text.contains("mosquitto_pub -h 127.0.0.1 -p 11883 -t sensors/esp32-01/command -m 'led on'\n"))
    }

    @Test("the log gets the room that is left, newest last", arguments: [0, 10, 24, 40, 100])
    func height(_ height: Int) {
        let lines = Self.picture.lines(height: height).map(\.plainText)
        let log = lines.filter { $0.hasPrefix("line ") }
        #expect(log.isEmpty || lines.count <= height)
        #expect(log.isEmpty || log.last == "line 50")
        #expect(log.isEmpty == (height < 22))
    }

    @Test("a line takes no more columns than there are, whatever its styles", arguments: [0, 1, 7, 80])
    func width(_ width: Int) {
        var line = StyledLine("● up", .green)
        line.append("sensor", width: 12, .bold)
        line.append("rest")
        #expect(Self.columns(line.rendered(width: width)) == min(width, 20))
    }

    @Test("control characters of a log line do not reach the terminal")
    func control() {
        #expect(StyledLine("a\u{1B}[2Jb\nc\u{9B}d\u{7F}").rendered(width: 80) == "a.[2Jb.c.d.")
    }

    /// Characters outside of escape sequences.
    static func columns(_ text: String) -> Int {
        var count = 0
        var isEscaped = false
        for scalar in text.unicodeScalars {
            switch (scalar, isEscaped) {
            case ("\u{1B}", _): isEscaped = true
            case ("m", true): isEscaped = false
            case (_, true): break
            case (_, false): count += 1
            }
        }
        return count
    }
}
