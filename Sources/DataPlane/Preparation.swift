// SPDX-License-Identifier: Apache-2.0
//
// A generation on its way: what the master has sent of it, and how far it is built. Building is cut into steps, one
// block, one upstream group or a few listeners each, between which the worker carries its sessions' bytes. All that can
// be made before the commit is made here, so that the commit only puts it in place.

import LinuxIO
import ProxyConfig
import SharedState
import TLSEngine
import Vocabulary

/// A class, so that the builder works where it lies: its arrays hold all that was read so far, and a slice that made a
/// copy of them would make a reload of a thousand blocks cost a thousand copies.
final class Preparation {
    enum Stage {
        /// Descriptors still come.
        case gathering
        case parsing
        /// Next: the group of the upstream behind those that are built.
        case grouping
        /// Next: the settings of the server behind those that have theirs.
        case equipping
        /// Listeners are looked up.
        case placing
        case ready
    }

    let number: UInt32
    let bundle: Bundle
    private(set) var stage = Stage.gathering
    /// By index of the generation's log destinations and listeners.
    private(set) var logDescriptors: [Int: Int32] = [:]
    private(set) var listenerDescriptors: [Int: Int32] = [:]
    /// The commit came already: without a master all messages wait in the link from the start.
    var isCommitDue = false
    private var builder: ConfigurationBuilder<BundleSource>? = nil
    /// From `grouping` on.
    private(set) var configuration = Configuration()
    private(set) var groups: [Group] = []
    /// From `equipping` on. Sinks of the log destinations: they may stand in the worker's table with no line to them
    /// when nothing comes of this generation.
    private(set) var sinkOf: [Int] = []
    private(set) var settings: [ServerSettings] = []
    /// `buffer=` and `flush=` by sink: those of the log with the largest buffer.
    private(set) var buffers: [Int: AccessLog] = [:]
    private(set) var listeners = ListenerPlan()
    private(set) var contexts: TLSContexts
    /// What the running generation has, to go on with where nothing has changed.
    private let former: TLSContexts
    private var sessionCacheDescriptors: [Int: Int32] = [:]

    init(
        number: UInt32, bundle: Bundle, tickets: TicketKeySource?, staples: StapleSource?, former: TLSContexts?
    ) {
        self.number = number
        self.bundle = bundle
        contexts = TLSContexts(
            sharing: TLSSharing(tickets: tickets, staples: staples, options: ConfigurationOptions(bundle: bundle)))
        self.former = former ?? TLSContexts(sharing: TLSSharing(tickets: nil, staples: nil, options: nil))
    }

    var isBuilding: Bool { stage != .gathering && stage != .ready }

    func take(log descriptor: Int32, at index: Int) {
        if let former = logDescriptors.updateValue(descriptor, forKey: index) { Descriptors.close(former) }
    }

    func take(listener descriptor: Int32, at index: Int) {
        if let former = listenerDescriptors.updateValue(descriptor, forKey: index) { Descriptors.close(former) }
    }

    func take(sessionCache descriptor: Int32, at index: Int) {
        if let former = sessionCacheDescriptors.updateValue(descriptor, forKey: index) { Descriptors.close(former) }
    }

    /// False when the bundle lacks the facts that a build starts from.
    func begin() -> Bool {
        guard let options = ConfigurationOptions(bundle: bundle) else { return false }
        builder = ConfigurationBuilder(source: BundleSource(bundle), options: options)
        stage = .parsing
        return true
    }

    enum Progress {
        case more
        case ready
        case refused(String)
    }

    /// One block read, one server linked, one group or one server's settings built, or a few listeners found.
    func step(region: SharedRegion, sinks: inout LogSinks, present: [ListenerState]) -> Progress {
        switch stage {
        case .gathering, .ready: return .more
        case .parsing: return parse()
        case .grouping: return buildGroup(region, &sinks)
        case .equipping: return equip(region)
        case .placing:
            guard listeners.step(present: present, wanted: configuration.listeners) else { return .more }
            stage = .ready
            return .ready
        }
    }

    private func parse() -> Progress {
        guard builder!.step() == .done else { return .more }
        let outcome = builder!.finish()
        builder = nil
        guard let configuration = outcome.configuration else {
            let reason = outcome.diagnostics.first { $0.level == .emerg }?.headline
            return .refused(reason ?? "the configuration is not valid in this worker")
        }
        self.configuration = configuration
        stage = .grouping
        return .more
    }

    private func buildGroup(_ region: SharedRegion, _ sinks: inout LogSinks) -> Progress {
        guard groups.count < configuration.upstreams.count else {
            sinkOf = configuration.logDestinations.map { sinks.open($0, descriptor: nil) }
            settings.reserveCapacity(configuration.servers.count)
            stage = .equipping
            return attachSessionCaches()
        }
        let upstream = configuration.upstreams[groups.count]
        guard let group = Group(upstream, region: region) else {
            return .refused("upstream \"\(upstream.name)\" has no place in the shared region")
        }
        groups.append(group)
        return .more
    }

    private func attachSessionCaches() -> Progress {
        for (index, cache) in configuration.sharedSessionCaches.enumerated() {
            guard let descriptor = sessionCacheDescriptors[index] else {
                return .refused("the master sent no memory for session cache \"\(cache.name)\"")
            }
            do throws(Errno) {
                try contexts.sharing.attach(cache.name, descriptor, former: former.sharing)
            } catch {
                return .refused("mmap() of session cache \"\(cache.name)\" failed (\(error.numberedText))")
            }
        }
        for descriptor in sessionCacheDescriptors.values { Descriptors.close(descriptor) }
        sessionCacheDescriptors = [:]
        return .more
    }

    private func equip(_ region: SharedRegion) -> Progress {
        guard settings.count < configuration.servers.count else {
            // The settings hold them.
            configuration.servers = []
            stage = .placing
            return .more
        }
        let server = configuration.servers[settings.count]
        do throws(TLSFault) {
            try contexts.add(server, former: former)
        } catch {
            return .refused(error.message)
        }
        let zone = server.statusZone.flatMap { region.zoneSlot(named: $0) }
        if let name = server.statusZone, zone == nil {
            return .refused("status_zone \"\(name)\" has no place in the shared region")
        }
        settings.append(ServerSettings(server, of: configuration, zone: zone, sinkOf: sinkOf, contexts: contexts))
        for log in server.accessLogs {
            let known = buffers[sinkOf[log.destination]]
            if known == nil || (log.bufferBytes ?? 0) > (known?.bufferBytes ?? 0) {
                buffers[sinkOf[log.destination]] = log
            }
        }
        return .more
    }

    /// Gives up the descriptors that no commit has taken.
    func abandon() {
        for descriptor in logDescriptors.values { Descriptors.close(descriptor) }
        for descriptor in listenerDescriptors.values { Descriptors.close(descriptor) }
        for descriptor in sessionCacheDescriptors.values { Descriptors.close(descriptor) }
    }
}
