// SPDX-License-Identifier: Apache-2.0
//
// What an endpoint answers, before it is text: a value, what `?fields=` selects in it, and the status.

import Foundation
import HTTPTypes

struct APIAnswer {
    enum Shape {
        /// `fields` are those of the object.
        case object
        /// An object of objects by name: `fields` are those of each; with none, the names alone are the answer.
        case collection
        /// An array of objects: `fields` are those of each.
        case list
    }

    /// Nil: no content.
    var value: (any Encodable)?
    var shape: Shape
    var status = HTTPResponse.Status.ok
    /// Of what was made.
    var location: String? = nil

    static func object(_ value: some Encodable) -> APIAnswer { APIAnswer(value: value, shape: .object) }
    static func collection(_ value: [String: some Encodable]) -> APIAnswer {
        APIAnswer(value: value, shape: .collection)
    }
    static func list(_ value: [some Encodable]) -> APIAnswer { APIAnswer(value: value, shape: .list) }
    static var noContent: APIAnswer { APIAnswer(value: nil, shape: .object, status: .noContent) }

    /// Keys are sorted, so that equal figures are equal bytes, and so an equal ETag.
    func json(fields: String?) throws -> Data {
        guard let value else { return Data() }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let data = try encoder.encode(value)
        guard let fields else { return data }
        let names = Set(fields.split(separator: ",").map(String.init))
        let selected = select(names, from: try JSONSerialization.jsonObject(with: data, options: .fragmentsAllowed))
        return try JSONSerialization.data(
            withJSONObject: selected, options: [.sortedKeys, .withoutEscapingSlashes, .fragmentsAllowed])
    }

    private func select(_ names: Set<String>, from whole: Any) -> Any {
        switch (shape, whole) {
        case (.object, let object as [String: Any]):
            return object.filter { names.contains($0.key) }
        case (.collection, let object as [String: [String: Any]]):
            if names.isEmpty { return object.keys.sorted() }
            return object.mapValues { $0.filter { names.contains($0.key) } }
        case (.list, let list as [[String: Any]]):
            return list.map { $0.filter { names.contains($0.key) } }
        default:
            return whole
        }
    }
}
