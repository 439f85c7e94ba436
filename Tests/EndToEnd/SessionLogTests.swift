// SPDX-License-Identifier: Apache-2.0
//
// What the logs of the built binary say about a session over its life: one name in all lines, and lines at the moments
// that were asked for.

import Foundation
import Glibc
import MQTTWire
import TestSupport
import Testing

@Suite("session lines")
struct SessionLogTests {
    @Test("a session has one name in all of its lines, which no other has, also after a worker was killed")
    func names() async throws {
        let broker = try await MosquittoBroker()
        let port = try PortRegistry.take()
        let stream = """
            log_format name '$session_id $connection $mqtt_preread_clientid $remote_port';
            server {
                listen 127.0.0.1:\(port);
                mqtt_preread on;
                proxy_pass \(broker.endpoint.text);
                access_log logs/names.log name;
            }
            """
        try await withWeir(stream: stream, workers: 2, expecting: ["exited on signal 9"]) { weir in
            let path = weir.directory.path("logs/names.log")
            for round in 0..<3 {
                let before = lines(of: path).count
                for index in 0..<6 {
                    let id = "device-\(round)-\(index)"
                    // What a dying worker has accepted in its last moment dies with it.
                    let client = try await eventually("a session") {
                        try? MQTTTestClient.connected(to: .ipv4(port), id: id)
                    }
                    client.disconnect()
                }
                try await eventually("six lines more") { lines(of: path).count >= before + 6 }
                let victims = weir.workers
                for victim in victims { kill(victim, SIGKILL) }
                try await eventually("other workers") {
                    weir.workers.count == 2 && Set(weir.workers).isDisjoint(with: victims)
                }
            }
            let all = lines(of: path).map { $0.split(separator: " ").map(String.init) }
            #expect(Set(all.map { $0[0] }).count == all.count, "\(all)")
            let run = try #require(all.first?[0].prefix(8))
            #expect(run.allSatisfy { $0.isHexDigit })
            for line in all {
                #expect(line[0] == "\(run)-\(line[1])", "\(line)")
                // The client's address stands in the first error line of its session alone.
                let first = weir.errorLines.filter { $0.contains(" client 127.0.0.1:\(line[3]) connected to ") }
                #expect(first.contains { $0.contains(": *\(line[1]) client ") }, "\(line) \(first)")
                #expect(weir.errorLines.count { $0.contains(": *\(line[1]) ") } >= 2, "\(line)")
            }
        }
    }

    /// The objects of a log of JSON, in the order of its lines.
    private func objects(_ path: String) throws -> [[String: Any]] {
        try lines(of: path).map { line in
            try #require(JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any], "\(line)")
        }
    }

    private func events(_ objects: [[String: Any]], of id: String) -> [String] {
        objects.filter { $0["mqtt_preread_clientid"] as? String == id }.compactMap { $0["session_event"] as? String }
    }

    @Test("lines at the connect, in intervals and at the end, kept over a reload that takes them away")
    func events() async throws {
        let broker = try await MosquittoBroker()
        let port = try PortRegistry.take()
        func stream(_ events: String) -> String {
            """
            map $session_event $is_living { close 0; default 1; }
            server {
                listen 127.0.0.1:\(port);
                mqtt_preread on;
                proxy_pass \(broker.endpoint.text);
                access_log logs/sessions.json mqtt \(events);
                access_log logs/living.json mqtt \(events) if=$is_living;
            }
            """
        }
        func clients(_ id: String) throws -> ManagedProcess {
            try ManagedProcess(
                "mosquitto_sub", ["-h", "127.0.0.1", "-p", "\(port)", "-i", id, "-k", "5", "-V", "mqttv5", "-t", "a/#"])
        }
        try await withWeir(stream: stream("events=connect,interval=1s,close buffer=4k flush=100ms")) { weir in
            let path = weir.directory.path("logs/sessions.json")
            let ear = try clients("ear")
            try await eventually("a line at the connect") { try events(objects(path), of: "ear").first == "connect" }
            try await weir.reload(stream: stream(""))
            let late = try clients("late")
            try await eventually("both are there") { Set(broker.connectedIDs).isSuperset(of: ["ear", "late"]) }
            let before = try events(objects(path), of: "ear").count
            try await eventually("intervals behind the reload") {
                try events(objects(path), of: "ear").count >= max(4, before + 2)
            }
            for client in [ear, late] {
                client.send(SIGTERM)
                _ = try await client.wait()
            }
            try await eventually("two ends") { try objects(path).count { $0["session_event"] as? String == "close" } == 2 }

            let all = try objects(path)
            #expect(events(all, of: "late") == ["close"], "the new configuration")
            let own = all.filter { $0["mqtt_preread_clientid"] as? String == "ear" }
            #expect(events(all, of: "ear").dropFirst().dropLast().allSatisfy { $0 == "interval" })
            #expect(events(all, of: "ear").last == "close")
            #expect(Set(own.compactMap { $0["session_id"] as? String }).count == 1)
            #expect(own.dropLast().allSatisfy { $0["close_reason"] is NSNull && $0["status"] as? Int == 0 })
            #expect(own.last?["close_reason"] as? String == "client_closed" && own.last?["status"] as? Int == 200)
            #expect(own.allSatisfy { $0["upstream_addr"] as? String == broker.endpoint.text })
            #expect(own.allSatisfy { $0["mqtt_version"] as? String == "5.0" && $0["mqtt_keepalive"] as? Int == 5 })
            let times = own.compactMap { $0["session_time"] as? Double }
            let received = own.compactMap { $0["bytes_received"] as? Int }
            #expect(times.count == own.count && times == times.sorted(), "\(times)")
            #expect(received.count == own.count && received == received.sorted() && received[0] > 0, "\(received)")
            // Moments of one session are a second apart; its timer may be late on a busy machine, never early.
            #expect(times[2] - times[1] > 0.95, "\(times)")
            #expect(try objects(weir.directory.path("logs/living.json")).allSatisfy { $0["session_event"] as? String != "close" })
            #expect(events(try objects(weir.directory.path("logs/living.json")), of: "ear").count >= 4)
        }
    }

