// SPDX-License-Identifier: Apache-2.0
//
// Devices that all come at once, in a process of their own: their handshakes would hold up the loop that sends and
// times the messages. The process runs only when nothing else wants its CPU (SCHED_IDLE), so that it takes nothing from
// that loop; its ClientHellos are made before it begins, so that the proxy meets all of them at once.
//
//   fork → "ready" → (begin) "go" → handshakes, CONNECT, CONNACK → outcome → close

import Fleet
import LinuxIO
import Vocabulary

final class Storm {
    struct Outcome: Sendable {
        var perSecond: Double
        /// Empty: each of the devices got its CONNACK.
        var faults: String
    }

    static let secondsMax = 30.0

    private let pid: Int32
    private let line: Int32
    private var ended: Outcome?

    /// Waits until the devices are ready to begin.
    init(handshakes count: Int) throws {
        let (own, other) = try Sockets.makePair(keepsPackets: true)
        switch try Processes.fork() {
        case .parent(let child):
            pid = child
            line = own
            Descriptors.close(other)
            _ = try Self.awaitPacket(own)
        case .child:
            Self.play(count, line: other)
        }
    }

    deinit {
        Descriptors.close(line)
        waitForEnd()
    }

    /// Until all its devices have closed.
    func waitForEnd() { _ = try? Processes.wait(for: pid) }

    func begin() throws { _ = try Sockets.send(line, Array("go".utf8)[...]) }

    /// Nil as long as it goes on.
    var outcome: Outcome? {
        if let ended { return ended }
        var bytes: [UInt8] = []
        do throws(Errno) {
            _ = try Sockets.receive(line, appendingTo: &bytes, bytesMax: 4096)
        } catch Errno.wouldBlock {
            return nil
        } catch {
            ended = Outcome(perSecond: 0, faults: error.text)
            return ended
        }
        let parts = String(decoding: bytes, as: UTF8.self).split(separator: "\t", omittingEmptySubsequences: false)
        ended = Outcome(
            perSecond: parts.first.flatMap { Double($0) } ?? 0,
            faults: parts.count == 2 ? String(parts[1]) : "its process ended early")
        return ended
    }

    private static func awaitPacket(_ line: Int32) throws -> [UInt8] {
        var entries = [PollEntry(line, .readable)]
        let deadline = monotonicMilliseconds() + 30_000
        while try Poll.wait(&entries, milliseconds: 1000) == 0 {
            if monotonicMilliseconds() > deadline { throw RunFault(description: "a storm does not begin") }
        }
        var bytes: [UInt8] = []
        guard try Sockets.receive(line, appendingTo: &bytes, bytesMax: 4096) > 0 else {
            throw RunFault(description: "a storm's process ended early")
        }
        return bytes
    }

    // MARK: In the child

    /// The sockets of the fleet that forked must not live on here: the child keeps its line and nothing else.
    private static func play(_ count: Int, line: Int32) -> Never {
        let kept: Int32 = 3
        do {
            try Processes.setParentDeathSignal(9)
            try Descriptors.replace(kept, with: line)
            try Descriptors.closeAll(from: kept + 1)
            try Processes.runWhenIdle()
            let target = IPEndpoint(address: Place.address, port: Place.securePort)
            let fleet = try Fleet(
                FleetPlan(
                    brokers: [], targets: [], secureTarget: target,
                    sources: Place.sourceAddresses.map { IPAddress(ipv4: $0) }))
            fleet.transport = .full
            fleet.prepareHandshakes(count)
            _ = try Sockets.send(kept, Array("ready".utf8)[...])
            _ = try awaitPacket(kept)
            let result = fleet.openSessions(count, atOnce: count)
            let text = "\(result.perSecond)\t\(fleet.takeTally().text)"
            _ = try Sockets.send(kept, Array(text.utf8)[...])
            fleet.closeSessions()
        } catch {
            _ = try? Sockets.send(kept, Array("0\t\(error)".utf8)[...])
        }
        Processes.exit(0)
    }
}
