// SPDX-License-Identifier: Apache-2.0
//
// One look at the region for all who watch. While nobody does, nothing runs. Each second everybody gets the state; what
// must not wait (a health change, a crash, a reload) is noticed by a look in between and sent at once. A viewer that
// does not keep up is dropped: states that wait for it would only be old.
//
//   no viewers ──first one──► looking every 200 ms ──last one gone──► no viewers

import LinuxIO
import NIOCore
import ProxyConfig
import SharedState

actor DashboardFeed {
    struct Limits: Sendable {
        var viewers = 64
        /// States that wait for one viewer.
        var waiting = 4
        var lookMilliseconds: UInt64 = 200
        var periodMilliseconds: UInt64 = 1000
    }

    /// A message of server-sent events, whole. The stream's end: the viewer is too slow, or the process ends.
    typealias Viewer = AsyncStream<ByteBuffer>

    private let context: AdminContext
    private let limits: Limits
    private var viewers: [UInt64: Viewer.Continuation] = [:]
    private var viewersEver: UInt64 = 0
    private var looking: Task<Void, Never>?
    private var lastMessage: (bytes: ByteBuffer, mark: DashboardState.Mark, at: UInt64)?
    /// Looks that were taken ever, for tests.
    private(set) var looks: UInt64 = 0

    init(context: AdminContext, limits: Limits = Limits()) {
        self.context = context
        self.limits = limits
    }

    deinit { looking?.cancel() }

    var viewerCount: Int { viewers.count }

    /// Nil: too many watch already.
    func watch() -> Viewer? {
        guard viewers.count < limits.viewers else { return nil }
        viewersEver += 1
        let number = viewersEver
        let (stream, continuation) = Viewer.makeStream(bufferingPolicy: .bufferingOldest(limits.waiting))
        continuation.onTermination = { [weak self] _ in
            guard let self else { return }
            Task { await self.leave(number) }
        }
        viewers[number] = continuation
        // A newcomer waits for nobody's second. What others have just got will do.
        if looking != nil, let message = lastMessage {
            continuation.yield(message.bytes)
        } else {
            look()
            looking = Task { [weak self, limits] in
                while !Task.isCancelled {
                    try? await Task.sleep(for: .milliseconds(limits.lookMilliseconds))
                    guard let self, !Task.isCancelled else { return }
                    await self.look()
                }
            }
        }
        return stream
    }

    private func leave(_ number: UInt64) {
        viewers[number] = nil
        guard viewers.isEmpty else { return }
        looking?.cancel()
        looking = nil
        lastMessage = nil
    }

    private func look() {
        guard !viewers.isEmpty else { return }
        looks += 1
        let now = monotonicMilliseconds()
        let state = DashboardState(region: context.region, configuration: context.configuration)
        let mark = state.mark
        if let last = lastMessage, last.mark == mark, now - last.at < limits.periodMilliseconds { return }
        var bytes = ByteBuffer(string: "event: state\ndata: ")
        bytes.writeBytes(state.encoded())
        bytes.writeString("\n\n")
        lastMessage = (bytes, mark, now)
        for (number, viewer) in viewers {
            guard case .dropped = viewer.yield(bytes) else { continue }
            viewers[number] = nil
            viewer.finish()
        }
    }
}
