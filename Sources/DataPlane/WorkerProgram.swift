// SPDX-License-Identifier: Apache-2.0
//
// A worker as a program: what a child does once the master has set it up. The concrete kernel is named here, in the
// worker's own module, so that the compiler specialises the turn for it.

import ControlLink
import EventLoop
import Glibc
import LinuxIO
import ProxyConfig
import SharedState
import TLSEngine
import Vocabulary

/// Runs a worker until it is told to end; the exit code of its process. `slot` is its place in the shared region.
package func runWorker(
    slot: Int, link: consuming LinkEndpoint, region: SharedRegion, tickets: TicketKeyRegion, staples: StapleRegion
) -> Int32 {
    guard let workerSlot = WorkerSlot(index: slot) else {
        return fail("worker slot \(slot) is beyond the \(SharedRegion.workersMax) that there are")
    }
    do throws(Errno) {
        try Signals.ignoreBrokenPipes()
        // OpenSSL takes and frees 16 KiB for each record.
        Memory.keepHeap(byteCount: 1 << 20)
        let signals = try SignalQueue([SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH])
        LocalTime.loadZone()
        let identity = WorkerIdentity(
            slot: workerSlot, processID: getpid(), hostname: Array((try Processes.hostname()).utf8),
            descriptorLimit: Int(clamping: try Processes.limit(of: .descriptors).soft), seed: Chance.seed(),
            region: region)
        var worker = Worker(
            kernel: try UringKernel(), region: region, tickets: TicketKeySource(tickets),
            staples: StapleSource(staples), identity: identity, link: link, signals: signals)
        return worker.run()
    } catch {
        if error == .outOfMemory {
            return fail(
                "io_uring is not usable (\(error.numberedText)): its memory counts against RLIMIT_MEMLOCK of the "
                    + "worker's user over all its processes; raise it (ulimit -l, LimitMEMLOCK=)")
        }
        return fail(
            "io_uring is not usable (\(error.numberedText)): Weir needs Linux 6.1, kernel.io_uring_disabled = 0, and a "
                + "container profile that allows io_uring_setup, io_uring_enter and io_uring_register")
    }
}

/// Before a worker has its logs, the master's standard error is all there is.
private func fail(_ message: String) -> Int32 {
    var line: [UInt8] = []
    LogLine.beginError(
        time: LocalTime(secondsSince1970: Int64(wallMilliseconds() / 1000)), level: .emerg, processID: getpid(),
        to: &line)
    line.append(text: message)
    LogLine.endError(&line)
    try? Files.writeAll(2, line)
    return 2
}
