// SPDX-License-Identifier: Apache-2.0
//
// The commands for people and scripts against a running Weir: what they say, change and end with. That they find their
// way over TLS, unix sockets and passwords is in TerminalAccessTests.

import Foundation
import Glibc
import TestSupport
import Testing

@Suite("terminal commands")
struct TerminalTests {
    private struct Server: Decodable, Equatable {
        var upstream: String
        var id: Int
        var server: String
        var state: String
        var weight: Int
        var active: Int
    }

    private static func main(_ port: UInt16) -> String {
        """
        http { server {
            listen 127.0.0.1:\(port);
            location /api { api write=on; }
            location /readonly { api; }
        } }
        """
    }

    /// So many sessions, one after the other.
    private static func knock(_ port: UInt16, _ count: Int = 12) throws {
        for number in 0..<count {
            try MQTTTestClient.connected(to: .ipv4(port), id: "knock-\(number)").disconnect()
        }
    }

    // MARK: servers

    @Test("servers: drain, down and weight are in all workers when the command ends, and up takes them back")
    func servers() async throws {
        let brokers = try (0..<2).map { _ in try NullBroker() }
        let ports = try PortRegistry.take(count: 2)
        let stream = """
            upstream brokers { zone brokers; server \(brokers[0].endpoint.text); server \(brokers[1].endpoint.text); }
            server { listen 127.0.0.1:\(ports[0]); proxy_pass brokers; }
            """
        try await withWeir(main: Self.main(ports[1]), stream: stream, workers: 3) { weir in
            let stage = try TerminalStage(api: "http://127.0.0.1:\(ports[1])/api")
            let target = brokers[0].endpoint.text
            func state() async throws -> Server {
                let answer = try await stage.run("servers", "--json")
                #expect(answer.code == 0 && answer.complaint == "")
                let servers = try answer.decoded([Server].self)
                #expect(servers.map(\.server) == brokers.map(\.endpoint.text))
                return try #require(servers.first)
            }
            func newSessions() throws -> [Int] {
                let before = brokers.map(\.connectionCount)
                try Self.knock(ports[0])
                return zip(before, brokers.map(\.connectionCount)).map { $1 - $0 }
            }
            #expect(try await state().state == "up")
            let list = try await stage.run("servers", "list", "--upstream", "brokers")
            #expect(list.code == 0 && list.output.hasPrefix("UPSTREAM") && list.output.contains(target))

            let drain = try await stage.run("servers", "drain", target)
            #expect(drain.code == 0 && drain.output == "\(target) in brokers is draining\n", "\(drain)")
            #expect(try await state().state == "draining")
            #expect(try newSessions() == [0, 12])

            let up = try await stage.run("servers", "up", target, "--upstream", "brokers")
            #expect(up.code == 0 && up.output.contains("is in service"), "\(up)")
            #expect(try await state().state == "up")
            #expect(try newSessions() == [6, 6])

            let down = try await stage.run("servers", "down", target)
            #expect(down.code == 0 && down.output.contains("is down"), "\(down)")
            #expect(try await state().state == "down")
            #expect(try newSessions() == [0, 12])

            _ = try await stage.run("servers", "up", target)
            let weight = try await stage.run("servers", "weight", target, "5", "--json")
            #expect(weight.code == 0 && weight.complaint == "")
            let changed = try weight.decoded([String: WeightedValue].self)
            #expect(changed["weight"] == .number(5) && changed["server"] == .text(target), "\(weight)")
            #expect(try await state().weight == 5)
            #expect(try newSessions() == [10, 2])
        }
    }

