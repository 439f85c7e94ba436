// SPDX-License-Identifier: Apache-2.0
//
// The part of a source line that a diagnostic shows: cut around the place, so that a line of 10 MB costs nothing, tabs
// as spaces and control bytes visible, so that no file writes to anybody's terminal.

struct SourceExcerpt {
    private static let bytesBefore = 60
    private static let bytesAfter = 100
    private static let tabWidth = 4

    private(set) var text = ""
    /// In characters of `text`.
    private(set) var caretOffset = 0
    private(set) var caretLength = 1

    init(of bytes: [UInt8], at position: SourcePosition) {
        let place = min(max(0, position.offset), bytes.count)
        var start = place
        while start > 0, place - start < SourceExcerpt.bytesBefore, bytes[start - 1] != UInt8(ascii: "\n") {
            start -= 1
        }
        var end = place
        while end < bytes.count, end - place < SourceExcerpt.bytesAfter, bytes[end] != UInt8(ascii: "\n") { end += 1 }
        let isCutBefore = start > 0 && bytes[start - 1] != UInt8(ascii: "\n")
        let isCutAfter = end < bytes.count && bytes[end] != UInt8(ascii: "\n")
        if !isCutAfter, end > place, bytes[end - 1] == UInt8(ascii: "\r") { end -= 1 }
        if start == 0, bytes[..<end].starts(with: [0xEF, 0xBB, 0xBF]) { start = min(3, place) }

        let before = (isCutBefore ? "…" : "") + visible(bytes[start..<place], tabWidth: SourceExcerpt.tabWidth)
        let markedEnd = min(end, place + max(1, position.length))
        let marked = visible(bytes[place..<max(place, markedEnd)], tabWidth: SourceExcerpt.tabWidth)
        let after = visible(bytes[max(place, markedEnd)..<end], tabWidth: SourceExcerpt.tabWidth)
        text = before + marked + after + (isCutAfter ? "…" : "")
        caretOffset = before.unicodeScalars.count
        caretLength = max(1, marked.unicodeScalars.count)
    }
}

/// Bytes as text for people: UTF-8 as it is, a tab as spaces, other control bytes and what is no UTF-8 as `\xHH`.
func visible(_ bytes: some Sequence<UInt8>, tabWidth: Int = 1) -> String {
    var output = ""
    var decoder = UTF8()
    var iterator = bytes.makeIterator()
    while true {
        switch decoder.decode(&iterator) {
        case .scalarValue(let scalar):
            if scalar == "\t" {
                output += String(repeating: " ", count: tabWidth)
            } else if scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value) || isInvisible(scalar) {
                output += escaped(scalar.value)
            } else {
                output.unicodeScalars.append(scalar)
            }
        case .emptyInput: return output
        case .error: output += "\\x??"
        }
    }
}

/// Marks that turn the direction of writing: a word with one would show as another.
private func isInvisible(_ scalar: Unicode.Scalar) -> Bool {
    (0x200B...0x200F).contains(scalar.value) || (0x2028...0x202E).contains(scalar.value)
        || (0x2066...0x2069).contains(scalar.value) || scalar.value == 0xFEFF
}

private func escaped(_ value: UInt32) -> String {
    let digits = String(value, radix: 16)
    return value < 0x100
        ? "\\x" + (digits.utf8.count < 2 ? "0" : "") + digits
        : "\\u{" + digits + "}"
}

/// A word of the configuration for a message: visible, and no longer than a line.
func shown(_ bytes: [UInt8]) -> String {
    bytes.count <= 200 ? visible(bytes) : visible(bytes.prefix(200)) + "…"
}
