// SPDX-License-Identifier: Apache-2.0
//
// Columns as wide as their widest entry.

struct TextTable {
    let heads: [String]
    /// Columns of numbers.
    let right: Set<Int>
    var rows: [[String]] = []

    init(_ heads: [String], right: Set<Int>) {
        self.heads = heads
        self.right = right
    }

    func lines() -> [String] {
        let widths = heads.indices.map { column in ([heads] + rows).map { $0[column].count }.max() ?? 0 }
        return ([heads] + rows).map { row in
            var line = ""
            for (column, entry) in row.enumerated() {
                let space = String(repeating: " ", count: widths[column] - entry.count)
                let isLast = column == row.count - 1
                line += (right.contains(column) ? space + entry : entry + (isLast ? "" : space)) + (isLast ? "" : "  ")
            }
            return line
        }
    }
}
