// SPDX-License-Identifier: Apache-2.0
//
// Groups that change at run time: `state` files, `drain` and `slow_start`, and zones that count.

import Testing
import Vocabulary

@testable import ProxyConfig

@Suite("state files")
struct StateFileTests {
    private let text = """
        stream {
            upstream u { zone u 64k; state state/u.conf; }
            server { listen 1883; proxy_pass u; }
        }
        """
    private let path = "/srv/weir/state/u.conf"

    @Test("the servers of a group are those of its state file, which is part of the bundle")
    func servers() throws {
        var inner = DictionarySource(files: [
            path: "server 192.0.2.1:1883 weight=2 drain;\n# a note\nserver 192.0.2.2:1;"
        ])
        inner.files[testOptions.file] = Array(text.utf8)
        var source = RecordingSource(inner)
        let outcome = ConfigurationBuilder.buildAll(&source, options: testOptions)
        let upstream = try #require(outcome.configuration?.upstreams.first, "\(outcome.render())")
        #expect(upstream.stateFile == path)
        #expect(upstream.peers.map(\.endpoint.text) == ["192.0.2.1:1883", "192.0.2.2:1"])
        #expect(upstream.peers.map(\.weight) == [2, 1])
        #expect(upstream.peers.map(\.isDraining) == [true, false])
        #expect(source.bundle[.file, path] != nil)
        // Other bytes under the same path are another membership of the same configuration.
        source.bundle.record(.file, path, Array("server 192.0.2.3:1883;".utf8))
        var changed = BundleSource(source.bundle)
        let second = ConfigurationBuilder.buildAll(&changed, options: testOptions)
        #expect(second.configuration?.upstreams[0].peers.map(\.endpoint.text) == ["192.0.2.3:1883"])
    }

    @Test("a state file that does not exist, or has nothing in it, is an empty group", arguments: [false, true])
    func empty(_ exists: Bool) throws {
        let configuration = try valid(text, files: exists ? [path: "\n# nobody\n"] : [:])
        #expect(configuration.upstreams[0].peers.isEmpty)
        #expect(configuration.upstreams[0].stateFile == path)
        guard case .proxy(upstream: 0) = configuration.servers[0].content else {
            Issue.record("the server does not lead to the group")
            return
        }
    }

    @Test("an empty group is the same in the child that builds from the bundle")
    func emptyBundle() throws {
        var inner = DictionarySource()
        inner.files[testOptions.file] = Array(text.utf8)
        var source = RecordingSource(inner)
        _ = ConfigurationBuilder.buildAll(&source, options: testOptions)
        var child = BundleSource(source.bundle)
        let outcome = ConfigurationBuilder.buildAll(&child, options: testOptions)
        #expect(outcome.configuration?.upstreams[0].peers.isEmpty == true)
    }

    typealias Case = DiagnosticTests.Case

    static let cases: [Case] = [
        Case(
            "stream { upstream u { zone u; server 192.0.2.1:1; §state s; } }",
            "\"state\" and \"server\" exclude each other in upstream \"u\"", "the API changes"),
        Case(
            "stream { upstream u { zone u; state s; §server 192.0.2.1:1; } }",
            "\"state\" and \"server\" exclude each other in upstream \"u\"", "take one of the two out"),
        Case("stream { upstream u { state §s; } }", "no \"zone\" in upstream \"u\" for \"state\"", "zone u;"),
        Case(
            "stream { upstream a { zone a; state s; }\n upstream b { zone b; state §s; } }",
            "state file \"/srv/weir/s\" belongs to upstream \"a\" already", "of its own"),
        Case("stream { upstream u { zone u; state §$x; } }", "\"state\" takes no variables", "path of a file"),
        Case(
            "stream { upstream u { zone u; state §dir; } }", "open() \"/srv/weir/dir\" failed (21: Is a directory)",
            "check the path"),
        Case(
            "stream { upstream u { hash $remote_addr; server 192.0.2.1:1 §slow_start=5s; server 192.0.2.2:1; } }",
            "balancing method does not support parameter \"slow_start\"", "hash and random"),
        Case(
            "stream { upstream u { server 192.0.2.1:1 §slow_start=x; } }", "invalid parameter \"slow_start=x\"",
            "30s"),
        Case("stream { server { listen 1; return a; status_zone §''; } }", "invalid zone name \"\"", "name"),
    ]
    @Test("what is refused, and the way out", arguments: cases)
    func refused(_ example: Case) throws { try DiagnosticTests.check(example, directories: ["/srv/weir/dir"]) }

    @Test("a state file has servers and nothing else, and its errors are shown in it")
    func foreignWords() {
        let outcome = build(
            text, files: [path: "zone x;\nserver 192.0.2.1:1883 wieght=2;\ninclude more;\nupstream x { }\n}\nserver a"])
        #expect(
            outcome.diagnostics.map(\.message) == [
                "\"zone\" does not stand in a state file", "invalid parameter \"wieght=2\"",
                "\"include\" does not stand in a state file", "\"upstream\" does not stand in a state file",
                "unexpected \"}\"", "unexpected end of file, expecting \";\" or \"}\"",
            ])
        #expect(outcome.diagnostics.map(\.line) == [1, 2, 3, 4, 5, 6])
        #expect(Set(outcome.diagnostics.map(\.file)) == [path])
    }

    @Test("drain, slow_start and status_zone are in the model")
    func parameters() throws {
        let configuration = try valid(
            """
            stream {
                upstream u { server 192.0.2.1:1 slow_start=1m30s; server 192.0.2.2:1 drain; }
                server { listen 1; proxy_pass u; status_zone mqtt; }
                server { listen 2; proxy_pass u; status_zone mqtt; }
                server { listen 3; proxy_pass u; }
            }
            """)
        #expect(configuration.upstreams[0].peers.map(\.slowStartMilliseconds) == [90_000, 0])
        #expect(configuration.upstreams[0].peers.map(\.isDraining) == [false, true])
        #expect(configuration.servers.map(\.statusZone) == ["mqtt", "mqtt", nil])
    }
}
