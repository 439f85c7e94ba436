// SPDX-License-Identifier: Apache-2.0
//
// Which check is due next: a binary heap by time. Equal times come in any order. Removing is left to whoever takes
// entries out: one whose check is gone is skipped there.

package struct CheckID: Hashable, Sendable {
    let number: Int
}

struct DueQueue: Sendable {
    private struct Entry: Sendable {
        var dueMilliseconds: UInt64
        var check: CheckID
    }

    private var entries: [Entry] = []

    var isEmpty: Bool { entries.isEmpty }
    var firstDueMilliseconds: UInt64? { entries.first?.dueMilliseconds }

    mutating func insert(_ check: CheckID, at dueMilliseconds: UInt64) {
        entries.append(Entry(dueMilliseconds: dueMilliseconds, check: check))
        var child = entries.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard entries[child].dueMilliseconds < entries[parent].dueMilliseconds else { return }
            entries.swapAt(child, parent)
            child = parent
        }
    }

    mutating func removeFirst() -> CheckID? {
        guard let last = entries.popLast() else { return nil }
        guard let first = entries.first else { return last.check }
        entries[0] = last
        var parent = 0
        while true {
            var smallest = parent
            for child in [2 * parent + 1, 2 * parent + 2] where child < entries.count {
                if entries[child].dueMilliseconds < entries[smallest].dueMilliseconds { smallest = child }
            }
            guard smallest != parent else { return first.check }
            entries.swapAt(parent, smallest)
            parent = smallest
        }
    }
}
