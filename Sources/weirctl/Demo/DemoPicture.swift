// SPDX-License-Identifier: Apache-2.0
//
// What the demo shows, as values, and how it becomes lines for a screen of any size. Reads nothing and writes nothing:
// `DemoWorld` gives the values, `Terminal` shows the lines.

struct DemoPicture {
    struct Broker {
        enum State { case up, unhealthy, checking, unknown }

        var number: Int
        var address: String
        var isRunning: Bool
        var state: State
        /// Why Weir's check thinks so.
        var reason = ""
        var sessionsNow: UInt64 = 0
        var sessionsAll: UInt64 = 0
        var checks: UInt64 = 0
        var checksFailed: UInt64 = 0
    }

    struct Device {
        var id: String
        var broker: Int?
        var isConnected: Bool
        var sequence: UInt64 = 0
        var uptimeSeconds: UInt64 = 0
        var light = 0
        var temperature = ""
        var led = ""
        var isLit = false
    }

    /// The client that comes through TLS.
    struct Office {
        var id: String
        var broker: Int?
        var isConnected: Bool
        /// The common name in its certificate.
        var certificate: String
        /// What it last did.
        var deed = ""
    }

    var weirPort: UInt16
    var securePort: UInt16
    var brokerPort: UInt16
    /// The dashboard's address, for a browser.
    var page: String
    /// Where the certificates are.
    var folder: String
    var hasIPv6: Bool
    var generation: UInt32?
    var isWeirRunning: Bool
    var brokers: [Broker]
    var devices: [Device]
    var office: Office
    var logLines: [String]

    /// Hints come as far as there is room for whole ones, because half a command is none; the log gets what is left.
    func lines(height: Int) -> [StyledLine] {
        var lines = head + tables + [keys]
        for hint in hints {
            guard lines.count + hint.count <= height else { break }
            lines += hint.map { StyledLine($0) }
        }
        lines.append("")
        let room = height - lines.count - 1
        if room > 0 {
            lines.append(StyledLine("Log", .bold))
            lines += logLines.suffix(room).map { StyledLine($0, .dim) }
        }
        return lines
    }

    var tables: [StyledLine] { brokerTable + [""] + deviceTable + [""] + officeTable }

    private var head: [StyledLine] {
        var line = StyledLine(" Weir demo ", .heading)
        line.append("  \(page)", .bold)
        line.append("  MQTT at \(hasIPv6 ? "localhost" : "127.0.0.1"):\(weirPort)")
        if isWeirRunning {
            line.append("   generation \(generation.map(String.init) ?? "-")")
        } else {
            line.append("   Weir is not running", .red)
        }
        return [line, ""]
    }

    private var brokerTable: [StyledLine] {
        var title = StyledLine()
        for (text, width) in [
            ("Broker", 8), ("address", 18), ("state", 12), ("sessions", 10), ("ever", 8), ("checks", 9),
        ] {
            title.append(text, width: width, .bold)
        }
        title.append("failed", .bold)
        return [title]
            + brokers.map { broker in
                var line = StyledLine()
                line.append("\(broker.number)", width: 8)
                line.append(broker.address, width: 18)
                let (text, style) = DemoPicture.word(broker.state)
                line.append(text, width: 12, style)
                line.append("\(broker.sessionsNow)", width: 10)
                line.append("\(broker.sessionsAll)", width: 8)
                line.append("\(broker.checks)", width: 9)
                line.append("\(broker.checksFailed)", width: 8)
                if !broker.isRunning { line.append("stopped  ", .yellow) }
                if broker.state == .unhealthy { line.append(broker.reason, .dim) }
                return line
            }
    }

    private static func word(_ state: Broker.State) -> (String, StyledLine.Style) {
        switch state {
        case .up: ("● up", .green)
        case .unhealthy: ("● unhealthy", .red)
        case .checking: ("● checking", .yellow)
        case .unknown: ("○", .dim)
        }
    }

    private var deviceTable: [StyledLine] {
        var title = StyledLine()
        for (text, width) in [("Sensor", 12), ("broker", 8), ("LED", 9), ("sequence", 10), ("uptime", 9), ("light", 8)]
        {
            title.append(text, width: width, .bold)
        }
        title.append("temperature", .bold)
        return [title]
            + devices.map { device in
                var line = StyledLine()
                line.append(device.id, width: 12)
                DemoPicture.append(device.broker, isConnected: device.isConnected, to: &line)
                line.append(device.isLit ? "●" : "○", width: 2, device.isLit ? .yellow : .dim)
                line.append(device.led, width: 7)
                line.append("\(device.sequence)", width: 10)
                line.append("\(device.uptimeSeconds) s", width: 9)
                line.append("\(device.light)", width: 8)
                line.append(device.temperature.isEmpty ? "" : device.temperature + " °C")
                return line
            }
    }

    private static func append(_ broker: Int?, isConnected: Bool, to line: inout StyledLine) {
        if let broker {
            line.append("\(broker)", width: 8)
        } else {
            line.append(isConnected ? "?" : "none", width: 8, isConnected ? .plain : .red)
        }
    }

    private var officeTable: [StyledLine] {
        var title = StyledLine()
        for (text, width) in [("By TLS", 12), ("broker", 8), ("certificate", 19)] {
            title.append(text, width: width, .bold)
        }
        title.append("last did", .bold)
        var line = StyledLine()
        line.append(office.id, width: 12)
        DemoPicture.append(office.broker, isConnected: office.isConnected, to: &line)
        line.append(office.certificate, width: 19)
        line.append(office.deed)
        return [title, line]
    }

    private var keys: StyledLine {
        var keys = StyledLine("Keys    ", .bold)
        for (key, doing) in [
            ("1 2 3", "stop or start a broker"), ("c", "reconnect sensors"), ("r", "reload"), ("b", "blink"),
            ("q", "quit"),
        ] {
            keys.append(key, .bold)
            keys.append(" \(doing)   ")
        }
        return keys
    }

    var joinIn: [String] { hints.flatMap { $0 } }

    /// Complete commands to copy, and what to look for; what counts most comes first.
    private var hints: [[String]] {
        let command = "-t sensors/\(Sensor.id(1))/command -m"
        let (authority, certificate, key) = (
            DemoCertificates.Name.authority, DemoCertificates.Name.office, DemoCertificates.Name.officeKey
        )
        return [
            ["Watch   mosquitto_sub -h 127.0.0.1 -p \(weirPort) -v -t 'sensors/#'"],
            ["Switch  mosquitto_pub -h 127.0.0.1 -p \(weirPort) \(command) 'led on'"],
            [
                "By TLS  (cd \(folder) && mosquitto_pub -h 127.0.0.1 -p \(securePort) \\",
                "        --cafile \(authority) --cert \(certificate) --key \(key) \\",
                "        \(command) 'led off')",
            ],
            ["Try     leave out --cert and --key: Weir refuses, and its log says why"],
            ["Try     stop a broker: its sensors move; start it, reconnect: they are back; reload: none ends"],
            ["Watch   past Weir, at any one broker: -p \(brokerPort)"],
        ]
    }
}
