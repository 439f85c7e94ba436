// SPDX-License-Identifier: Apache-2.0
//
// An admin process's HTTP side in the test's own process: a real listening socket on loopback, a region that the test
// writes as master and workers would, and a control that does what the test says.

import ControlLink
import Dispatch
import LinuxIO
import NIOCore
import ProxyConfig
import SharedState
import Synchronization
import TestSupport
import Vocabulary

@testable import AdminPlane

/// Answers changes with what the test gave it, and remembers them.
final class ScriptedControl: AdminControl {
    typealias Script = @Sendable (MembershipChange) async -> Result<[Int], AdminRefusal>
    typealias AnswerScript = @Sendable (SessionQuery, Int) -> WorkerSessions
    private struct State {
        var changes: [MembershipChange] = []
        var queries: [SessionQuery] = []
        var workers = 1
        var answer: AnswerScript = { _, worker in WorkerSessions(worker: worker) }
        var script: Script = { _ in .failure(AdminRefusal(.failed, "the test did not say")) }
    }
    private let state = Mutex(State())

    var changes: [MembershipChange] { state.withLock { $0.changes } }

    func perform(_ script: @escaping Script) { state.withLock { $0.script = script } }

    var queries: [SessionQuery] { state.withLock { $0.queries } }

    func answer(workers: Int, _ script: @escaping AnswerScript) {
        state.withLock { ($0.workers, $0.answer) = (workers, script) }
    }

    func ask(_ query: SessionQuery, workers: Set<Int>?) async -> [WorkerSessions] {
        let (count, script) = state.withLock { state in
            state.queries.append(query)
            return (state.workers, state.answer)
        }
        return (0..<count).filter { workers?.contains($0) ?? true }.map { script(query, $0) }
    }

    func change(_ change: MembershipChange) async throws(AdminRefusal) -> [Int] {
        let script = state.withLock { state in
            state.changes.append(change)
            return state.script
        }
        return try await script(change).get()
    }
}

final class AdminStage: Sendable {
    let region: SharedRegion
    let control = ScriptedControl()
    let process: AdminProcess
    let address: Vocabulary.Endpoint
    private let settings: Mutex<Configuration>
    /// Tests of this process block the threads that the server's tasks run on.
    static let patience = Duration.seconds(150)

    var port: UInt16 { if case .ip(let endpoint) = address { endpoint.port } else { 0 } }
    var endpoint: TestSupport.Endpoint { .init(address) }

    /// Serves `locations` at an address of loopback until the end of `body`.
    static func run(
        _ locations: [AdminLocation], names: [String] = [], limits: AdminService.Limits = .patient,
        upstreams: [Upstream] = [], zones: [String] = [], tls: TLSServerSettings? = nil,
        at address: Vocabulary.Endpoint? = nil, body: (AdminStage) async throws -> Void
    ) async throws {
        let stage = try AdminStage(locations, names, limits, upstreams, zones, tls, address)
        do {
            try await stage.start()
            try await body(stage)
        } catch {
            await stage.process.stop()
            throw error
        }
        await stage.process.stop()
    }

    private init(
        _ locations: [AdminLocation], _ names: [String], _ limits: AdminService.Limits, _ upstreams: [Upstream],
        _ zones: [String], _ tls: TLSServerSettings?, _ given: Vocabulary.Endpoint?
    ) throws {
        address =
            try given
            ?? .ip(IPEndpoint(address: IPAddress(ipv4: 0x7F00_0001), port: try PortRegistry.take()))
        region = try SharedRegion.create(masterPID: 4711, wallMilliseconds: 1_000_000)
        process = AdminProcess(region: region, control: control, limits: limits)
        var server = AdminServer(origin: "test.conf:1")
        server.names = names
        server.locations = locations
        server.tls = tls.map { Shared($0) }
        var listener = Listener(endpoint: address, server: 0)
        listener.isTLS = tls != nil
        var admin = AdminSettings()
        admin.servers = [server]
        admin.listeners = [listener]
        var configuration = Configuration()
        configuration.admin = admin
        configuration.upstreams = upstreams
        settings = Mutex(configuration)
        try assign(upstreams, zones: zones, generation: 1)
    }

    private func start() async throws {
        let socket = try Sockets.listen(at: address, ListenOptions())
        try await process.commit(
            process.prepare(settings.withLock { $0 }), sockets: [address: socket.release()])
    }

    /// What the master does at a reload.
    func reload(_ change: @Sendable (inout Configuration) -> Void) async throws {
        let configuration = settings.withLock { configuration in
            change(&configuration)
            return configuration
        }
        try assign(configuration.upstreams, zones: [], generation: 2)
        try await process.commit(process.prepare(configuration), sockets: [:])
    }

    private func assign(_ upstreams: [Upstream], zones: [String], generation: UInt32) throws {
        let groups = upstreams.map { upstream in
            GroupRequest(
                name: upstream.name,
                peers: zip(upstream.peerIdentities(), upstream.peers).map {
                    .init(identity: $0, weight: Int32($1.weight))
                })
        }
        try region.assignSlots(groups, zones: zones)
        region.commitSlots(generation: generation)
    }

    func peer(_ upstream: String, _ identity: String) -> PeerSlot? {
        region.groupSlot(named: upstream).flatMap { region.peerSlot(group: $0, identity: identity) }
    }

    // MARK: Asking

    /// One request as it stands, on a connection of its own; all bytes up to its end.
    func raw(_ text: String, within duration: Duration = AdminStage.patience) async throws -> String {
        let endpoint = endpoint
        return try await blocking {
            let connection = try TCPConnection(to: endpoint)
            defer { connection.close() }
            try connection.send(Array(text.utf8))
            return String(decoding: try connection.receiveToEnd(within: duration), as: UTF8.self)
        }
    }

    func get(_ target: String, fields: [String: String] = [:]) async throws -> HTTPTestAnswer {
        try await ask("GET", target, fields: fields)
    }

    func ask(
        _ method: String, _ target: String, fields: [String: String] = [:], body: String = ""
    ) async throws -> HTTPTestAnswer {
        let endpoint = endpoint
        return try await blocking {
            try HTTPTestClient.request(
                method, target, at: endpoint, fields: fields, body: body, within: Self.patience)
        }
    }

    /// A change of JSON.
    func send(_ method: String, _ target: String, _ json: String) async throws -> HTTPTestAnswer {
        try await ask(method, target, fields: ["Content-Type": "application/json"], body: json)
    }
}

extension AdminService.Limits {
    /// Where the test is not about them.
    static var patient: Self {
        var limits = Self()
        limits.body = .seconds(150)
        return limits
    }
}

/// Sockets of tests block; the threads of tasks must not.
func blocking<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
    try await withCheckedThrowingContinuation { continuation in
        DispatchQueue.global().async { continuation.resume(with: Result { try body() }) }
    }
}

extension TestSupport.Endpoint {
    init(_ endpoint: Vocabulary.Endpoint) {
        switch endpoint {
        case .ip(let endpoint): self = endpoint.address.family == .ipv4 ? .ipv4(endpoint.port) : .ipv6(endpoint.port)
        case .unix(let path): self = .unix(path)
        }
    }
}

extension AdminLocation {
    static func api(write: Bool = false, at path: String = "/api/") -> AdminLocation {
        AdminLocation(path: path, content: .api(isWritable: write))
    }

    static func text(_ text: String, at path: String, isExact: Bool = false) -> AdminLocation {
        var location = AdminLocation(path: path, content: .respond(status: 200, text: text))
        location.isExact = isExact
        return location
    }
}
