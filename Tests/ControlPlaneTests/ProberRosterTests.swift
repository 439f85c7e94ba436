// SPDX-License-Identifier: Apache-2.0
//
// Plans and rosters without sockets: what is checked, what a reload keeps, what results make of peers.

import ControlPlane
import Health
import ProxyConfig
import Testing
import Vocabulary

/// A group `brokers` of peers at 127.0.0.1, with one server block for each list of checks.
struct Wanted {
    var ports: [UInt16] = [1883]
    var blocks: [[HealthCheck]] = []
    var matches: [HealthMatch] = []

    static func check(
        mandatory: Bool = false, persistent: Bool = false, port: UInt16? = nil, interval: Int = 5_000,
        log: Int = 0, fails: Int = 1
    ) -> HealthCheck {
        var check = HealthCheck(upstream: 0)
        check.isMandatory = mandatory
        check.isPersistent = persistent
        check.port = port
        check.intervalMilliseconds = interval
        check.fails = fails
        check.errorLogs = [ErrorLog(destination: log, level: .notice)]
        return check
    }

    func plan() throws -> HealthPlan {
        var configuration = Configuration()
        var group = Upstream(name: "brokers")
        group.peers = ports.map { port in
            Peer(
                serverText: "127.0.0.1:\(port)",
                endpoint: .ip(IPEndpoint(address: IPAddress(ipv4: 0x7F00_0001), port: port)), ringHost: "127.0.0.1",
                ringPort: "\(port)")
        }
        configuration.upstreams = [group]
        configuration.matches = matches
        configuration.servers = blocks.map { checks in
            var server = Server(origin: "test", content: .proxy(upstream: 0))
            server.healthChecks = checks
            return server
        }
        return try HealthPlan(configuration)
    }

    static func key(_ port: UInt16) -> PeerKey { PeerKey(group: "brokers", identity: "127.0.0.1:\(port)") }
}

/// A roster as a reference, since `#expect` takes no mutating calls.
private final class Ward {
    private var roster = HealthRoster()

    var peers: [PeerKey: HealthRoster.Peer] { roster.peers }
    var nextDueMilliseconds: UInt64? { roster.nextDueMilliseconds }

    func newcomers(of plan: HealthPlan, known: [PeerKey: HealthState]) -> [(key: PeerKey, state: HealthState)] {
        roster.newcomers(of: plan, known: known)
    }
    func adopt(_ plan: HealthPlan, known: [PeerKey: HealthState] = [:], at now: UInt64) -> [PeerChange] {
        roster.adopt(plan, known: known, nowMilliseconds: now)
    }
    func start(at now: UInt64) -> CheckID? { roster.start(at: now) }
    func finish(_ id: CheckID, _ result: CheckResult, at now: UInt64) -> CheckFinding? {
        roster.finish(id, result, nowMilliseconds: now, chance: 0)
    }
}

private let refused = HealthFault.connectFailed(SystemFault(code: 111, text: "Connection refused"))

@Suite("what a configuration wants checked")
struct HealthPlanTests {
    @Test("every check of every server block looks at every peer of its group")
    func everyPeer() throws {
        let plan = try Wanted(
            ports: [1, 2], blocks: [[Wanted.check()], [Wanted.check(port: 9)]]
        ).plan()
        #expect(plan.peers.map(\.name) == ["127.0.0.1:1", "127.0.0.1:2"])
        #expect(
            plan.peers.map { $0.checks.map(\.definition.target.text) } == [
                ["127.0.0.1:1", "127.0.0.1:9"], ["127.0.0.1:2", "127.0.0.1:9"],
            ])
    }

    @Test("server blocks that ask the same of a group have one check and a line in each of their logs")
    func equalChecks() throws {
        let plan = try Wanted(blocks: [[Wanted.check(log: 0)], [Wanted.check(log: 3)], [Wanted.check(log: 0)]]).plan()
        #expect(plan.peers.count == 1)
        #expect(plan.peers[0].checks.map { $0.errorLogs.map(\.destination) } == [[0, 3]])
    }

    @Test("a peer without checks is in the plan, so that it can be told to be healthy")
    func uncheckedPeer() throws {
        #expect(try Wanted(blocks: [[]]).plan().peers.map(\.checks.count) == [0])
    }

    @Test("the same address twice in a group is two peers")
    func repeatedAddress() throws {
        let plan = try Wanted(ports: [1, 1], blocks: [[Wanted.check()]]).plan()
        #expect(Set(plan.peers.map(\.key)).count == 2)
    }
}

