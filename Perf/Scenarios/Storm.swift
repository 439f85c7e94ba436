// SPDX-License-Identifier: Apache-2.0
//
// Devices that all come at once, as a companion of the fleet. Their ClientHellos are made before it begins, so that the
// proxy meets all of them at once.

import Fleet
import Vocabulary

final class Storm {
    static let secondsMax = 30.0

    private let companion: Companion

    /// Waits until the devices are ready to begin.
    init(handshakes count: Int) throws {
        companion = try Companion { line in
            let target = IPEndpoint(address: Place.address, port: Place.securePort)
            let fleet = try Fleet(
                FleetPlan(
                    brokers: [], targets: [], secureTarget: target,
                    sources: Place.sourceAddresses.map { IPAddress(ipv4: $0) }))
            fleet.transport = .full
            fleet.prepareHandshakes(count)
            try line.ready()
            let result = fleet.openSessions(count, atOnce: count)
            let faults = fleet.takeTally().text
            guard faults.isEmpty else { throw RunFault(description: faults) }
            try line.done(["\(result.perSecond)"])
            fleet.closeSessions()
        }
    }

    func begin() throws { try companion.begin() }

    /// Handshakes a second, each of whose devices got its CONNACK. Nil as long as it goes on.
    func perSecond() throws -> Double? { try companion.outcome().map { $0.first.flatMap { Double($0) } ?? 0 } }

    /// Until all its devices have closed.
    func waitForEnd() { companion.waitForEnd() }
}
