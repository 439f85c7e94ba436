// SPDX-License-Identifier: Apache-2.0
//
// The smallest piece of a configuration with a meaning: a word, its bytes with quotes and escapes taken away, and the
// place where it stands, so that whoever refuses it later can show it.

/// Where something stands. `file` indexes the builder's files; lines and columns count from 1, columns count bytes.
package struct SourcePosition: Sendable, Equatable {
    package var file: Int
    package var line: Int
    package var column: Int
    /// Of the first byte, in the file's bytes.
    package var offset: Int
    /// Bytes in the file, quotes included.
    package var length: Int

    package init(file: Int, line: Int, column: Int, offset: Int, length: Int) {
        self.file = file
        self.line = line
        self.column = column
        self.offset = offset
        self.length = length
    }
}

/// One word of a statement.
package struct Word: Sendable, Equatable {
    package var bytes: [UInt8]
    package var position: SourcePosition

    package init(bytes: [UInt8], position: SourcePosition) {
        self.bytes = bytes
        self.position = position
    }

    var text: String { String(decoding: bytes, as: UTF8.self) }

    func equals(_ literal: StaticString) -> Bool {
        bytes.count == literal.utf8CodeUnitCount && hasPrefix(literal)
    }

    func hasPrefix(_ literal: StaticString) -> Bool {
        bytes.hasPrefix(literal)
    }

    /// The word from byte `start` on. The position follows when the word stands in the file as it is; when quotes or
    /// escapes were taken away inside, the whole word is the best that can be shown.
    func dropFirst(_ start: Int) -> Word {
        var rest = Word(bytes: Array(bytes.dropFirst(start)), position: position)
        if let place = place(of: start, count: rest.bytes.count) { rest.position = place }
        return rest
    }

    /// The words between commas, from byte `start` on; each with its place.
    func fields(from start: Int) -> [Word] {
        var offset = start
        return bytes.dropFirst(start).split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false).map {
            let field = Word(bytes: Array($0), position: place(of: offset, count: $0.count) ?? position)
            offset += $0.count + 1
            return field
        }
    }

    /// Where `count` bytes from byte `start` of the word stand, when that is known and on the word's first line.
    func place(of start: Int, count: Int) -> SourcePosition? {
        let quotes = position.length - bytes.count
        guard quotes == 0 || quotes == 2, start + count <= bytes.count, !bytes.contains(UInt8(ascii: "\n")) else {
            return nil
        }
        var place = position
        place.offset += quotes / 2 + start
        place.column += quotes / 2 + start
        place.length = max(1, count)
        return place
    }
}

extension Collection<UInt8> {
    func hasPrefix(_ literal: StaticString) -> Bool {
        guard count >= literal.utf8CodeUnitCount else { return false }
        return literal.withUTF8Buffer { bytes in unsafe starts(with: bytes) }
    }
}

extension [UInt8] {
    /// ASCII letters in lower case; everything else as it is.
    var lowercasedASCII: [UInt8] {
        map { $0 >= UInt8(ascii: "A") && $0 <= UInt8(ascii: "Z") ? $0 | 0x20 : $0 }
    }
}
