// SPDX-License-Identifier: Apache-2.0
//
// Host names through the system's resolver, which waits for as long as it likes: on threads of its own, so that neither
// a task nor a thread of SwiftNIO's ever does, and with an end to everybody's patience.

import Foundation
import LinuxIO
import ProxyConfig
import Synchronization
import Vocabulary

final class NameResolver: Sendable {
    typealias Answer = Result<[IPAddress], SourceFault>

    /// Where nobody waits for it any more, the lookup is left alone, or never begun.
    private final class Question: Sendable {
        private let waiter: Mutex<CheckedContinuation<Answer, Never>?>

        init(_ waiter: CheckedContinuation<Answer, Never>) { self.waiter = Mutex(waiter) }

        var isOpen: Bool { waiter.withLock { $0 != nil } }

        /// The first answer counts.
        func settle(_ answer: Answer) { waiter.withLock { $0.take() }?.resume(returning: answer) }
    }

    /// Changes of servers by name are rare; a few may wait for a name server that is silent.
    private static let lookupsMax = 4
    /// A name server that is silent for five seconds, the resolver's own time for each, leaves time for the next one;
    /// and the answer comes before `weirctl` gives up.
    private static let patience = Duration.seconds(8)

    private let lookups = OperationQueue()
    private let patience: Duration
    private let lookup: @Sendable (String) -> Answer

    init(
        patience: Duration = NameResolver.patience, lookup: @escaping @Sendable (String) -> Answer = NameResolver.system
    ) {
        self.patience = patience
        self.lookup = lookup
        lookups.maxConcurrentOperationCount = NameResolver.lookupsMax
    }

    func addresses(of host: String) async -> Answer {
        await withCheckedContinuation { waiter in
            let question = Question(waiter)
            lookups.addOperation { [lookup] in
                if question.isOpen { question.settle(lookup(host)) }
            }
            Task { [patience] in
                try? await Task.sleep(for: patience)
                question.settle(.failure(SourceFault(code: 0, reason: "the resolver has not answered in time")))
            }
        }
    }

    private static func system(_ host: String) -> Answer {
        do throws(NameFault) { return .success(try Names.addresses(of: host)) } catch {
            return .failure(SourceFault(code: error.code, reason: error.text))
        }
    }
}
