// SPDX-License-Identifier: Apache-2.0
//
// The first half of a session's name tells runs of Weir apart: all that one master starts are one run.

import SharedState
import Testing
import Vocabulary

@testable import DataPlane

@Suite("runs in session ids")
struct RunTests {
    private func run(_ host: String, _ pid: Int32, _ startedAt: UInt64) -> UInt32 {
        SessionID.run(hostname: Array(host.utf8), masterPID: pid, startedAt: startedAt)
    }

    @Test("differ by machine, by process and by the moment of the start")
    func differ() {
        let moment: UInt64 = 1_795_867_682_123
        let runs = [
            run("a", 1, moment), run("b", 1, moment), run("a", 2, moment), run("a", 1, moment + 1), run("", 1, moment),
            run("a", 1, moment + 1 << 32),
        ]
        #expect(Set(runs).count == runs.count)
        #expect(run("a", 1, moment) == runs[0])
    }

    @Test("have numbers for every worker that the shared region has room for")
    func workers() {
        #expect(SessionID.workersMax == SharedRegion.workersMax)
    }
}
