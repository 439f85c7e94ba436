// SPDX-License-Identifier: Apache-2.0
//
// What the master says of itself, of reloads, and of the processes beside the workers.

import CShared

package enum ReloadResult: UInt8, Sendable, CaseIterable {
    case none = 0
    case done
    case refused
}

/// The master's children that are no workers.
package enum Helper: Sendable, CaseIterable {
    case prober
    case admin
}

package struct MasterReport: Sendable {
    package var pid: Int32
    /// Wall clock, milliseconds; likewise the other moments.
    package var startedAt: UInt64
    /// When the committed configuration came.
    package var loadedAt: UInt64
    package var generation: UInt32
    package var reloadsDone: UInt64
    package var reloadsRefused: UInt64
    package var lastReload: ReloadResult
    /// 0: never.
    package var lastReloadAt: UInt64
    package var lastReloadMilliseconds: UInt64
    /// Why the last reload was refused.
    package var lastReloadText: String
    /// 0: none.
    package var proberPID: Int32
    package var proberRespawns: UInt64
    package var adminPID: Int32
    package var adminRespawns: UInt64
}

extension SharedRegion {
    package var reloadsDone: UInt64 { header(CS_HEADER_RELOADS_DONE) }
    package var reloadsRefused: UInt64 { header(CS_HEADER_RELOADS_REFUSED) }

    /// `daemon on` forks after the region is made.
    package func setMasterPID(_ pid: Int32) { setHeader(CS_HEADER_MASTER_PID, UInt64(pid)) }

    /// After a reload has ended. `text`: why it was refused.
    package func countReload(
        _ result: ReloadResult, wallMilliseconds: UInt64, tookMilliseconds: UInt64, text: String = ""
    ) {
        guard result != .none else { return }
        let bytes = Array(text.utf8)
        reloadText.store(bytes)
        setHeader(CS_HEADER_RELOAD_TEXT_BYTES, UInt64(min(bytes.count, CS_RELOAD_BYTES)))
        unsafe cs_bump(cs_header(base, result == .done ? CS_HEADER_RELOADS_DONE : CS_HEADER_RELOADS_REFUSED), 1)
        setHeader(CS_HEADER_LAST_RELOAD_TOOK, tookMilliseconds)
        setHeader(CS_HEADER_LAST_RELOAD_AT, wallMilliseconds)
        setHeader(CS_HEADER_LAST_RELOAD, UInt64(result.rawValue))
        if result == .done { setHeader(CS_HEADER_LOADED_AT, wallMilliseconds) }
    }

    package func beginHelper(_ helper: Helper, pid: Int32, isRespawn: Bool) {
        setHeader(helper == .prober ? CS_HEADER_PROBER_PID : CS_HEADER_ADMIN_PID, UInt64(pid))
        guard isRespawn else { return }
        unsafe cs_bump(
            cs_header(base, helper == .prober ? CS_HEADER_PROBER_RESPAWNS : CS_HEADER_ADMIN_RESPAWNS), 1)
    }

    package func endHelper(_ helper: Helper) {
        setHeader(helper == .prober ? CS_HEADER_PROBER_PID : CS_HEADER_ADMIN_PID, 0)
    }

    package func masterReport() -> MasterReport {
        MasterReport(
            pid: masterPID, startedAt: startedAt, loadedAt: header(CS_HEADER_LOADED_AT), generation: generation,
            reloadsDone: reloadsDone, reloadsRefused: reloadsRefused,
            lastReload: ReloadResult(rawValue: UInt8(truncatingIfNeeded: header(CS_HEADER_LAST_RELOAD))) ?? .none,
            lastReloadAt: header(CS_HEADER_LAST_RELOAD_AT), lastReloadMilliseconds: header(CS_HEADER_LAST_RELOAD_TOOK),
            lastReloadText: String(
                decoding: reloadText.load(count: header(CS_HEADER_RELOAD_TEXT_BYTES)), as: UTF8.self),
            proberPID: Int32(truncatingIfNeeded: header(CS_HEADER_PROBER_PID)),
            proberRespawns: header(CS_HEADER_PROBER_RESPAWNS),
            adminPID: Int32(truncatingIfNeeded: header(CS_HEADER_ADMIN_PID)),
            adminRespawns: header(CS_HEADER_ADMIN_RESPAWNS))
    }
}
