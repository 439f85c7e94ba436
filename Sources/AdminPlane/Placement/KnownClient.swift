// SPDX-License-Identifier: Apache-2.0
//
// What is known of a client that is not there: a client id, perhaps a user name. Templates are worked out as a worker
// works them out, through `map` and `set`, as far as that is enough.

import Patterns
import ProxyConfig

package struct KnownClient: Sendable {
    private var values: [BuiltinVariable: [UInt8]]
    /// Maps inside maps.
    private static let depthMax = 32

    package init(clientID: String, userName: String? = nil) {
        let id = Array(clientID.utf8)
        values = [.mqttPrereadClientID: id, .mqttClientID: id, .mqttClientIDShort: id]
        values[.mqttPrereadUserName] = userName.map { Array($0.utf8) }
    }

    /// The bytes of a template for this client at a server; without one, what a server has `set` is not known.
    package func value(
        of template: Template, in configuration: Configuration, at server: Server? = nil
    ) throws(Placement.Unknown) -> [UInt8] {
        try value(
            of: template, configuration, server.map { $0.assignments[...] }, captures: [], depth: 0)
    }

    private func value(
        of template: Template, _ configuration: Configuration, _ assignments: ArraySlice<Server.Assignment>?,
        captures: [[UInt8]], depth: Int
    ) throws(Placement.Unknown) -> [UInt8] {
        guard depth < Self.depthMax else { throw .keyIsUnknown("a map that leads to itself") }
        var output: [UInt8] = []
        for part in template.parts {
            switch part {
            case .literal(let bytes): output += bytes
            case .variable(.builtin(let variable)):
                guard let value = values[variable] else { throw .keyIsUnknown("$" + variable.rawValue) }
                output += value
            case .variable(.map(let index)):
                output += try value(of: configuration.maps[index], configuration, assignments, depth: depth + 1)
            case .variable(.assigned(let index)):
                guard let assignments else {
                    throw .keyIsUnknown("$" + configuration.assignedVariables[index])
                }
                // Each `set` sees what those above it have set.
                guard let place = assignments.lastIndex(where: { $0.variable == index }) else { continue }
                output += try value(
                    of: assignments[place].value, configuration, assignments[..<place], captures: [], depth: depth + 1)
            case .variable(.capture(let group)):
                if group < captures.count { output += captures[group] }
            }
        }
        return output
    }

    private func value(
        of map: MapTable, _ configuration: Configuration, _ assignments: ArraySlice<Server.Assignment>?, depth: Int
    ) throws(Placement.Unknown) -> [UInt8] {
        let source = try value(of: map.source, configuration, assignments, captures: [], depth: depth)
        if let named = map.value(named: source) {
            return try value(of: named, configuration, assignments, captures: [], depth: depth)
        }
        var matcher = PatternMatcher(captureCountMax: 9)
        for expression in map.expressions where matcher.match(expression.pattern, source) == .matched {
            let groups = (0...expression.pattern.captureCount).map { group in
                matcher.capture(group).map { Array(source[$0]) } ?? []
            }
            return try value(of: expression.value, configuration, assignments, captures: groups, depth: depth)
        }
        return try value(of: map.defaultValue, configuration, assignments, captures: [], depth: depth)
    }
}
