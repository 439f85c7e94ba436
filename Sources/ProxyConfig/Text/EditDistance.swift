// SPDX-License-Identifier: Apache-2.0
//
// "did you mean": the nearest of some known words, by the number of single edits (one letter more, less, other, or two
// neighbours swapped).

enum Suggestion {
    /// Words longer than this are not typing errors.
    private static let wordBytesMax = 64

    /// The candidate with the fewest edits, if it is near enough to be what was meant.
    static func nearest(to word: [UInt8], in candidates: some Sequence<String>) -> String? {
        guard !word.isEmpty, word.count <= wordBytesMax else { return nil }
        let editsMax = max(1, min(3, word.count / 3))
        var best: (name: String, edits: Int)? = nil
        for candidate in candidates where abs(candidate.utf8.count - word.count) <= editsMax {
            let edits = distance(word, Array(candidate.utf8))
            if edits <= editsMax, edits < best?.edits ?? Int.max { best = (candidate, edits) }
        }
        return best?.name
    }

    /// Optimal string alignment distance.
    static func distance(_ left: [UInt8], _ right: [UInt8]) -> Int {
        var beforePrevious: [Int] = []
        var previous = Array(0...right.count)
        for row in left.indices {
            var current = [row + 1]
            current.reserveCapacity(right.count + 1)
            for column in right.indices {
                let replace = previous[column] + (left[row] == right[column] ? 0 : 1)
                var edits = min(replace, previous[column + 1] + 1, current[column] + 1)
                if row > 0, column > 0, left[row] == right[column - 1], left[row - 1] == right[column] {
                    edits = min(edits, beforePrevious[column - 1] + 1)
                }
                current.append(edits)
            }
            beforePrevious = previous
            previous = current
        }
        return previous[right.count]
    }
}
