// SPDX-License-Identifier: Apache-2.0
//
// Answers as JSON: stable keys in a stable order, for scripts.

import Foundation

enum JSONText {
    static func of(_ value: some Encodable) throws(CommandFault) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes, .prettyPrinted]
        do { return String(decoding: try encoder.encode(value), as: UTF8.self) } catch {
            throw CommandFault("no JSON of the answer: \(error)")
        }
    }
}
