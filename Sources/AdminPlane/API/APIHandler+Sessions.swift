// SPDX-License-Identifier: Apache-2.0
//
// Which sessions there are, one page at a time; the end of one; who connects and who moves most; where a device is.
// Workers answer between their turns, so a page asks no more of them than it shows.

import ControlLink
import HTTPTypes
import LinuxIO
import ProxyConfig
import SharedState
import Vocabulary

extension APIHandler {
    // MARK: Pages

    /// `cursor` is `WORKER.PLACE`: pages go through one worker after the other.
    func sessions(_ request: AdminRequest) async throws(APIError) -> APIAnswer {
        try request.allow(.get)
        let filter = try filter(request)
        let limit = try request.number("limit", 1...SessionQuery.limitMax) ?? 100
        let start = try request.queryValue("cursor").map { text throws(APIError) in try Cursor(text) } ?? Cursor()
        let workers = context.region.workerReports().filter { $0.pid != 0 }.map(\.slot.index)
        let names = SlotNames(context.region)
        let now = wallMilliseconds()
        var page = SessionPage(sessions: [], next: nil, faults: [])
        for worker in workers where worker >= start.worker {
            let room = limit - page.sessions.count
            guard room > 0 else {
                page.next = Cursor(worker: worker).text
                break
            }
            let place = worker == start.worker ? start.place : 0
            let query = SessionQuery(.list(filter), cursor: place, limit: room)
            for answer in await context.control.ask(query, workers: [worker]) {
                page.sessions += answer.sessions.map {
                    SessionFigures($0, worker: worker, names: names, now: now)
                }
                if let fault = answer.fault { page.faults.append(WorkerFault(worker: worker, text: fault)) }
                if let next = answer.next { page.next = Cursor(worker: worker, place: next).text }
            }
            if page.next != nil { break }
        }
        return .object(page)
    }

    private struct Cursor {
        var worker = 0
        var place: UInt32 = 0
        var text: String { "\(worker).\(place)" }

        init(worker: Int = 0, place: UInt32 = 0) {
            self.worker = worker
            self.place = place
        }

        init(_ text: String) throws(APIError) {
            let parts = text.split(separator: ".", omittingEmptySubsequences: false)
            guard parts.count == 2, let worker = Int(parts[0]), worker >= 0, let place = UInt32(parts[1]) else {
                throw .badQuery("\"cursor\" is none that this API has given")
            }
            self.init(worker: worker, place: place)
        }
    }

    private func filter(_ request: AdminRequest) throws(APIError) -> SessionFilter {
        var filter = SessionFilter()
        if let id = request.queryValue("client_id") { filter.clientID = try clientID(id) }
        if let text = request.queryValue("client") {
            guard let (address, port) = Self.address(text) else {
                throw .badQuery("\"client\" is no address, with or without a port")
            }
            filter.client = address
            filter.clientPort = port
        }
        if let text = request.queryValue("peer") {
            filter.peers = peers(text)
            guard !filter.peers.isEmpty else { throw .badQuery("\"peer\" is no server's address, name or id") }
            guard filter.peers.count <= SessionFilter.peersMax else { throw .badQuery("\"peer\" is too many servers") }
        }
        return filter
    }

    private func clientID(_ text: String) throws(APIError) -> [UInt8] {
        let bytes = Array(text.utf8)
        guard bytes.count <= SessionFilter.clientIDBytesMax else { throw .badQuery("the client id is too long") }
        return bytes
    }

