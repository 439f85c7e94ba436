// SPDX-License-Identifier: Apache-2.0
//
// As much of JSON Schema as the API's own document uses; a keyword that it does not know is a failure, so that nothing
// is left unchecked in silence.

import Foundation

struct SchemaValidator {
    private let document: [String: Any]
    private static let checked: Set<String> = [
        "$ref", "type", "properties", "required", "additionalProperties", "items", "enum", "minimum", "maximum",
        "maxProperties", "pattern", "format",
    ]
    private static let said: Set<String> = ["description", "default"]

    init(document: [String: Any]) { self.document = document }

    /// What is wrong with `value`, and where.
    func faults(_ value: Any, against schema: Any, at path: String = "$") -> [String] {
        guard let schema = schema as? [String: Any] else { return ["\(path): the schema is no object"] }
        if let reference = schema["$ref"] as? String {
            guard let target = resolve(reference) else { return ["\(path): \(reference) leads nowhere"] }
            return faults(value, against: target, at: path)
        }
        let unknown = schema.keys.filter { !Self.checked.contains($0) && !Self.said.contains($0) }
        var faults = unknown.sorted().map { "\(path): the validator does not know \($0)" }
        guard let type = schema["type"] as? String, isOf(type, value) else {
            return faults + ["\(path): no \(schema["type"] ?? "type"): \(value)"]
        }
        if let words = schema["enum"] as? [String], !words.contains(where: { $0 == value as? String }) {
            faults.append("\(path): none of \(words): \(value)")
        }
        if let number = value as? NSNumber, type == "integer" {
            if let least = schema["minimum"] as? Int, number.int64Value < least { faults.append("\(path): below \(least)") }
            if let most = schema["maximum"] as? Int, number.int64Value > most { faults.append("\(path): above \(most)") }
        }
        if let text = value as? String {
            var pattern = schema["pattern"] as? String
            if schema["format"] as? String == "date-time" {
                pattern = #"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$"#
            }
            if let pattern, text.range(of: pattern, options: .regularExpression) == nil {
                faults.append("\(path): not of \(pattern): \(text)")
            }
        }
        if let array = value as? [Any], let items = schema["items"] {
            for (index, item) in array.enumerated() {
                faults += self.faults(item, against: items, at: "\(path)[\(index)]")
            }
        }
        if let object = value as? [String: Any] { faults += self.faults(of: object, against: schema, at: path) }
        return faults
    }

    private func faults(of object: [String: Any], against schema: [String: Any], at path: String) -> [String] {
        var faults: [String] = []
        if let most = schema["maxProperties"] as? Int, object.count > most { faults.append("\(path): too many") }
        for name in schema["required"] as? [String] ?? [] where object[name] == nil {
            faults.append("\(path): no \(name)")
        }
        let properties = schema["properties"] as? [String: Any] ?? [:]
        for (name, value) in object {
            if let property = properties[name] {
                faults += self.faults(value, against: property, at: "\(path).\(name)")
            } else if let others = schema["additionalProperties"] as? [String: Any] {
                faults += self.faults(value, against: others, at: "\(path).\(name)")
            } else if schema["additionalProperties"] as? Bool == false {
                faults.append("\(path): \(name) is not described")
            }
        }
        return faults
    }

    func resolve(_ reference: String) -> Any? {
        reference.split(separator: "/").dropFirst().reduce(document as Any?) { ($0 as? [String: Any])?[String($1)] }
    }

    private func isOf(_ type: String, _ value: Any) -> Bool {
        // NSNumber is both of these, and Foundation tells them apart by their Objective-C type.
        let isBoolean = (value as? NSNumber).map { unsafe String(cString: $0.objCType) == "c" } ?? (value is Bool)
        switch type {
        case "object": return value is [String: Any]
        case "array": return value is [Any]
        case "string": return value is String
        case "boolean": return isBoolean
        case "integer": return value is NSNumber && !isBoolean
        default: return false
        }
    }
}
