// SPDX-License-Identifier: Apache-2.0
//
// What an endpoint answers, before it is text: a value, what `?fields=` selects in it, and the status.

import Foundation
import HTTPTypes
import LinuxIO

struct APIAnswer {
    enum Shape {
        /// `fields` are those of the object.
        case object
        /// An object of objects by name: `fields` are those of each; with none, the names alone are the answer.
        case collection
        /// An array of objects: `fields` are those of each.
        case list
    }

    /// Nil: no content, or a collection.
    var value: (any Encodable)?
    /// Of a collection.
    private let members: [String: any Encodable]?
    var shape: Shape
    var status: HTTPResponse.Status
    /// Of what was made.
    var location: String? = nil

    init(
        value: (any Encodable)?, members: [String: any Encodable]? = nil, shape: Shape,
        status: HTTPResponse.Status = .ok
    ) {
        self.value = value
        self.members = members
        self.shape = shape
        self.status = status
    }

    static func object(_ value: some Encodable) -> APIAnswer { APIAnswer(value: value, shape: .object) }
    static func collection(_ value: [String: some Encodable]) -> APIAnswer {
        APIAnswer(value: nil, members: value, shape: .collection)
    }
    static func list(_ value: [some Encodable]) -> APIAnswer { APIAnswer(value: value, shape: .list) }
    static var noContent: APIAnswer { APIAnswer(value: nil, shape: .object, status: .noContent) }

    /// Keys are sorted, so that equal figures are equal bytes, and so an equal ETag.
    func json(fields: String?) throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let data: Data
        if let members {
            data = try Self.json(members, encoder)
        } else if let value {
            data = try encoder.encode(value)
        } else {
            return Data()
        }
        guard let fields else { return data }
        let names = Set(fields.split(separator: ",").map(String.init))
        let selected = select(names, from: try JSONSerialization.jsonObject(with: data, options: .fragmentsAllowed))
        return try JSONSerialization.data(
            withJSONObject: selected, options: [.sortedKeys, .withoutEscapingSlashes, .fragmentsAllowed])
    }

    /// Member by member: of all of Weir's texts these are the longest, and a worker may wait for this processor.
    private static func json(_ members: [String: any Encodable], _ encoder: JSONEncoder) throws -> Data {
        var data = Data("{".utf8)
        for (name, value) in members.sorted(by: { $0.key < $1.key }) {
            Processes.giveWay()
            if data.count > 1 { data.append(UInt8(ascii: ",")) }
            data.append(try encoder.encode(name))
            data.append(UInt8(ascii: ":"))
            data.append(try encoder.encode(value))
        }
        data.append(UInt8(ascii: "}"))
        return data
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
