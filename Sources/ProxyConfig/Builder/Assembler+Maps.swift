// SPDX-License-Identifier: Apache-2.0
//
// Linking of `map`: keys sorted into exact names, masks and expressions, values compiled. Which maps a map names is
// noted on the way, for `Assembler+MapCircles`.

import Patterns

extension Assembler {
    /// A slice's work. Compiling an expression costs some tens of microseconds, a name less than one.
    static let sliceWork = 256
    private static let expressionWork = 32

    mutating func linkMap() {
        let draft = mapDrafts[cursor.draft]
        if cursor.part == 0 {
            mapWalk.references.append([])
            var map = MapTable(
                variable: String(decoding: draft.variable.bytes, as: UTF8.self), source: mapTemplate(draft.source))
            map.isVolatile = draft.isVolatile
            if let value = draft.defaultValue { map.defaultValue = mapTemplate(value) }
            // Growing a table of many names would move all of them in one slice.
            map.exact.reserveCapacity(draft.entries.count)
            configuration.maps.append(map)
        }
        var work = 0
        while cursor.part < draft.entries.count, work < Assembler.sliceWork {
            let entry = draft.entries[cursor.part]
            cursor.part += 1
            if entry.key.bytes.first == UInt8(ascii: "~") {
                work += Assembler.expressionWork
                linkExpression(entry)
            } else {
                work += 1
                linkName(entry, isHostnames: draft.isHostnames)
            }
        }
        if cursor.part >= draft.entries.count {
            mapDrafts[cursor.draft].entries = []
            nextDraft()
        }
    }

    /// A string of the map being linked.
    private mutating func mapTemplate(_ word: Word, captures: CaptureScope? = nil) -> Template {
        let template = template(word, captures: captures)
        for case .variable(.map(let index)) in template.parts { mapWalk.references[cursor.draft].insert(index) }
        return template
    }

    private mutating func linkExpression(_ entry: MapDraft.Entry) {
        let ignoresCase = entry.key.hasPrefix("~*")
        guard let pattern = pattern(entry.key.dropFirst(ignoresCase ? 2 : 1), ignoresCase: ignoresCase) else { return }
        let captures = CaptureScope(count: pattern.captureCount, names: pattern.captureNames)
        let value = mapTemplate(entry.value, captures: captures)
        configuration.maps[cursor.draft].expressions.append(MapTable.Expression(pattern: pattern, value: value))
    }

    private mutating func linkName(_ entry: MapDraft.Entry, isHostnames: Bool) {
        var key = entry.key.bytes.lowercasedASCII
        // `\default`, `\~x`: the key without its special meaning.
        if key.first == UInt8(ascii: "\\") { key.removeFirst() }
        let value = mapTemplate(entry.value)
        let map = cursor.draft
        var isTaken = false
        if !isHostnames || HostMask.isPlain(key) {
            isTaken = configuration.maps[map].exact.updateValue(value, forKey: key) != nil
        } else if let mask = HostMask(key) {
            switch mask {
            case .prefix(let tail, let takesItself):
                isTaken = configuration.maps[map].prefixMasks.updateValue(value, forKey: tail) != nil
                if takesItself {
                    let itself = Array(tail.dropFirst())
                    isTaken = configuration.maps[map].exact.updateValue(value, forKey: itself) != nil || isTaken
                }
            case .suffix(let head):
                isTaken = configuration.maps[map].suffixMasks.updateValue(value, forKey: head) != nil
            }
        } else {
            error(
                "invalid hostname or wildcard \"\(shown(entry.key.bytes))\"", at: entry.key,
                hint: "\"*\" stands at one end, beside a dot: *.example.com or mail.*")
            return
        }
        if isTaken {
            error(
                "conflicting parameter \"\(shown(entry.key.bytes))\"", at: entry.key,
                hint: "the key stands above already (upper and lower case are one); take one out")
        }
    }
}