    /// As much of JSON as a server has.
    private enum WeightedValue: Decodable, Equatable {
        case number(Int)
        case text(String)
        case other

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let number = try? container.decode(Int.self) {
                self = .number(number)
            } else if let text = try? container.decode(String.self) {
                self = .text(text)
            } else {
                self = .other
            }
        }
    }

    @Test("servers: what cannot be done changes nothing, is said on standard error, and has its own exit code")
    func refusals() async throws {
        let brokers = try (0..<2).map { _ in try NullBroker() }
        let ports = try PortRegistry.take(count: 3)
        let stream = """
            upstream brokers { zone brokers; server \(brokers[0].endpoint.text); server \(brokers[1].endpoint.text); }
            upstream fixed { server \(brokers[1].endpoint.text); }
            server { listen 127.0.0.1:\(ports[0]); proxy_pass brokers; }
            """
        try await withWeir(main: Self.main(ports[1]), stream: stream) { weir in
            let address = "http://127.0.0.1:\(ports[1])"
            let stage = try TerminalStage(api: "\(address)/api")
            let before = try await stage.run("servers", "--json").output
            let target = brokers[0].endpoint.text
            let cases: [(words: [String], code: Int32, part: String)] = [
                (["servers", "drain", "nobody"], 3, "no server is called \"nobody\""),
                (["servers", "list", "--upstream", "nobody"], 3, "no upstream is called \"nobody\""),
                (["servers", "drain", target, "--upstream", "fixed"], 3, "no server is called"),
                (["servers", "down", "127.0.0.1"], 1, "write the port, or --upstream NAME"),
                (["servers", "down", brokers[1].endpoint.text, "--upstream", "fixed"], 1, "UpstreamStatic"),
                (["servers", "down", target, "--api", "\(address)/readonly"], 1, "MethodDisabled"),
                (["servers", "list", "--api", "\(address)/nowhere"], 3, "404"),
                (["servers", "list", "--api", "http://127.0.0.1:\(ports[2])/api"], 1, "Connection refused"),
                (["servers", "list", "--api", "127.0.0.1:80"], 1, "is no address of an API"),
                (["servers", "weight", target, "0"], 64, "a weight is 1 or more"),
                (["servers", "drain"], 64, "Missing expected argument"),
                (["servers", "drian", target], 64, "drian"),
            ]
            for (words, code, part) in cases {
                let answer = try await stage.run(program: try WeirBinary.path, words)
                #expect(answer.code == code && answer.complaint.contains(part), "\(words): \(answer)")
                #expect(answer.output == "", "\(words): \(answer)")
            }
            #expect(try await stage.run("servers", "--json").output == before)
        }
    }

    // MARK: where and route

    @Test("where: a device is where route says without a running Weir, and where it belongs")
    func placement() async throws {
        let brokers = try (0..<3).map { _ in try NullBroker() }
        let ports = try PortRegistry.take(count: 2)
        let stream = """
            upstream brokers {
                hash $mqtt_preread_clientid consistent;
                \(brokers.map { "server \($0.endpoint.text);" }.joined(separator: " "))
            }
            server { listen 127.0.0.1:\(ports[0]); mqtt_preread on; proxy_pass brokers; }
            """
        struct Route: Decodable {
            var server: String
            var upstream: String
        }
        struct Place: Decodable {
            struct Session: Decodable {
                var peer: String
                var client_id: String
                var keep_alive: Int
            }
            struct Home: Decodable {
                var server: String
                var server_now: String
            }
            var client_id: String
            var sessions: [Session]
            var homes: [Home]
        }
        try await withWeir(main: Self.main(ports[1]), stream: stream, workers: 2) { weir in
            let stage = try TerminalStage(api: "http://127.0.0.1:\(ports[1])/api")
            for id in ["sensor-17", "floor/2 #4", "Gerät", "100%"] {
                let client = try MQTTTestClient.connected(to: .ipv4(ports[0]), id: id)
                let route = try await stage.run("route", id, "-c", weir.configurationPath, "-p", weir.directory.path, "--json")
                #expect(route.code == 0, "\(route)")
                let home = try #require(try route.decoded([Route].self).first)
                #expect(home.upstream == "brokers")
                let answer = try await stage.run("where", id, "--json")
                #expect(answer.code == 0 && answer.complaint == "", "\(answer)")
                let place = try answer.decoded(Place.self)
                #expect(place.client_id == id && place.sessions.map(\.peer) == [home.server], "\(id): \(answer)")
                #expect(place.sessions.map(\.keep_alive) == [60])
                #expect(place.homes.map(\.server) == [home.server] && place.homes.map(\.server_now) == [home.server])
                // And the broker agrees.
                let broker = try #require(brokers.first { $0.endpoint.text == home.server })
                #expect(broker.openCount > 0)
                let text = try await stage.run("where", id)
                #expect(text.code == 0 && text.output.hasPrefix("\(id) is at \(home.server) (brokers), forwarding since "))
                #expect(text.output.contains("belongs to \(home.server) in brokers"), "\(text)")
                client.disconnect()
            }
            let absent = try await stage.run("where", "nobody")
            #expect(absent.code == 3 && absent.output.hasPrefix("nobody is not connected\nbelongs to "), "\(absent)")
            let absentJSON = try await stage.run("where", "nobody", "--json")
            #expect(absentJSON.code == 3 && absentJSON.complaint == "")
            #expect(try absentJSON.decoded(Place.self).sessions.isEmpty)
            #expect(try await stage.run("where").code == 64)

            // Taken down, its devices go elsewhere, and where says both.
            let first = try await stage.run("where", "sensor-17", "--json").decoded(Place.self).homes[0].server
            #expect(try await stage.run("servers", "down", first).code == 1, "without zone the group is fixed")
        }
    }

    @Test("where: a device whose broker is down belongs there still, and is told where it would go now")
    func placementNow() async throws {
        let brokers = try (0..<2).map { _ in try NullBroker() }
        let ports = try PortRegistry.take(count: 2)
        let stream = """
            upstream brokers {
                zone brokers; hash $mqtt_preread_clientid consistent;
                \(brokers.map { "server \($0.endpoint.text);" }.joined(separator: " "))
            }
            server { listen 127.0.0.1:\(ports[0]); mqtt_preread on; proxy_pass brokers; }
            """
        try await withWeir(main: Self.main(ports[1]), stream: stream, workers: 2) { weir in
            let stage = try TerminalStage(api: "http://127.0.0.1:\(ports[1])/api")
            let before = try await stage.run("where", "sensor-1").output
            let home = try #require(brokers.first { before.contains("belongs to \($0.endpoint.text) in") })
            let other = try #require(brokers.first { $0.endpoint != home.endpoint })
            #expect(try await stage.run("servers", "drain", home.endpoint.text).code == 0)
            let client = try MQTTTestClient.connected(to: .ipv4(ports[0]), id: "sensor-1")
            let after = try await stage.run("where", "sensor-1")
            #expect(after.output.hasPrefix("sensor-1 is at \(other.endpoint.text)"), "\(after)")
            #expect(
                after.output.contains(
                    "belongs to \(home.endpoint.text) in brokers; as things are, to \(other.endpoint.text)"), "\(after)")
            client.disconnect()
        }
    }

    @Test("route: exit codes say whether the client id decides")
    func route() async throws {
        let stage = try TerminalStage()
        let files = [
            "fixed.conf": "stream { server { listen 1; proxy_pass 127.0.0.1:2; } }",
            "free.conf": """
                stream { upstream b { least_conn; server 127.0.0.1:2; server 127.0.0.1:3; }
                server { listen 1; proxy_pass b; } }
                """,
            "broken.conf": "stream { server { listen 1; proxy_pass nowhere:2; proxy_passs x; } }",
        ]
        for (name, text) in files { try stage.home.write(text, to: name) }
        func run(_ words: String...) async throws -> CommandAnswer {
            let words = words.map { $0.hasSuffix(".conf") ? stage.home.path($0) : $0 }
            return try await stage.run(program: try WeirBinary.path, ["route", "sensor"] + words)
        }
        let fixed = try await run("-c", "fixed.conf")
        #expect(fixed.code == 0 && fixed.output.hasPrefix("sensor → 127.0.0.1:2 "), "\(fixed)")
        let free = try await run("-c", "free.conf")
        #expect(free.code == 3 && free.output.contains("does not look at the client"), "\(free)")
        #expect(try await run("-c", "free.conf", "--dead", "127.0.0.1:2").code == 0, "only one is left")
        #expect(try await run("-c", "fixed.conf", "--listen", "99").code == 3)
        #expect(try await run("-c", "fixed.conf", "--upstream", "b").code == 3)
        let broken = try await run("-c", "broken.conf")
        #expect(broken.code == 1 && broken.output == "" && broken.complaint.contains("\"proxy_passs\""), "\(broken)")
        #expect(try await run("-c", "missing.conf").code == 1)
        #expect(try await run("-c", "fixed.conf", "--listen", "1", "--upstream", "b").code == 64)
    }

    // MARK: top

    @Test("top: one table with rates, or JSON with counters")
    func topOnce() async throws {
        let broker = try NullBroker()
        let ports = try PortRegistry.take(count: 2)
        let stream = """
            upstream brokers { server \(broker.endpoint.text); server 127.0.0.1:1 down; }
            server { listen 127.0.0.1:\(ports[0]); proxy_pass brokers; }
            """
        struct Snapshot: Decodable {
            struct Upstream: Decodable {
                struct Peer: Decodable {
                    var server: String
                    var state: String
                    var active: Int
                    var connections: Int
                }
                var peers: [Peer]
            }
            struct Connections: Decodable {
                var accepted: Int
                var active: Int
            }
            var upstreams: [String: Upstream]
            var connections: Connections
        }
        try await withWeir(main: Self.main(ports[1]), stream: stream, workers: 2) { weir in
            let stage = try TerminalStage(api: "http://127.0.0.1:\(ports[1])/api")
            let clients = try (0..<3).map { try MQTTTestClient.connected(to: .ipv4(ports[0]), id: "device-\($0)") }
            let json = try await stage.run("top", "--json")
            #expect(json.code == 0 && json.complaint == "", "\(json)")
            let snapshot = try json.decoded(Snapshot.self)
            let peers = try #require(snapshot.upstreams["brokers"]?.peers)
            #expect(peers.map(\.server) == [broker.endpoint.text, "127.0.0.1:1"])
            #expect(peers.map(\.state) == ["up", "down"])
            #expect(peers[0].active == 3 && peers[0].connections == 3)
            #expect(snapshot.connections.active == 3 && snapshot.connections.accepted == 3)

            // The output is no terminal, so that --once is what happens without it, too.
            for words in [["top", "--once", "--interval", "0.1"], ["top", "--interval", "0.1"]] {
                let table = try await stage.run(program: try WeirBinary.path, words)
                #expect(table.code == 0 && table.output.hasPrefix("Weir   3 sessions   0 accepted/s"), "\(table)")
                let row = try #require(table.output.split(separator: "\n").first { $0.contains(broker.endpoint.text) })
                #expect(
                    row.split(separator: " ").prefix(5).map(String.init)
                        == ["brokers", broker.endpoint.text, "up", "1", "3"], "\(row)")
                #expect(!table.output.contains("\u{1B}"), "no colours in a file")
            }
            #expect(try await stage.run("top", "--interval", "0").code == 64)
            #expect(try await stage.run("top", "--api", "http://127.0.0.1:1/api").code == 1)
            for client in clients { client.disconnect() }
        }
    }

    @Test("top: in a terminal it is drawn again and again, says when Weir does not answer, and q ends it")
    func topLive() async throws {
        let broker = try NullBroker()
        let ports = try PortRegistry.take(count: 2)
        let stream = """
            upstream brokers { server \(broker.endpoint.text); }
            server { listen 127.0.0.1:\(ports[0]); proxy_pass brokers; }
            """
        let stage = try TerminalStage(api: "http://127.0.0.1:\(ports[1])/api").with("TERM", "xterm")
        let keys = stage.home.path("keys")
        let picture = stage.home.path("picture")
        #expect(unsafe mkfifo(keys, 0o600) == 0)
        // script(1) gives the command a terminal of its own; both ends, so that opening it waits for nobody.
        let keyboard = unsafe open(keys, O_RDWR | O_CLOEXEC)
        defer { close(keyboard) }
        let weir = try await WeirInstance.start(main: Self.main(ports[1]), stream: stream)
        let command = "\(try WeirBinary.path) top --interval 0.1"
        let terminal = try ManagedProcess(
            "bash", ["-c", "exec script -q -e -f -c '\(command)' \(picture) < \(keys)"],
            environment: stage.environment)
        try await eventually("a table is drawn: \(contents(of: picture))") {
            contents(of: picture).contains("0 sessions")
        }
        let clients = try (0..<2).map { try MQTTTestClient.connected(to: .ipv4(ports[0]), id: "device-\($0)") }
        try await eventually("it is drawn again: \(contents(of: picture))") {
            contents(of: picture).contains("2 sessions")
        }
        for client in clients { client.disconnect() }
        try await weir.stop()
        try await eventually("it says so: \(contents(of: picture))") {
            contents(of: picture).contains("Asking again")
        }
        #expect(terminal.isRunning)
        #expect(unsafe write(keyboard, "q", 1) == 1)
        #expect(try await terminal.wait() == .exited(0), "\(contents(of: picture))")
        // The screen and the cursor are given back.
        #expect(contents(of: picture).contains("\u{1B}[?25h\u{1B}[?1049l"))
    }

    // MARK: The shell

    @Test("help and completions: every command is in them, and bash completes with them, for both names")
    func completions() async throws {
        let stage = try TerminalStage()
        let help = try await stage.run("help")
        #expect(help.code == 0)
        for word in ["route", "where", "top", "servers", "demo"] { #expect(help.output.contains("  \(word)"), "\(help)") }
        let program = try WeirBinary.path + "ctl"
        for shell in ["bash", "zsh", "fish"] {
            let script = try await stage.run(program: program, ["--generate-completion-script", shell])
            #expect(script.code == 0 && script.complaint == "", "\(script)")
            for word in ["servers", "drain", "--upstream"] where shell != "fish" || word.first != "-" {
                #expect(script.output.contains(word), "\(shell): \(word)")
            }
            if shell == "bash" { try stage.home.write(script.output, to: "weirctl.bash") }
        }
        // As Terminal.md says it.
        let ask = """
            source \(stage.home.path("weirctl.bash")); complete -o filenames -F _weirctl weir
            for name in weirctl weir; do
                COMP_WORDS=($name servers dr) COMP_CWORD=2 COMP_LINE="$name servers dr" COMP_POINT=$((${#COMP_LINE}))
                COMP_TYPE=9 COMP_KEY=9 COMPREPLY=()
                complete -p $name > /dev/null && _weirctl $name dr servers && echo "$name: ${COMPREPLY[*]}"
            done
            """
        let answer = try await stage.run(program: "bash", ["-c", ask])
        #expect(answer.output == "weirctl: drain\nweir: drain\n", "\(answer)")
    }
}