    /// `1.2.3.4`, `::1`, `[::1]`, each with a port or without.
    private static func address(_ text: String) -> (IPAddress, UInt16?)? {
        if let address = IPAddress(text: text) { return (address, nil) }
        if text.hasPrefix("["), text.hasSuffix("]") {
            return IPAddress(text: String(text.dropFirst().dropLast())).map { ($0, nil) }
        }
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]) else {
            return nil
        }
        let host = text[..<colon]
        let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
        let bare = String(isBracketed ? host.dropFirst().dropLast() : host)
        guard let address = IPAddress(text: bare) else { return nil }
        return (address, port)
    }

    /// Also of servers that no configuration names any more: they may have sessions still.
    private func peers(_ text: String) -> [UInt32] {
        var names: [String: Set<String>] = [:]
        for upstream in context.configuration.upstreams {
            for peer in upstream.peers { names[peer.endpoint.text, default: []].insert(peer.serverText) }
        }
        return context.region.groupReports(onlyCommitted: false).flatMap(\.peers).filter { peer in
            String(peer.slot.index) == text || peer.endpoint == text || names[peer.endpoint]?.contains(text) ?? false
        }.map { UInt32($0.slot.index) }
    }

    // MARK: One session

    func endSession(_ request: AdminRequest, _ text: String) async throws(APIError) -> APIAnswer {
        try request.allow(.delete)
        guard let id = SessionID(text: text.utf8) else { throw .sessionNotFound }
        let answers = await context.control.ask(SessionQuery(.close(id), limit: 1), workers: [id.worker])
        guard answers.contains(where: { !$0.sessions.isEmpty }) else {
            if let fault = answers.compactMap(\.fault).first {
                throw APIError(AdminRefusal(.unreachable, "worker \(id.worker): \(fault)"))
            }
            throw .sessionNotFound
        }
        return .noContent
    }

    // MARK: The most

    func top(_ request: AdminRequest) async throws(APIError) -> APIAnswer {
        try request.allow(.get)
        let count = try request.number("count", 1...100) ?? 10
        switch request.queryValue("by") {
        case "bytes":
            let answers = await context.control.ask(SessionQuery(.topBytes, limit: count), workers: nil)
            let most = answers.flatMap { answer in answer.sessions.map { (answer.worker, $0) } }
                .sorted { $0.1.received &+ $0.1.sent > $1.1.received &+ $1.1.sent }
            let names = SlotNames(context.region)
            let now = wallMilliseconds()
            return .object(
                TopFigures(
                    by: "bytes",
                    sessions: most.prefix(count).map { SessionFigures($1, worker: $0, names: names, now: now) },
                    faults: Self.faults(answers)))
        case "reconnects":
            // An id may come to any worker: each tells more than is shown, so that the sums are of the same ids.
            let query = SessionQuery(.topReconnects, limit: min(count * 4, SessionQuery.limitMax))
            let answers = await context.control.ask(query, workers: nil)
            var sums: [[UInt8]: (connects: UInt64, doubt: UInt64)] = [:]
            for facts in answers.flatMap(\.reconnects) {
                sums[facts.clientID, default: (0, 0)].connects += facts.count
                sums[facts.clientID, default: (0, 0)].doubt += facts.doubt
            }
            let most = sums.sorted {
                $0.value.connects != $1.value.connects
                    ? $0.value.connects > $1.value.connects : $0.key.lexicographicallyPrecedes($1.key)
            }
            let clients = most.prefix(count).map {
                TopFigures.Client(
                    client_id: String(decoding: $0.key, as: UTF8.self), connects: $0.value.connects,
                    doubt: $0.value.doubt)
            }
            return .object(TopFigures(by: "reconnects", clients: clients, faults: Self.faults(answers)))
        default: throw .badQuery("\"by\" is neither bytes nor reconnects")
        }
    }

    private static func faults(_ answers: [WorkerSessions]) -> [WorkerFault] {
        answers.compactMap { answer in answer.fault.map { WorkerFault(worker: answer.worker, text: $0) } }
    }

    // MARK: One device

    func client(_ request: AdminRequest, _ id: String) async throws(APIError) -> APIAnswer {
        try request.allow(.get)
        var filter = SessionFilter()
        filter.clientID = try clientID(id)
        let answers = await context.control.ask(SessionQuery(.list(filter), limit: 100), workers: nil)
        let names = SlotNames(context.region)
        let now = wallMilliseconds()
        let sessions = answers.flatMap { answer in
            answer.sessions.map { SessionFigures($0, worker: answer.worker, names: names, now: now) }
        }
        return .object(
            ClientFigures(client_id: id, sessions: sessions, homes: homes(of: id), faults: Self.faults(answers)))
    }

    /// In every upstream that chooses by a hash.
    private func homes(of id: String) -> [ClientFigures.Home] {
        let (configuration, placement) = context.placements
        let client = KnownClient(clientID: id)
        return configuration.upstreams.compactMap { upstream in
            guard upstream.isExplicit, case .hash = upstream.method else { return nil }
            var home = ClientFigures.Home(upstream: upstream.name)
            do throws(Placement.Unknown) {
                let placement = try placement(upstream)
                let first = try placement.server(of: client, in: configuration)
                home.server = upstream.peers[first].endpoint.text
                home.name = upstream.peers[first].serverText
                let open = openServers(of: upstream)
                let second = try? placement.server(of: client, in: configuration) { open.contains($0) }
                home.server_now = second.map { upstream.peers[$0].endpoint.text }
            } catch {
                home.reason = error.text
            }
            return home
        }
    }

    /// Indices of those that may get a session now.
    private func openServers(of upstream: Upstream) -> Set<Int> {
        guard let group = context.region.groupSlot(named: upstream.name) else { return [] }
        let open = zip(upstream.peers.indices, upstream.peerIdentities()).filter { index, identity in
            guard let slot = context.region.peerSlot(group: group, identity: identity) else { return false }
            let peer = upstream.peers[index]
            let report = context.region.peerReport(slot)
            return report.condition(isDown: peer.isDown, isDraining: peer.isDraining) == .up
                && (peer.maxConnections == 0 || report.active < UInt64(peer.maxConnections))
        }
        return Set(open.map(\.0))
    }
}

extension Placement.Unknown {
    package var text: String {
        switch self {
        case .notByKey: "the upstream does not choose by a key"
        case .keyIsUnknown(let name): "the key has \(name), which a client id does not tell"
        case .noServers: "no server may get a session"
        }
    }
}
