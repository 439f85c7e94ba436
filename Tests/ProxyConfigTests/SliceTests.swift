// SPDX-License-Identifier: Apache-2.0
//
// Slices: how many there are for a text of known size, and that cutting changes nothing.

import Testing

@testable import ProxyConfig

@Suite("slices")
struct SliceTests {
    private func steps(_ text: String) -> (count: Int, outcome: ConfigurationOutcome) {
        var source = DictionarySource()
        source.files[testOptions.file] = Array(text.utf8)
        var builder = ConfigurationBuilder(source: source, options: testOptions)
        var count = 1
        while builder.step() == .more { count += 1 }
        return (count, builder.finish())
    }

    private func text(servers: Int) -> String {
        let blocks = (0..<servers).map {
            "server { listen 127.0.0.1:\($0 + 1); proxy_pass u; proxy_timeout 1m; preread_timeout 5s; tcp_nodelay on;\n"
                + "set $s \($0); allow all; proxy_buffer_size 8k; mqtt_preread on; health_check; }\n"
        }
        return "stream { upstream u { server 192.0.2.1:1; }\n\(blocks.joined()) }"
    }

    @Test("a server is one slice to read and one to link, and a share of those that finish many")
    func servers() {
        let (few, _) = steps(text(servers: 10))
        let (many, outcome) = steps(text(servers: 1010))
        #expect(outcome.configuration?.servers.count == 1010)
        // Listeners are finished by 256, and what servers say of TLS by 64.
        #expect(many - few <= 2000 + 3 + 15)
        #expect(few <= 10 * 2 + 16)
    }

    @Test("a large block takes several slices: a map, an upstream, a range of ports")
    func largeBlocks() {
        let entries = (0..<10_000).map { "k\($0) v;" }.joined(separator: "\n")
        let map = steps("stream { map $remote_addr $m { \(entries) } }")
        #expect(map.outcome.configuration?.maps[0].exact.count == 10_000)
        #expect(map.count > 150)
        let lines = (0..<1000).map { "server 10.0.0.1:\($0 + 1);" }.joined()
        let upstream = steps("stream { upstream u { \(lines) } }")
        #expect(upstream.outcome.configuration?.upstreams[0].peers.count == 1000)
        #expect(upstream.count > 30)
        let range = steps("stream { server { listen 1-65535; return a; } }")
        #expect(range.outcome.configuration?.listeners.count == 65535)
        #expect(range.count > 256)
    }

    @Test("before the last slice there is no configuration")
    func early() {
        var source = DictionarySource()
        source.files[testOptions.file] = Array(sampleText.utf8)
        var builder = ConfigurationBuilder(source: source, options: testOptions)
        _ = builder.step()
        #expect(builder.finish().configuration == nil)
    }
}
