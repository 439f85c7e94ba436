// SPDX-License-Identifier: Apache-2.0
//
// The terminal's smaller parts: addresses of APIs, passwords, names of servers, numbers and tables.

import Testing

@testable import weirctl

@Suite struct APIPartsTests {
    @Test("addresses of every form")
    func addresses() throws {
        let plain = try APIAddress("http://127.0.0.1:8080/api/")
        #expect(plain.place == .host("127.0.0.1", port: 8080))
        #expect(plain.path == "/api")
        #expect(plain.host == "127.0.0.1:8080")
        let secure = try APIAddress("https://weir.example")
        #expect(secure.isSecure)
        #expect(secure.place == .host("weir.example", port: 443))
        #expect(secure.path == "/api")
        #expect(secure.host == "weir.example")
        let six = try APIAddress("http://[::1]:81/x/y")
        #expect(six.place == .host("::1", port: 81))
        #expect(six.host == "[::1]:81")
        #expect(six.path == "/x/y")
        #expect(try APIAddress("http://a/").path == "")
        let socket = try APIAddress("unix:/run/weir.sock")
        #expect(socket.place == .unix("/run/weir.sock"))
        #expect(socket.path == "/api")
        #expect(try APIAddress("unix:/run/weir.sock:/x").path == "/x")
    }

    @Test("a client id becomes one part of a path, whatever is in it")
    func escaped() {
        #expect(APIClient.escaped("sensor-1_a.b~") == "sensor-1_a.b~")
        #expect(APIClient.escaped("a/../b?c=%41 ä") == "a%2F..%2Fb%3Fc%3D%2541%20%C3%A4")
    }

    @Test(
        "what is no address is refused, and a password in it above all",
        arguments: [
            "", "8080", "ftp://a", "http://", "http://:80", "http://a:0", "http://a:x", "http://a:70000", "http://[::1",
            "http://a/b c", "unix:", "unix:x", "http://a\r\nX: y/", "http://ada:secret@a/",
        ])
    func noAddresses(_ text: String) {
        let fault = #expect(throws: CommandFault.self) { try APIAddress(text) }
        #expect(fault?.code == .failed)
        if text.contains("@") { #expect(fault?.text.contains("secret") == false) }
    }

    @Test("a netrc entry is found by its machine, in one line or in many")
    func netrc() {
        let text = """
            # machine a login no password no
            machine a login ada password one
            machine b
                login bob
                account x
                password two
            machine c login cid
            default login any password three
            """
        #expect(Credentials.find("a", in: text) == Credentials(user: "ada", password: "one"))
        #expect(Credentials.find("b", in: text) == Credentials(user: "bob", password: "two"))
        #expect(Credentials.find("z", in: text) == Credentials(user: "any", password: "three"))
        #expect(Credentials.find("z", in: "machine a login ada password one") == nil)
        #expect(Credentials.find("a", in: "machine a password one login ada") == nil)
        #expect(Credentials(user: "Aladdin", password: "open sesame").field == "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")
    }

    private func server(_ upstream: String, _ id: Int, _ address: String, _ name: String? = nil) -> FoundServer {
        FoundServer(
            UpstreamFigures.Peer(
                id: id, server: address, name: name ?? address, backup: false, weight: 1, state: "up", active: 0,
                connections: 0, sent: 0, received: 0, fails: 0), in: upstream)
    }

    @Test("a server is meant by address or name, with and without the port, and by one of them only")
    func search() throws {
        let servers = [
            server("u", 0, "192.0.2.1:1883", "b1.example:1883"), server("u", 1, "192.0.2.2:1883", "b1.example:1883"),
            server("u", 2, "192.0.2.3:1883"), server("v", 3, "192.0.2.3:1884"), server("v", 4, "[::1]:1884"),
            server("v", 5, "unix:/run/b.sock"),
        ]
        func found(_ name: String) throws(CommandFault) -> Int { try ServerSearch.one(name, among: servers).id }
        #expect(try found("b1.example:1883") == 0)
        #expect(try found("b1.example") == 0)
        #expect(try found("192.0.2.2:1883") == 1)
        #expect(try found("192.0.2.3:1884") == 3)
        #expect(try found("::1") == 4)
        #expect(try found("unix:/run/b.sock") == 5)
        let several = #expect(throws: CommandFault.self) { try found("192.0.2.3") }
        #expect(several?.text.contains("192.0.2.3:1883 in u, 192.0.2.3:1884 in v") == true)
        #expect(throws: CommandFault("no server is called \"b2\"", .nothingFound)) { try found("b2") }
    }

    @Test("all servers, or those of one upstream")
    func all() throws {
        let upstreams = ["b": UpstreamFigures(peers: []), "a": UpstreamFigures(peers: [])]
        #expect(try ServerSearch.all(upstreams, in: "a").isEmpty)
        #expect(throws: CommandFault("no upstream is called \"c\"", .nothingFound)) {
            try ServerSearch.all(upstreams, in: "c")
        }
    }

