// SPDX-License-Identifier: Apache-2.0
//
// The whole lines that were added to a log since it was last asked. The file may come later.

import LinuxIO

struct LogTail: ~Copyable {
    private let path: String
    private var file: Descriptor? = nil
    /// A line whose end has not been written yet.
    private var begun: [UInt8] = []
    private static let readBytesMax = 4 * 1024 * 1024

    init(path: String) { self.path = path }

    mutating func newLines() -> [String] {
        if file == nil { file = try? Files.openRead(path) }
        let number: Int32
        switch file {
        case .some(let owner): number = owner.number
        case .none: return []
        }
        guard let bytes = try? Files.read(from: number, bytesMax: Self.readBytesMax), !bytes.isEmpty else { return [] }
        var parts = (begun + bytes).split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        begun = Array(parts.removeLast())
        return parts.map { String(decoding: $0, as: UTF8.self) }
    }

    /// For a fault's report.
    static func lastLines(of path: String, _ count: Int) -> [String] {
        var tail = LogTail(path: path)
        return Array(tail.newLines().suffix(count))
    }
}
