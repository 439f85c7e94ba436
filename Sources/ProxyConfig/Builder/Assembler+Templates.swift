// SPDX-License-Identifier: Apache-2.0
//
// Strings with variables in them, compiled: `$name`, `${name}`, and in values of a map behind an expression `$1` … `$9`
// and the expression's named groups. A `$` cannot be escaped, as in nginx.

/// The groups of the expression whose value is being compiled.
struct CaptureScope {
    var count: Int
    var names: [(name: String, group: Int)]
}

extension Template {
    /// Neighbouring literals made one.
    static func joined(_ parts: [Part]) -> [Part] {
        var result: [Part] = []
        for part in parts {
            if case .literal(let bytes) = part, case .literal(let before)? = result.last {
                result[result.count - 1] = .literal(before + bytes)
            } else {
                result.append(part)
            }
        }
        return result
    }
}

extension Assembler {
    mutating func template(_ word: Word, captures: CaptureScope? = nil) -> Template {
        let bytes = word.bytes
        guard let first = bytes.firstIndex(of: UInt8(ascii: "$")) else {
            return Template(parts: bytes.isEmpty ? [] : [.literal(bytes)])
        }
        var parts: [Template.Part] = []
        var literal = Array(bytes[..<first])
        var index = first
        while index < bytes.count {
            guard bytes[index] == UInt8(ascii: "$") else {
                literal.append(bytes[index])
                index += 1
                continue
            }
            let start = index
            guard let name = readName(word, &index) else { return Template(parts: []) }
            let place = word.place(of: start, count: index - start) ?? word.position
            guard let reference = reference(name, captures: captures, at: place) else { continue }
            if !literal.isEmpty { parts.append(.literal(literal)) }
            literal = []
            parts.append(.variable(reference))
        }
        if !literal.isEmpty { parts.append(.literal(literal)) }
        return Template(parts: parts)
    }

    /// The name after the `$` at `index`, which moves behind it. Nil when it is none, which has been reported.
    private mutating func readName(_ word: Word, _ index: inout Int) -> [UInt8]? {
        let bytes = word.bytes
        let start = index
        index += 1
        if index < bytes.count, isCaptureDigit(bytes[index]) {
            index += 1
            return [bytes[index - 1]]
        }
        let isBraced = index < bytes.count && bytes[index] == UInt8(ascii: "{")
        if isBraced { index += 1 }
        let nameStart = index
        while index < bytes.count, Assembler.isVariableByte(bytes[index]) { index += 1 }
        let name = Array(bytes[nameStart..<index])
        if isBraced {
            guard index < bytes.count, bytes[index] == UInt8(ascii: "}") else {
                error(
                    "the closing bracket in \"\(shown(name))\" variable is missing",
                    at: word.place(of: start, count: max(1, index - start)) ?? word.position,
                    hint: "write ${\(shown(name))}, with letters, digits and \"_\" between the braces")
                return nil
            }
            index += 1
        }
        guard !name.isEmpty else {
            error(
                "invalid variable name", at: word.place(of: start, count: 1) ?? word.position,
                hint: "a name follows \"$\": $remote_addr; a \"$\" alone cannot be written")
            return nil
        }
        return name
    }

    private func isCaptureDigit(_ byte: UInt8) -> Bool {
        byte >= UInt8(ascii: "1") && byte <= UInt8(ascii: "9")
    }

    /// What a name stands for; nil when it stands for nothing, which has been reported.
    private mutating func reference(
        _ name: [UInt8], captures: CaptureScope?, at place: SourcePosition
    ) -> VariableReference? {
        if name.count == 1, isCaptureDigit(name[0]) {
            let group = Int(name[0] - UInt8(ascii: "0"))
            if let captures, group <= captures.count { return .capture(group) }
            warn(
                "variable \"$\(group)\" is always empty", at: place,
                hint: captures == nil
                    ? "it stands for a group of an expression, in a value of map"
                    : "the expression of this entry has \(captures?.count ?? 0) groups")
            return nil
        }
        if let captures {
            let text = String(decoding: name, as: UTF8.self)
            if let capture = captures.names.first(where: { $0.name == text }) { return .capture(capture.group) }
        }
        let known = name.lowercasedASCII
        if let reference = variables[known] { return reference }
        error("unknown \"\(shown(name))\" variable", at: place, hint: unknownVariableHint(known))
        return nil
    }

    private func unknownVariableHint(_ name: [UInt8]) -> String {
        if name.hasPrefix("proxy_protocol_tlv_") || name.hasPrefix("realip_") {
            return "it comes with \"listen … proxy_protocol\", which Weir does not have yet"
        }
        if name.hasPrefix("geoip_") || name.elementsEqual("limit_conn_status".utf8) {
            return "Weir does not have the directives that make it yet"
        }
        if let near = meant(name, among: variables.keys.map { String(decoding: $0, as: UTF8.self) }.sorted()) {
            return "did you mean \"$\(near)\"?"
        }
        return "make it by map or set, or take it out"
    }
}
