// SPDX-License-Identifier: Apache-2.0
//
// The demo's picture as lines: what it says, and that it fits any screen.

import Testing

@testable import weirctl

@Suite struct DemoPictureTests {
    static let picture = DemoPicture(
        weirPort: 11_883, securePort: 8_883, brokerPort: 18_831, page: "http://127.0.0.1:8080/",
        folder: "/tmp/weir-demo-abcdef", hasIPv6: true,
        generation: 3, isWeirRunning: true,
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
        office: DemoPicture.Office(
            id: "office-01", broker: 3, isConnected: true, certificate: "back-office", deed: "esp32-02: led off"),
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

    @Test("the first line has the dashboard's address, and fits 80 columns")
    func head() throws {
        let first = try #require(Self.picture.lines(height: 60).first).plainText
        #expect(first.contains(" http://127.0.0.1:8080/ ") && first.count <= 80)
    }

    @Test("a sensor's row says its broker, its LED and its last reading")
    func sensor() throws {
        let first = try #require(Self.line("esp32-01"))
        for text in ["● on", "12", "60 s", "512", "21.5 °C"] { #expect(first.contains(text)) }
        #expect(try #require(Self.line("esp32-02")).contains("none"))
    }

    @Test("the back office's row says its broker, its certificate and what it last did")
    func office() throws {
        let row = try #require(Self.line("office-01"))
        let words = row.split(separator: " ")
        #expect(words == ["office-01", "3", "back-office", "esp32-02:", "led", "off"])
        var away = Self.picture
        away.office.broker = nil
        away.office.isConnected = false
        #expect(away.tables.map(\.plainText).contains { $0.hasPrefix("office-01") && $0.contains(" none ") })
    }

    @Test("the commands to join in name the right ports")
    func joinIn() {
        let text = Self.picture.joinIn.joined(separator: "\n")
        #expect(text.contains("mosquitto_sub -h 127.0.0.1 -p 11883 -v -t 'sensors/#'\n"))
        #expect(text.hasSuffix("past Weir, at any one broker: -p 18831"))
        #expect(text.contains("mosquitto_pub -h 127.0.0.1 -p 11883 -t sensors/esp32-01/command -m 'led on'\n"))
    }

    @Test("the command by TLS is one command for a shell, with the files that the demo writes")
    func joinByTLS() throws {
        let text = Self.picture.joinIn.joined(separator: "\n").replacing("\\\n", with: "")
        let line = try #require(text.split(separator: "\n").first { $0.hasPrefix("By TLS ") })
        let words = line.split(separator: " ").dropFirst(2).joined(separator: " ")
        let command = "(cd /tmp/weir-demo-abcdef && mosquitto_pub -h 127.0.0.1 -p 8883 --cafile ca.pem "
        #expect(
            words == command + "--cert back-office.pem --key back-office.key -t sensors/esp32-01/command -m 'led off')")
    }

    @Test("the log gets the room that is left, newest last", arguments: [0, 10, 23, 24, 25, 40, 100])
    func height(_ height: Int) {
        let lines = Self.picture.lines(height: height).map(\.plainText)
        let log = lines.filter { $0.hasPrefix("line ") }
        #expect(log.isEmpty || lines.count <= height)
        #expect(log.isEmpty || log.last == "line 50")
        #expect(log.isEmpty == (height < 25))
    }

    @Test("a screen of any height shows no command by half, and 14 lines show the keys", arguments: 0...40)
    func whole(_ height: Int) {
        let lines = Self.picture.lines(height: height).prefix(height).map(\.plainText)
        #expect(lines.contains { $0.hasPrefix("Keys ") } == (height >= 14))
        let starts = lines.count { $0.hasPrefix("By TLS  (") }
        #expect(lines.count { $0.hasSuffix("'led off')") } == starts)
        #expect(lines.count { $0.hasSuffix("\\") } == starts * 2)
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
