// SPDX-License-Identifier: Apache-2.0
//
// A reload as the master does it: read, open what is new, and later adopt it or give all of it back.

import ControlLink
import LinuxIO
import ProxyConfig
import SharedState
import Vocabulary

extension Master {
    /// Reads the configuration and opens what it needs. Nothing that runs is touched.
    mutating func readConfiguration() -> [SupervisionAction] {
        log.write(.notice, "reconfiguring")
        reloadBegan = monotonicMilliseconds()
        let reading = ConfigurationReading.read(places, globalDirectives: globalDirectives, isServing: true)
        report(reading.outcome)
        guard let configuration = reading.outcome.configuration else {
            return refuse("it has errors")
        }
        var pace = WorkPace()
        let proof = TLSProof(configuration, known: current.proof) { pace.pause() }
        for fault in proof.faults {
            log.write(.emerg, fault)
            if isForeground { Terminal.error("weir: [emerg] \(fault)\n") }
        }
        if let fault = proof.faults.first { return refuse(fault) }
        for warning in reading.stapleWarnings {
            log.write(.warn, warning)
            if isForeground { Terminal.error("weir: [warn] \(warning)\n") }
        }
        do throws(StartFault) {
            try configuration.checkUser()
            try prepare(configuration, reading.bundle, proof, &pace)
        } catch {
            log.write(.emerg, error.message)
            return refuse(error.message)
        }
        return supervision.configurationRead(
            workers: configuration.workerCount, hasAdmin: configuration.admin != nil, now: now)
    }

    /// Opens what the configuration needs and has not got, and gives slots: a generation that waits for its talk.
    mutating func prepare(
        _ configuration: Configuration, _ bundle: Bundle, _ proof: TLSProof, _ pace: inout WorkPace
    ) throws(StartFault) {
        generationCount += 1
        let generation = try LoadedGeneration(
            number: generationCount, configuration: configuration, bundle: bundle, proof: proof, former: current
        ) { pace.pause() }
        do throws(StartFault) {
            let workers = supervision.plannedWorkers(configuration.workerCount)
            pace.pause()
            try listeners.prepare(configuration.listeners, positions: workers)
            try adminListeners.prepare(configuration.admin?.listeners ?? [], positions: 1)
            pace.pause()
            do throws(SlotFault) {
                try region.assignSlots(configuration.slotRequests, zones: configuration.zoneNames) { pace.pause() }
            } catch {
                throw StartFault(error.text)
            }
        } catch {
            listeners.discard()
            adminListeners.discard()
            generation.close()
            throw error
        }
        pending = generation
        pace.pause()
    }

    private mutating func refuse(_ reason: String) -> [SupervisionAction] {
        sayNotApplied(reason)
        return supervision.configurationUnusable()
    }

    private func countReload(_ result: ReloadResult, _ reason: String) {
        let wall = wallMilliseconds()
        region.countReload(
            result, wallMilliseconds: wall, tookMilliseconds: monotonicMilliseconds() - reloadBegan, text: reason)
        let isDone = result == .done
        region.note(
            isDone ? .reloaded : .reloadRefused, wallMilliseconds: wall,
            text: isDone ? "generation \(current.number)" : reason)
    }

    private func sayNotApplied(_ reason: String) {
        countReload(.refused, reason)
        log.write(
            .error,
            "configuration \(places.configurationFile) not applied; generation \(current.number) goes on: \(reason)")
    }

    /// Shows findings where a person may look: in the error log, and on the terminal if there is one.
    private func report(_ outcome: ConfigurationOutcome) {
        for diagnostic in outcome.diagnostics {
            log.write(diagnostic.level == .emerg ? .emerg : .warn, diagnostic.headline)
        }
        if isForeground { Terminal.error(outcome.render()) }
    }

    /// The pending generation is the one in use: children get their `commit` next.
    mutating func adopt() {
        guard let generation = pending else { preconditionFailure("adopting nothing") }
        pending = nil
        let former = current
        current = generation
        var pace = WorkPace()
        let faults =
            listeners.adopt(generation.configuration.listeners)
            + adminListeners.adopt(generation.listeners(of: .admin))
        for fault in faults { log.write(.notice, fault.message) }
        pace.pause()
        region.commitSlots(generation: generation.number)
        setAdminStates(&pace)
        keepState()
        if activeChange == nil { countReload(.done, "") }
        log.use(generation.configuration, generation.logs)
        if !isForeground { redirectStandardError() }
        former.close()
        for text in former.configuration.main.whatStays(against: generation.configuration.main) {
            log.write(.notice, text)
        }
        movePIDFile(generation.configuration.main.pidFile)
        pace.pause()
    }

    /// Every child has committed. Only now the line says so: whoever connects after reading it gets the new generation.
    mutating func finishReload() {
        listeners.closeRemoved()
        adminListeners.closeRemoved()
        if finishChange() { return }
        log.write(.notice, "configuration \(places.configurationFile) applied; generation \(current.number)")
    }

    mutating func discard(_ reason: String) {
        pending?.close()
        pending = nil
        listeners.discard()
        adminListeners.discard()
        region.abandonSlots()
        if refuseChange(AdminRefusal(.failed, reason)) { return }
        sayNotApplied(reason)
    }

    private mutating func movePIDFile(_ path: String) {
        guard path != pidFile.path else { return }
        do throws(StartFault) {
            let moved = try PIDFile(path)
            pidFile.remove()
            pidFile = moved
        } catch { log.write(.alert, error.message) }
    }
}

extension MainSettings {
    /// What a reload cannot change, in words for the log.
    func whatStays(against new: MainSettings) -> [String] {
        let stays = [
            ("user", user != new.user || group != new.group), ("daemon", isDaemon != new.isDaemon),
            ("master_process", hasMaster != new.hasMaster),
        ]
        let isForNewProcesses = [
            ("worker_priority", workerPriority != new.workerPriority),
            ("worker_cpu_affinity", affinity != new.affinity),
            ("worker_rlimit_nofile", descriptorLimit != new.descriptorLimit),
            ("worker_rlimit_core", coreSizeLimitBytes != new.coreSizeLimitBytes),
            ("working_directory", workingDirectory != new.workingDirectory), ("env", environment != new.environment),
        ]
        return stays.filter(\.1).map { "\"\($0.0)\" cannot change while we run and stays as it was at the start" }
            + isForNewProcesses.filter(\.1).map { "\"\($0.0)\" counts for processes that start from now on" }
    }
}
