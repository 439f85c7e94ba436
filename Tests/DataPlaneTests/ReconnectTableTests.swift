// SPDX-License-Identifier: Apache-2.0
//
// The table of those who connect often: exact while there are few, bounded and never too low by more than it says when
// there are many, and forgetful.

import ControlLink
import Testing

@testable import DataPlane

@Suite("Client ids that connect often") struct ReconnectTableTests {
    private func note(_ table: inout ReconnectTable, _ id: String, times: Int = 1, now: UInt64 = 1000) {
        for _ in 0..<times {
            unsafe Array(id.utf8).withUnsafeBytes { bytes in unsafe table.note(bytes, now: now) }
        }
    }

    @Test("few ids are counted exactly, the most frequent first, and who came once is not among them")
    func few() {
        var table = ReconnectTable()
        note(&table, "often", times: 5)
        note(&table, "once")
        note(&table, "twice", times: 2)
        #expect(
            table.top(10, now: 1000) == [
                ReconnectFacts(clientID: Array("often".utf8), count: 5, doubt: 0),
                ReconnectFacts(clientID: Array("twice".utf8), count: 2, doubt: 0),
            ])
        #expect(table.top(1, now: 1000).count == 1)
    }

    @Test("clients without an id are nobody's reconnects")
    func empty() {
        var table = ReconnectTable()
        note(&table, "", times: 100)
        #expect(table.top(10, now: 1000).isEmpty)
    }

    @Test("who connects all the time is found among thousands who come once")
    func storm() throws {
        var table = ReconnectTable()
        for number in 0..<20_000 {
            note(&table, "device-\(number)")
            if number % 20 == 0 { note(&table, "broken") }
        }
        let top = try #require(table.top(3, now: 1000).first)
        #expect(top.clientID == Array("broken".utf8))
        #expect(top.count <= 1000 && top.count + top.doubt >= 1000, "the truth is between the two")
    }

    @Test("the last window is remembered, the one before it forgotten")
    func windows() {
        var table = ReconnectTable()
        let window = ReconnectTable.windowMilliseconds
        note(&table, "a", times: 3, now: 1000)
        note(&table, "a", times: 2, now: 1000 + window)
        #expect(table.top(10, now: 1000 + window).map(\.count) == [5])
        #expect(table.top(10, now: 1000 + 2 * window).map(\.count) == [2])
        #expect(table.top(10, now: 1000 + 9 * window).isEmpty)
    }

    @Test("a long id is cut, and another one with the same beginning is another id")
    func long() {
        var table = ReconnectTable()
        let beginning = String(repeating: "x", count: 100)
        note(&table, beginning + "1", times: 3)
        note(&table, beginning + "2", times: 2)
        let top = table.top(10, now: 1000)
        #expect(top.map(\.count) == [3, 2])
        #expect(top.allSatisfy { $0.clientID.count == ReconnectFacts.clientIDBytesMax })
    }
}
