// SPDX-License-Identifier: Apache-2.0
//
// The talk with the master (ControlLink/LinkMessage.swift), and the worker's own signals, for those who signal a worker
// by hand: TERM and INT stop it fast, QUIT gracefully.

import ControlLink
import EventLoop
import Glibc
import LinuxIO
import ProxyConfig
import SharedState
import Vocabulary

extension Worker where K: ~Copyable {
    private static var bundleBytesMax: Int { 1 << 30 }

    mutating func watchLink() {
        kernel.queuePoll(
            descriptor: link.number, events: .readable,
            token: Token(operation: Operation.link.rawValue, generation: 0, index: 0))
    }

    mutating func watchSignals() {
        kernel.queuePoll(
            descriptor: signals.descriptor.number, events: .readable,
            token: Token(operation: Operation.signal.rawValue, generation: 0, index: 0))
    }

    mutating func signalIsReadable() {
        while let signal = (try? signals.next()) ?? nil {
            switch signal.number {
            case SIGTERM, SIGINT:
                logWorker(.notice, "signal \(signal.number) received from \(signal.sender), exiting")
                stop()
            case SIGQUIT:
                logWorker(.notice, "signal \(signal.number) received from \(signal.sender), gracefully shutting down")
                quit()
            case SIGHUP, SIGUSR1:
                logWorker(
                    .notice,
                    "signal \(signal.number) received from \(signal.sender), ignoring: reloads and new logs come from "
                        + "a master process")
            default:
                break
            }
        }
        watchSignals()
    }

    mutating func linkIsReadable() {
        while true {
            let reception: LinkEndpoint.Reception
            do throws(Errno) {
                reception = try link.receive()
            } catch {
                logWorker(.alert, "recvmsg() from the master failed (\(error.numberedText)); closing all and exiting")
                return stop()
            }
            switch consume reception {
            case .message(var arrival):
                let descriptor = arrival.takeDescriptor()
                take(arrival.message, descriptor)
            case .wouldBlock:
                return watchLink()
            case .ended:
                if !isStopping { logWorker(.alert, "the master process is gone; closing all sessions and exiting") }
                return stop()
            case .malformed(let fault):
                logWorker(.alert, "the master sent what is no message: \(fault)")
            }
        }
    }

    private mutating func take(_ message: LinkMessage, _ descriptor: consuming Descriptor?) {
        let number: Int32?
        if let descriptor { number = descriptor.release() } else { number = nil }
        switch message.kind {
        case .prepare:
            beginPreparing(message.generation, number)
        case .log:
            guard let number else { return }
            guard isPreparing(message.generation) else { return Descriptors.close(number) }
            preparing!.take(log: number, at: Int(message.index))
        case .listener:
            guard let number else { return }
            guard isPreparing(message.generation) else { return Descriptors.close(number) }
            preparing!.take(listener: number, at: Int(message.index))
        case .sessionCache:
            guard let number else { return }
            guard isPreparing(message.generation) else { return Descriptors.close(number) }
            preparing!.take(sessionCache: number, at: Int(message.index))
        case .build:
            guard isPreparing(message.generation) else { return }
            guard !preparing!.begin() else { return }
            preparing!.abandon()
            preparing = nil
            answer(.refused, generation: message.generation, text: "the bundle lacks facts")
        case .commit:
            guard isPreparing(message.generation) else { return }
            if case .ready = preparing!.stage { commit() } else { preparing!.isCommitDue = true }
        case .abort:
            guard isPreparing(message.generation) else { return }
            preparing!.abandon()
            preparing = nil
        case .reopen:
            guard let number else { return }
            reopen(message, number)
        case .quit:
            quit()
        case .stop:
            stop()
        case .inquiry:
            guard let number else { return }
            takeQuestions(from: Descriptor(number))
        case .ready, .refused, .committed, .listenersClosed, .change, .changed, .changeRefused:
            logWorker(.alert, "the master sent what is nothing for workers: \(message.kind)")
        }
    }

    private func isPreparing(_ generation: UInt32) -> Bool {
        preparing?.number == generation
    }

    private mutating func beginPreparing(_ generation: UInt32, _ bundleDescriptor: Int32?) {
        preparing?.abandon()
        preparing = nil
        guard !isQuitting else {
            if let bundleDescriptor { Descriptors.close(bundleDescriptor) }
            return answer(.refused, generation: generation, text: "this worker is leaving")
        }
        guard let bundleDescriptor else {
            return answer(.refused, generation: generation, text: "no bundle came with the message")
        }
        defer { Descriptors.close(bundleDescriptor) }
        guard let bytes = try? Memory.readSealed(bundleDescriptor, bytesMax: Self.bundleBytesMax),
            let bundle = Bundle(encoded: bytes)
        else { return answer(.refused, generation: generation, text: "the bundle is not sealed or not readable") }
        preparing = Preparation(
            number: generation, bundle: bundle, tickets: tickets, staples: staples,
            former: current.map { generations[$0].contexts })
    }

    /// USR1 at the master: the same destination with a new descriptor.
    private mutating func reopen(_ message: LinkMessage, _ descriptor: Int32) {
        guard let current, generations[current].number == message.generation,
            Int(message.index) < generations[current].sinks.count
        else { return Descriptors.close(descriptor) }
        let sink = generations[current].sinks[Int(message.index)]
        _ = sinks.open(sinks.sinks[sink].destination, descriptor: descriptor)
    }

    mutating func answer(_ kind: LinkMessage.Kind, generation: UInt32, text: String = "") {
        do throws(Errno) {
            if try link.send(LinkMessage(kind, generation: generation, text: text)) { return }
            logWorker(.alert, "the answer \(kind) does not fit the link to the master")
        } catch {
            logWorker(.alert, "the answer \(kind) to the master failed (\(error.numberedText))")
        }
    }

    // MARK: - The end

    /// Graceful: what is queued is taken, listeners close, sessions go on until they end or
    /// `worker_shutdown_timeout` is over.
    mutating func quit() {
        guard !isQuitting, !isStopping else { return }
        isQuitting = true
        if let current, let timeout = generations[current].configuration.main.shutdownTimeoutMilliseconds {
            quitDeadline = kernel.nowMilliseconds + UInt64(timeout)
        }
        for index in listeners.indices { retire(index) }
        reportListenersClosed()
    }

    mutating func reportListenersClosed() {
        if hasClosedListeners { answer(.listenersClosed, generation: 0) }
    }

    var hasClosedListeners: Bool { !listeners.contains { $0.descriptor >= 0 } }

    mutating func stop() {
        guard !isStopping else { return }
        isStopping = true
        closeAll(.shutdown)
    }
}
