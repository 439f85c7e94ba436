// SPDX-License-Identifier: Apache-2.0
//
// Maps that need each other. A map's value is worked out by working out the maps that its string and its values name,
// each on the stack of the one before, so a circle would have no end and a very long chain no room: both are refused
// here. nginx finds them when a session gets there, and goes on with an empty value. Variables of `set` are no part of
// this: they are worked out in the order of the text, once.
//
// The walk goes depth first and keeps its path itself, since a chain may be as long as the configuration.

/// Where the walk over the maps stands.
struct MapWalk {
    /// For each map those that its string or a value names.
    var references: [Set<Int>] = []
    fileprivate var states: [State] = []
    /// From the map that was begun with to the one being looked at.
    fileprivate var path: [Step] = []

    fileprivate enum State {
        case unseen
        /// It is in the path.
        case open
        /// How many maps stand on the stack at most when it is worked out, with itself.
        case done(depth: Int)
    }

    fileprivate struct Step {
        let map: Int
        /// References that have not been followed, the next one last.
        var rest: [Int]
        /// Of the maps below it.
        var depth = 0
    }

    fileprivate mutating func open(_ map: Int) {
        states[map] = .open
        path.append(Step(map: map, rest: references[map].sorted(by: >)))
    }
}

extension Assembler {
    /// nginx's bound for variables that need variables.
    private static let mapDepthMax = 255
    /// Of a circle that are shown.
    private static let circleNamesMax = 8

    /// A slice's work; true when all maps have been looked at. The cursor is the next map to begin with.
    mutating func findMapCircles() -> Bool {
        if mapWalk.states.isEmpty { mapWalk.states = Array(repeating: .unseen, count: mapDrafts.count) }
        for _ in 0..<Assembler.sliceWork {
            if let step = mapWalk.path.indices.last {
                if let next = mapWalk.path[step].rest.popLast() { follow(next) } else { leaveMap() }
            } else if cursor.draft < mapDrafts.count {
                if case .unseen = mapWalk.states[cursor.draft] { mapWalk.open(cursor.draft) }
                cursor.draft += 1
            } else {
                mapWalk = MapWalk()
                return true
            }
        }
        return false
    }

    private mutating func follow(_ map: Int) {
        switch mapWalk.states[map] {
        case .unseen: mapWalk.open(map)
        case .open: refuseCircle(to: map)
        case .done(let depth): mapWalk.path[mapWalk.path.count - 1].depth.raise(to: depth)
        }
    }

    private mutating func leaveMap() {
        let step = mapWalk.path.removeLast()
        let depth = step.depth + 1
        mapWalk.states[step.map] = .done(depth: depth)
        if let parent = mapWalk.path.indices.last { mapWalk.path[parent].depth.raise(to: depth) }
        // Those above it are too deep by the same chain.
        guard depth == Assembler.mapDepthMax + 1 else { return }
        error(
            "variable \"\(mapName(step.map))\" needs more than \(Assembler.mapDepthMax) maps, one through the other",
            at: mapDrafts[step.map].variable, hint: "let one map do what several of the chain do")
    }

    private mutating func refuseCircle(to map: Int) {
        guard let start = mapWalk.path.firstIndex(where: { $0.map == map }) else {
            preconditionFailure("an open map is in the path")
        }
        let circle = mapWalk.path[start...].map { "$" + mapName($0.map) }
        let isLong = circle.count > Assembler.circleNamesMax
        let names = isLong ? circle.prefix(Assembler.circleNamesMax) + ["…"] : circle[...]
        let way = (names + circle.prefix(1)).joined(separator: " -> ")
        error(
            "cycle while evaluating variable \"\(mapName(map))\": \(way)", at: mapDrafts[map].variable,
            hint: circle.count == 1
                ? "a map cannot need its own variable; take it out of the string and the values"
                : "each of these maps needs the next one; take one variable out of its map's string or values")
    }

    private func mapName(_ map: Int) -> String { shown(mapDrafts[map].variable.bytes) }
}

extension Int {
    fileprivate mutating func raise(to other: Int) { self = Swift.max(self, other) }
}