@Suite("the roster of peers and checks")
struct HealthRosterTests {
    /// A roster that has committed `wanted` at 0 ms.
    private func roster(_ wanted: Wanted, known: [PeerKey: HealthState] = [:]) throws -> Ward {
        let roster = Ward()
        let changes = roster.adopt(try wanted.plan(), known: known, at: 0)
        #expect(changes.isEmpty)
        return roster
    }

    private func state(_ roster: Ward, _ port: UInt16 = 1883) -> HealthState? {
        roster.peers[Wanted.key(port)]?.state
    }

    @Test("a failed check makes its peer unhealthy with a reason, a passed one healthy again without")
    func results() throws {
        let roster = try roster(Wanted(blocks: [[Wanted.check()]]))
        let id = try #require(roster.start(at: 0))
        let fall = try #require(roster.finish(id, .failed(refused), at: 1))
        #expect(fall.change?.state == .unhealthy)
        #expect(fall.change?.cause == .failed(refused))
        #expect(fall.hasPassed == false)
        #expect(roster.peers[Wanted.key(1883)]?.reason == refused.text)
        #expect(roster.start(at: 4_999) == nil)
        #expect(roster.start(at: 5_000) == id)
        let rise = try #require(roster.finish(id, .passed, at: 5_001))
        #expect(rise.change?.state == .healthy)
        #expect(rise.change?.cause == .passed(1))
        #expect(roster.peers[Wanted.key(1883)]?.reason == "")
    }

    @Test("an abandoned check says nothing of its peer and is tried again")
    func abandoned() throws {
        let roster = try roster(Wanted(blocks: [[Wanted.check()]]))
        let id = try #require(roster.start(at: 0))
        let finding = try #require(roster.finish(id, .abandoned, at: 1))
        #expect(finding.hasPassed == nil)
        #expect(!finding.isNews && finding.change == nil)
        #expect(roster.nextDueMilliseconds == 5_000)
    }

    @Test("one of two checks is enough to be unhealthy, and both must pass to be healthy")
    func twoChecks() throws {
        let roster = try roster(Wanted(blocks: [[Wanted.check(), Wanted.check(port: 9)]]))
        let first = try #require(roster.start(at: 0))
        let second = try #require(roster.start(at: 0))
        #expect(roster.finish(first, .failed(refused), at: 1)?.change != nil)
        #expect(roster.finish(second, .failed(refused), at: 1)?.change == nil)
        _ = roster.start(at: 5_000)
        _ = roster.start(at: 5_000)
        #expect(roster.finish(first, .passed, at: 5_001)?.change == nil)
        #expect(state(roster) == .unhealthy)
        #expect(roster.finish(second, .passed, at: 5_001)?.change?.state == .healthy)
    }

    @Test("a newcomer under mandatory is to be held back, any other is not")
    func newcomers() throws {
        let roster = try roster(Wanted(ports: [1], blocks: [[Wanted.check()]]))
        let mandatory = try Wanted(ports: [1, 2], blocks: [[Wanted.check(mandatory: true)]]).plan()
        #expect(roster.newcomers(of: mandatory, known: [:]).map(\.state) == [.checking])
        #expect(roster.newcomers(of: mandatory, known: [:]).map(\.key) == [Wanted.key(2)])
        let plain = try Wanted(ports: [1, 2], blocks: [[Wanted.check()]]).plan()
        #expect(roster.newcomers(of: plain, known: [:]).map(\.state) == [.healthy])
        #expect(roster.newcomers(of: mandatory, known: [Wanted.key(2): .healthy]).isEmpty)
    }

