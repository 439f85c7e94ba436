// SPDX-License-Identifier: Apache-2.0
//
// What is read before a broker is chosen: CONNECT of all versions, in any pieces, with real clients; and what is
// refused.

import TestSupport
import Testing

@Suite("preread")
struct PrereadTests {
    @Test(
        "CONNECT of MQTT 3.1, 3.1.1 and 5 in single bytes is understood, and the broker gets every byte once",
        arguments: [MQTTLevel.v31, .v311, .v5])
    func fragments(level: MQTTLevel) async throws {
        let broker = try NullBroker()
        let port = try PortRegistry.take()
        let stream = """
            log_format mqtt '$mqtt_preread_clientid|$mqtt_client_id|$mqtt_clientid|$mqtt_preread_username|'
                            '$mqtt_version|$mqtt_keepalive|$mqtt_clean_start';
            server {
                listen 127.0.0.1:\(port);
                mqtt_preread on;
                proxy_pass \(broker.endpoint.text);
                access_log logs/mqtt.log mqtt;
            }
            """
        try await withWeir(stream: stream) { weir in
            let packet = level.connect(id: "pieces", userName: "anna", keepAlive: 77, isClean: false)
            let client = try TCPConnection(to: .ipv4(port))
            for byte in packet { try client.send([byte]) }
            let expected = level == .v5 ? 5 : 4
            #expect(try client.receive(exactly: expected)[3] == 0)
            // More in the same breath as CONNECT goes on, too.
            try client.send([0xC0, 0])
            #expect(try client.receive(exactly: 2) == [0xD0, 0])
            client.close()
            try await eventually("a line") { !lines(of: weir.directory.path("logs/mqtt.log")).isEmpty }
            #expect(
                lines(of: weir.directory.path("logs/mqtt.log")) == ["pieces|pieces|pieces|anna|\(level.text)|77|0"])
            #expect(broker.sessions.map(\.received) == [packet + [0xC0, 0]])
        }
    }

    @Test(
        "mosquitto_pub and mosquitto_sub of every version speak through Weir",
        arguments: ["mqttv31", "mqttv311", "mqttv5"])
    func realClients(version: String) async throws {
        let broker = try await MosquittoBroker()
        let port = try PortRegistry.take()
        let stream = """
            upstream brokers { hash $mqtt_preread_clientid consistent; server \(broker.endpoint.text); }
            server { listen 127.0.0.1:\(port); mqtt_preread required; proxy_pass brokers; }
            """
        try await withWeir(stream: stream, workers: 2) { weir in
            let common = ["-V", version, "-h", "127.0.0.1", "-p", "\(port)"]
            let subscriber = try ManagedProcess(
                "mosquitto_sub", common + ["-i", "ear", "-t", "room/+", "-q", "1", "-C", "3", "-W", "20"])
            try await eventually("subscribed: \(broker.log)") {
                broker.log.contains("room/+") && broker.log.contains("SUBACK")
            }
            for number in 1...3 {
                let run = try await ManagedProcess.run(
                    "mosquitto_pub",
                    common + ["-i", "mouth-\(number)", "-t", "room/\(number)", "-m", "hello \(number)", "-q", "1"])
                #expect(run.ending == .exited(0), "\(run.output)")
            }
            #expect(try await subscriber.wait() == .exited(0))
            #expect(subscriber.output == "hello 1\nhello 2\nhello 3\n")
            let log = try await weir.accessLines(atLeast: 4)
            #expect(Set(log.map { String($0.split(separator: " ")[0]) }) == ["ear", "mouth-1", "mouth-2", "mouth-3"])
        }
    }

    @Test("mqtt_preread on passes what is no MQTT; required refuses it in the client's version, status 400")
    func onAndRequired() async throws {
        let broker = try NullBroker(NullBroker.echo)
        let ports = try PortRegistry.take(count: 2)
        let stream = """
            server { listen 127.0.0.1:\(ports[0]); mqtt_preread on; proxy_pass \(broker.endpoint.text); }
            server { listen 127.0.0.1:\(ports[1]); mqtt_preread required; proxy_pass \(broker.endpoint.text); }
            """
        try await withWeir(stream: stream) { weir in
            let open = try TCPConnection(to: .ipv4(ports[0]))
            try open.send("GET / HTTP/1.1\r\n\r\n")
            #expect(try open.receive(exactly: 18) == Array("GET / HTTP/1.1\r\n\r\n".utf8))
            open.close()
            let accepted = broker.connectionCount

            let web = try TCPConnection(to: .ipv4(ports[1]))
            try web.send("GET / HTTP/1.1\r\n\r\n")
            _ = try web.waitForEnd()
            // An unknown protocol level is told so, in the words of 3.1.1.
            let strange = try TCPConnection(to: .ipv4(ports[1]))
            try strange.send([0x10, 12, 0, 4] + Array("MQTT".utf8) + [9, 2, 0, 0, 0, 0])
            let refusal = try strange.receive(upTo: 5) ?? []
            #expect(refusal.isEmpty || refusal == [0x20, 2, 0, 1] || refusal == [0x20, 3, 0, 0x84, 0])
            // A reserved flag is malformed: 3.1.1 knows code 1 for it, 5 knows 0x81.
            for (level, answer) in [(UInt8(4), [0x20, 2, 0, 1]), (5, [0x20, 3, 0, 0x81, 0])] as [(UInt8, [UInt8])] {
                let client = try TCPConnection(to: .ipv4(ports[1]))
                let properties: [UInt8] = level == 5 ? [0] : []
                try client.send(
                    [0x10, UInt8(12 + properties.count), 0, 4] + Array("MQTT".utf8) + [level, 3, 0, 0] + properties + [
                        0, 0,
                    ])
                #expect(try client.receiveToEnd() == answer)
            }
            #expect(broker.connectionCount == accepted)
            let log = try await weir.accessLines(atLeast: 5)
            #expect(log.count { $0.contains(" 400 bad_connect ") } == 4)
        }
    }

    @Test("a client that does not finish its CONNECT is closed after preread_timeout, one that sends too much at once")
    func limits() async throws {
        let broker = try NullBroker()
        let port = try PortRegistry.take()
        let stream = """
            server {
                listen 127.0.0.1:\(port);
                mqtt_preread on;
                preread_timeout 400ms;
                preread_buffer_size 256;
                proxy_pass \(broker.endpoint.text);
            }
            """
        try await withWeir(stream: stream) { weir in
            let mute = try TCPConnection(to: .ipv4(port))
            let half = try TCPConnection(to: .ipv4(port))
            try half.send(MQTTLevel.v311.connect(id: "slow").dropLast(3))
            #expect(try mute.waitForEnd(within: .seconds(5)) == .closed)
            _ = try half.waitForEnd(within: .seconds(5))
            let large = try TCPConnection(to: .ipv4(port))
            try large.send(Array(MQTTLevel.v311.connect(id: String(repeating: "x", count: 2000)).prefix(300)))
            _ = try large.waitForEnd()
            let log = try await weir.accessLines(atLeast: 3)
            #expect(log.count { $0.contains(" 200 preread_timeout ") } == 2)
            #expect(log.count { $0.contains(" 400 preread_buffer_full ") } == 1)
            try await weir.errorLine(with: "preread buffer full")
            #expect(broker.connectionCount == 0)
        }
    }
}

