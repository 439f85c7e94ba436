// SPDX-License-Identifier: Apache-2.0
//
// The master's side of one child: its link, what still has to be said over it, and what it has been given. A child that
// does not read does not stop the master: what the link does not take waits here.

import ControlLink
import LinuxIO
import ProxyConfig
import Vocabulary

final class ChildProcess {
    let child: Child
    let pid: Int32
    private var link: LinkEndpoint
    /// Descriptors in here are copies of our own: the originals may be closed before their turn comes.
    private var outgoing: [(message: LinkMessage, descriptor: Int32)] = []
    private var outgoingStart = 0

    /// The generation it runs or starts with, and where its lines go: a worker that leaves keeps both.
    var generation: UInt32
    var logDestinations: [LogDestination]
    /// Listeners it has got a descriptor for and has not let go of.
    var listeners: Set<Endpoint> = []
    /// False when nothing can be said any more: the end of the process will follow.
    private var takesMessages = true
    /// False when nothing comes any more. A child that takes no messages may have said why before.
    private var mayHaveSaid = true

    init(_ child: Child, pid: Int32, link: consuming LinkEndpoint, generation: LoadedGeneration) {
        self.child = child
        self.pid = pid
        self.link = link
        self.generation = generation.number
        logDestinations = generation.configuration.logDestinations
    }

    deinit {
        for entry in outgoing[outgoingStart...] where entry.descriptor >= 0 { Descriptors.close(entry.descriptor) }
    }

    var pollEntry: PollEntry {
        let isWaiting = takesMessages && outgoingStart < outgoing.count
        return PollEntry(mayHaveSaid ? link.number : -1, isWaiting ? [.readable, .writable] : .readable)
    }

    // MARK: Saying

    func say(_ message: LinkMessage, descriptor: Int32 = -1) {
        guard takesMessages else { return }
        if outgoingStart == outgoing.count, send(message, descriptor) { return }
        guard takesMessages else { return }
        var copy: Int32 = -1
        if descriptor >= 0 {
            do throws(Errno) { copy = try Descriptors.duplicate(descriptor).release() } catch {
                // Without the descriptor the talk makes no sense; the child is late with its answer, then.
                takesMessages = false
                return
            }
        }
        outgoing.append((message, copy))
    }

    /// `prepare` to `build`: everything this child needs for a generation. `sockets` are the workers' or, for the admin
    /// process, its own.
    func talk(_ generation: LoadedGeneration, _ sockets: ListenerTable, position: Int) {
        let number = generation.number
        say(LinkMessage(.prepare, generation: number), descriptor: generation.bundle(of: child))
        for index in generation.logs.indices {
            guard let descriptor = generation.logs.descriptor(index) else { continue }
            say(LinkMessage(.log, generation: number, index: UInt32(index)), descriptor: descriptor)
        }
        for (index, listener) in generation.listeners(of: child).enumerated()
        where !listeners.contains(listener.endpoint) {
            say(
                LinkMessage(.listener, generation: number, index: UInt32(index)),
                descriptor: sockets.socket(listener.endpoint, position: max(0, position)))
        }
        if child.isWorker {
            for (index, cache) in generation.sessionCaches.enumerated() {
                say(
                    LinkMessage(.sessionCache, generation: number, index: UInt32(index)), descriptor: cache.file)
            }
        }
        say(LinkMessage(.build, generation: number))
    }

    var hasSaidAll: Bool { takesMessages && outgoingStart == outgoing.count }

    /// Sends what has waited, as far as the link takes it.
    func flush() {
        while takesMessages, outgoingStart < outgoing.count {
            let (message, descriptor) = outgoing[outgoingStart]
            guard send(message, descriptor) else { return }
            if descriptor >= 0 { Descriptors.close(descriptor) }
            outgoingStart += 1
        }
        if outgoingStart == outgoing.count {
            outgoing.removeAll()
            outgoingStart = 0
        }
    }

    /// False when the message has to wait or the link has ended.
    private func send(_ message: LinkMessage, _ descriptor: Int32) -> Bool {
        do throws(Errno) {
            return try link.send(message, descriptor: descriptor >= 0 ? descriptor : nil)
        } catch {
            takesMessages = false
            return false
        }
    }

    // MARK: Hearing

    /// The next message; nil when there is none now or the link has ended.
    func hear() -> LinkMessage? {
        guard mayHaveSaid else { return nil }
        do throws(Errno) {
            switch try link.receive() {
            // Children send no descriptors; one that came is closed with its arrival.
            case .message(let arrival): return arrival.message
            case .wouldBlock: return nil
            case .ended: break
            case .malformed: break
            }
        } catch {}
        takesMessages = false
        mayHaveSaid = false
        return nil
    }
}
