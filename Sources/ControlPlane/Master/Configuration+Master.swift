// SPDX-License-Identifier: Apache-2.0
//
// What the master reads out of a configuration: how many workers, as whom, and what they need in the shared region.

import LinuxIO
import ProxyConfig
import SharedState
import Vocabulary

extension Configuration {
    /// `worker_processes`; `auto` is the CPUs that this process may use.
    var workerCount: Int {
        let count =
            switch main.workerCount {
            case .number(let number): number
            case .automatic: Processes.availableProcessorCount()
            }
        return max(1, min(count, SharedRegion.workersMax))
    }

    /// nginx's default user; only root can become another.
    private static let defaultUser = "nobody"

    /// Whom children run as; nil: as the master does.
    var childUser: UserIdentity? {
        guard Processes.isRoot, var user = Processes.user(named: main.user ?? Configuration.defaultUser) else {
            return nil
        }
        if let group = main.group, let number = Processes.groupID(named: group) { user.groupID = number }
        return user
    }

    /// As nginx, which refuses a name that the system does not know.
    func checkUser() throws(StartFault) {
        guard Processes.isRoot else { return }
        let name = main.user ?? Configuration.defaultUser
        if Processes.user(named: name) == nil { throw StartFault("getpwnam(\"\(name)\") failed") }
        if let group = main.group, Processes.groupID(named: group) == nil {
            throw StartFault("getgrnam(\"\(group)\") failed")
        }
    }

    /// The first error log, for messages that send a person there.
    var errorLogName: String {
        switch main.errorLogs.first.map({ logDestinations[$0.destination] }) {
        case .file(let path), .keyLog(let path): path
        case .syslog(let syslog): "syslog at \(syslog.server.text)"
        case .standardError, nil: "standard error"
        }
    }

    /// Whether the shared region has room for every server.
    func checkSlots() throws(StartFault) {
        if upstreams.count > SharedRegion.groupsMax {
            throw StartFault(SlotFault.groupsUsedUp(max: SharedRegion.groupsMax).text)
        }
        if upstreams.reduce(0, { $0 + $1.peers.count }) > SharedRegion.peersMax {
            throw StartFault(SlotFault.peersUsedUp(max: SharedRegion.peersMax).text)
        }
        if zoneNames.count > SharedRegion.zonesMax {
            throw StartFault(SlotFault.zonesUsedUp(max: SharedRegion.zonesMax).text)
        }
    }

    /// Whether a worker needs CAP_NET_RAW.
    var bindsTransparently: Bool { servers.contains { $0.proxyBind?.isTransparent ?? false } }

    /// Each `status_zone` once.
    var zoneNames: [String] {
        var seen: Set<String> = []
        return servers.compactMap(\.statusZone).filter { seen.insert($0).inserted }
    }

    var slotRequests: [GroupRequest] {
        upstreams.map { upstream in
            let peers = zip(upstream.peerIdentities(), upstream.peers).map { identity, peer in
                GroupRequest.Peer(identity: identity, weight: Int32(clamping: peer.weight))
            }
            return GroupRequest(name: upstream.name, peers: peers)
        }
    }
}