/// CONNECT by hand, so that the bytes do not come from the code under test.
enum MQTTLevel: CaseIterable, Sendable {
    case v31, v311, v5

    var text: String {
        switch self {
        case .v31: "3.1"
        case .v311: "3.1.1"
        case .v5: "5.0"
        }
    }

    func connect(
        id: String, userName: String? = nil, keepAlive: UInt16 = 60, isClean: Bool = true
    ) -> [UInt8] {
        func field(_ text: String) -> [UInt8] {
            [UInt8(text.utf8.count >> 8), UInt8(text.utf8.count & 0xFF)] + Array(text.utf8)
        }
        var body = field(self == .v31 ? "MQIsdp" : "MQTT")
        body.append(self == .v31 ? 3 : self == .v311 ? 4 : 5)
        body.append((isClean ? 2 : 0) | (userName == nil ? 0 : 0x80))
        body += [UInt8(keepAlive >> 8), UInt8(keepAlive & 0xFF)]
        // A session expiry and a user property, to be skipped.
        if self == .v5 { body += [16, 0x11, 0, 0, 0, 60, 0x26, 0, 3, 0x61, 0x62, 0x63, 0, 3, 0x64, 0x65, 0x66] }
        body += field(id)
        if let userName { body += field(userName) }
        var length: [UInt8] = []
        var rest = body.count
        repeat {
            length.append(UInt8(rest & 0x7F) | (rest > 127 ? 0x80 : 0))
            rest >>= 7
        } while rest > 0
        return [0x10] + length + body
    }
}
