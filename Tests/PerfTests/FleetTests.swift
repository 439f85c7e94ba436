// SPDX-License-Identifier: Apache-2.0
//
// The load generator against its own broker, with nothing in between: every job runs, finds no fault and counts what it
// should. Nothing is timed here.

import Fleet
import Histogram
import Testing
import Vocabulary

@Suite("the fleet, straight to its broker", .serialized)
struct FleetTests {
    /// Ports are the kernel's choice.
    private static func makeFleet() throws -> Fleet {
        let brokers = (11...18).map { IPEndpoint(address: IPAddress(ipv4: 0x7F00_0000 | $0), port: 0) }
        let sources = (1...4).map { IPAddress(ipv4: 0x7F00_0100 | $0) }
        return try Fleet(FleetPlan(brokers: brokers, targets: nil, sources: sources))
    }

    @Test("devices come and go, and each gets its CONNACK")
    func churn() throws {
        let fleet = try Self.makeFleet()
        let result = fleet.churn(atOnce: 8, seconds: 0.1)
        #expect(result.count >= 8)
        #expect(fleet.takeTally() == Tally())
    }

    @Test("sessions stay open until they are closed")
    func idle() throws {
        let fleet = try Self.makeFleet()
        #expect(fleet.openSessions(200).count == 200)
        fleet.hold(seconds: 0.05)
        #expect(fleet.openSessionCount == 200)
        fleet.closeSessions()
        #expect(fleet.openSessionCount == 0)
        #expect(fleet.takeTally() == Tally())
    }

    @Test("messages at a rate are all answered, and all of them have a latency")
    func paced() throws {
        let fleet = try Self.makeFleet()
        _ = fleet.openSessions(20)
        var latencies = Latencies.empty
        let result = fleet.publish(perSecond: 2000, seconds: 0.2, into: &latencies)
        #expect(result.count == 400)
        #expect(latencies.totalCount == 400)
        fleet.closeSessions()
        #expect(fleet.takeTally() == Tally())
    }

    @Test("messages as fast as answers come")
    func saturated() throws {
        let fleet = try Self.makeFleet()
        _ = fleet.openSessions(20)
        var latencies = Latencies.empty
        let result = fleet.saturate(seconds: 0.1, into: &latencies)
        #expect(result.count >= 20)
        #expect(latencies.totalCount == UInt64(result.count))
        fleet.closeSessions()
        #expect(fleet.takeTally() == Tally())
    }

    @Test("bulk packets arrive whole and all of them", arguments: BulkDirection.allCases)
    func bulk(direction: BulkDirection) throws {
        let fleet = try Self.makeFleet()
        _ = fleet.openSessions(8)
        let byteCount = 8 << 20
        #expect(fleet.stream(direction, byteCount: byteCount).count == byteCount)
        fleet.closeSessions()
        #expect(fleet.takeTally() == Tally())
    }

    @Test("devices that find nobody are counted")
    func refused() throws {
        let nobody = IPEndpoint(address: IPAddress(ipv4: 0x7F00_0001), port: 18_899)
        let brokers = [IPEndpoint(address: IPAddress(ipv4: 0x7F00_000B), port: 0)]
        let sources = [IPAddress(ipv4: 0x7F00_0101)]
        let fleet = try Fleet(FleetPlan(brokers: brokers, targets: [nobody], sources: sources))
        #expect(fleet.openSessions(3).count == 0)
        #expect(fleet.tally.failedConnects == 3)
        #expect(!fleet.tally.isClean)
    }
}
