// SPDX-License-Identifier: Apache-2.0
//
// Includes: where they are looked for, what a file may open and close, and that no circle, mask or number of them keeps
// the parser from an end.

import Testing
import Vocabulary

@testable import ProxyConfig

@Suite("includes")
struct IncludeTests {
    @Test("a path is beside the configuration file, and stands for the file's text, in any context")
    func paths() throws {
        let outcome = build(
            "stream { include sites/*.conf; include /abs; include nothing/*; }",
            files: [
                "/etc/weir/sites/b.conf": "server { listen 2; include more; }",
                "/etc/weir/sites/a.conf": "server { listen 1; return a; }",
                "/etc/weir/more": "return b;", "/abs": "server { listen 3; return c; }",
                "/etc/weir/sites/c.txt": "nonsense",
            ])
        let configuration = try #require(outcome.configuration, "\(outcome.render())")
        #expect(configuration.listeners.map(\.endpoint.text) == ["0.0.0.0:1", "0.0.0.0:2", "0.0.0.0:3"])
        #expect(configuration.servers[1].origin == "/etc/weir/sites/b.conf:1")
        // Frames of a mask are opened together, so they stand together in the dump.
        #expect(
            outcome.files.map(\.path) == [
                "/etc/weir/weir.conf", "/etc/weir/sites/b.conf", "/etc/weir/sites/a.conf", "/etc/weir/more", "/abs",
            ])
        #expect(outcome.files[3].bytes == Array("return b;".utf8))
    }

    @Test("errors name the included file and its line")
    func errors() {
        let outcome = build("stream {\n include a;\n}", files: ["/etc/weir/a": "\nfoo;\nserver { listen 1;\n"])
        #expect(
            outcome.diagnostics.map(\.headline) == [
                "unknown directive \"foo\" in /etc/weir/a:2",
                "unexpected end of file, expecting \"}\" in /etc/weir/a:4",
            ])
    }

    @Test("a file closes its own blocks and no others")
    func braces() {
        let outcome = build("stream { include a; server { listen 1; return a; } }", files: ["/etc/weir/a": "}\n"])
        #expect(outcome.diagnostics.map(\.headline) == ["unexpected \"}\" in /etc/weir/a:1"])
    }

    @Test("what is missing or a directory is named with the system's reason")
    func unreadable() {
        var source = DictionarySource()
        source.directories = ["/etc/weir/d"]
        source.files[testOptions.file] = Array("stream {}\ninclude d;\ninclude e;\n".utf8)
        let outcome = ConfigurationBuilder.buildAll(&source, options: testOptions)
        #expect(
            outcome.diagnostics.map(\.headline) == [
                "open() \"/etc/weir/d\" failed (21: Is a directory) in /etc/weir/weir.conf:2",
                "open() \"/etc/weir/e\" failed (2: No such file or directory) in /etc/weir/weir.conf:3",
            ])
        source.files = [:]
        let none = ConfigurationBuilder.buildAll(&source, options: testOptions)
        #expect(none.configuration == nil)
        #expect(
            none.diagnostics.map(\.headline) == ["open() \"/etc/weir/weir.conf\" failed (2: No such file or directory)"]
        )
    }

    @Test("a circle is found at the include that closes it")
    func circles() {
        let itself = build("stream {}\ninclude weir.conf;")
        #expect(
            itself.diagnostics.map(\.headline) == [
                "include of \"/etc/weir/weir.conf\" loops in /etc/weir/weir.conf:2"
            ])
        let longer = build(
            "stream {}\ninclude a;", files: ["/etc/weir/a": "include b;", "/etc/weir/b": "include *;"])
        #expect(longer.errorCount == 3)
        #expect(longer.diagnostics.allSatisfy { $0.message.contains("loops") && $0.file == "/etc/weir/b" })
    }

    @Test("the same file may be included again, but not deeper than 64 and not without end")
    func depthAndNumber() {
        let again = build(
            "stream { server { listen 1; return a; include x; } server { listen 2; return b; include x; } }",
            files: ["/etc/weir/x": "allow all;"])
        #expect(again.configuration != nil)
        var chain: [String: String] = [:]
        for index in 0..<70 { chain["/etc/weir/f\(index)"] = "include f\(index + 1);" }
        let deep = build("stream {}\ninclude f0;", files: chain)
        #expect(deep.diagnostics.map(\.message) == ["too deep include of \"/etc/weir/f64\""])
        var tree: [String: String] = ["/etc/weir/f40": ""]
        for index in 0..<40 { tree["/etc/weir/f\(index)"] = "include f\(index + 1); include f\(index + 1);" }
        let wide = build("stream {}\ninclude f0;", files: tree)
        #expect(wide.diagnostics.map(\.message) == ["too many includes"])
    }

    @Test("each file is asked for once")
    func questions() {
        var source = DictionarySource(files: ["/etc/weir/x": "allow all;"])
        source.files[testOptions.file] = Array(
            "stream { server { listen 1; return a; include x; include x; } }".utf8)
        _ = ConfigurationBuilder.buildAll(&source, options: testOptions)
        #expect(source.questionCount == 2)
    }
}
