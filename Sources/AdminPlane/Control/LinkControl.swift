// SPDX-License-Identifier: Apache-2.0
//
// The questions of handlers on their way: each gets a number, and whoever asked waits for the answer with it. Nobody
// waits for ever.

import ControlLink
import LinuxIO
import Synchronization

package final class LinkControl: AdminControl {
    private typealias Waiter = CheckedContinuation<Result<[Int], AdminRefusal>, Never>

    private struct State {
        var waiters: [UInt32: Waiter] = [:]
        var requestCount: UInt32 = 0
        var hasEnded = false
        /// By the slots of their workers.
        var inquiryLinks: [Int: InquiryLink] = [:]
    }

    /// Longer than the master waits for a child (a minute), so that its own word comes first.
    private static let changePatience = Duration.seconds(75)

    private let link: AdminLink
    private let names: NameResolver
    private let patience: Duration
    private let state = Mutex(State())

    init(link: AdminLink, names: NameResolver = NameResolver(), patience: Duration = LinkControl.changePatience) {
        self.link = link
        self.names = names
        self.patience = patience
    }

    package func change(_ change: MembershipChange) async throws(AdminRefusal) -> [Int] {
        var change = change
        if let host = change.hostName {
            change.name = ResolvedName(host: host, answer: await names.addresses(of: host))
        }
        guard let text = change.text else {
            throw AdminRefusal(.format, "the change is longer than a message, or holds a NUL")
        }
        let result = await withCheckedContinuation { (waiter: Waiter) in
            guard let number = register(waiter) else {
                return waiter.resume(returning: .failure(LinkControl.masterIsGone))
            }
            guard link.send(LinkMessage(.change, index: number, text: text)) else {
                return settle(number, .failure(AdminRefusal(.unreachable, "the master takes no message now")))
            }
            Task { [patience] in
                try? await Task.sleep(for: patience)
                settle(number, .failure(AdminRefusal(.unreachable, "the master has not answered in time")))
            }
        }
        return try result.get()
    }

    private static let inquiryPatience = Duration.seconds(3)

    package func ask(_ query: SessionQuery, workers: Set<Int>?) async -> [WorkerSessions] {
        let links = state.withLock { Array($0.inquiryLinks.values) }.filter { workers?.contains($0.worker) ?? true }
        return await withTaskGroup(of: WorkerSessions.self) { group in
            for link in links { group.addTask { await link.ask(query) } }
            var answers: [WorkerSessions] = []
            for await answer in group { answers.append(answer) }
            return answers.sorted { $0.worker < $1.worker }
        }
    }

    private static let masterIsGone = AdminRefusal(.unreachable, "the master process is gone")

    private func register(_ waiter: Waiter) -> UInt32? {
        state.withLock { state in
            guard !state.hasEnded else { return nil }
            state.requestCount &+= 1
            state.waiters[state.requestCount] = waiter
            return state.requestCount
        }
    }

    /// The first word about a request counts.
    private func settle(_ number: UInt32, _ result: Result<[Int], AdminRefusal>) {
        state.withLock { $0.waiters.removeValue(forKey: number) }?.resume(returning: result)
    }

    // MARK: What the link brings

    func take(_ message: LinkMessage) {
        switch message.kind {
        case .changed:
            settle(message.index, .success(message.text.split(separator: " ").compactMap { Int($0) }))
        case .changeRefused: settle(message.index, .failure(AdminRefusal(messageText: message.text)))
        default: break
        }
    }

    /// A pair to a worker that has started, or to one that was there before this process.
    func take(inquiry socket: consuming Descriptor, worker: Int) {
        let patience = LinkControl.inquiryPatience
        let link = InquiryLink(worker: worker, socket: socket, patience: patience) { [weak self] link in
            self?.state.withLock { state in
                if state.inquiryLinks[worker] === link { state.inquiryLinks[worker] = nil }
            }
        }
        state.withLock { $0.inquiryLinks[worker] = link }
        link.begin()
    }

    /// The link has ended: nobody answers any more.
    func end() {
        let waiters = state.withLock { state in
            state.hasEnded = true
            defer { state.waiters = [:] }
            return Array(state.waiters.values)
        }
        for waiter in waiters { waiter.resume(returning: .failure(LinkControl.masterIsGone)) }
    }
}
