// SPDX-License-Identifier: Apache-2.0
//
// The pair to one worker: questions about its sessions, answered in parts (ControlLink/SessionQuery.swift). A worker
// that is stopped, busy or gone costs who asks some seconds and nothing else.

import ControlLink
import LinuxIO
import Synchronization

/// What one worker answered.
package struct WorkerSessions: Sendable, Equatable {
    /// Its slot.
    package var worker: Int
    package var sessions: [SessionFacts] = []
    package var reconnects: [ReconnectFacts] = []
    /// A list goes on there; nil: all was looked at.
    package var next: UInt32? = nil
    /// Why the answer lacks something, for people; nil: it is whole.
    package var fault: String? = nil

    package init(worker: Int) { self.worker = worker }
}

final class InquiryLink: Sendable {
    private struct Inquiry {
        var answer: WorkerSessions
        let waiter: CheckedContinuation<WorkerSessions, Never>
    }

    private struct State {
        var inquiries: [UInt32: Inquiry] = [:]
        var count: UInt32 = 0
        var hasEnded = false
    }

    /// At once, by one worker; it answers them one after the other.
    private static let inquiriesMax = 32

    let worker: Int
    private let socket: PacketSocket
    private let patience: Duration
    private let ended: @Sendable (InquiryLink) -> Void
    private let state = Mutex(State())

    /// `ended` is called once, when the worker has gone.
    init(
        worker: Int, socket: consuming Descriptor, patience: Duration, ended: @escaping @Sendable (InquiryLink) -> Void
    ) {
        self.worker = worker
        self.socket = PacketSocket(socket)
        self.patience = patience
        self.ended = ended
    }

    /// Call once.
    func begin() { ReadWatch.begin(socket.number) { [self] in drain() } }

    func ask(_ query: SessionQuery) async -> WorkerSessions {
        await withCheckedContinuation { waiter in
            let number = register(waiter)
            guard let number else { return waiter.resume(returning: faulty("takes no question now")) }
            let isSent = (try? socket.send(query.packet(number: number))) ?? false
            guard isSent else { return finish(number, "takes no question now") }
            Task { [patience] in
                try? await Task.sleep(for: patience)
                finish(number, "has not answered in time")
            }
        }
    }

    private func register(_ waiter: CheckedContinuation<WorkerSessions, Never>) -> UInt32? {
        state.withLock { state in
            guard !state.hasEnded, state.inquiries.count < InquiryLink.inquiriesMax else { return nil }
            state.count &+= 1
            state.inquiries[state.count] = Inquiry(answer: WorkerSessions(worker: worker), waiter: waiter)
            return state.count
        }
    }

    /// The first end of an inquiry counts. `fault`: what is wrong with the worker, as the end of a sentence.
    private func finish(_ number: UInt32, _ fault: String? = nil) {
        guard var inquiry = state.withLock({ $0.inquiries.removeValue(forKey: number) }) else { return }
        if let fault { inquiry.answer.fault = faulty(fault).fault }
        inquiry.waiter.resume(returning: inquiry.answer)
    }

    private func faulty(_ fault: String) -> WorkerSessions {
        var answer = WorkerSessions(worker: worker)
        answer.fault = "worker \(worker) \(fault)"
        return answer
    }

    // MARK: What comes

    private func drain() -> Bool {
        do throws(Errno) {
            while true {
                switch try socket.receive(bytesMax: SessionAnswer.packetBytesMax) {
                case .packet(let bytes, _, let isCut): if !isCut { take(bytes) }
                case .wouldBlock: return true
                case .ended:
                    end()
                    return false
                }
            }
        } catch {
            end()
            return false
        }
    }

    /// What is no answer, or answers what nobody asks any more, is dropped.
    private func take(_ packet: [UInt8]) {
        guard let (number, answer) = SessionAnswer.read(packet) else { return }
        switch answer {
        case .sessions(let sessions):
            state.withLock { $0.inquiries[number]?.answer.sessions += sessions }
        case .reconnects(let reconnects):
            state.withLock { $0.inquiries[number]?.answer.reconnects += reconnects }
        case .end(let next):
            state.withLock { $0.inquiries[number]?.answer.next = next }
            finish(number)
        case .refused: finish(number, "does not understand the question")
        }
    }

    private func end() {
        let numbers = state.withLock { state in
            state.hasEnded = true
            return Array(state.inquiries.keys)
        }
        for number in numbers { finish(number, "is gone") }
        ended(self)
    }
}
