// SPDX-License-Identifier: Apache-2.0
//
// A request's target, read as nginx reads it before it looks for a location: `%XX` decoded, slashes merged, dots
// resolved. Pure text; anything odd is no target at all.

import Vocabulary

/// The path and the query of a request in origin form.
struct RequestPath: Equatable {
    /// Decoded and free of `.` and `..`. A slash inside a segment (`%2F`) stays inside it.
    var segments: [String]
    var endsWithSlash: Bool
    var query: [QueryItem]

    /// Nil: not in origin form, broken `%XX`, a NUL, no UTF-8, or above the root.
    init?(target: String) {
        let text = Array(target.utf8)
        guard text.first == UInt8(ascii: "/") else { return nil }
        let parts = text.split(separator: UInt8(ascii: "?"), maxSplits: 1, omittingEmptySubsequences: false)
        var segments: [String] = []
        var endsWithSlash = true
        for part in parts[0].dropFirst().split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false) {
            guard let segment = Self.decoded(part, plusIsSpace: false) else { return nil }
            endsWithSlash = true
            switch segment {
            case "", ".": break
            case "..": guard segments.popLast() != nil else { return nil }
            default:
                segments.append(segment)
                endsWithSlash = false
            }
        }
        self.segments = segments
        self.endsWithSlash = endsWithSlash
        query = []
        guard parts.count == 2 else { return }
        for part in parts[1].split(separator: UInt8(ascii: "&")) {
            let sides = part.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = Self.decoded(sides[0], plusIsSpace: true),
                let value = sides.count == 2 ? Self.decoded(sides[1], plusIsSpace: true) : ""
            else { return nil }
            query.append(QueryItem(name: name, value: value))
        }
    }

    /// What locations are compared with.
    var text: String {
        segments.isEmpty ? "/" : "/" + segments.joined(separator: "/") + (endsWithSlash ? "/" : "")
    }

    private static func decoded(_ text: ArraySlice<UInt8>, plusIsSpace: Bool) -> String? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count)
        var rest = text
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "%"):
                guard let high = rest.popFirst().flatMap(hexDigitValue),
                    let low = rest.popFirst().flatMap(hexDigitValue)
                else { return nil }
                bytes.append(high << 4 | low)
            case UInt8(ascii: "+") where plusIsSpace: bytes.append(UInt8(ascii: " "))
            default: bytes.append(byte)
            }
        }
        guard !bytes.contains(0) else { return nil }
        return String(validating: bytes, as: UTF8.self)
    }
}

/// `name=value`, decoded; `name` alone has an empty value.
package struct QueryItem: Sendable, Equatable {
    package var name: String
    package var value: String
}
