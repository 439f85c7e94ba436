// SPDX-License-Identifier: Apache-2.0
//
// What a seed makes of a run: the machine's weather, the configurations, the clients and the brokers.

import EventLoop
import LinuxIO
import MQTTWire
import ProxyConfig
import Vocabulary

/// A configuration in text, as somebody might write it.
enum ConfigurationText {
    static let firstPort: UInt16 = 1880
    static let ports = 8
    static let accessLog = "/sim/logs/access.log"
    static let eventLog = "/sim/logs/events.log"
    static let errorLog = "/sim/logs/error.log"

    static func make(_ world: World) -> String {
        var text = makeHead(world)
        text += "    map $mqtt_client_id $by_name { default g0; ~^c\\d*[13579] g1; }\n"
        let groups = world.draw(2...5)
        for group in 0..<groups { text += makeGroup(group, world) }
        for port in 0..<ports where port == 0 || world.chance(80) { text += makeServer(port, groups: groups, world) }
        return text + "}\n"
    }

    /// What stands before groups and servers. `last`: of the log's line.
    static func makeHead(_ world: World, last: String = "") -> String {
        var text = """
            error_log \(errorLog) \(world.chance(70) ? "info" : "warn");
            \(world.chance(70) ? "worker_shutdown_timeout \(world.draw(1...20))s;" : "")
            events { worker_connections \(world.chance(20) ? world.draw(20...100) : 4000); }
            stream {
                log_format line '$remote_addr:$remote_port $status $close_reason $bytes_received $bytes_sent '
                    '"$upstream_addr" "$upstream_bytes_sent" "$upstream_bytes_received" "$mqtt_client_id" $session_time\(last)';
                access_log \(accessLog) line\(world.chance(30) ? " buffer=4k flush=2s" : "");
                log_format event '$session_event $session_id $connection $remote_port $status $close_reason $bytes_received '
                    '$bytes_sent $session_time';
                access_log \(eventLog) event \(events(world))\(world.chance(30) ? " buffer=4k flush=2s" : "");
                proxy_timeout \(world.draw(5...20))s;
                proxy_connect_timeout \(world.draw(500...3000))ms;
                preread_timeout \(world.draw(500...3000))ms;

            """
        if world.chance(30) { text += "    proxy_half_close on;\n" }
        if world.chance(20) { text += "    proxy_next_upstream off;\n" }
        if world.chance(20) { text += "    proxy_next_upstream_tries \(world.draw(1...3));\n" }
        if world.chance(20) { text += "    proxy_next_upstream_timeout \(world.draw(1...3))s;\n" }
        if world.chance(40) { text += "    proxy_buffer_size \(world.draw(1...16))k;\n" }
        return text
    }

    /// Always with a line at the end, so that all sessions are in this log, too.
    private static func events(_ world: World) -> String {
        var events = world.chance(80) ? ["connect", "close"] : ["close"]
        if world.chance(80) { events.append("interval=\(world.draw(2000...9000))ms") }
        return "events=" + events.joined(separator: ",")
    }

    private static func makeGroup(_ group: Int, _ world: World) -> String {
        let methods = [
            "", "least_conn;", "random;", "random two;", "hash $mqtt_client_id;", "hash $mqtt_client_id consistent;",
            "hash $remote_addr$by_name consistent;",
        ]
        var method = methods[world.draw(0...methods.count - 1)]
        var text = "    upstream g\(group) { "
        var servers = ""
        let takesSlowStart = method.isEmpty || method == "least_conn;"
        let count = world.draw(1...5)
        for index in 1...count {
            servers += "server 10.1.\(group).\(index):1883 weight=\(world.draw(1...3)) max_fails=\(world.draw(0...2)) "
            servers += "fail_timeout=\(world.draw(1...5))s"
            if world.chance(15) { servers += " max_conns=\(world.draw(1...20))" }
            if takesSlowStart, world.chance(40) { servers += " slow_start=\(world.draw(1...20))s" }
            if index == count, count > 1, world.chance(20) {
                servers += " backup"
                if method.hasPrefix("hash") || method.hasPrefix("random") { method = "" }
            }
            servers += "; "
        }
        text += method + " " + servers + "}\n"
        return text
    }

    private static func makeServer(_ port: Int, groups: Int, _ world: World) -> String {
        var text = "    server { listen \(Int(firstPort) + port); status_zone z\(port % 3); "
        if world.chance(60) { text += "mqtt_preread on; " } else if world.chance(40) { text += "mqtt_preread required; " }
        if world.chance(15) { text += "preread_buffer_size \(world.draw(512...2000)); " }
        if world.chance(15) { text += "proxy_upload_rate \(world.draw(20...200))k; " }
        if world.chance(15) { text += "proxy_download_rate \(world.draw(20...200))k; " }
        if world.chance(20) { text += "proxy_half_close on; " }
        if world.chance(10) { text += "deny 192.168.7.0/24; " }
        if world.chance(10) { text += "proxy_socket_rcvbuf \(world.draw(2...64))k; " }
        if world.chance(20) { text += "set $mine\(port) x$remote_addr; " }
        switch world.draw(0...9) {
        case 0: text += "return \"hello $remote_addr, this is $server_port\\n\"; "
        case 1: text += "proxy_pass $by_name; "
        case 2: text += "proxy_pass 10.1.9.\(world.draw(1...3)):1883; "
        default: text += "proxy_pass g\(world.draw(0...groups - 1)); "
        }
        return text + "}\n"
    }
}

