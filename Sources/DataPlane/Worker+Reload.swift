// SPDX-License-Identifier: Apache-2.0
//
// From a bundle to a running generation: slices while it is prepared, and the commit, which is the only moment in which
// anything changes. New connections use the new generation from there on; live sessions keep the settings they hold.

import ControlLink
import EventLoop
import LinuxIO
import ProxyConfig
import SharedState
import Vocabulary

extension Worker where K: ~Copyable {
    /// One slice of the preparation. Answers the master when it is done or refused.
    mutating func prepareSlice() {
        guard let preparation = preparing, preparation.isBuilding else { return }
        switch preparation.step(region: region) {
        case .more:
            break
        case .ready:
            answer(.ready, generation: preparation.number)
            if preparation.isCommitDue { commit() }
        case .refused(let reason):
            preparing = nil
            preparation.abandon()
            answer(.refused, generation: preparation.number, text: reason)
        }
    }

    /// Swaps: sinks, settings, listeners. Nothing in here can fail.
    mutating func commit() {
        guard let preparation = preparing, preparation.stage == .ready else {
            logWorker(.alert, "the master committed a generation that this worker has not prepared")
            return
        }
        preparing = nil
        let configuration = preparation.configuration
        let sinkOf = openSinks(configuration, preparation.logDescriptors)
        errorTargets = targets(configuration.main.errorLogs, sinkOf)
        let settings = configuration.servers.map { server in
            settingsTable.add(makeSettings(server, configuration, sinkOf))
        }
        let old = current
        let generation = generations.add(
            Generation(
                number: preparation.number, configuration: configuration, groups: preparation.groups, sinks: sinkOf,
                settings: settings))
        current = generation
        let capacity = SessionCapacity(
            descriptorLimit: identity.descriptorLimit, workerConnections: configuration.main.workerConnections,
            listeners: configuration.listeners.count, logs: configuration.logDestinations.count)
        sessionsMax = max(1, min(capacity.sessions, sessions.capacity))
        isBoundByDescriptors = capacity.connections != configuration.main.workerConnections
        arrange(configuration.listeners, settings, generation, preparation.listenerDescriptors)
        if let old { letGoOfGeneration(old) }
        answer(.committed, generation: preparation.number)
    }

    // MARK: - Sinks and settings

    private mutating func openSinks(_ configuration: Configuration, _ descriptors: [Int: Int32]) -> [Int] {
        let sinkOf = configuration.logDestinations.indices.map { index in
            sinks.open(configuration.logDestinations[index], descriptor: descriptors[index])
        }
        var buffers: [Int: AccessLog] = [:]
        for log in configuration.servers.flatMap(\.accessLogs) {
            let known = buffers[sinkOf[log.destination]]
            if known == nil || (log.bufferBytes ?? 0) > (known?.bufferBytes ?? 0) {
                buffers[sinkOf[log.destination]] = log
            }
        }
        for sink in Set(sinkOf) {
            sinks.configure(
                sink, bufferBytes: buffers[sink]?.bufferBytes, flushMilliseconds: buffers[sink]?.flushMilliseconds)
        }
        return sinkOf
    }

    private func targets(_ logs: [ErrorLog], _ sinkOf: [Int]) -> [ServerSettings.ErrorTarget] {
        logs.map { ServerSettings.ErrorTarget(sink: sinkOf[$0.destination], level: $0.level) }
    }

    private func makeSettings(_ server: Server, _ configuration: Configuration, _ sinkOf: [Int]) -> ServerSettings {
        let formats = server.accessLogs.map { configuration.logFormats[$0.format] }
        return ServerSettings(
            server: server, assignedCount: configuration.assignedVariables.count,
            accessLines: zip(server.accessLogs, formats).map { log, format in
                ServerSettings.AccessLine(sink: sinkOf[log.destination], format: format, condition: log.condition)
            },
            errorTargets: targets(server.errorLogs, sinkOf),
            maps: ServerSettings.reachableMaps(of: server, formats: formats, in: configuration.maps))
    }

    // MARK: - Listeners

    private mutating func arrange(
        _ wanted: [Listener], _ settings: [UInt32], _ generation: Int, _ descriptors: [Int: Int32]
    ) {
        // An entry that is still being drained keeps its old socket; its address gets a new entry.
        var known: [Endpoint: Int] = [:]
        for index in listeners.indices where !listeners[index].isClosing { known[listeners[index].endpoint] = index }
        for (position, listener) in wanted.enumerated() {
            let index = known[listener.endpoint] ?? addListener(at: listener.endpoint)
            if listeners[index].descriptor >= 0 {
                if let surplus = descriptors[position] { Descriptors.close(surplus) }
                settingsTable.letGo(listeners[index].settings)
                letGoOfGeneration(listeners[index].generation)
            } else if let descriptor = descriptors[position] {
                listeners[index].descriptor = descriptor
            } else {
                logWorker(.alert, "the master sent no socket for \(listener.endpoint.text)")
                continue
            }
            settingsTable.hold(settings[listener.server])
            generations.hold(generation)
            listeners[index].settings = settings[listener.server]
            listeners[index].generation = generation
            kernel.setListenerNoDelay(
                listeners[index].descriptor,
                isOn: settingsTable[settings[listener.server]].server.isTCPNoDelay)
            acceptAt(index)
        }
        let endpoints = Set(wanted.map(\.endpoint))
        for index in listeners.indices where !endpoints.contains(listeners[index].endpoint) { retire(index) }
    }

    private mutating func addListener(at endpoint: Endpoint) -> Int {
        listeners.append(
            ListenerState(endpoint: endpoint, text: endpoint.text, descriptor: -1, settings: 0, generation: 0))
        return listeners.count - 1
    }
}