    @Test("a check that a reload leaves as it is goes on, even while it runs")
    func unchangedCheck() throws {
        var wanted = Wanted(blocks: [[Wanted.check(mandatory: true, fails: 2)]])
        let roster = try roster(wanted)
        let id = try #require(roster.start(at: 0))
        wanted.ports.append(1884)
        wanted.blocks[0][0].errorLogs = []
        #expect(roster.adopt(try wanted.plan(), at: 1).isEmpty)
        #expect(roster.finish(id, .passed, at: 2)?.change?.state == .healthy)
        #expect(state(roster) == .healthy)
        #expect(state(roster, 1884) == .checking)
    }

    @Test("a check that a reload changes begins anew, and its late result is nobody's")
    func changedCheck() throws {
        let roster = try roster(Wanted(blocks: [[Wanted.check()]]))
        let id = try #require(roster.start(at: 0))
        let changed = try Wanted(blocks: [[Wanted.check(interval: 1_000)]]).plan()
        #expect(roster.adopt(changed, at: 1).isEmpty)
        #expect(roster.finish(id, .failed(refused), at: 2) == nil)
        #expect(state(roster) == .healthy)
        let next = try #require(roster.start(at: 2))
        #expect(next != id)
    }

    @Test("a reload that asks for mandatory puts a healthy peer back to checking, and says so")
    func mandatoryByReload() throws {
        let roster = try roster(Wanted(blocks: [[]]))
        let changes = roster.adopt(
            try Wanted(blocks: [[Wanted.check(mandatory: true)]]).plan(), at: 1)
        #expect(changes.map(\.state) == [.checking])
        #expect(changes.map(\.cause) == [.mandatory])
        let persistent = try Wanted(blocks: [[Wanted.check(mandatory: true, persistent: true)]]).plan()
        let other = try self.roster(Wanted(blocks: [[]]))
        #expect(other.adopt(persistent, at: 1).isEmpty)
    }

    @Test("a check that only comes at other times keeps its answer, so that mandatory takes no server away")
    func sameQuestion() throws {
        let roster = try roster(Wanted(blocks: [[Wanted.check(mandatory: true)]]))
        let id = try #require(roster.start(at: 0))
        _ = roster.finish(id, .passed, at: 1)
        let faster = try Wanted(blocks: [[Wanted.check(mandatory: true, interval: 1_000)]]).plan()
        #expect(roster.adopt(faster, at: 2).isEmpty)
        #expect(state(roster) == .healthy)
        let elsewhere = try Wanted(blocks: [[Wanted.check(mandatory: true, port: 9)]]).plan()
        #expect(roster.adopt(elsewhere, at: 3).map(\.state) == [.checking])
    }

    @Test("a peer that loses all its checks is healthy")
    func lostChecks() throws {
        let roster = try roster(Wanted(blocks: [[Wanted.check()]]))
        let id = try #require(roster.start(at: 0))
        _ = roster.finish(id, .failed(refused), at: 1)
        let changes = roster.adopt(try Wanted(blocks: [[]]).plan(), at: 2)
        #expect(changes.map(\.cause) == [.unchecked])
        #expect(state(roster) == .healthy)
        #expect(roster.start(at: .max) == nil)
    }

    @Test("a new prober takes up what the one before it has found", arguments: HealthState.allCases)
    func resumed(_ former: HealthState) throws {
        let roster = try roster(
            Wanted(blocks: [[Wanted.check(mandatory: true)]]), known: [Wanted.key(1883): former])
        #expect(state(roster) == former)
    }

    @Test("checks come in the order of their times, each once, however many there are")
    func order() throws {
        let ports = (0..<500).map { UInt16($0 + 1_000) }
        let roster = try roster(Wanted(ports: ports, blocks: [[Wanted.check(), Wanted.check(port: 9)]]))
        var seen: Set<CheckID> = []
        var former: UInt64 = 0
        while let due = roster.nextDueMilliseconds {
            #expect(due >= former)
            former = due
            let id = try #require(roster.start(at: due))
            #expect(seen.insert(id).inserted)
        }
        #expect(seen.count == 1_000)
        #expect(former < 5_000)
    }
}