extension Weather {
    static func draw(_ random: inout SeededRandom) -> Weather {
        var weather = Weather()
        func chance(_ ofHundred: Int, _ random: inout SeededRandom) -> Bool {
            Int.random(in: 0..<100, using: &random) < ofHundred
        }
        if chance(30, &random) {
            weather.bufferBytes = Int.random(in: 512...8192, using: &random)
            weather.buffersAtStart = Int.random(in: 1...4, using: &random)
            weather.buffersMax = Int.random(in: 4...40, using: &random)
        }
        if chance(20, &random) { weather.descriptorsMax = Int.random(in: 30...150, using: &random) }
        if chance(20, &random) { weather.chanceOfNoDescriptor = Int.random(in: 1...10, using: &random) }
        if chance(50, &random) { weather.chanceOfNoRoom = Int.random(in: 1...60, using: &random) }
        weather.chanceOfNoPipe = chance(20, &random) ? 60 : 3
        weather.chanceOfShort = Int.random(in: 0...40, using: &random)
        weather.chanceOfDelay = Int.random(in: 0...60, using: &random)
        weather.delayMax = chance(20, &random) ? 200 : 5
        weather.armsReceives = chance(60, &random)
        return weather
    }
}

/// Draws clients and brokers.
struct Casting {
    let world: World
    /// Long talks.
    var bulkBytes = 300_000...900_000

    func makeClient(_ number: Int, _ socket: SimulatedSocket) -> Actor {
        var script: [Utterance] = []
        let kind = world.draw(0...99)
        var ending = drawEnding(waits: 35, finishes: 25, closes: 20, resets: 12)
        switch kind {
        case 0..<5: ending = world.chance(50) ? .closes : .resets
        case 5..<15: script = [Utterance(bytes: world.noise(world.draw(1...3000)), pause: world.pause(0...500))]
        case 15..<20:
            let packet = makeConnect(number)
            script = cut(Array(packet.prefix(world.draw(1...packet.count - 1))))
            if world.chance(50) { ending = .vanishes }
        default:
            script = cut(makeConnect(number))
            script += makeConversation()
        }
        return Actor(
            name: "client \(number)", socket: socket, world: world, script: script, reading: drawReading(),
            ending: ending, speaksAfterEnd: world.chance(20), resetsAfter: drawResetsAfter())
    }

    func makeBroker(_ number: Int, _ socket: SimulatedSocket) -> Actor {
        var script: [Utterance] = []
        var echoes = false
        switch world.draw(0...9) {
        case 0..<5:
            script = [Utterance(bytes: [0x20, 2, 0, 0], pause: world.pause(0...50))]
            echoes = true
        case 5: break
        default: script = makeConversation()
        }
        return Actor(
            name: "broker \(number)", socket: socket, world: world, script: script, reading: drawReading(),
            ending: drawEnding(waits: 75, finishes: 10, closes: 8, resets: 5), echoes: echoes,
            answers: world.chance(70), speaksAfterEnd: world.chance(30), resetsAfter: drawResetsAfter())
    }

    private func drawEnding(waits: Int, finishes: Int, closes: Int, resets: Int) -> Actor.Ending {
        switch world.draw(0...99) {
        case ..<waits: .waits
        case ..<(waits + finishes): .finishes
        case ..<(waits + finishes + closes): .closes
        case ..<(waits + finishes + closes + resets): .resets
        default: .vanishes
        }
    }

    private func drawResetsAfter() -> Int { world.chance(15) ? world.draw(1...700_000) : .max }

    private func drawReading() -> Actor.Reading {
        switch world.draw(0...19) {
        case 0: .never
        case 1...3: .slow(bytes: world.draw(200...8000), pause: world.pause(1...60))
        default: .fast
        }
    }

    private func makeConversation() -> [Utterance] {
        if world.chance(12) { return [Utterance(bytes: world.noise(world.draw(bulkBytes)), pause: 0)] }
        let sizeMax = world.chance(20) ? 20_000 : 300
        let pauseMax: UInt64 = world.chance(20) ? 3000 : 200
        return (0..<world.draw(0...15)).map { _ in
            Utterance(bytes: world.noise(world.draw(1...sizeMax)), pause: world.pause(0...pauseMax))
        }
    }

    private func makeConnect(_ number: Int) -> [UInt8] {
        let versions: [MQTTVersion] = [.v31, .v311, .v5]
        var packet = ConnectPacket(version: versions[world.draw(0...2)], clientID: "c\(number)")
        if world.chance(30) { packet.userName = world.noise(world.draw(0...600)).map { $0 & 0x5F | 0x40 } }
        if world.chance(20) {
            packet.will = ConnectPacket.Will(topic: "last/words", payload: world.noise(world.draw(0...3000)))
        }
        return packet.bytes
    }

    private func cut(_ bytes: [UInt8]) -> [Utterance] {
        guard world.chance(40) else { return [Utterance(bytes: bytes, pause: world.pause(0...20))] }
        var utterances: [Utterance] = []
        var rest = bytes[...]
        while !rest.isEmpty {
            let part = rest.prefix(world.draw(1...max(1, rest.count)))
            utterances.append(Utterance(bytes: Array(part), pause: world.pause(0...100)))
            rest = rest.dropFirst(part.count)
        }
        return utterances
    }

    /// Some addresses are worse than others, each in its own way.
    func fate(of address: IPEndpoint) -> (delay: UInt64, result: Int32) {
        let kind = address.address.ipv4Bits % 7
        let dice = world.draw(0...99)
        switch (kind, dice) {
        case (0, 0..<60), (_, 0..<4): return (world.pause(0...100), -Errno.connectionRefused.rawValue)
        case (1, 0..<60), (_, 4..<7): return (30_000, -Errno.timedOut.rawValue)
        case (2, 0..<30), (_, 7..<9): return (0, -Errno.networkUnreachable.rawValue)
        case (_, 9..<20): return (world.pause(0...5000), 0)
        default: return (world.pause(0...20), 0)
        }
    }
}
