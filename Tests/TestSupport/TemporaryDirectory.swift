// SPDX-License-Identifier: Apache-2.0
//
// A folder for one test, gone with the object. Children of Weir run as another user, so everybody may enter it.

import Foundation

package final class TemporaryDirectory: Sendable {
    package let path: String

    package init() throws {
        let name = "weir-test-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
        path = FileManager.default.temporaryDirectory.appendingPathComponent(name).path
        try FileManager.default.createDirectory(
            atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o777])
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    package func path(_ name: String) -> String { path + "/" + name }

    package func makeDirectory(_ name: String) throws {
        try FileManager.default.createDirectory(atPath: path(name), withIntermediateDirectories: true)
    }

    @discardableResult
    package func write(_ text: String, to name: String) throws -> String {
        try Data(text.utf8).write(to: URL(fileURLWithPath: path(name)))
        return path(name)
    }
}

/// The bytes of a file as text, "" while it does not exist.
package func contents(of path: String) -> String {
    guard let data = FileManager.default.contents(atPath: path) else { return "" }
    return String(decoding: data, as: UTF8.self)
}

/// Whole lines only: the last one may still be in the making.
package func lines(of path: String) -> [String] {
    let text = contents(of: path)
    var lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    lines.removeLast()
    return lines
}
