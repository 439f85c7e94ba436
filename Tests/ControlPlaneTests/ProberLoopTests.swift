// SPDX-License-Identifier: Apache-2.0
//
// The prober's loop in this process, against brokers that are sockets of this test, with a real link and a real region.
// Method: one thread turns the prober, the brokers and the master's end in turns until a condition holds.

import ControlPlane
import Health
import LinuxIO
import ProxyConfig
import SharedState
import Testing
import Vocabulary

@Suite("the prober's loop", .serialized)
struct ProberLoopTests {
    private func upstream(_ ports: [UInt16]) -> String {
        "upstream brokers { zone brokers 64k; " + ports.map { "server 127.0.0.1:\($0); " }.joined() + "}\n"
    }
    private func configuration(_ ports: [UInt16], _ parameters: String) -> String {
        """
        error_log /log notice;
        events {}
        stream {
            match mqtt {
                send \\x10\\x0c\\x00\\x04\\x4d\\x51\\x54\\x54\\x04\\x02\\x00\\x00\\x00\\x00;
                expect \\x20\\x02\\x00\\x00;
            }
            \(upstream(ports))
            server { listen 1; proxy_pass brokers; \(parameters) }
        }
        """
    }
    private let quick = "health_check match=mqtt interval=50ms; health_check_timeout 200ms;"

