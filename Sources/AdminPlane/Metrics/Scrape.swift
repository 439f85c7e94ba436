// SPDX-License-Identifier: Apache-2.0
//
// One scrape: the region is read once, nothing is asked of a worker, and the work grows with what is told.

import ProxyConfig
import SharedState

package enum Scrape {
    /// `configuration`: the present one, for what servers are by its word.
    package static func text(
        of region: SharedRegion, _ configuration: Configuration, format: MetricFormat
    ) -> [UInt8] {
        let workers = region.workerReports()
        let groups = region.groupReports()
        let present = workers.filter { $0.state != .free }
        let peers = peerRows(groups, configuration, region)
        // What a peer takes, measured; a text that grows while it is written is copied again and again.
        var writer = MetricWriter(format, bytesExpected: 32_768 + peers.count * 4096 + present.count * 8192)
        let master = region.masterReport()
        writer.write(master)
        writer.write(processRows(master, present))
        writer.writeSessions(workers)
        writer.write(present.map { Labelled($0, ["worker": "\($0.slot.index)"]) })
        writer.write(unique(region.zoneReports().map { Labelled($0, ["zone": $0.name]) }))
        writer.write(peers)
        return writer.finish()
    }

    private static func peerRows(
        _ groups: [GroupReport], _ configuration: Configuration, _ region: SharedRegion
    ) -> [Labelled<PeerRow>] {
        let marked = markedPeers(configuration, region)
        var rows: [Labelled<PeerRow>] = []
        rows.reserveCapacity(groups.reduce(0) { $0 + $1.peers.count })
        for group in groups {
            let labels: MetricLabels = ["upstream": group.name]
            for peer in group.peers {
                let mark = marked[peer.slot]
                let condition = peer.condition(
                    isDown: mark?.isDown ?? false, isDraining: mark?.isDraining ?? false)
                rows.append(
                    Labelled(PeerRow(report: peer, condition: condition), labels.with("server", peer.endpoint)))
            }
        }
        return unique(rows)
    }

    /// Servers that the configuration calls `down` or `drain`. Each is a look through the region's table, which is
    /// nothing as long as they are few.
    private static func markedPeers(
        _ configuration: Configuration, _ region: SharedRegion
    ) -> [PeerSlot: Peer] {
        var marked: [PeerSlot: Peer] = [:]
        for upstream in configuration.upstreams where upstream.peers.contains(where: { $0.isDown || $0.isDraining }) {
            guard let group = region.groupSlot(named: upstream.name) else { continue }
            for (peer, identity) in zip(upstream.peers, upstream.peerIdentities())
            where peer.isDown || peer.isDraining {
                if let slot = region.peerSlot(group: group, identity: identity) { marked[slot] = peer }
            }
        }
        return marked
    }

    /// Two rows with the same labels would be two values of one series, and a scraper refuses the whole text: a server
    /// that stands twice in its upstream, or names that are alike in all that is kept of them. The second one is told
    /// apart by its number.
    private static func unique<Value>(_ rows: [Labelled<Value>]) -> [Labelled<Value>] {
        var seen: [MetricLabels: Int] = [:]
        return rows.map { row in
            let count = seen[row.labels, default: 0] + 1
            seen[row.labels] = count
            return count == 1 ? row : Labelled(row.value, row.labels.numbered(count))
        }
    }
}
