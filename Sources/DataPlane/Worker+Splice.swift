// SPDX-License-Identifier: Apache-2.0
//
// Bulk: a direction that has moved much without a pause goes through a pipe by splice(2), called directly, so that its
// bytes never enter user space. Pipes are taken late and given back early: two descriptors and 64 KiB of the kernel's
// memory each, and the kernel allows a user about a thousand.

import EventLoop
import LinuxIO
import SessionCore
import Vocabulary

extension Worker where K: ~Copyable {
    /// What one session may move in one go, so that others have their turn.
    private static var pumpBudgetBytes: Int { 512 * 1024 }
    /// Pipes of one worker; more bulk than that is copied.
    private static var pipesMax: Int { 256 }
    /// Pipes kept for the next burst; the rest is closed.
    private static var idlePipesMax: Int { 16 }

    mutating func beginSplice(_ way: Way, of slot: Int) {
        guard let pipe = takePipe() else {
            sessions[slot, way].machine.isSpliceAllowed = false
            return perform(sessions[slot, way].machine.spliceRefused(), way, of: slot)
        }
        sessions[slot, way].pipe = pipe
        perform(sessions[slot, way].machine.spliceBegan(), way, of: slot)
    }

    /// The side that a splicing direction waited for is ready.
    mutating func pump(_ way: Way, of slot: Int) {
        guard let pipe = sessions[slot, way].pipe else { preconditionFailure("splicing without a pipe") }
        let result = kernel.pump(
            source: sessions[slot].socket(way.source), pipe: pipe, target: sessions[slot].socket(way.target),
            budget: Self.pumpBudgetBytes, pending: Int(sessions[slot, way].machine.pendingBytes))
        countReceived(result.received, way, of: slot)
        countSent(result.sent, way, of: slot)
        if result.received > 0 || result.sent > 0 { sessions[slot].lastActivityAt = kernel.nowMilliseconds }
        // First of all, so that a pipe with bytes in it is never taken for an empty one.
        let action = sessions[slot, way].machine.pumped(
            received: result.received, sent: result.sent, isEnd: result.isSourceEnded || result.sourceError != 0)
        if result.targetError != 0 {
            return broken(way.target, "splice", Errno(rawValue: result.targetError), slot)
        }
        // What was received before a source broke is still given on, as with copying.
        if result.sourceError != 0 && sessions[slot, way].machine.pendingBytes == 0 {
            return broken(way.source, "splice", Errno(rawValue: result.sourceError), slot)
        }
        perform(action, way, of: slot)
    }

    mutating func endSplice(_ way: Way, of slot: Int) {
        returnPipe(way, of: slot)
        perform(sessions[slot, way].machine.spliceEnded(), way, of: slot)
    }

    /// Gives the pipe of a direction back, if it has one. One that still holds bytes is closed: they belong to nobody.
    mutating func returnPipe(_ way: Way, of slot: Int) {
        guard let pipe = sessions[slot, way].pipe else { return }
        sessions[slot, way].pipe = nil
        if sessions[slot, way].machine.pendingBytes == 0 && idlePipes.count < Self.idlePipesMax {
            idlePipes.append(pipe)
        } else {
            kernel.closePipe(pipe)
            pipeCount -= 1
        }
    }

    private mutating func takePipe() -> PipeDescriptors? {
        if let pipe = idlePipes.popLast() { return pipe }
        guard pipeCount < Self.pipesMax, let pipe = kernel.openPipe() else { return nil }
        pipeCount += 1
        return pipe
    }
}
