// SPDX-License-Identifier: Apache-2.0
//
// Text to statements, by nginx's rules: words part at white space, `;` ends a statement, `{` opens a block, `}` closes
// one where a word could begin, `#` starts a comment there, quotes hold everything together. A backslash takes the
// meaning from the next byte; of the sequences only `\"`, `\'`, `\\`, `\t`, `\r` and `\n` are translated, all others
// stay as they are (`\x10` keeps its four bytes). `${` does not open a block.
// A fault never stops the reading: the statement is delivered with the fault, so that later faults are found, too.

/// What ended a statement.
enum StatementEnd: Equatable {
    case semicolon
    case blockStart
    case blockEnd
    case endOfFile
}

/// A statement that breaks the grammar.
struct TokenFault: Equatable {
    enum Kind: Equatable {
        /// A byte where none of its kind may stand.
        case unexpected(UInt8)
        /// `}` before the `;` of the statement; the words so far are the statement.
        case missingSemicolon
        /// The file ended inside of a statement.
        case endOfFile
        /// The file ended inside of quotes; the position is the quote's.
        case openQuote(UInt8)
        /// A NUL byte in a word.
        case nul
        /// A word beyond `Tokenizer.wordBytesMax`.
        case tooLong
    }
    var kind: Kind
    var position: SourcePosition
}

struct Tokenizer {
    /// nginx ends at 4096. This is what keeps one word from costing more than a slice of work.
    static let wordBytesMax = 65_536

    let bytes: [UInt8]
    let file: Int
    private(set) var offset = 0
    private var line = 1
    private var lineStart = 0

    init(bytes: [UInt8], file: Int) {
        self.bytes = bytes
        self.file = file
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) {
            offset = 3
            lineStart = 3
        }
    }

    /// Where reading stands.
    var position: SourcePosition { position(at: offset, length: 1) }

    /// Reads the next statement into `words`. Always moves on, except at the end of the file.
    mutating func next(into words: inout [Word], fault: inout TokenFault?) -> StatementEnd {
        words.removeAll(keepingCapacity: true)
        fault = nil
        while true {
            skipSpaceAndComments()
            guard offset < bytes.count else {
                if !words.isEmpty, fault == nil { fault = TokenFault(kind: .endOfFile, position: position) }
                return .endOfFile
            }
            let character = bytes[offset]
            switch character {
            case UInt8(ascii: ";"), UInt8(ascii: "{"):
                if words.isEmpty, fault == nil {
                    fault = TokenFault(kind: .unexpected(character), position: position)
                }
                offset += 1
                return character == UInt8(ascii: ";") ? .semicolon : .blockStart
            case UInt8(ascii: "}"):
                if words.isEmpty {
                    offset += 1
                    return .blockEnd
                }
                // The brace stays for the next call: it closes the block all the same.
                if fault == nil { fault = TokenFault(kind: .missingSemicolon, position: position) }
                return .semicolon
            case UInt8(ascii: "\""), UInt8(ascii: "'"):
                readQuoted(by: character, into: &words, fault: &fault)
            default:
                readBare(into: &words, fault: &fault)
            }
        }
    }

    // MARK: - Pieces

    private func position(at start: Int, length: Int) -> SourcePosition {
        SourcePosition(file: file, line: line, column: start - lineStart + 1, offset: start, length: length)
    }

    private static func isSpace(_ character: UInt8) -> Bool {
        character == 0x20 || character == 0x09 || character == 0x0A || character == 0x0D
    }

    private mutating func skipSpaceAndComments() {
        var isComment = false
        while offset < bytes.count {
            let character = bytes[offset]
            if character == UInt8(ascii: "\n") {
                isComment = false
                line += 1
                lineStart = offset + 1
            } else if isComment {
                // Everything up to the end of the line.
            } else if character == UInt8(ascii: "#") {
                isComment = true
            } else if !Tokenizer.isSpace(character) {
                return
            }
            offset += 1
        }
    }

    /// A word without quotes. Space, `;` and `{` end it, unless the brace follows `$`.
    private mutating func readBare(into words: inout [Word], fault: inout TokenFault?) {
        let start = offset
        let place = position(at: start, length: 0)
        var followsDollar = false
        while offset < bytes.count {
            let character = bytes[offset]
            if character == UInt8(ascii: "{") && followsDollar {
                offset += 1
                continue
            }
            if Tokenizer.isSpace(character) || character == UInt8(ascii: ";") || character == UInt8(ascii: "{") {
                break
            }
            followsDollar = character == UInt8(ascii: "$")
            offset += 1
            if character == UInt8(ascii: "\\"), offset < bytes.count { stepOver() }
        }
        append(from: start, to: offset, place: place, end: offset, to: &words, fault: &fault)
    }

    private mutating func readQuoted(by quote: UInt8, into words: inout [Word], fault: inout TokenFault?) {
        let place = position(at: offset, length: 1)
        offset += 1
        let start = offset
        while offset < bytes.count, bytes[offset] != quote {
            let isEscape = bytes[offset] == UInt8(ascii: "\\")
            stepOver()
            if isEscape, offset < bytes.count { stepOver() }
        }
        guard offset < bytes.count else {
            if fault == nil { fault = TokenFault(kind: .openQuote(quote), position: place) }
            // What the quotes swallowed is no word.
            words.append(Word(bytes: [], position: place))
            return
        }
        let end = offset
        offset += 1
        append(from: start, to: end, place: place, end: offset, to: &words, fault: &fault)
        // After a quote a word has to end; `)` may begin one (nginx keeps that for `if`).
        if offset < bytes.count {
            let character = bytes[offset]
            let mayFollow =
                Tokenizer.isSpace(character) || character == UInt8(ascii: ";") || character == UInt8(ascii: "{")
                || character == UInt8(ascii: ")")
            if !mayFollow, fault == nil {
                fault = TokenFault(kind: .unexpected(character), position: position)
            }
        }
    }

    /// One byte on, counting lines.
    private mutating func stepOver() {
        if bytes[offset] == UInt8(ascii: "\n") {
            line += 1
            lineStart = offset + 1
        }
        offset += 1
    }

    /// Takes the escapes out of a word and keeps it.
    private func append(
        from start: Int, to end: Int, place: SourcePosition, end wordEnd: Int, to words: inout [Word],
        fault: inout TokenFault?
    ) {
        var position = place
        position.length = wordEnd - place.offset
        guard end - start <= Tokenizer.wordBytesMax else {
            if fault == nil { fault = TokenFault(kind: .tooLong, position: position) }
            words.append(Word(bytes: [], position: position))
            return
        }
        var word: [UInt8] = []
        word.reserveCapacity(end - start)
        var index = start
        while index < end {
            let character = bytes[index]
            if character == 0, fault == nil {
                fault = TokenFault(kind: .nul, position: position)
            }
            if character == UInt8(ascii: "\\"), index + 1 < end,
                let translated = Tokenizer.translation(of: bytes[index + 1])
            {
                word.append(translated)
                index += 2
            } else {
                word.append(character)
                index += 1
            }
        }
        words.append(Word(bytes: word, position: position))
    }

    /// What a backslash and this byte stand for; nil when both stay.
    private static func translation(of character: UInt8) -> UInt8? {
        switch character {
        case UInt8(ascii: "\""), UInt8(ascii: "'"), UInt8(ascii: "\\"): character
        case UInt8(ascii: "t"): UInt8(ascii: "\t")
        case UInt8(ascii: "r"): UInt8(ascii: "\r")
        case UInt8(ascii: "n"): UInt8(ascii: "\n")
        default: nil
        }
    }
}
