// SPDX-License-Identifier: Apache-2.0
//
// The master's part in a simulation, over the real link: slots in a real region, bundles, listeners and log files as
// descriptors. It loads, reloads, changes its mind, reopens logs, and ends the worker.

import ControlLink
import LinuxIO
import ProxyConfig
import SharedState
import Vocabulary

/// One file, and the certificates that it names.
struct TextSource: ConfigurationSource {
    let text: String
    static let path = "/sim/weir.conf"
    private static let certificates = "/sim/tls/"
    func file(_ path: String) -> Result<[UInt8], SourceFault> {
        if path == TextSource.path { return .success(Array(text.utf8)) }
        if path.hasPrefix(TextSource.certificates),
            let bytes = Credentials.shared.files[String(path.dropFirst(TextSource.certificates.count))]
        {
            return .success(bytes)
        }
        return .failure(SourceFault(code: 2, reason: "No such file or directory"))
    }
    func expand(_ mask: String) -> Result<[String], SourceFault> { .success([]) }
    func addresses(of host: String) -> Result<[IPAddress], SourceFault> {
        if host == MasterSide.responderName { return .success((1...3).map { IPAddress(ipv4: 0x0A03_0000 | $0) }) }
        return .failure(SourceFault(code: 2, reason: "no names here"))
    }
}

final class MasterSide {
    /// The only name that resolves.
    static let responderName = "ocsp.test"

    enum Intent {
        case commit
        /// Forgets the generation once the worker has it ready.
        case abort
        /// Gives no slots: the worker must refuse.
        case withoutSlots
    }

    private let world: World
    let region: SharedRegion
    private let link: LinkEndpoint
    private var generationNumber: UInt32 = 0
    private var listenerCount: UInt32 = 0
    private var pending: (configuration: Configuration, intent: Intent, fresh: [IPEndpoint: Listener])?
    private(set) var committed: Configuration?
    private(set) var committedNumber: UInt32 = 0
    /// Listeners of the committed configuration.
    private var present: [IPEndpoint: Listener] = [:]
    private var logFiles: [LogDestination: [Int32]] = [:]
    private var sessionCaches: [SharedSessionCache: Int32] = [:]
    private(set) var isIdle = true
    private(set) var hasClosedListeners = false
    private(set) var refusals = 0

    init(world: World, region: SharedRegion, linkNumber: Int32) {
        self.world = world
        self.region = region
        link = LinkEndpoint(socket: Descriptor(linkNumber))
    }

    deinit {
        for number in logFiles.values.joined() { Descriptors.close(number) }
        for number in sessionCaches.values { Descriptors.close(number) }
    }

    // MARK: - Loading

    func load(_ text: String, _ intent: Intent) {
        guard isIdle else { return }
        let options = ConfigurationOptions(file: TextSource.path, prefix: "/sim/", hostname: "sim")
        var source = RecordingSource(TextSource(text: text))
        let outcome = ConfigurationBuilder<RecordingSource<TextSource>>.buildAll(&source, options: options)
        guard let configuration = outcome.configuration else { return world.fault(outcome.render() + text) }
        var bundle = source.bundle
        options.record(into: &bundle)
        generationNumber += 1
        isIdle = false
        do {
            if case .withoutSlots = intent {} else { try assignSlots(configuration) }
            let file = try Memory.makeSealed(name: "bundle", bundle.encoded())
            send(.prepare, descriptor: file.number)
            for (index, destination) in configuration.logDestinations.enumerated() {
                let log = try openLog(destination)
                send(.log, index: index, descriptor: log)
            }
            var fresh: [IPEndpoint: Listener] = [:]
            for (index, wanted) in configuration.listeners.enumerated() {
                guard case .ip(let endpoint) = wanted.endpoint, present[endpoint] == nil else { continue }
                listenerCount += 1
                let listener = Listener(identity: listenerCount, endpoint: endpoint)
                world.listenersByIdentity[listenerCount] = listener
                fresh[endpoint] = listener
                let bytes = (0..<4).map { UInt8(truncatingIfNeeded: listenerCount >> UInt32(24 - 8 * $0)) }
                let identity = try Memory.makeSealed(name: "listener", bytes)
                send(.listener, index: index, descriptor: identity.number)
            }
            for (index, cache) in configuration.sharedSessionCaches.enumerated() {
                send(.sessionCache, index: index, descriptor: try memory(of: cache))
            }
            send(.build)
            pending = (configuration, intent, fresh)
        } catch {
            world.fault("the master failed: \(error)")
        }
    }

