// SPDX-License-Identifier: Apache-2.0
//
// What sessions that are choosing a broker remember of their tries. Beside the session records, because few sessions
// choose at a time, and the memory of a group with more than 128 peers is no plain value.

import Balancing

struct TriesPool {
    private var entries: [ClientTries] = []
    private var free: [Int] = []

    mutating func take() -> Int32 {
        if let index = free.popLast() {
            entries[index] = ClientTries()
            return Int32(index)
        }
        entries.append(ClientTries())
        return Int32(entries.count - 1)
    }

    subscript(index: Int32) -> ClientTries {
        get { entries[Int(index)] }
        set { entries[Int(index)] = newValue }
    }

    mutating func giveBack(_ index: Int32) {
        free.append(Int(index))
    }
}
