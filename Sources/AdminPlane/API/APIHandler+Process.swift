// SPDX-License-Identifier: Apache-2.0
//
// nginx's endpoints about the program itself: nginx, processes, connections, workers, slabs, ssl, resolvers; and those
// of http, which is not Weir's business: there, and empty, because clients of nginx's API ask for them.

import HTTPTypes
import LinuxIO
import SharedState
import Vocabulary

private struct Program: Encodable {
    var version: String
    var build: String
    var address: String
    var generation: UInt32
    var load_timestamp: String
    var timestamp: String
    var pid: Int32
    var ppid: Int32
}

private struct Processes: Encodable {
    var respawned: UInt64
}

struct ConnectionCounts: Encodable {
    var accepted: UInt64 = 0
    var dropped: UInt64 = 0
    var active: UInt64 = 0
    var idle: UInt64 = 0

    /// As nginx counts: a connection whose client has not said anything yet is idle, and every other is active.
    init(_ workers: [WorkerReport], since baselines: [Int: WorkerReport]) {
        for worker in workers {
            let baseline = baselines[worker.slot.index]
            accepted += AdminPlane.since(baseline?.accepted, worker.accepted)
            dropped += AdminPlane.since(baseline?.refused, worker.refused)
            idle += min(worker.waiting, worker.active)
            active += worker.active - min(worker.waiting, worker.active)
        }
    }
}

private struct RequestCounts: Encodable {
    var total = 0
    var current = 0
}

private struct WorkerFigures: Encodable {
    struct HTTP: Encodable {
        var requests = RequestCounts()
    }
    var id: Int
    var pid: Int32
    var connections: ConnectionCounts
    var http = HTTP()
}

private struct Nothing: Encodable {}

extension APIHandler {
    func answerProcess(_ request: AdminRequest, _ path: [String], _ version: Int) throws(APIError) -> APIAnswer {
        switch (path[0], path.count) {
        case ("nginx", 1): return try program(request)
        case ("processes", 1): return try processes(request)
        case ("connections", 1): return try connections(request)
        case ("ssl", 1): return try tls(request, version)
        case ("workers", 1) where version >= 9: return try workers(request)
        case ("workers", 2) where version >= 9: return try worker(request, path[1])
        case ("slabs", 1): return try empty(request)
        case ("resolvers", 1) where version >= 5: return try empty(request)
        default: throw .pathNotFound
        }
    }

    private func program(_ request: AdminRequest) throws(APIError) -> APIAnswer {
        try request.allow(.get)
        let master = context.region.masterReport()
        return .object(
            Program(
                version: weirVersion, build: "weir", address: request.localAddress, generation: master.generation,
                load_timestamp: HTTPDate.timestamp(milliseconds: master.loadedAt),
                timestamp: HTTPDate.timestamp(milliseconds: wallMilliseconds()), pid: master.adminPID,
                ppid: master.pid))
    }

    private func processes(_ request: AdminRequest) throws(APIError) -> APIAnswer {
        try request.allow(.get, .delete)
        let master = context.region.masterReport()
        let respawned =
            context.region.workerReports().reduce(0) { $0 + $1.respawns } + master.proberRespawns
            + master.adminRespawns
        if request.method == .delete {
            baselines.reset { $0.processes = respawned }
            return .noContent
        }
        return .object(Processes(respawned: since(baselines.present.processes, respawned)))
    }

    private func connections(_ request: AdminRequest) throws(APIError) -> APIAnswer {
        try request.allow(.get, .delete)
        let workers = context.region.workerReports()
        if request.method == .delete {
            baselines.reset { state in
                for worker in workers { state.workers[worker.slot.index] = worker }
            }
            return .noContent
        }
        return .object(ConnectionCounts(workers, since: baselines.present.workers))
    }

    private func tls(_ request: AdminRequest, _ version: Int) throws(APIError) -> APIAnswer {
        try request.allow(.get, .delete)
        let sum = context.region.workerReports().reduce(TLSReport()) { $0 + $1.clientTLS + $1.brokerTLS }
        if request.method == .delete {
            baselines.reset { $0.tls = sum }
            return .noContent
        }
        return .object(TLSFigures(sum, since: baselines.present.tls, isServer: true, version: version))
    }

    // MARK: Workers

    private func workers(_ request: AdminRequest) throws(APIError) -> APIAnswer {
        try request.allow(.get, .delete)
        let running = context.region.workerReports().filter { $0.pid != 0 }
        if request.method == .delete {
            baselines.reset { state in
                for worker in running { state.workers[worker.slot.index] = worker }
            }
            return .noContent
        }
        let present = baselines.present.workers
        return .list(running.map { figures($0, present) })
    }

    private func worker(_ request: AdminRequest, _ id: String) throws(APIError) -> APIAnswer {
        try request.allow(.get, .delete)
        let worker = context.region.workerReports().first { String($0.slot.index) == id && $0.pid != 0 }
        guard let worker else { throw .workerNotFound }
        if request.method == .delete {
            baselines.reset { $0.workers[worker.slot.index] = worker }
            return .noContent
        }
        return .object(figures(worker, baselines.present.workers))
    }

    private func figures(_ worker: WorkerReport, _ baselines: [Int: WorkerReport]) -> WorkerFigures {
        WorkerFigures(
            id: worker.slot.index, pid: worker.pid, connections: ConnectionCounts([worker], since: baselines))
    }

    // MARK: What there is none of

    /// A collection that no configuration can put anything into.
    func empty(_ request: AdminRequest) throws(APIError) -> APIAnswer {
        try request.allow(.get)
        return .collection([String: Nothing]())
    }

    func answerHTTP(_ request: AdminRequest, _ path: [String]) throws(APIError) -> APIAnswer {
        let parts = [
            "requests", "server_zones", "location_zones", "caches", "limit_conns", "limit_reqs", "upstreams", "keyvals",
        ]
        switch path {
        case []:
            try request.allow(.get)
            return APIAnswer(value: parts, shape: .list)
        case ["requests"]:
            try request.allow(.get)
            return .object(RequestCounts())
        case let path where path.count == 1 && parts.contains(path[0]):
            return try empty(request)
        default: throw .pathNotFound
        }
    }
}
