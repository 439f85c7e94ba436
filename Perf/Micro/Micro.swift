// SPDX-License-Identifier: Apache-2.0
//
// Single functions, timed in this process: what a scenario with processes and sockets cannot show apart from the rest.
//
// A scrape of a region of several sizes. Time must grow as its text does.

import AdminPlane
import LinuxIO
import ProxyConfig
import SharedState
import Vocabulary

@main
struct Micro {
    static func main() throws {
        print("scrape      peers  workers  sessions       KiB  median ms  largest ms  us/KiB")
        for (peers, workers) in [(3, 2), (300, 2), (300, 16), (2400, 16), (8000, 128)] {
            try scrape(peerCount: peers, workerCount: workers, sessionCount: 10_000)
        }
    }

    private static func scrape(peerCount: Int, workerCount: Int, sessionCount: Int) throws {
        let region = try SharedRegion.create(masterPID: Processes.currentID, wallMilliseconds: wallMilliseconds())
        defer { region.detach() }
        try fill(region, peerCount: peerCount, workerCount: workerCount, sessionCount: sessionCount)
        var byteCount = 0
        var milliseconds: [Double] = []
        for _ in 0..<21 {
            let start = monotonicNanoseconds()
            byteCount = Scrape.text(of: region, Configuration(), format: .openMetrics).count
            milliseconds.append(Double(monotonicNanoseconds() - start) / 1e6)
        }
        milliseconds.sort()
        let kibibytes = Double(byteCount) / 1024
        let columns = [
            ("", 6), ("\(peerCount)", 10), ("\(workerCount)", 8), ("\(sessionCount)", 9), (text(kibibytes), 9),
            (text(milliseconds[10]), 10), (text(milliseconds[20]), 11), (text(milliseconds[10] * 1000 / kibibytes), 7),
        ]
        let line = columns.map { String(repeating: " ", count: max(0, $0.1 - $0.0.count)) + $0.0 }
        print(line.joined(separator: " "))
    }

    /// Upstreams of eight servers with sessions, as evenly spread as they come.
    private static func fill(
        _ region: SharedRegion, peerCount: Int, workerCount: Int, sessionCount: Int
    ) throws {
        let groups = stride(from: 0, to: peerCount, by: 8).map { first in
            GroupRequest(
                name: "brokers\(first / 8)",
                peers: (first..<min(first + 8, peerCount)).map { number in
                    GroupRequest.Peer(identity: "10.0.\(number / 250).\(number % 250 + 1):1883", weight: 1)
                })
        }
        try region.assignSlots(groups, zones: ["devices", "applications"])
        region.commitSlots(generation: 1)
        let workers = (0..<workerCount).compactMap { WorkerSlot(index: $0) }
        for worker in workers {
            // Figures of this process stand for those of each worker.
            region.beginWorker(
                worker, pid: Processes.currentID, isRespawn: false, wallMilliseconds: wallMilliseconds())
            region.setState(.running, of: worker)
        }
        let peers = region.groupReports().flatMap(\.peers)
        for session in 0..<sessionCount {
            let (worker, peer) = (workers[session % workerCount], peers[session % peers.count].slot)
            region.addSession(worker, peer)
            region.countConnected(worker, peer, milliseconds: UInt64(session % 50))
            region.record(worker, .connectTime, ticks: UInt64(session % 50))
            region.addBytes(worker, peer, toPeer: UInt64(session) << 20)
        }
    }

    private static func text(_ number: Double) -> String {
        let hundredths = Int((number * 100).rounded())
        return "\(hundredths / 100)." + (hundredths % 100 < 10 ? "0" : "") + "\(hundredths % 100)"
    }
}
