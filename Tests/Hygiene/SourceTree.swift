// SPDX-License-Identifier: Apache-2.0
//
// The tree as the hygiene tests see it: files below the package's folder, without what is built.

import Foundation

enum SourceTree {
    static let root: URL = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

    /// Paths relative to the package, of files whose name ends with one of `endings`.
    static func files(below folders: [String], endings: [String]) throws -> [String] {
        var found: [String] = []
        for folder in folders {
            let base = root.appendingPathComponent(folder)
            guard let walk = FileManager.default.enumerator(atPath: base.path) else { continue }
            for case let path as String in walk where endings.contains(where: path.hasSuffix) {
                found.append("\(folder)/\(path)")
            }
        }
        return found.sorted()
    }

    static func text(_ path: String) throws -> String {
        try String(contentsOf: root.appendingPathComponent(path), encoding: .utf8)
    }

    /// The modules that a file imports.
    static func imports(of path: String) throws -> [String] {
        try text(path).split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ")
            guard let index = words.firstIndex(of: "import"), index <= 1, index + 1 < words.count else { return nil }
            return String(words[index + 1])
        }
    }
}
