// SPDX-License-Identifier: Apache-2.0
//
// A scenario: what is measured, and how one peer is taken through it once. Rounds, order and ratios are not its affair.

import Fleet
import Histogram
import LinuxIO
import Vocabulary

protocol Scenario: Sendable {
    var name: String { get }
    /// What is done, in a line.
    func summary(_ settings: Settings) -> String
    var measures: [Measure] { get }
    /// Peers that it makes sense for.
    var peers: Set<Peer> { get }
    /// The proxy has a certificate, and a listener that speaks TLS.
    var isSecure: Bool { get }
    func configuration(_ peer: Peer, folder: String, _ settings: Settings) -> PeerConfiguration
    func run(_ stage: Stage) throws -> [Double]
}

extension Scenario {
    var peers: Set<Peer> { isSecure ? [.weir, .nginx, .haproxy] : Set(Peer.allCases) }
    var isSecure: Bool { false }

    func configuration(_ peer: Peer, folder: String, _ settings: Settings) -> PeerConfiguration {
        PeerConfiguration(peer: peer, folder: folder)
    }
}

/// What a scenario plays on: a fresh fleet, and a proxy that was just started (nil: devices go straight to the broker).
struct Stage {
    let fleet: Fleet
    let proxy: RunningPeer?
    let settings: Settings

    /// What `job` cost, with what it answers.
    func measured(_ job: () throws -> JobResult) rethrows -> (result: JobResult, usage: Usage) {
        let start = Usage.now(proxy?.tree)
        let result = try job()
        return (result, Usage.now(proxy?.tree).since(start))
    }
}

extension Usage {
    /// Microseconds of CPU for each of `count`.
    func proxyMicroseconds(per count: Int) -> Double { Double(proxy) / 1000 / Double(max(1, count)) }
    func machineMicroseconds(per count: Int) -> Double { Double(machine) / 1000 / Double(max(1, count)) }
    /// Part of the time for which the process was on its CPU; near 1, it is what limits the rate.
    var proxyShare: Double { Double(proxy) / Double(max(1, clock)) }
    var loadShare: Double { Double(load) / Double(max(1, clock)) }
    var elsewhere: Double { max(0, Double(machine) - Double(proxy) - Double(load)) / Double(max(1, clock)) }
}

extension Latencies {
    func microseconds(_ percentile: Double) -> Double { Double(valueAtPercentile(percentile)) / 1000 }
}
