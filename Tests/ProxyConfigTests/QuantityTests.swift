// SPDX-License-Identifier: Apache-2.0
//
// Numbers, sizes, times and addresses, in tables. Each row was compared with nginx 1.22's answer to the same value.

import Testing
import Vocabulary

@testable import ProxyConfig

@Suite("quantities")
struct QuantityTests {
    @Test(
        "numbers",
        arguments: [
            ("0", 0), ("42", 42), ("007", 7), ("", nil), ("-1", nil), ("+1", nil), ("1k", nil), (" 1", nil),
            ("9223372036854775807", Int.max), ("9223372036854775808", nil), ("99999999999999999999999", nil),
        ] as [(String, Int?)])
    func number(_ text: String, _ expected: Int?) {
        #expect(Quantity.number(Array(text.utf8)) == expected)
    }

    @Test(
        "sizes: k and m, no g, no spaces",
        arguments: [
            ("0", 0), ("512", 512), ("4k", 4096), ("4K", 4096), ("1m", 1 << 20), ("1M", 1 << 20), ("1g", nil),
            ("k", nil), ("", nil), ("1 k", nil), ("1kk", nil), ("-1k", nil), ("1.5k", nil),
            ("9007199254740991k", 9_007_199_254_740_991 << 10), ("9007199254740992k", nil),
        ] as [(String, Int?)])
    func size(_ text: String, _ expected: Int?) {
        #expect(Quantity.size(Array(text.utf8)) == expected)
    }

    @Test(
        "offsets take g, too",
        arguments: [("1g", 1 << 30), ("2G", 2 << 30), ("1k", 1024), ("1t", nil)] as [(String, Int?)])
    func offset(_ text: String, _ expected: Int?) {
        #expect(Quantity.offset(Array(text.utf8)) == expected)
    }

    @Test(
        "times in milliseconds: units fall, each once",
        arguments: [
            ("0", 0), ("1", 1000), ("30s", 30_000), ("500ms", 500), ("10m", 600_000), ("1h30m", 5_400_000),
            ("1h 30m", 5_400_000), ("1d", 86_400_000), ("1w", 604_800_000), ("1m30", 90_000), ("1s500ms", 1500),
            ("1w2d3h4m5s6ms", 604_800_000 + 2 * 86_400_000 + 3 * 3_600_000 + 4 * 60_000 + 5006),
            ("", nil), ("s", nil), ("1x", nil), ("30m1h", nil), ("1s1s", nil), ("1M", nil), ("1y", nil), ("-1s", nil),
            ("1.5s", nil), ("99999999999999999999", nil), ("9223372036854775807", nil),
            ("9000000000000000", Quantity.millisecondsMax),
        ] as [(String, Int?)])
    func milliseconds(_ text: String, _ expected: Int?) {
        #expect(Quantity.milliseconds(Array(text.utf8)) == expected)
    }

    @Test(
        "times in seconds: years and months, no ms",
        arguments: [
            ("10", 10), ("10s", 10), ("1m", 60), ("1M", 2_592_000), ("1y", 31_536_000), ("1y1M", 34_128_000),
            ("1M1y", nil), ("10ms", nil), ("1h 5", 3605), ("", nil),
        ] as [(String, Int?)])
    func seconds(_ text: String, _ expected: Int?) {
        #expect(Quantity.seconds(Array(text.utf8)) == expected)
    }

    @Test(
        "addresses of listen",
        arguments: [
            ("1883", AddressText.Host.any, 1883...1883 as ClosedRange<UInt16>?),
            ("*:1883", .any, 1883...1883), ("1-65535", .any, 1...65535),
            ("127.0.0.1:1-2", .address(IPAddress(ipv4: 0x7F00_0001)), 1...2),
            ("[::1]:5", .address(IPAddress(ipv6High: 0, low: 1)), 5...5),
            ("localhost:5", .name("localhost"), 5...5), ("unix:/run/x y", .unix("/run/x y"), nil),
            ("localhost", .name("localhost"), nil), ("[::1]", .address(IPAddress(ipv6High: 0, low: 1)), nil),
        ])
    func listen(_ text: String, _ host: AddressText.Host, _ ports: ClosedRange<UInt16>?) throws {
        let parsed = try AddressText.parse(Array(text.utf8), isListen: true)
        #expect(parsed.host == host)
        #expect(parsed.ports == ports)
    }

    @Test(
        "addresses that are none, in nginx's words",
        arguments: [
            ("70000", "invalid port"), ("0", "invalid port"), ("a:0", "invalid port"), ("a:x", "invalid port"),
            ("a:", "invalid port"), ("5-3", "invalid port range"), ("a:1-2-3", "invalid port"),
            ("[::1", "invalid host"),
            ("[::1]x", "invalid host"), ("[::1]:", "invalid port"), ("[zz]:1", "invalid IPv6 address"),
            ("[1.2.3.4]:1", "invalid IPv6 address"), (":80", "no host"), ("", "no host"),
            ("unix:", "no path in the unix domain socket"), ("a/b:1", "invalid host"),
            ("unix:" + String(repeating: "x", count: 108), "too long path in the unix domain socket"),
        ])
    func noAddress(_ text: String, _ reason: String) {
        #expect {
            try AddressText.parse(Array(text.utf8), isListen: true)
        } throws: { error in
            (error as? AddressText.Fault)?.reason == reason
        }
    }

    @Test(
        "the nearest word is suggested only when it is near",
        arguments: [
            ("proxy_pas", "proxy_pass"), ("porxy_pass", "proxy_pass"), ("listne", "listen"), ("x", nil),
            ("zzzzzz", nil),
            ("", nil), (String(repeating: "a", count: 100), nil),
        ] as [(String, String?)])
    func suggestion(_ word: String, _ expected: String?) {
        #expect(Suggestion.nearest(to: Array(word.utf8), in: ["proxy_pass", "listen", "proxy_bind"]) == expected)
    }
}
