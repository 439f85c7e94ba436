// SPDX-License-Identifier: Apache-2.0
//
// Directives.md cannot rot: it has a section for each directive of the table and no other, each with the contexts of
// the table and an example that is valid.

import Foundation
import Testing
import Vocabulary

@testable import ProxyConfig

@Suite("documentation")
struct DocumentationTests {
    struct Section: Sendable {
        var name: String
        var contexts: Set<String> = []
        var examples: [String] = []
    }

    static let text: String = {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let file = root.appending(path: "Sources/weir/Documentation.docc/Directives.md")
        return (try? String(contentsOf: file, encoding: .utf8)) ?? ""
    }()

    static let sections: [Section] = {
        var sections: [Section] = []
        var example: String? = nil
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if line == "```" || line == "```nginx" {
                if let finished = example { sections[sections.count - 1].examples.append(finished) }
                example = line == "```nginx" ? "" : nil
            } else if example != nil {
                example? += line + "\n"
            } else if line.hasPrefix("## "), line != "## Not yet" {
                sections.append(Section(name: String(line.dropFirst(3))))
            } else if line.hasPrefix("- Context: ") {
                let names = line.dropFirst(11).split(separator: ", ").map(String.init)
                sections[sections.count - 1].contexts = Set(names)
            }
        }
        return sections
    }()

    @Test("the document and the table have the same directives, in the same contexts")
    func sameNames() {
        let table = DirectiveTable.names
        #expect(Set(DocumentationTests.sections.map(\.name)) == Set(table.keys))
        #expect(DocumentationTests.sections.count == table.count)
        for section in DocumentationTests.sections where section.contexts != ["any"] {
            #expect(section.contexts == Set(table[section.name]?.names ?? []), "\(section.name)")
        }
    }

    @Test("every directive has an example that names it, and every example is valid")
    func examples() throws {
        for section in DocumentationTests.sections {
            #expect(!section.examples.isEmpty, "\(section.name)")
            for example in section.examples {
                #expect(example.contains(section.name), "\(section.name)")
                let outcome = build(try wrapped(example), files: DocumentationTests.files)
                #expect(outcome.errorCount == 0, "\(section.name): \(outcome.render())")
                #expect(outcome.configuration != nil)
            }
        }
    }

    @Test("the variables of TLS are in the document", arguments: BuiltinVariable.allCases)
    func variables(_ variable: BuiltinVariable) {
        guard variable.rawValue.hasPrefix("ssl_") else { return }
        #expect(DocumentationTests.text.contains("`$\(variable.rawValue)`"), "\(variable.rawValue)")
    }

    @Test("the fields of the formats that Weir brings are in the document, and so are the reasons of an end")
    func fields() {
        for part in LogFormat.presets.flatMap(\.template.parts) {
            guard case .variable(.builtin(let variable)) = part else { continue }
            #expect(DocumentationTests.text.contains("\(variable.rawValue)`"), "\(variable.rawValue)")
        }
        for reason in CloseReason.allCases {
            #expect(DocumentationTests.text.contains("`\(reason.name)`"), "\(reason.name)")
        }
    }

    /// What the examples name. Nobody looks into them here.
    private static let files: [String: String] = {
        let names = [
            "server.pem", "server.key", "server-rsa.pem", "server-rsa.key", "client.pem", "client.key", "ca.pem",
            "revoked.pem", "dhparam.pem", "passwords", "ocsp.der", "tickets.new", "tickets.old",
        ]
        let ticketKey = String(repeating: "k", count: 80)
        return Dictionary(uniqueKeysWithValues: names.map { ("/etc/weir/tls/\($0)", ticketKey) })
            .merging(["/etc/weir/admins": "ada:$6$salt$hash\n"]) { first, _ in first }
    }()

    @Test("directives are refused one by one where they have no example context", arguments: ["main", "events"])
    func contextsAreNeeded(_ context: String) throws {
        #expect(build(try wrapped("# context: \(context)\nlisten 1;\n")).errorCount == 1)
    }

    /// An example with what has to stand around it.
    private func wrapped(_ example: String) throws -> String {
        let first = try #require(example.split(separator: "\n").first)
        let group = "upstream brokers { server 192.0.2.11:1883; }"
        switch first {
        case "# context: main": return example
        case "# context: events": return "events { \(example) }"
        case "# context: stream": return "stream { \(example) }"
        case "# context: upstream": return "stream { upstream u { \(example) } }"
        case "# context: match": return "stream { match m { \(example) } }"
        case "# context: http": return "http { \(example) }"
        case "# context: http server":
            let listen = example.contains("\nlisten ") ? "" : "listen 127.0.0.1:8080;"
            let location = example.contains("\nlocation ") ? "" : "location / { api; }"
            return "http { server { \(example) \(listen) \(location) } }"
        case "# context: location":
            return "http { server { listen 127.0.0.1:8080; location /x { \(example) } } }"
        case "# context: server":
            let listen = example.contains("\nlisten ") ? "" : "listen 1883;"
            let handlers = ["\nproxy_pass ", "\npass ", "\nreturn "]
            let content = handlers.contains { example.contains($0) } ? "" : "proxy_pass brokers;"
            return "stream { \(group) match mqtt { send a; expect b; } server { \(example) \(listen) \(content) } }"
        default: throw Invalid(report: "no context in: \(example)")
        }
    }
}
