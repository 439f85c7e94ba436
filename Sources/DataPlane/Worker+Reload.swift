// SPDX-License-Identifier: Apache-2.0
//
// From a bundle to a running generation: slices while it is prepared, the commit, which is the only moment in which
// anything changes, and slices again while the former generation is taken apart. New connections use the new generation
// from the commit on; live sessions keep the settings they hold.

import ControlLink
import EventLoop
import LinuxIO
import ProxyConfig
import SharedState
import Vocabulary

extension Worker where K: ~Copyable {
    /// True while there is long work to be done in slices.
    var hasSlices: Bool { preparing?.isBuilding == true || !retired.isEmpty }

    /// What a turn gives to long work: as much as nobody feels, and nothing so soon after the last time. The first
    /// generation is waited for.
    mutating func workSlice() {
        let start = kernel.workNanoseconds()
        guard start >= sliceDueNanoseconds || current == nil else { return }
        var now = start
        repeat {
            if preparing?.isBuilding == true { prepareStep() } else { dismantleStep() }
            now = kernel.workNanoseconds()
        } while hasSlices && now < start + WorkPace.sliceNanoseconds
        sliceDueNanoseconds = now + WorkPace.restNanoseconds
    }

    /// One step of the preparation. Answers the master when it is done or refused.
    private mutating func prepareStep() {
        guard let preparation = preparing else { return }
        switch preparation.step(region: region, sinks: &sinks, present: listeners) {
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

    private mutating func dismantleStep() {
        guard let generation = retired.last else { return }
        if !generation.dismantle(&settingsTable) { retired.removeLast() }
    }

    /// Swaps: sinks, settings, listeners. Nothing in here can fail.
    mutating func commit() {
        guard let preparation = preparing, preparation.stage == .ready else {
            logWorker(.alert, "the master committed a generation that this worker has not prepared")
            return
        }
        preparing = nil
        let configuration = preparation.configuration
        openSinks(preparation)
        errorTargets = ServerSettings.targets(configuration.main.errorLogs, preparation.sinkOf)
        let settings = preparation.settings.map { settingsTable.add($0) }
        let old = current
        let generation = generations.add(
            Generation(
                number: preparation.number, configuration: configuration, groups: preparation.groups,
                sinks: preparation.sinkOf, settings: settings, contexts: preparation.contexts))
        current = generation
        let capacity = SessionCapacity(
            descriptorLimit: identity.descriptorLimit, workerConnections: configuration.main.workerConnections,
            listeners: configuration.listeners.count, logs: configuration.logDestinations.count)
        sessionsMax = max(1, min(capacity.sessions, sessions.capacity))
        isBoundByDescriptors = capacity.connections != configuration.main.workerConnections
        arrange(preparation, settings, generation)
        if let old { letGoOfGeneration(old) }
        answer(.committed, generation: preparation.number)
    }

    private mutating func openSinks(_ preparation: Preparation) {
        for (index, destination) in preparation.configuration.logDestinations.enumerated() {
            _ = sinks.open(destination, descriptor: preparation.logDescriptors[index])
        }
        for sink in Set(preparation.sinkOf) {
            let log = preparation.buffers[sink]
            sinks.configure(sink, bufferBytes: log?.bufferBytes, flushMilliseconds: log?.flushMilliseconds)
        }
    }

    // MARK: - Listeners

    private mutating func arrange(_ preparation: Preparation, _ settings: [UInt32], _ generation: Int) {
        let plan = preparation.listeners
        for (position, listener) in preparation.configuration.listeners.enumerated() {
            let index = place(plan.places[position], for: listener)
            let isNoDelay = settingsTable[settings[listener.server]].server.isTCPNoDelay
            var isSet = false
            if listeners[index].descriptor >= 0 {
                if let surplus = preparation.listenerDescriptors[position] { Descriptors.close(surplus) }
                isSet = settingsTable[listeners[index].settings].server.isTCPNoDelay == isNoDelay
                settingsTable.letGo(listeners[index].settings)
                letGoOfGeneration(listeners[index].generation)
            } else if let descriptor = preparation.listenerDescriptors[position] {
                listeners[index].descriptor = descriptor
            } else {
                logWorker(.alert, "the master sent no socket for \(listener.endpoint.text)")
                continue
            }
            settingsTable.hold(settings[listener.server])
            generations.hold(generation)
            listeners[index].settings = settings[listener.server]
            listeners[index].generation = generation
            listeners[index].isTLS = listener.isTLS
            if !isSet { kernel.setListenerNoDelay(listeners[index].descriptor, isOn: isNoDelay) }
            acceptAt(index)
        }
        for (index, isWanted) in plan.isWanted.enumerated() where !isWanted { retire(index) }
    }

    /// An entry that is still being drained keeps its old socket; its address gets a new entry.
    private mutating func place(_ known: Int?, for listener: Listener) -> Int {
        if let known, !listeners[known].isClosing { return known }
        listeners.append(
            ListenerState(
                endpoint: listener.endpoint, text: listener.endpoint.text, descriptor: -1, settings: 0, generation: 0))
        return listeners.count - 1
    }
}
