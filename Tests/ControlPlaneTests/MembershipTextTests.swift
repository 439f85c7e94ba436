// SPDX-License-Identifier: Apache-2.0
//
// Changes of servers as text of messages: what one side says is what the other hears, and nothing else is a change.

import ControlLink
import LinuxIO
import ProxyConfig
import Testing
import Vocabulary

@Suite("changes of servers on the link")
struct MembershipTextTests {
    private static let all: ServerParameters = {
        var parameters = ServerParameters()
        parameters.server = "unix:/run/a b=c.sock"
        parameters.weight = -3
        parameters.maxConnections = 10
        parameters.maxFails = 0
        parameters.failTimeout = "30s"
        parameters.slowStart = "1m"
        parameters.isBackup = true
        parameters.isDown = false
        parameters.isDraining = true
        return parameters
    }()

    private static func named(_ answer: Result<[IPAddress], SourceFault>) -> MembershipChange {
        var change = MembershipChange(.add(server: "b1:1883"), upstream: "brokers", requester: "x")
        change.name = ResolvedName(host: "b1", answer: answer)
        return change
    }

    @Test(
        "a change comes out as it went in",
        arguments: [
            MembershipChange(.add(server: "b1:1883"), upstream: "brokers", requester: "::1"),
            MembershipChange(.add(server: ""), upstream: "a=b c\n", parameters: all, requester: ""),
            MembershipChange(.set(id: 17), upstream: "brokers", parameters: .up, requester: "ops at 10.0.0.7"),
            MembershipChange(.set(id: 0), upstream: "b", parameters: all, requester: "é"),
            MembershipChange(.remove(id: 8191), upstream: "brokers", requester: "x"),
            named(.success([IPAddress(ipv4: 0x0A00_0001), IPAddress(ipv6High: 0x2001_0DB8 << 32, low: 1)])),
            named(.failure(SourceFault(code: -2, reason: "host not found"))),
        ])
    func roundTrip(change: MembershipChange) throws {
        let message = LinkMessage(.change, index: 7, text: try #require(change.text))
        let heard = try LinkMessage(packet: message.packet)
        #expect(heard == message)
        #expect(MembershipChange(text: heard.text) == change)
    }

    @Test(
        "a name is resolved where a change brings one",
        arguments: [
            ("b1:1883", "b1"), ("b1.example:1", "b1.example"), ("10.0.0.1:1883", nil), ("[::1]:1", nil),
            ("unix:/b1", nil), ("b1", nil), ("b1:port", nil), ("", nil), ("a/b:1", nil),
        ] as [(String, String?)])
    func hostName(server: String, host: String?) {
        #expect(MembershipChange(.add(server: server), upstream: "b", requester: "x").hostName == host)
        var parameters = ServerParameters()
        #expect(MembershipChange(.set(id: 1), upstream: "b", parameters: parameters, requester: "x").hostName == nil)
        parameters.server = server
        #expect(MembershipChange(.set(id: 1), upstream: "b", parameters: parameters, requester: "x").hostName == host)
    }

    @Test("what does not fit a message or holds a NUL is not said")
    func unsayable() {
        let long = String(repeating: "x", count: LinkMessage.changeTextBytesMax)
        #expect(MembershipChange(.add(server: long), upstream: "b", requester: "x").text == nil)
        #expect(MembershipChange(.add(server: "a\u{0}b"), upstream: "b", requester: "x").text == nil)
    }

    @Test(
        "what is no change is none",
        arguments: [
            "", "upstream=b\u{0}by=x\u{0}", "upstream=b\u{0}by=x\u{0}set=1\u{0}remove=1\u{0}",
            "upstream=b\u{0}by=x\u{0}set=one\u{0}", "upstream=b\u{0}by=x\u{0}set=1\u{0}set=1\u{0}",
            "upstream=b\u{0}by=x\u{0}set=1\u{0}color=red\u{0}", "upstream=b\u{0}by=x\u{0}set=1\u{0}down=yes\u{0}",
            "upstream=b\u{0}by=x\u{0}set=1\u{0}host=b\u{0}",
            "upstream=b\u{0}by=x\u{0}set=1\u{0}host=b\u{0}addresses=\u{0}",
            "upstream=b\u{0}by=x\u{0}set=1\u{0}host=b\u{0}addresses=::1 x\u{0}",
            "upstream=b\u{0}by=x\u{0}set=1\u{0}host=b\u{0}addresses=::1\u{0}fault=1 x\u{0}",
            "upstream=b\u{0}by=x\u{0}set=1\u{0}host=b\u{0}fault=x y\u{0}",
            "upstream=b\u{0}by=x\u{0}set=1\u{0}addresses=::1\u{0}",
            "upstream=b\u{0}set=1\u{0}", "by=x\u{0}set=1\u{0}", "upstream\u{0}by=x\u{0}set=1\u{0}",
        ])
    func noChange(text: String) {
        #expect(MembershipChange(text: text) == nil)
    }

    @Test("a refusal keeps its code and its words", arguments: AdminRefusal.Code.allCases)
    func refusal(code: AdminRefusal.Code) {
        let refusal = AdminRefusal(code, "no port in upstream \"b\"")
        #expect(AdminRefusal(messageText: refusal.messageText) == refusal)
        #expect(AdminRefusal(messageText: "Unheard of it") == AdminRefusal(.failed, "Unheard of it"))
    }

    @Test("only kinds that have a text carry one, and no more of it than they may have")
    func texts() throws {
        let long = String(repeating: "y", count: 10_000)
        #expect(try LinkMessage(packet: LinkMessage(.refused, text: long).packet).text.utf8.count == 480)
        #expect(try LinkMessage(packet: LinkMessage(.changed, text: long).packet).text.utf8.count == 4096)
        #expect(LinkMessage(.inquiry, index: 3, text: long).packet.count == 12)
        var forged = LinkMessage(.change, text: long).packet
        forged[0] = LinkMessage.Kind.refused.rawValue
        #expect(throws: LinkFault.unexpectedText(forged[0])) { try LinkMessage(packet: forged) }
    }
}
