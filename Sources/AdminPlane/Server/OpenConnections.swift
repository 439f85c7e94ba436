// SPDX-License-Identifier: Apache-2.0
//
// The connections that are open, over all listening sockets: how many there may be, and their end all together.

import NIOCore
import Synchronization

final class OpenConnections: Sendable {
    private struct State {
        var channels: [ObjectIdentifier: any Channel] = [:]
        /// Tasks that serve a connection, which may be closed already.
        var taskCount = 0
    }

    private let state = Mutex(State())
    private let most: Int

    init(_ most: Int) { self.most = most }

    var count: Int { state.withLock { $0.channels.count } }

    /// False: there are too many already.
    func enter(_ channel: any Channel) -> Bool {
        let id = ObjectIdentifier(channel)
        let hasRoom = state.withLock { state in
            guard state.channels.count < most else { return false }
            state.channels[id] = channel
            return true
        }
        if hasRoom {
            channel.closeFuture.whenComplete { [self] _ in _ = state.withLock { $0.channels.removeValue(forKey: id) } }
        }
        return hasRoom
    }

    /// Serves a connection in a task of its own.
    func serve(_ body: @escaping @Sendable () async -> Void) {
        state.withLock { $0.taskCount += 1 }
        Task {
            await body()
            state.withLock { $0.taskCount -= 1 }
        }
    }

    /// Closes all. True when nobody serves any of them any more; false when somebody does after that time.
    func end(within patience: Duration) async -> Bool {
        let deadline = ContinuousClock.now + patience
        while true {
            let (channels, taskCount) = state.withLock { (Array($0.channels.values), $0.taskCount) }
            if channels.isEmpty, taskCount == 0 { return true }
            for channel in channels { channel.close(promise: nil) }
            guard ContinuousClock.now < deadline else { return false }
            try? await Task.sleep(for: .milliseconds(5))
        }
    }
}
