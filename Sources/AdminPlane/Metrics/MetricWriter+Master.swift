// SPDX-License-Identifier: Apache-2.0
//
// Weir as a whole, and its processes.

import SharedState
import Vocabulary

/// One process with what the kernel says of it.
struct ProcessRow {
    /// 0: it is not there.
    var pid: Int32
    var respawns: UInt64
    var figures: ProcessFigures?
}

extension MetricWriter {
    mutating func write(_ master: MasterReport) {
        write(.buildInfo, of: [Labelled((), ["version": weirVersion])]) { .count(1) }
        write(.startTime, .milliseconds(master.startedAt))
        write(.generation, .count(UInt64(master.generation)))
        write(.loadTime, .milliseconds(master.loadedAt))
        write(
            .reloads, of: [Labelled(master, [:])], by: "result",
            [("done", { .count($0.reloadsDone) }), ("refused", { .count($0.reloadsRefused) })])
        write(.lastReloadSucceeded, .flag(master.lastReload != .refused))
        write(.lastReloadTime, .milliseconds(master.lastReloadAt))
        write(.lastReloadDuration, .milliseconds(master.lastReloadMilliseconds))
    }

    mutating func write(_ processes: [Labelled<ProcessRow>]) {
        write(.processUp, of: processes) { .flag($0.pid != 0) }
        write(.processRespawns, of: processes) { .count($0.respawns) }
        write(
            .processResidentMemory, of: processes, by: "kind",
            [
                ("anonymous", { $0.figures.map { .count($0.anonymousBytes) } }),
                ("file", { $0.figures.map { .count($0.fileBytes) } }),
                ("shared", { $0.figures.map { .count($0.sharedBytes) } }),
            ])
        write(.processProcessorTime, of: processes) { $0.figures.map { .milliseconds($0.processorMilliseconds) } }
        write(.processDescriptors, of: processes) { $0.figures?.descriptors.map { .count($0) } }
        write(.processDescriptorsMax, of: processes) { $0.figures?.descriptorsMax.map { .count($0) } }
    }
}

/// Master, prober, admin process and workers, in this order.
func processRows(_ master: MasterReport, _ workers: [WorkerReport]) -> [Labelled<ProcessRow>] {
    func row(_ pid: Int32, _ respawns: UInt64) -> ProcessRow {
        let figures = pid == 0 ? nil : ProcessFigures.read(pid: pid, countsDescriptors: true)
        return ProcessRow(pid: pid, respawns: respawns, figures: figures)
    }
    var rows = [
        Labelled(row(master.pid, 0), ["process": "master"]),
        Labelled(row(master.proberPID, master.proberRespawns), ["process": "prober"]),
        Labelled(row(master.adminPID, master.adminRespawns), ["process": "admin"]),
    ]
    for worker in workers {
        var figures = worker.pid == 0 ? nil : ProcessFigures.read(pid: worker.pid, countsDescriptors: false)
        if figures != nil, worker.gauges.descriptorsMax > 0 {
            figures?.descriptors = worker.gauges.descriptors
            figures?.descriptorsMax = worker.gauges.descriptorsMax
        }
        rows.append(
            Labelled(
                ProcessRow(pid: worker.pid, respawns: worker.respawns, figures: figures),
                ["process": "worker", "worker": "\(worker.slot.index)"]))
    }
    return rows
}
