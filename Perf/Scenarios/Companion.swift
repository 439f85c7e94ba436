// SPDX-License-Identifier: Apache-2.0
//
// A further load in a process of its own, beside the loop that sends and times messages: what it does must not hold
// that loop up. The process runs only when nothing else wants its CPU (SCHED_IDLE).
//
//   fork → preparations → "ready" → (begin) "go" → its work, perhaps until (end) "stop" → outcome → gone

import LinuxIO
import Vocabulary

final class Companion {
    /// The companion's end.
    struct Line {
        fileprivate let number: Int32

        /// Says that all is prepared, and waits until the work is wanted.
        func ready() throws {
            _ = try Sockets.send(number, Array("ready".utf8)[...])
            _ = try Companion.awaitPacket(number)
        }

        /// The outcome, once; its parts hold no tabs.
        func done(_ parts: [String]) throws {
            _ = try Sockets.send(number, Array((["done"] + parts).joined(separator: "\t").utf8)[...])
        }

        /// True once the work is not wanted any more.
        func isOver() -> Bool {
            var bytes: [UInt8] = []
            do throws(Errno) {
                _ = try Sockets.receive(number, appendingTo: &bytes, bytesMax: 64)
                return true
            } catch {
                return error != .wouldBlock
            }
        }
    }

    private let pid: Int32
    private let line: Int32
    private var ending: Result<[String], RunFault>?

    /// Waits until the companion is ready.
    init(_ work: (Line) throws -> Void) throws {
        let (own, other) = try Sockets.makePair(keepsPackets: true)
        switch try Processes.fork() {
        case .parent(let child):
            pid = child
            line = own
            Descriptors.close(other)
            _ = try Self.awaitPacket(own)
        case .child:
            Self.play(work, line: other)
        }
    }

    deinit {
        Descriptors.close(line)
        waitForEnd()
    }

    /// Until all that it has open is closed.
    func waitForEnd() { _ = try? Processes.wait(for: pid) }

    func begin() throws { _ = try Sockets.send(line, Array("go".utf8)[...]) }

    /// Ends work that goes on for ever; its outcome.
    func end() throws -> [String] {
        // One that has ended early is not there to hear it, and has said why.
        _ = try? Sockets.send(line, Array("stop".utf8)[...])
        var entries = [PollEntry(line, .readable)]
        let deadline = monotonicMilliseconds() + 30_000
        while monotonicMilliseconds() < deadline {
            if let outcome = try outcome() { return outcome }
            _ = try Poll.wait(&entries, milliseconds: 1000)
        }
        throw RunFault(description: "a companion does not end")
    }

    /// Nil as long as it works.
    func outcome() throws(RunFault) -> [String]? {
        if ending == nil { ending = receive() }
        return try ending?.get()
    }

    private func receive() -> Result<[String], RunFault>? {
        var bytes: [UInt8] = []
        do throws(Errno) {
            guard try Sockets.receive(line, appendingTo: &bytes, bytesMax: 4096) > 0 else { throw Errno.brokenPipe }
        } catch Errno.wouldBlock {
            return nil
        } catch {
            return .failure(RunFault(description: "a companion ended early: \(error.text)"))
        }
        let parts = String(decoding: bytes, as: UTF8.self).split(separator: "\t", omittingEmptySubsequences: false)
        guard parts.first == "done" else {
            return .failure(RunFault(description: "a companion: \(parts.joined(separator: " "))"))
        }
        return .success(parts.dropFirst().map(String.init))
    }

    private static func awaitPacket(_ line: Int32) throws -> [UInt8] {
        var entries = [PollEntry(line, .readable)]
        let deadline = monotonicMilliseconds() + 30_000
        while try Poll.wait(&entries, milliseconds: 1000) == 0 {
            if monotonicMilliseconds() > deadline { throw RunFault(description: "a companion does not begin") }
        }
        var bytes: [UInt8] = []
        guard try Sockets.receive(line, appendingTo: &bytes, bytesMax: 4096) > 0 else {
            throw RunFault(description: "a companion ended early")
        }
        return bytes
    }

    // MARK: In the child

    /// The sockets of the fleet that forked must not live on here: the child keeps its line and nothing else.
    private static func play(_ work: (Line) throws -> Void, line: Int32) -> Never {
        let kept: Int32 = 3
        do {
            try Processes.setParentDeathSignal(9)
            try Descriptors.replace(kept, with: line)
            try Descriptors.closeAll(from: kept + 1)
            try Processes.runWhenIdle()
            try work(Line(number: kept))
        } catch {
            _ = try? Sockets.send(kept, Array("failed\t\(error)".utf8)[...])
        }
        Processes.exit(0)
    }
}