    @Test("a session that reaches no server, and one of return, have no line at the connect")
    func unestablished() async throws {
        let ports = try PortRegistry.take(count: 3)
        let stream = """
            server { listen 127.0.0.1:\(ports[0]); return hello; }
            server { listen 127.0.0.1:\(ports[1]); proxy_pass 127.0.0.1:\(ports[2]); }
            access_log logs/sessions.json json events=connect,interval=1s,close;
            """
        try await withWeir(stream: stream) { weir in
            for port in ports.prefix(2) { _ = try TCPConnection(to: .ipv4(port)).receiveToEnd() }
            let path = weir.directory.path("logs/sessions.json")
            try await eventually("two ends") { try objects(path).count == 2 }
            let all = try objects(path)
            #expect(all.map { $0["session_event"] as? String } == ["close", "close"])
            #expect(all.map { $0["close_reason"] as? String } == ["returned", "connect_failed"])
            #expect(all[0]["upstream_addr"] is NSNull && all[0]["ssl_protocol"] is NSNull)
            #expect(all[0]["server_port"] as? Int == Int(ports[0]))
        }
    }

    @Test("every line is JSON, whatever a client calls itself")
    func hostile() async throws {
        let broker = try NullBroker(NullBroker.answer([0x20, 2, 0, 0]))
        let port = try PortRegistry.take()
        let stream = """
            log_format own escape=json '{"id":"$mqtt_preread_clientid","user":"$mqtt_preread_username"}';
            server {
                listen 127.0.0.1:\(port);
                mqtt_preread on;
                proxy_pass \(broker.endpoint.text);
                access_log logs/mqtt.json mqtt events=connect,close;
                access_log logs/own.json own;
            }
            """
        var ids: [[UInt8]] = ["plain", "", "\"},{\"a\":\"", "back\\slash", "line\nline\r\n\u{7}", "ä\u{2028}"].map { Array($0.utf8) }
        ids += [[0xFF, 0xFE], [0xC0, 0xAF], [0xED, 0xA0, 0x80], [0x61, 0xE2, 0x82], Array(0...255)]
        try await withWeir(stream: stream) { weir in
            for (index, id) in ids.enumerated() {
                var packet = ConnectPacket(version: .v311, clientID: "")
                packet.clientID = id
                packet.userName = id
                let client = try TCPConnection(to: .ipv4(port)).sent(packet.bytes)
                // Those of which no id is valid are passed on all the same.
                #expect(try client.receive(exactly: 4) == [0x20, 2, 0, 0])
                client.close()
                try await eventually("its end") { lines(of: weir.directory.path("logs/own.json")).count == index + 1 }
            }
            let presets = try objects(weir.directory.path("logs/mqtt.json"))
            let own = try objects(weir.directory.path("logs/own.json"))
            #expect(presets.map { $0["session_event"] as? String } == ids.flatMap { _ in ["connect", "close"] })
            for (index, id) in ids.enumerated() {
                let text = String(decoding: id, as: UTF8.self)
                for name in ["mqtt_preread_clientid", "mqtt_preread_username"] {
                    let values = presets[2 * index...2 * index + 1].map { $0[name] as? String }
                    // An id that the scanner does not take has no variables at all.
                    #expect(values == [text, text] || values == [nil, nil] && own[index]["id"] as? String == "", "\(id)")
                }
                if presets[2 * index]["mqtt_version"] is String { #expect(own[index]["id"] as? String == text) }
            }
            #expect(presets.count { $0["mqtt_version"] is String } >= 12)
        }
    }
}
