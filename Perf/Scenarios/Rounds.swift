// SPDX-License-Identifier: Apache-2.0
//
// Takes all peers through a scenario, round by round, each with a fresh process and a fresh fleet. Every other round
// goes the other way round, so that what drifts (heat, neighbours, ports in TIME_WAIT) meets all of them alike.

import Fleet
import LinuxIO
import Vocabulary

struct Rounds {
    let settings: Settings
    let peers: [Peer]
    let folder: String
    /// Called before each run: what is being done.
    let progress: (String) -> Void

    func run(_ scenario: any Scenario) throws -> [Sample] {
        var samples: [Sample] = []
        let taking = peers.filter { scenario.peers.contains($0) }
        for round in 1...settings.rounds {
            for peer in round % 2 == 1 ? taking : taking.reversed() {
                progress("\(scenario.name), round \(round) of \(settings.rounds): \(peer.rawValue)")
                samples.append(try run(scenario, peer, round: round))
            }
        }
        return samples
    }

    private func run(_ scenario: any Scenario, _ peer: Peer, round: Int) throws -> Sample {
        let target = IPEndpoint(address: Place.address, port: Place.port)
        let fleet = try Fleet(
            FleetPlan(
                brokers: Place.brokerAddresses.map {
                    IPEndpoint(address: IPAddress(ipv4: $0), port: Place.brokerPort)
                },
                targets: peer == .direct ? nil : [target],
                secureTarget: scenario.isSecure ? IPEndpoint(address: Place.address, port: Place.securePort) : nil,
                sources: Place.sourceAddresses.map { IPAddress(ipv4: $0) }))
        guard peer != .direct else {
            let figures = try scenario.run(Stage(fleet: fleet, proxy: nil, settings: settings))
            return Sample(round: round, peer: peer, figures: figures, faults: fleet.takeTally().text)
        }
        guard let program = settings.programs[peer] else {
            throw RunFault(description: "no program for \(peer.rawValue)")
        }
        let place = folder + "/\(scenario.name)-\(round)-\(peer.rawValue)"
        try Files.makeDirectory(place)
        var configuration = scenario.configuration(peer, folder: place, settings)
        if scenario.isSecure { configuration.certificate = try Certificate.make(in: folder) }
        let proxy = try RunningPeer(configuration, programPath: program, processor: settings.proxyProcessor)
        defer { proxy.stop() }
        let figures = try scenario.run(Stage(fleet: fleet, proxy: proxy, settings: settings))
        guard proxy.isRunning else { throw RunFault(description: "\(peer.rawValue) ended: \(proxy.log)") }
        var faults = fleet.takeTally().text
        if !faults.isEmpty, !proxy.log.isEmpty { faults += "; \(peer.rawValue) said: \(proxy.log.suffix(300))" }
        return Sample(round: round, peer: peer, figures: figures, faults: faults)
    }
}
