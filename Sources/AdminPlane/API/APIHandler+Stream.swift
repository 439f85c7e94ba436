// SPDX-License-Identifier: Apache-2.0
//
// nginx's endpoints about stream that show figures: server_zones, upstreams, and those that Weir has nothing for yet.

import HTTPTypes
import LinuxIO
import ProxyConfig
import SharedState

private struct ZoneFigures: Encodable {
    struct Sessions: Encodable {
        var s2xx: UInt64
        var s4xx: UInt64
        var s5xx: UInt64
        var total: UInt64
        enum CodingKeys: String, CodingKey {
            case s2xx = "2xx"
            case s4xx = "4xx"
            case s5xx = "5xx"
            case total
        }
    }
    var processing: UInt64
    var connections: UInt64
    var sessions: Sessions
    var discarded: UInt64
    var received: UInt64
    var sent: UInt64
    var ssl: TLSFigures?

    init(_ zone: ZoneReport, since baseline: ZoneReport?, version: Int) {
        let s2xx = AdminPlane.since(baseline?.sessions2xx, zone.sessions2xx)
        let s4xx = AdminPlane.since(baseline?.sessions4xx, zone.sessions4xx)
        let s5xx = AdminPlane.since(baseline?.sessions5xx, zone.sessions5xx)
        processing = zone.processing
        connections = AdminPlane.since(baseline?.connections, zone.connections)
        sessions = Sessions(s2xx: s2xx, s4xx: s4xx, s5xx: s5xx, total: s2xx + s4xx + s5xx)
        discarded = AdminPlane.since(baseline?.discarded, zone.discarded)
        received = AdminPlane.since(baseline?.received, zone.received)
        sent = AdminPlane.since(baseline?.sent, zone.sent)
        ssl = TLSFigures.ifAny(zone.tls, since: baseline?.tls, isServer: true, version: version)
    }
}

extension APIHandler {
    func answerStream(_ request: AdminRequest, _ path: [String], _ version: Int) async throws(APIError) -> APIAnswer {
        guard let group = path.first else {
            try request.allow(.get)
            return APIAnswer(value: Self.streamGroups(version), shape: .list)
        }
        switch (group, path.count) {
        case ("server_zones", 1): return try zones(request, version)
        case ("server_zones", 2): return try zone(request, path[1], version)
        case ("upstreams", 1): return try upstreams(request, version)
        case ("upstreams", 2): return try upstream(request, path[1], version)
        case ("upstreams", 3...4) where path[2] == "servers":
            return try await answerServers(request, upstream: path[1], server: path.count == 4 ? path[3] : nil)
        case ("limit_conns", 1) where version >= 6, ("keyvals", 1): return try empty(request)
        default: throw .pathNotFound
        }
    }

    private static func streamGroups(_ version: Int) -> [String] {
        ["server_zones", "upstreams", "keyvals"] + (version >= 6 ? ["limit_conns"] : [])
    }

    // MARK: Zones

    private func zones(_ request: AdminRequest, _ version: Int) throws(APIError) -> APIAnswer {
        try request.allow(.get)
        let present = baselines.present.zones
        return .collection(
            Dictionary(
                context.region.zoneReports().map {
                    ($0.name, ZoneFigures($0, since: present[$0.slot.index], version: version))
                }, uniquingKeysWith: { first, _ in first }))
    }

    private func zone(_ request: AdminRequest, _ name: String, _ version: Int) throws(APIError) -> APIAnswer {
        try request.allow(.get, .delete)
        guard let zone = context.region.zoneReports().first(where: { $0.name == name }) else { throw .zoneNotFound }
        if request.method == .delete {
            baselines.reset { $0.zones[zone.slot.index] = zone }
            return .noContent
        }
        return .object(ZoneFigures(zone, since: baselines.present.zones[zone.slot.index], version: version))
    }

    // MARK: Upstreams

    private func upstreams(_ request: AdminRequest, _ version: Int) throws(APIError) -> APIAnswer {
        try request.allow(.get)
        let present = baselines.present.peers
        let configuration = context.configuration
        var figures: [String: UpstreamFigures] = [:]
        let upstreams = Dictionary(
            configuration.upstreams.filter(\.isExplicit).map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        for report in context.region.groupReports() {
            guard let upstream = upstreams[report.name] else { continue }
            Processes.giveWay()
            figures[report.name] = UpstreamFigures(report, upstream, since: present, version: version)
        }
        return .collection(figures)
    }

    private func upstream(_ request: AdminRequest, _ name: String, _ version: Int) throws(APIError) -> APIAnswer {
        try request.allow(.get, .delete)
        let upstream = context.configuration.upstreams.first { $0.isExplicit && $0.name == name }
        guard let upstream, let report = context.region.groupReports().first(where: { $0.name == name }) else {
            throw .upstreamNotFound
        }
        if request.method == .delete {
            baselines.reset { state in
                for peer in report.peers { state.peers[peer.slot.index] = peer }
            }
            return .noContent
        }
        return .object(UpstreamFigures(report, upstream, since: baselines.present.peers, version: version))
    }
}
