// SPDX-License-Identifier: Apache-2.0
//
// What the supervisor decides, done. An action that is answered at once (reading, listening) feeds its answer back into
// the supervisor, and what comes of that is done after what was already decided.

import ControlLink
import LinuxIO
import ProxyConfig
import SharedState
import Vocabulary

extension Master {
    mutating func perform(_ actions: [SupervisionAction]) {
        var queue = actions[...]
        while let action = queue.popFirst() {
            switch action {
            case .spawn(let child, let position, let isPending):
                queue += spawn(child, position: position, isPending ? pending ?? current : current)
            case .talk(let child, let position):
                if let pending { children[child]?.talk(pending, sockets(of: child), position: position) }
            case .commit(let child): commit(child)
            case .abort(let child):
                if let pending { children[child]?.say(LinkMessage(.abort, generation: pending.number)) }
            case .quit(let child):
                if case .worker(let slot) = child { setState(.leaving, slot) }
                children[child]?.say(LinkMessage(.quit))
            case .stop(let child): children[child]?.say(LinkMessage(.stop))
            case .kill(let child):
                if let process = children[child] { try? Processes.send(Master.kill, to: process.pid) }
            case .readConfiguration: queue += readConfiguration()
            case .makeChange: queue += makeChange()
            case .enlist:
                do throws(StartFault) {
                    try listeners.enlist()
                    try adminListeners.enlist()
                    queue += supervision.enlisted(now: now)
                } catch { queue += supervision.enlistFailed(error.message, now: now) }
            case .adopt: adopt()
            case .discard(let reason): discard(reason)
            case .closeRemovedListeners: finishReload()
            case .steer(let count):
                do throws(Errno) { try listeners.steer(count: count) } catch {
                    log.write(.alert, "setsockopt(SO_ATTACH_REUSEPORT_CBPF) failed (\(error.numberedText))")
                }
            case .closePositions(let count): closePositions(count)
            case .log(let level, let text): log.write(level, text)
            case .exit(let code): exit(code)
            }
        }
    }

    private static let kill: Int32 = 9

    private mutating func closePositions(_ count: Int) {
        guard count > 0 else {
            listeners.closeAll()
            return
        }
        do throws(Errno) { try listeners.closePositions(from: count) } catch {
            log.write(.alert, "setsockopt(SO_DETACH_REUSEPORT_BPF) failed (\(error.numberedText))")
        }
    }

    // MARK: Children

    private mutating func spawn(_ child: Child, position: Int, _ generation: LoadedGeneration) -> [SupervisionAction] {
        let configuration = generation.configuration
        let setup = ChildSetup(
            title: child.name, main: configuration.main, position: position >= 0 ? position : nil,
            user: childUser, keepsNetRaw: configuration.bindsTransparently && child.isWorker, masterID: masterID,
            log: log)
        do throws(Errno) {
            let regionFile = child == .admin ? try openRegion() : nil
            let pair = try LinkEndpoint.makePair()
            let role: Processes.ForkRole
            do throws(Errno) { role = try Processes.fork() } catch {
                Descriptors.close(pair.master)
                Descriptors.close(pair.child)
                throw error
            }
            switch role {
            case .child:
                setup.enter(link: pair.child, region: regionFile)
                let link = LinkEndpoint(socket: Descriptor(ChildSetup.linkDescriptor))
                switch child {
                case .worker(let slot): Processes.exit(programs.worker(slot, link, region, tickets, staples))
                case .prober:
                    tickets.forget()
                    Processes.exit(programs.prober(0, link, region, staples))
                case .admin: AdminProgram.become(link: link, generation: generation.number)
                }
            case .parent(let pid):
                Descriptors.close(pair.child)
                if let regionFile { Descriptors.close(regionFile) }
                let link = LinkEndpoint(socket: Descriptor(pair.master))
                let process = ChildProcess(child, pid: pid, link: link, generation: generation)
                children[child] = process
                if case .worker(let slot) = child, let worker = WorkerSlot(index: slot) {
                    region.beginWorker(
                        worker, pid: pid, isRespawn: supervision.hasDied(child), wallMilliseconds: wallMilliseconds())
                }
                if let helper = child.helper {
                    region.beginHelper(helper, pid: pid, isRespawn: supervision.hasDied(child))
                }
                log.write(.notice, "start \(child.name) \(pid)")
                process.talk(generation, sockets(of: child), position: position)
                introduce(child)
                return []
            }
        } catch {
            log.write(.alert, "fork() failed while spawning \"\(child.name)\" (\(error.numberedText))")
            return supervision.died(child, "could not be forked", now: now)
        }
    }

    private func commit(_ child: Child) {
        guard let process = children[child] else { return }
        process.generation = current.number
        process.logDestinations = current.configuration.logDestinations
        process.listeners = Set(current.listeners(of: child).map(\.endpoint))
        process.say(LinkMessage(.commit, generation: current.number))
    }

    // MARK: Logs

    /// USR1. Workers that leave log where an older generation said; they get new descriptors, too.
    mutating func reopenLogs() {
        isReopenWanted = false
        log.write(.notice, "reopening logs")
        for fault in current.logs.reopen(current.configuration.logDestinations) { log.write(.emerg, fault.message) }
        log.use(current.configuration, current.logs)
        if !isForeground { redirectStandardError() }
        for process in children.values {
            for (index, destination) in process.logDestinations.enumerated() {
                hand(destination, index: index, to: process)
            }
        }
    }

    private func hand(_ destination: LogDestination, index: Int, to process: ChildProcess) {
        if destination == .standardError, isForeground { return }
        let message = LinkMessage(.reopen, generation: process.generation, index: UInt32(index))
        if let ours = current.configuration.logDestinations.firstIndex(of: destination) {
            if let descriptor = current.logs.descriptor(ours) { process.say(message, descriptor: descriptor) }
            return
        }
        do throws(StartFault) {
            guard let descriptor = try LogFiles.open(destination) else { return }
            process.say(message, descriptor: descriptor)
            LogFiles.close(descriptor)
        } catch { log.write(.emerg, error.message) }
    }

    /// A daemon's standard error is its first error log that is a file, as in nginx; a crash leaves its words there.
    func redirectStandardError() {
        let errorLogs = current.configuration.main.errorLogs
        let destinations = current.configuration.logDestinations
        if errorLogs.contains(where: { destinations[$0.destination] == .standardError }) { return }
        let file = errorLogs.first { if case .file = destinations[$0.destination] { true } else { false } }
        Daemon.redirectStandardError(to: file.flatMap { current.logs.descriptor($0.destination) })
    }
}
