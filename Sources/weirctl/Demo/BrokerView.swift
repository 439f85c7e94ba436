// SPDX-License-Identifier: Apache-2.0
//
// What Weir knows of the brokers, read from its shared region as any tool of another process would.

import LinuxIO
import SharedState
import Vocabulary

struct BrokerView {
    private var region: SharedRegion?

    /// Nil as long as there is no region to read, and for a broker that it does not name.
    mutating func reports(of weir: WeirProcess) -> [String: PeerReport] {
        guard let region = attached(to: weir) else { return [:] }
        let peers = region.groupReports().first { $0.name == "brokers" }?.peers ?? []
        return Dictionary(peers.map { ($0.endpoint, $0) }) { first, _ in first }
    }

    /// The committed generation; nil as long as there is none.
    mutating func generation(of weir: WeirProcess) -> UInt32? {
        guard let generation = attached(to: weir)?.generation, generation > 0 else { return nil }
        return generation
    }

    mutating func reloads(of weir: WeirProcess) -> (done: UInt64, refused: UInt64)? {
        attached(to: weir).map { ($0.reloadsDone, $0.reloadsRefused) }
    }

    private mutating func attached(to weir: WeirProcess) -> SharedRegion? {
        if region == nil, let pid = weir.pid { region = try? SharedRegion.attach(pid: pid) }
        return region
    }
}
