// SPDX-License-Identifier: Apache-2.0
//
// A `map` block: a variable whose value follows from a string. Exact names first, then the longest prefix mask
// (`*.example`), the longest suffix mask (`example.*`), expressions in order, the default. Exact names ignore case.

import Patterns

package struct MapTable: Sendable {
    package struct Expression: Sendable {
        package var pattern: Pattern
        package var value: Template
        package init(pattern: Pattern, value: Template) {
            self.pattern = pattern
            self.value = value
        }
    }
    /// Without `$`.
    package var variable: String
    package var source: Template
    package var isVolatile = false
    /// Keys in lower case.
    package var exact: [[UInt8]: Template] = [:]
    /// `hostnames`: `*.example.com` as `.example.com`, in lower case.
    package var prefixMasks: [[UInt8]: Template] = [:]
    /// `hostnames`: `mail.*` as `mail.`, in lower case.
    package var suffixMasks: [[UInt8]: Template] = [:]
    package var expressions: [Expression] = []
    /// An empty template where the block has no `default`.
    package var defaultValue = Template(parts: [])

    package init(variable: String, source: Template) {
        self.variable = variable
        self.source = source
    }

    /// The value of a name: exact, or by `hostnames` the longest `*.suffix`, then the longest `prefix.*`. Nil: the
    /// expressions are next, and then the default.
    package func value(named source: [UInt8]) -> Template? {
        let name = source.lowercasedASCII
        if let value = exact[name] { return value }
        let dot = UInt8(ascii: ".")
        if !prefixMasks.isEmpty {
            for index in name.indices where name[index] == dot {
                if let value = prefixMasks[Array(name[index...])] { return value }
            }
        }
        if !suffixMasks.isEmpty {
            for index in name.indices.reversed() where name[index] == dot {
                if let value = suffixMasks[Array(name[...index])] { return value }
            }
        }
        return nil
    }
}