    @Test("brokers that accept are up, those that refuse, keep silent or are not there are unhealthy, with the reason")
    func states() throws {
        let good = try Broker(.answers([0x20, 0x02, 0x00, 0x00]))
        let bad = try Broker(.answers([0x20, 0x02, 0x00, 0x05]))
        let silent = try Broker(.silent)
        let closed = try Broker.closedPort()
        let stage = try ProberStage(brokers: [good, bad, silent])
        try stage.commit(configuration([good.port, bad.port, silent.port, closed], quick))
        try stage.run(until: "all checks have ended") {
            stage.report(good.port).checks > 1 && stage.report(silent.port).health == .unhealthy
                && stage.report(bad.port).health == .unhealthy && stage.report(closed).health == .unhealthy
        }
        #expect(stage.report(good.port).health == .up)
        #expect(stage.report(good.port).lastCheckPassed)
        #expect(stage.report(bad.port).reason.hasPrefix("unexpected answer 20 02 00 05 (CONNACK return code 5"))
        #expect(stage.report(silent.port).reason == "no answer in time")
        #expect(stage.report(closed).reason == "connect() failed (111: Connection refused)")
        #expect(stage.report(closed).timesUnhealthy == 1)
        let lines = try stage.logLines()
        #expect(
            lines.contains {
                $0.contains("[warn]")
                    && $0.hasSuffix(
                        "peer is unhealthy while connecting to upstream, health check \"mqtt\" of peer "
                            + "127.0.0.1:\(closed) in upstream \"brokers\": connect() failed (111: Connection refused)")
            })
        #expect(lines.count { $0.contains("127.0.0.1:\(closed)") } == 1)
        #expect(lines.allSatisfy { !$0.contains("127.0.0.1:\(good.port)") })
    }

    @Test("a broker that recovers is up again, with one line, and gets a DISCONNECT and no reset")
    func recovery() throws {
        let broker = try Broker(.answers([0x20, 0x02, 0x00, 0x03]))
        let stage = try ProberStage(brokers: [broker])
        try stage.commit(configuration([broker.port], quick))
        try stage.run(until: "unhealthy") { stage.report(broker.port).health == .unhealthy }
        broker.forget()
        broker.behaviour = .answers([0x20, 0x02, 0x00, 0x00])
        try stage.run(until: "up, and two goodbyes") {
            stage.report(broker.port).health == .up && broker.endings.count >= 2
        }
        #expect(stage.report(broker.port).reason == "")
        #expect(broker.endings.allSatisfy { $0 == .orderly(lastBytes: [0xE0, 0x00]) })
        let lines = try stage.logLines()
        #expect(lines.count { $0.contains("[notice]") && $0.contains("peer is healthy while checking status") } == 1)
    }

    @Test("each change of a peer is one event in the region, with the reason; a check that says the same again is none")
    func events() throws {
        let broker = try Broker(.answers([0x20, 0x02, 0x00, 0x03]))
        let name = "127.0.0.1:\(broker.port) in brokers"
        let stage = try ProberStage(brokers: [broker])
        try stage.commit(configuration([broker.port], quick))
        try stage.run(until: "unhealthy, again and again") { stage.report(broker.port).checksFailed >= 3 }
        #expect(stage.events().count == 1)
        #expect(stage.events()[0].hasPrefix("peerUnhealthy \(name): unexpected answer 20 02 00 03"))
        broker.behaviour = .answers([0x20, 0x02, 0x00, 0x00])
        try stage.run(until: "up") { stage.report(broker.port).health == .up }
        #expect(stage.events().dropFirst() == ["peerUp \(name): the check passed"])
        // A newcomer, and a check that is taken away.
        let closed = try Broker.closedPort()
        try stage.commit(configuration([broker.port, closed], quick))
        try stage.run(until: "unhealthy") { stage.report(closed).health == .unhealthy }
        let refused = "127.0.0.1:\(closed) in brokers"
        #expect(stage.events().last == "peerUnhealthy \(refused): connect() failed (111: Connection refused)")
        try stage.commit(configuration([broker.port, closed], ""))
        #expect(stage.events().last == "peerUp \(refused): no check that failed is configured any more")
    }

    @Test("without match a connection is enough")
    func connectOnly() throws {
        let silent = try Broker(.silent)
        let closed = try Broker.closedPort()
        let stage = try ProberStage(brokers: [silent])
        try stage.commit(configuration([silent.port, closed], "health_check interval=50ms;"))
        try stage.run(until: "checked") {
            stage.report(silent.port).checks > 0 && stage.report(closed).health == .unhealthy
        }
        #expect(stage.report(silent.port).health == .up)
    }

    @Test("under mandatory a newcomer is checking before the prober is ready, and up after its first check")
    func mandatory() throws {
        let broker = try Broker(.answers([0x20, 0x02, 0x00, 0x00]))
        let stage = try ProberStage(brokers: [broker])
        try stage.prepare(configuration([broker.port], "health_check match=mqtt interval=50ms mandatory;"))
        #expect(stage.report(broker.port).health == .checking)
        try stage.commitPrepared()
        try stage.run(until: "up") { stage.report(broker.port).health == .up }
    }

    @Test("an aborted generation leaves no peer in checking")
    func aborted() throws {
        let closed = try Broker.closedPort()
        let stage = try ProberStage(brokers: [])
        try stage.commit(configuration([try Broker.closedPort()], ""))
        try stage.prepare(configuration([closed], "health_check match=mqtt mandatory;"))
        #expect(stage.report(closed).health == .checking)
        try stage.abort()
        try stage.run(until: "up") { stage.report(closed).health == .up }
    }

    @Test("a reload without the check makes an unhealthy peer up; an unchanged check keeps it unhealthy")
    func reload() throws {
        let closed = try Broker.closedPort()
        let stage = try ProberStage(brokers: [])
        try stage.commit(configuration([closed], quick))
        try stage.run(until: "unhealthy") { stage.report(closed).health == .unhealthy }
        let since = stage.report(closed).healthSince
        try stage.commit(configuration([closed], quick + " proxy_timeout 1s;"))
        #expect(stage.report(closed).health == .unhealthy)
        #expect(stage.report(closed).healthSince == since)
        try stage.commit(configuration([closed], ""))
        #expect(stage.report(closed).health == .up)
        #expect(stage.report(closed).reason == "")
    }

    @Test("a new prober takes up the state that the one before it left, and its counts")
    func respawn() throws {
        let broker = try Broker(.silent)
        let stage = try ProberStage(brokers: [broker])
        let text = configuration([broker.port], quick.replacing("match=mqtt", with: "match=mqtt passes=1000 mandatory"))
        try stage.commit(text)
        try stage.run(until: "unhealthy") { stage.report(broker.port).health == .unhealthy }
        let before = stage.report(broker.port)
        try stage.respawn()
        #expect(stage.report(broker.port).health == .unhealthy)
        try stage.commit(text)
        #expect(stage.report(broker.port).health == .unhealthy)
        #expect(stage.report(broker.port).healthSince == before.healthSince)
        broker.behaviour = .answers([0x20, 0x02, 0x00, 0x00])
        try stage.run(until: "counted on") { stage.report(broker.port).checks > before.checks + 1 }
        #expect(stage.report(broker.port).timesUnhealthy == 1)
    }

    @Test("a bundle that does not build is refused with the first error, and checks go on")
    func refused() throws {
        let closed = try Broker.closedPort()
        let stage = try ProberStage(brokers: [])
        try stage.commit(configuration([closed], quick))
        let text = try stage.refusal(of: "events {} stream { nonsense; }")
        #expect(text.contains("unknown directive \"nonsense\""))
        let checks = stage.report(closed).checks
        try stage.run(until: "checked on") { stage.report(closed).checks > checks }
    }

    @Test("the log goes where the master says after a reopen")
    func reopen() throws {
        let broker = try Broker(.silent)
        let stage = try ProberStage(brokers: [broker])
        try stage.commit(configuration([broker.port], quick))
        try stage.run(until: "unhealthy") { stage.report(broker.port).health == .unhealthy }
        #expect(try stage.logLines().count == 1)
        try stage.reopen()
        broker.behaviour = .answers([0x20, 0x02, 0x00, 0x00])
        try stage.run(until: "up") { stage.report(broker.port).health == .up }
        #expect(try stage.logLines().map { $0.contains("healthy") } == [true])
    }

    @Test("the end of the link is the end of the prober, with an alert; so are stop and quit", arguments: [0, 1, 2])
    func ending(_ way: Int) throws {
        let stage = try ProberStage(brokers: [])
        try stage.commit(configuration([try Broker.closedPort()], ""))
        let log = try stage.end(way)
        #expect(log.contains { $0.contains("[alert]") } == (way == 0))
    }

    @Test("more checks than connections at once: all are made, none is lost")
    func crowd() throws {
        let broker = try Broker(.answers([0x20, 0x02, 0x00, 0x00]))
        let stage = try ProberStage(brokers: [broker], connectionsMax: 16)
        // Every one of them has an address of its own in 127.0.0.0/8 and the port of the broker that listens at all.
        let servers = (0..<200).map { "server 127.0.\($0 / 100 + 1).\($0 % 100 + 1):\(broker.port);" }
        let text = configuration([broker.port], "health_check match=mqtt interval=1s;")
            .replacing("zone brokers 64k;", with: "zone brokers 1m; " + servers.joined())
        try stage.commit(text)
        // Who has waited longest is next, so that two rounds of endings are one of each at least.
        try stage.run(until: "two rounds", seconds: 20) { broker.endings.count >= 2 * 201 }
        #expect(stage.reports().allSatisfy { $0.lastCheckPassed })
        #expect(stage.reports().count == 201)
        #expect(stage.reports().allSatisfy { $0.health == .up })
    }
}