    /// The same memory for the same cache, over reloads.
    private func memory(of cache: SharedSessionCache) throws -> Int32 {
        if let known = sessionCaches[cache] { return known }
        let file = try SessionCacheRegion.makeFile(byteCount: cache.byteCount).release()
        sessionCaches[cache] = file
        return file
    }

    private func requests(_ configuration: Configuration) -> [GroupRequest] {
        configuration.upstreams.map { upstream in
            GroupRequest(
                name: upstream.name,
                peers: zip(upstream.peers, upstream.peerIdentities()).map {
                    GroupRequest.Peer(identity: $1, weight: Int32($0.weight))
                })
        }
    }

    private func assignSlots(_ configuration: Configuration) throws {
        try region.assignSlots(
            requests(configuration), zones: Array(Set(configuration.servers.compactMap(\.statusZone))).sorted())
    }

    private func openLog(_ destination: LogDestination) throws -> Int32 {
        let log = try LogFile.make()
        logFiles[destination, default: []].append(log)
        return log
    }

    private func send(_ kind: LinkMessage.Kind, index: Int = 0, descriptor: Int32? = nil) {
        let message = LinkMessage(kind, generation: generationNumber, index: UInt32(index))
        if (try? link.send(message, descriptor: descriptor)) != true { world.fault("the link took no \(kind)") }
    }

    // MARK: - Between the worker's turns

    func hear() {
        while true {
            guard let reception = try? link.receive() else { return world.fault("the link is broken") }
            switch consume reception {
            case .message(let arrival): answer(arrival.message)
            case .wouldBlock: return
            case .ended: return
            case .malformed(let fault): return world.fault("the worker sent \(fault)")
            }
        }
    }

    private func answer(_ message: LinkMessage) {
        switch (message.kind, pending?.intent) {
        case (.ready, .commit):
            for (endpoint, listener) in pending!.fresh { world.listenerAt[endpoint] = listener }
            send(.commit)
        case (.ready, .abort):
            region.abandonSlots()
            send(.abort)
            pending = nil
            isIdle = true
        case (.refused, .withoutSlots):
            refusals += 1
            pending = nil
            isIdle = true
        case (.committed, .commit):
            let configuration = pending!.configuration
            region.commitSlots(generation: generationNumber)
            let wanted = Set(configuration.listeners.map(\.endpoint))
            for (endpoint, listener) in pending!.fresh { present[endpoint] = listener }
            present = present.filter { wanted.contains(.ip($0.key)) }
            committed = configuration
            committedNumber = generationNumber
            pending = nil
            isIdle = true
        case (.listenersClosed, _): hasClosedListeners = true
        case (.ready, .withoutSlots):
            // All its groups had slots from before.
            send(.abort)
            pending = nil
            isIdle = true
        default: world.fault("the worker said \(message.kind) \(message.text), which nobody asked for")
        }
    }

    // MARK: - Other orders

    func reopenLogs() {
        guard isIdle, let committed else { return }
        for (index, destination) in committed.logDestinations.enumerated() {
            guard let log = try? openLog(destination) else { continue }
            send(.reopen, index: index, descriptor: log)
        }
    }

    /// Hands the worker its end of a pair with somebody who asks.
    func introduce(_ number: Int32) { send(.inquiry, descriptor: number) }

    func quit() { send(.quit) }
    func stop() { send(.stop) }

    /// Flips what the prober would have said.
    func flipHealth() {
        for group in region.groupReports() {
            for peer in group.peers {
                let health: SharedHealth = world.chance(70) ? .up : .unhealthy
                let now = World.wallStart + world.now
                region.setHealth(health, peer.slot, wallMilliseconds: now, reason: [])
                let state: AdminState = world.chance(90) ? .none : .draining
                if region.adminState(peer.slot) != state {
                    region.setAdminState(state, peer.slot, wallMilliseconds: now)
                }
            }
        }
    }

    /// All that was ever logged to a destination.
    func logged(_ path: String) -> String {
        var bytes: [UInt8] = []
        for number in logFiles[.file(path)] ?? [] { bytes += LogFile.read(number) }
        return String(decoding: bytes, as: UTF8.self)
    }
}
