// SPDX-License-Identifier: Apache-2.0
//
// The bundle: what one process recorded builds the same configuration in another one, and no bytes trap its reader.

import Testing
import Vocabulary

@testable import ProxyConfig

@Suite("bundle")
struct BundleTests {
    /// The sample with an include, recorded.
    private func recorded() -> (Bundle, ConfigurationOutcome) {
        var inner = DictionarySource(files: ["/etc/weir/more/a.conf": "server { listen localhost:7; return a; }"])
        inner.files[testOptions.file] = Array(
            sampleText.replacing("match mqtt_ok", with: "include more/*.conf; match mqtt_ok").utf8)
        var source = RecordingSource(inner)
        testOptions.record(into: &source.bundle)
        let outcome = ConfigurationBuilder.buildAll(&source, options: testOptions)
        return (source.bundle, outcome)
    }

    @Test("a child builds from the bytes alone what the master built from the system")
    func roundTrip() throws {
        let (bundle, first) = recorded()
        let read = try #require(Bundle(encoded: bundle.encoded()))
        #expect(read.order == bundle.order)
        #expect(read.entries == bundle.entries)
        let options = try #require(ConfigurationOptions(bundle: read))
        #expect(options == testOptions)
        var source = BundleSource(read)
        let second = ConfigurationBuilder.buildAll(&source, options: options)
        let (one, two) = (try #require(first.configuration), try #require(second.configuration))
        #expect(one.listeners.map(\.endpoint) == two.listeners.map(\.endpoint))
        #expect(one.listeners.map(\.endpoint.text).contains("[::1]:7"))
        #expect(one.upstreams.map { $0.peers.map(\.endpoint) } == two.upstreams.map { $0.peers.map(\.endpoint) })
        #expect(one.logFormats.map(\.template) == two.logFormats.map(\.template))
        #expect(one.servers.map(\.origin) == two.servers.map(\.origin))
    }

    @Test("what is not in a bundle does not exist")
    func absent() {
        var source = BundleSource(Bundle())
        let outcome = ConfigurationBuilder.buildAll(&source, options: testOptions)
        #expect(outcome.configuration == nil)
        #expect(ConfigurationOptions(bundle: Bundle()) == nil)
        guard case .failure = source.addresses(of: "localhost"), case .failure = source.expand("*") else {
            Issue.record("answered")
            return
        }
    }

    @Test("an empty value, an empty name and bytes of every kind survive")
    func edges() throws {
        var bundle = Bundle()
        bundle.record(.file, "", [])
        bundle.record(.file, "/x", Array(0...255))
        bundle.record(.fact, "/x", [1])
        bundle.record(.file, "/x", [2])
        let read = try #require(Bundle(encoded: bundle.encoded()))
        #expect(read[.file, "/x"] == [2])
        #expect(read[.fact, "/x"] == [1])
        #expect(read[.file, ""] == [])
        #expect(read.order == bundle.order)
        #expect(Bundle(encoded: [])?.order.isEmpty == true)
    }

    @Test("a cut or changed bundle is refused or read, and never traps")
    func mutations() {
        let bytes = recorded().0.encoded()
        for count in 1..<200 { _ = Bundle(encoded: Array(bytes[..<count])) }
        #expect(Bundle(encoded: Array(bytes.dropLast())) == nil)
        #expect(Bundle(encoded: bytes + [1]) == nil)
        #expect(Bundle(encoded: [9] + Array(repeating: 0, count: 16)) == nil)
        #expect(Bundle(encoded: [1] + Array(repeating: 0xFF, count: 16)) == nil)
        #expect(Bundle(encoded: [1] + [255, 255, 255, 255, 255, 255, 255, 0x7F] + [1, 0, 0, 0, 0, 0, 0, 0]) == nil)
        for index in 0..<64 {
            var changed = bytes
            changed[index] ^= 0xFF
            _ = Bundle(encoded: changed)
        }
    }

    @Test("big files go through")
    func big() throws {
        var bundle = Bundle()
        let file = [UInt8](repeating: 0x61, count: 10 << 20)
        bundle.record(.file, "/big", file)
        #expect(try #require(Bundle(encoded: bundle.encoded()))[.file, "/big"]?.count == file.count)
    }
}
