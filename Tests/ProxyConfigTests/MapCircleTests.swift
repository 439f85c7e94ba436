// SPDX-License-Identifier: Apache-2.0
//
// Maps that need each other: whoever has accepted a configuration can work out each of its variables.

import Testing

@testable import ProxyConfig

@Suite("circles of maps")
struct MapCircleTests {
    typealias Case = DiagnosticTests.Case

    @Test("a circle is refused at a map of it, with the way round", arguments: circles)
    func circle(_ example: Case) throws { try DiagnosticTests.check(example) }

    static let circles: [Case] = [
        .stream("map a §$b { default $b; }", "cycle while evaluating variable \"b\": $b -> $b", "own variable"),
        .stream("map a$B §$b { default c; }", "cycle while evaluating variable \"b\": $b -> $b", "own variable"),
        .stream(
            "map $remote_addr §$b { default $c; }\n map $b $c { default $b; }",
            "cycle while evaluating variable \"b\": $b -> $c -> $b", "take one variable out"),
        .stream(
            "map $c §$b { }\n map a $c { hostnames; *.k x${d}y; }\n map a $d { hostnames; k.* $e; }\n"
                + "map a $e { ~(k) $1$b; }",
            "cycle while evaluating variable \"b\": $b -> $c -> $d -> $e -> $b", "take one variable out"),
        // The way into the circle is no part of it.
        .stream(
            "map $b $a { }\n map $c §$b { }\n map a $c { k $b; }",
            "cycle while evaluating variable \"b\": $b -> $c -> $b", "take one variable out"),
        .stream(
            "map a §$m0 { k $m1; }\n" + (1...20).map { "map a $m\($0) { k $m\(($0 + 1) % 21); }" }.joined(),
            "cycle while evaluating variable \"m0\": "
                + (0..<8).map { "$m\($0) -> " }.joined() + "… -> $m0", "take one variable out"),
    ]

    @Test("each circle is one finding")
    func several() {
        let outcome = build(
            """
            stream {
                map $b $a { }
                map $a $b { }
                map $d $c { }
                map $c $d { k $d; }
            }
            """)
        #expect(outcome.diagnostics.map(\.line) == [2, 4, 5])
    }

    @Test("maps that meet again are no circle, and a map that was replaced is out of the way")
    func noCircle() throws {
        _ = try valid(
            """
            stream {
                map $b$c $a { default $d; }
                map $d $b { default $c; }
                map $d $c { }
                map $remote_addr $d { }
            }
            """)
        _ = try valid("stream { map $b $a { } map $a $b { } map $remote_addr $b { } }")
    }

    @Test("a variable of set may be made of itself: it is worked out in the order of the text")
    func assigned() throws {
        let configuration = try valid(serverText("set $a x; set $a $a$b; set $b $a;"))
        #expect(configuration.servers[0].assignments.count == 3)
    }

    @Test("a chain may be as long as nginx takes it, whichever end stands first", arguments: [false, true])
    func chain(isReversed: Bool) throws {
        func text(_ count: Int) -> String {
            let maps = ["map a $m0 { }"] + (1..<count).map { "map $m\($0 - 1) $m\($0) { }" }
            return "stream {\n\((isReversed ? maps.reversed() : maps).joined(separator: "\n"))\n}"
        }
        _ = try valid(text(255))
        let outcome = build(text(100_000))
        #expect(
            outcome.diagnostics.map(\.message) == ["variable \"m255\" needs more than 255 maps, one through the other"])
    }
}
