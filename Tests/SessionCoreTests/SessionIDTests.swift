// SPDX-License-Identifier: Apache-2.0
//
// Names of sessions: no two alike, one spelling each, and none of a spelling that was never written.

import Testing
import Vocabulary

@Suite("session ids")
struct SessionIDTests {
    @Test("are a run in eight digits and a number", arguments: [
        (0x7C41_D02B, 1793, "7c41d02b-1793"), (0, 0, "00000000-0"), (UInt32.max, UInt64.max, "ffffffff-18446744073709551615"),
    ] as [(UInt32, UInt64, String)])
    func text(run: UInt32, number: UInt64, text: String) {
        let id = SessionID(run: run, number: number)
        #expect(id.text == text)
        #expect(SessionID(text: Array(text.utf8)) == id)
    }

    @Test("have one spelling", arguments: [
        "", "-", "7c41d02b", "7c41d02b-", "-1793", "7C41D02B-1793", "7c41d02-1793", "07c41d02b-1793", "7c41d02b-01793",
        "7c41d02b-+5", "7c41d02b--5", "7c41d02b-1793 ", "7c41d02b-1793-1", "7c41d02g-1793",
        "7c41d02b-18446744073709551616", "7c41d02b-\u{0661}",
    ])
    func refused(text: String) {
        #expect(SessionID(text: Array(text.utf8)) == nil)
    }

    @Test("of different workers and counts differ, and name their worker")
    func numbers() {
        var seen: Set<UInt64> = []
        for worker in 0..<SessionID.workersMax {
            for count in 1...50 as ClosedRange<UInt64> {
                let number = SessionID.number(worker: worker, count: count)
                #expect(seen.insert(number).inserted)
                #expect(SessionID(run: 1, number: number).worker == worker)
            }
        }
    }
}