    @Test("numbers are short")
    func figures() {
        #expect(
            [0, 999, 1000, 1234, 9999, 10_000, 34_567, 5_600_000].map(Figure.count) == [
                "0", "999", "1.0k", "1.2k", "9.9k", "10k", "34k", "5.6M",
            ])
        #expect([1023, 1024, 1536, UInt64.max].map(Figure.bytes) == ["1023 B", "1.0 KiB", "1.5 KiB", "15 EiB"])
        #expect(
            [850, 12_000, 330_000, 11_520_000, 187_200_000].map(Figure.duration) == [
                "850ms", "12s", "5m30s", "3h12m", "2d4h",
            ])
    }

    @Test("a device's line says where it is, and where it belongs")
    func client() {
        var figures = ClientFigures(client_id: "s1", sessions: [], homes: [], faults: [])
        figures.homes = [
            .init(upstream: "u", server: "10.0.0.1:1883", server_now: "10.0.0.2:1883"),
            .init(upstream: "v", server: "10.0.0.1:1883", server_now: "10.0.0.1:1883"),
            .init(upstream: "w", reason: "no server is left"),
        ]
        #expect(
            figures.lines() == [
                "s1 is not connected", "belongs to 10.0.0.1:1883 in u; as things are, to 10.0.0.2:1883",
                "belongs to 10.0.0.1:1883 in v", "no home in w: no server is left",
            ])
        figures.sessions = [
            .init(
                id: "0-7", phase: "forwarding", client: "192.0.2.9:5", listener: "0.0.0.0:1883", upstream: "u",
                peer: "10.0.0.2:1883", since: "2026-11-28T12:00:00Z", idle_ms: 1500, received: 2048, sent: 10,
                keep_alive: 60, mqtt_version: "5")
        ]
        #expect(
            figures.lines()[0]
                == "s1 is at 10.0.0.2:1883 (u), forwarding since 2026-11-28T12:00:00Z, idle for 1s, from 192.0.2.9:5, "
                + "2.0 KiB received, 10 B sent, MQTT 5, keep-alive 60s  [session 0-7]")
    }

    @Test("top shows states, and rates when there is something to compare with")
    func top() {
        func snapshot(_ connections: UInt64, _ sent: UInt64, _ state: String) -> TopSnapshot {
            TopSnapshot(
                upstreams: [
                    "u": UpstreamFigures(peers: [
                        .init(
                            id: 1, server: "10.0.0.1:1883", name: "10.0.0.1:1883", backup: true, weight: 2,
                            state: state,
                            active: 1200, connections: connections, sent: sent, received: 5, fails: 3)
                    ])
                ], connections: ConnectionFigures(accepted: connections, dropped: 0, active: 1200, idle: 0))
        }
        let first = TopPicture(snapshot: snapshot(100, 0, "up")).lines()
        #expect(first[0].plainText == "Weir   1.2k sessions   - accepted/s   0 dropped")
        #expect(
            first[3].plainText.split(separator: " ").map(String.init) == [
                "u", "10.0.0.1:1883", "up,", "backup", "2", "1.2k", "-", "-", "-", "3",
            ])
        let second = TopPicture(
            snapshot: snapshot(150, 4096, "unhealthy"), former: (snapshot(100, 0, "up"), 2)
        ).lines()
        #expect(second[0].plainText == "Weir   1.2k sessions   25 accepted/s   0 dropped")
        #expect(second[3].plainText.contains("25  2.0 KiB"))
        #expect(second[3].pieces.map(\.style) == [.red])
        // A counter that was reset is no negative rate.
        let reset = TopPicture(snapshot: snapshot(1, 0, "up"), former: (snapshot(100, 0, "up"), 2)).lines()
        #expect(reset[0].plainText == "Weir   1.2k sessions   - accepted/s   0 dropped")
    }
}
