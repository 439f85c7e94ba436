// SPDX-License-Identifier: Apache-2.0
//
// The prober's program: answers the master's talk, and ends when the master says so or is gone.

import ControlLink
import LinuxIO
import SharedState

/// The result is the process's exit code.
package func runProber(slot: Int, link: consuming LinkEndpoint, region: SharedRegion) -> Int32 {
    while true {
        var entries = [PollEntry(link.number, .readable)]
        do throws(Errno) {
            _ = try Poll.wait(&entries, milliseconds: nil)
            switch try link.receive() {
            case .message(let arrival):
                let message = arrival.message
                switch message.kind {
                case .build: _ = try link.send(LinkMessage(.ready, generation: message.generation))
                case .commit: _ = try link.send(LinkMessage(.committed, generation: message.generation))
                case .quit, .stop: return 0
                case .prepare, .log, .listener, .abort, .reopen, .ready, .refused, .committed, .listenersClosed: break
                }
            case .wouldBlock: break
            case .ended: return 0
            case .malformed: return 1
            }
        } catch { return 1 }
    }
}
