// SPDX-License-Identifier: Apache-2.0
//
// Labels as they stand between the braces. Written once for a peer, a worker or a zone, and used for all its samples.

import Vocabulary

package struct MetricLabels: Sendable, Hashable, ExpressibleByDictionaryLiteral {
    /// Of a value. What is longer is cut: a label is stored by the scraper for every sample.
    package static let valueBytesMax = 128

    private(set) var bytes: [UInt8] = []

    /// In the order in which they are written.
    package init(dictionaryLiteral labels: (StaticString, String)...) {
        for (name, value) in labels { append(name, value) }
    }

    package func with(_ name: StaticString, _ value: String) -> MetricLabels {
        var more = self
        more.append(name, value)
        return more
    }

    /// The same with `#count` at the end of the last value.
    package func numbered(_ count: Int) -> MetricLabels {
        var numbered = self
        numbered.bytes.removeLast()
        numbered.bytes.append(text: "#\(count)\"")
        return numbered
    }

    private mutating func append(_ name: StaticString, _ value: String) {
        if !bytes.isEmpty { bytes.append(UInt8(ascii: ",")) }
        bytes.append(utf8: name)
        bytes.append(utf8: "=\"")
        var count = 0
        for scalar in value.unicodeScalars {
            let character = scalar.utf8
            count += character.count
            guard count <= Self.valueBytesMax else { break }
            switch scalar {
            case "\\": bytes.append(utf8: "\\\\")
            case "\"": bytes.append(utf8: "\\\"")
            case "\n": bytes.append(utf8: "\\n")
            // Both formats would allow them, but readers end a text at a zero and a line at some of the others.
            case "\0"..<" ", "\u{7F}"..."\u{9F}", "\u{2028}", "\u{2029}": bytes.append(utf8: "?")
            default: bytes.append(contentsOf: character)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }
}
