// SPDX-License-Identifier: Apache-2.0
//
// `master_process off`: one worker in this process, for debugging. It is talked to over the same link as any other
// worker, only that everything is said before it listens.

import ControlLink
import LinuxIO
import ProxyConfig
import SharedState
import TLSEngine
import Vocabulary

struct SingleProcess {
    let program: WorkerProgram
    let region: SharedRegion
    /// Without a master nobody rotates them.
    let tickets: TicketKeyRegion
    /// Without a prober nobody fills them.
    let staples: StapleRegion
    let generation: LoadedGeneration
    let log: ErrorLogWriter

    /// Returns when the worker has ended.
    func run(_ listeners: ListenerTable, pidFile path: String) throws(StartFault) -> Int32 {
        var listeners = listeners
        var pidFile = try PIDFile(path)
        let pair: (master: Int32, child: Int32)
        do throws(Errno) {
            pair = try LinkEndpoint.makePair()
            try Signals.block(ChildSetup.masterOnly)
            try Signals.ignoreBrokenPipes()
        } catch { throw StartFault("socketpair() failed (\(error.numberedText))") }
        let process = ChildProcess(
            .worker(slot: 0), pid: Processes.currentID, link: LinkEndpoint(socket: Descriptor(pair.master)),
            generation: generation)
        process.talk(generation, listeners, position: 0)
        process.say(LinkMessage(.commit, generation: generation.number))
        guard process.hasSaidAll else {
            throw StartFault("too many listeners and logs for \"master_process off\"")
        }
        if let worker = WorkerSlot(index: 0) {
            region.beginWorker(
                worker, pid: Processes.currentID, isRespawn: false, wallMilliseconds: wallMilliseconds())
        }
        log.write(.notice, "without a master process there is no reload: HUP and USR1 change nothing")
        if generation.configuration.admin != nil {
            log.write(.notice, "\"http\" ignored, without a master process there is no admin process")
        }
        if generation.configuration.servers.contains(where: { $0.tls?.value.fetchesStaples == true }) {
            log.write(.warn, "\"ssl_stapling\" ignored, without a master process no OCSP responder is asked")
        }
        let code = program(0, LinkEndpoint(socket: Descriptor(pair.child)), region, tickets, staples)
        listeners.closeAll()
        pidFile.remove()
        log.write(.notice, "exit")
        // The master's end must stay open until here: its end would stop the worker.
        withExtendedLifetime(process) {}
        return code
    }
}
