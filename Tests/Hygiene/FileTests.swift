// SPDX-License-Identifier: Apache-2.0
//
// What every file of ours has, and what none has.

import Foundation
import Testing

@Suite("files")
struct FileTests {
    static let ours = ["Sources", "CSources", "Tests", "Perf"]
    static let endings = [".swift", ".c", ".h", ".js"]

    @Test("every source file opens with its licence and says what it answers for")
    func headers() throws {
        for file in try SourceTree.files(below: Self.ours, endings: Self.endings) {
            let lines = try SourceTree.text(file).split(separator: "\n", omittingEmptySubsequences: false)
            #expect(lines.first == "// SPDX-License-Identifier: Apache-2.0", "\(file) has no licence line")
            guard lines.count > 2 else {
                Issue.record("\(file) is empty")
                continue
            }
            #expect(lines[1] == "//" && lines[2].hasPrefix("// "), "\(file) does not say what it answers for")
        }
    }

    @Test("no unfinished business stands in a source file")
    func nothingUnfinished() throws {
        // Put together, so that this file does not find itself.
        let marks = ["TO" + "DO", "FIX" + "ME", "XX" + "X", "not implement" + "ed"]
        for file in try SourceTree.files(below: Self.ours, endings: Self.endings) {
            let text = try SourceTree.text(file)
            for mark in marks {
                let isThere = text.range(of: "\\b\(mark)\\b", options: .regularExpression) != nil
                #expect(!isThere, "\(file) contains \(mark)")
            }
        }
    }

    /// Configurations and messages in tests are read as they stand, so lines with quoted text may be wider there.
    @Test("no line is longer than 120 columns, and none ends with a space")
    func lines() throws {
        for file in try SourceTree.files(below: Self.ours, endings: Self.endings) {
            for (number, line) in try SourceTree.text(file).split(separator: "\n", omittingEmptySubsequences: false)
                .enumerated()
            {
                let isQuoting = file.hasPrefix("Tests/") && line.contains { "\"'{/".contains($0) }
                #expect(line.count <= 120 || isQuoting, "\(file):\(number + 1) is \(line.count) columns wide")
                #expect(line.last != " ", "\(file):\(number + 1) ends with a space")
            }
        }
    }

    @Test("the top of the tree holds what the layout says")
    func top() throws {
        let allowed: Set<String> = [
            "Package.swift", "Package.resolved", "Sources", "CSources", "Tests", "Perf", "README.md", "LICENSE",
            "CHANGELOG.md",
        ]
        let names = try FileManager.default.contentsOfDirectory(atPath: SourceTree.root.path)
        for name in names where !name.hasPrefix(".") { #expect(allowed.contains(name), "\(name) is at the top") }
    }

    @Test("the README's two lines are there for the gate to run")
    func readmeLines() throws {
        let readme = try SourceTree.text("README.md")
        for mark in ["<!-- demo -->\n```sh\n", "<!-- test -->\n```sh\n"] { #expect(readme.contains(mark)) }
    }

    @Test("every page that the documentation names exists, and every decision is listed")
    func documentation() throws {
        let folder = "Sources/weir/Documentation.docc"
        let pages = try SourceTree.files(below: [folder], endings: [".md"])
        let names = Set(pages.map { URL(fileURLWithPath: $0).deletingPathExtension().lastPathComponent })
        var named: Set<String> = []
        for page in pages {
            for piece in try SourceTree.text(page).components(separatedBy: "<doc:").dropFirst() {
                let name = String(piece.prefix { $0 != ">" })
                named.insert(name)
                #expect(names.contains(name), "\(page) names \(name)")
            }
        }
        for page in pages where page.contains("/Decisions/") {
            let name = URL(fileURLWithPath: page).deletingPathExtension().lastPathComponent
            #expect(named.contains(name), "\(name) is listed nowhere")
        }
    }
}
