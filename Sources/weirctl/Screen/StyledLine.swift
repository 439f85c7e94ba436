// SPDX-License-Identifier: Apache-2.0
//
// A line of the screen: pieces of text with a style each, cut at the screen's width whatever escape sequences it takes
// to show them.

struct StyledLine: Equatable, ExpressibleByStringLiteral {
    /// SGR parameters (ECMA-48 section 8.3.117).
    enum Style: String {
        case plain = "0"
        case bold = "1"
        case dim = "2"
        case red = "1;31"
        case green = "32"
        case yellow = "33"
        case heading = "1;7"
    }

    private(set) var pieces: [(text: String, style: Style)] = []

    init() {}
    init(_ text: String, _ style: Style = .plain) { append(text, style) }
    init(stringLiteral text: String) { append(text) }

    static func == (left: StyledLine, right: StyledLine) -> Bool {
        left.pieces.elementsEqual(right.pieces) { $0.text == $1.text && $0.style == $1.style }
    }

    mutating func append(_ text: String, _ style: Style = .plain) { pieces.append((text, style)) }

    /// In a column: filled up to `width`, or cut.
    mutating func append(_ text: String, width: Int, _ style: Style = .plain) {
        append(StyledLine.fit(text, width) + String(repeating: " ", count: max(0, width - text.count)), style)
    }

    var plainText: String { pieces.map(\.text).joined() }

    /// With escape sequences, in `width` columns; control characters in the text become dots, so that a log line cannot
    /// steer the terminal.
    func rendered(width: Int) -> String {
        var left = width
        var output = ""
        for piece in pieces where left > 0 {
            let text = StyledLine.fit(piece.text, left)
            left -= text.count
            output += piece.style == .plain ? text : "\u{1B}[\(piece.style.rawValue)m\(text)\u{1B}[0m"
        }
        return output
    }

    /// C0 and C1 controls alike (ECMA-48): terminals obey both.
    private static func fit(_ text: String, _ width: Int) -> String {
        let scalars = text.unicodeScalars.prefix(width).map { scalar -> Unicode.Scalar in
            scalar.properties.generalCategory == .control ? "." : scalar
        }
        return String(String.UnicodeScalarView(scalars))
    }
}
