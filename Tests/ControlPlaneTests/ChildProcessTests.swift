// SPDX-License-Identifier: Apache-2.0
//
// The master's side of a link whose child is gone: nothing can be said to it, and what it has said still counts.

import ControlLink
import LinuxIO
import ProxyConfig
import Testing

@testable import ControlPlane

@Suite("child process")
struct ChildProcessTests {
    private static func withChild(_ body: (ChildProcess, consuming LinkEndpoint) throws -> Void) throws {
        let generation = try LoadedGeneration(
            number: 1, configuration: Configuration(), bundle: Bundle(),
            proof: TLSProof(Configuration(), known: nil), former: nil)
        defer { generation.close() }
        let pair = try LinkEndpoint.makePair()
        let child = ChildProcess(
            .admin, pid: 4711, link: LinkEndpoint(socket: Descriptor(pair.master)), generation: generation)
        try body(child, LinkEndpoint(socket: Descriptor(pair.child)))
    }

    private static let lastWords = LinkMessage(.refused, generation: 1, text: "no program")

    @Test("a child that refuses and ends in the middle of the talk is heard, whenever the master notices its end")
    func refusesAndEnds() throws {
        try Self.withChild { process, link in
            process.say(LinkMessage(.prepare, generation: 1))
            let isSent = try link.send(Self.lastWords)
            #expect(isSent)
            Self.end(link)
            process.say(LinkMessage(.build, generation: 1))
            process.say(LinkMessage(.commit, generation: 1))
            #expect(!process.hasSaidAll)
            #expect(process.pollEntry.number >= 0, "its words wait")
            #expect(process.hear() == Self.lastWords)
            #expect(process.hear() == nil)
            #expect(process.pollEntry.number < 0, "there is nothing to wait for any more")
            process.say(LinkMessage(.stop))
            #expect(process.hear() == nil)
        }
    }

    private static func end(_ link: consuming LinkEndpoint) {}
}
