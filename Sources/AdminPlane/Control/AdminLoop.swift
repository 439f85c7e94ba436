// SPDX-License-Identifier: Apache-2.0
//
// The admin process's life: the talk with the master (ControlLink/LinkMessage.swift), one message after the other, and
// the HTTP side that it starts, changes and ends. It has no state that a successor would miss.

import ControlLink
import LinuxIO
import ProxyConfig
import SharedState
import Vocabulary

package struct AdminLoop: ~Copyable {
    private let link: AdminLink
    private let control: LinkControl
    private let process: AdminProcess
    private let hostname: String
    private var prepared: AdminPreparation? = nil
    private var committed: UInt32? = nil
    private var log: ChildLog? = nil

    /// Takes over a SOCK_SEQPACKET socket.
    package init(socket: consuming Descriptor, region: SharedRegion) {
        link = AdminLink(socket: socket)
        control = LinkControl(link: link)
        process = AdminProcess(region: region, control: control)
        hostname = (try? Processes.hostname()) ?? ""
    }

    /// Until the master says so, or has gone.
    package mutating func run() async {
        for await arrival in link.arrivals() {
            switch arrival {
            case .message(let message, let descriptor):
                guard await take(message, descriptor) else { return await stop() }
            case .malformed(let fault): write(.alert, "the master sent what is no message: \(fault)")
            case .ended:
                write(.alert, "the master process is gone; exiting")
                return await stop()
            }
        }
    }

    private func stop() async {
        control.end()
        await process.stop()
    }

    /// False when this is the end.
    private mutating func take(_ message: LinkMessage, _ number: Int32?) async -> Bool {
        var descriptor = number.map { Descriptor($0) }
        let preparation = prepared?.generation == message.generation ? prepared : nil
        switch message.kind {
        case .prepare:
            guard let bundle = descriptor.take() else { break }
            prepared = AdminPreparation(generation: message.generation, bundle: bundle)
        case .log:
            guard let preparation, let file = descriptor.take() else { break }
            preparation.add(log: file.release(), at: Int(message.index))
        case .listener:
            guard let preparation, let socket = descriptor.take() else { break }
            preparation.add(socket: socket.release(), at: Int(message.index))
        case .build: if let preparation { build(preparation) }
        case .commit: if let preparation, preparation.built != nil { await commit(preparation) }
        case .abort: if preparation != nil { prepared = nil }
        case .reopen:
            guard committed == message.generation, let file = descriptor.take() else { break }
            log?.open(Int(message.index), file)
        case .changed, .changeRefused: control.take(message)
        case .inquiry:
            if let socket = descriptor.take() { control.take(inquiry: socket, worker: Int(message.index)) }
        case .quit, .stop: return false
        // Session caches are the workers'; the others are what children say.
        case .sessionCache, .ready, .refused, .committed, .listenersClosed, .change: break
        }
        return true
    }

    // MARK: The talk

    private mutating func build(_ preparation: AdminPreparation) {
        do throws(AdminFault) {
            try preparation.build()
            preparation.built = try process.prepare(preparation.configuration)
            answer(.ready, preparation.generation)
        } catch {
            prepared = nil
            answer(.refused, preparation.generation, error.description)
        }
    }

    private mutating func commit(_ preparation: AdminPreparation) async {
        guard let built = preparation.built else { return }
        prepared = nil
        log = preparation.makeLog(hostname: hostname)
        committed = preparation.generation
        do throws(AdminFault) { try await process.commit(built, sockets: preparation.takeSockets()) } catch {
            write(.alert, error.description)
        }
        answer(.committed, preparation.generation)
    }

    private func answer(_ kind: LinkMessage.Kind, _ generation: UInt32, _ text: String = "") {
        guard !link.send(LinkMessage(kind, generation: generation, text: text)) else { return }
        write(.alert, "the answer \(kind) does not reach the master")
    }

    /// Before there are logs, standard error is all there is.
    private func write(_ level: LogLevel, _ message: String) {
        if let log { log.write(level, message) } else { ChildLog.write(level, message, to: 2) }
    }
}
