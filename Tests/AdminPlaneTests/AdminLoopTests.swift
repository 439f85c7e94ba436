// SPDX-License-Identifier: Apache-2.0
//
// The admin process's talk with the master: what it builds, adopts, forgets and refuses, and how it ends.

import ControlLink
import Foundation
import Glibc
import LinuxIO
import ProxyConfig
import SharedState
import Synchronization
import TestSupport
import Testing
import Vocabulary

@testable import AdminPlane

@Suite("admin process's talk")
struct AdminLoopTests {
    private final class Stage: Sendable {
        let master: FarSide
        let region: SharedRegion
        let directory: TemporaryDirectory
        let address: Vocabulary.Endpoint
        private let hasEnded = Mutex(false)

        var isOver: Bool { hasEnded.withLock { $0 } }
        var endpoint: TestSupport.Endpoint { .init(address) }
        var log: String { contents(of: directory.path("error.log")) }

        init() throws {
            directory = try TemporaryDirectory()
            address = .ip(IPEndpoint(address: IPAddress(ipv4: 0x7F00_0001), port: try PortRegistry.take()))
            region = try SharedRegion.create(masterPID: Processes.currentID, wallMilliseconds: 1)
            let (far, near) = try FarSide.make()
            master = far
            Task.detached { [self] in
                var loop = AdminLoop(socket: Descriptor(near), region: region)
                await loop.run()
                region.detach()
                hasEnded.withLock { $0 = true }
            }
        }

        /// The loop has come to its end.
        func finish() async throws { try await eventually("the loop ends") { isOver } }

        // MARK: As the master talks

        /// Up to `build`. `location` is what stands in the one location.
        func prepare(_ generation: UInt32, _ location: String, withSocket: Bool = false) throws {
            let text = "error_log error.log; http { server { listen \(address.text); location / { \(location) } } }"
            var bundle = Bundle()
            let options = ConfigurationOptions(file: directory.path("weir.conf"), prefix: directory.path)
            options.record(into: &bundle)
            bundle.record(.file, options.file, Array(text.utf8))
            try prepare(generation, bundle: bundle.encoded())
            let log = unsafe open(directory.path("error.log"), O_WRONLY | O_CREAT | O_APPEND, 0o600)
            try hand(.log, generation, Descriptor(log))
            if withSocket { try hand(.listener, generation, try Sockets.listen(at: address, ListenOptions())) }
            try master.say(LinkMessage(.build, generation: generation))
        }

        func prepare(_ generation: UInt32, bundle: [UInt8]) throws {
            try hand(.prepare, generation, try Memory.makeSealed(name: "bundle", bundle))
        }

        private func hand(
            _ kind: LinkMessage.Kind, _ generation: UInt32, _ descriptor: consuming Descriptor
        ) throws {
            try master.say(LinkMessage(kind, generation: generation), descriptor: descriptor.number)
        }

        /// Prepared and committed.
        func adopt(_ generation: UInt32, _ location: String, withSocket: Bool = false) async throws {
            try prepare(generation, location, withSocket: withSocket)
            try await hear(.ready, generation)
            try master.say(LinkMessage(.commit, generation: generation))
            try await hear(.committed, generation)
        }

        @discardableResult
        func hear(_ kind: LinkMessage.Kind, _ generation: UInt32) async throws -> String {
            let message = try await master.message()
            guard message.kind == kind, message.generation == generation else { throw TestFault("\(message)") }
            return message.text
        }

        func get(_ target: String = "/") async throws -> String {
            let endpoint = endpoint
            return try await blocking {
                try HTTPTestClient.request("GET", target, at: endpoint, within: AdminStage.patience).text
            }
        }
    }

    @Test("it serves what was committed, over changes of that, until the master says stop")
    func life() async throws {
        let stage = try Stage()
        try await stage.adopt(1, "return 200 one;", withSocket: true)
        #expect(try await stage.get() == "one")
        // The second generation has the first one's socket.
        try await stage.adopt(2, "return 200 two;")
        #expect(try await stage.get() == "two")
        #expect(!stage.isOver)
        try stage.master.say(LinkMessage(.stop))
        try await stage.finish()
        #expect(!stage.log.contains("[alert]"), "\(stage.log)")
    }

    @Test("what is not committed changes nothing, and may be forgotten or replaced at any time")
    func forgotten() async throws {
        let stage = try Stage()
        try await stage.adopt(1, "return 200 one;", withSocket: true)
        try stage.prepare(2, "return 200 two;")
        try await stage.hear(.ready, 2)
        #expect(try await stage.get() == "one")
        try stage.master.say(LinkMessage(.abort, generation: 2))
        // None of these is about what is prepared: no answer comes.
        for kind in [LinkMessage.Kind.commit, .build, .abort] {
            try stage.master.say(LinkMessage(kind, generation: 2))
        }
        try stage.prepare(3, "return 200 three;")
        try await stage.hear(.ready, 3)
        try await stage.adopt(4, "return 200 four;")
        try stage.master.say(LinkMessage(.commit, generation: 3))
        try await stage.adopt(5, "return 200 five;")
        #expect(try await stage.get() == "five")
        try stage.master.say(LinkMessage(.quit))
        try await stage.finish()
    }

    @Test("what does not build is refused with a reason, and what serves goes on")
    func refused() async throws {
        let stage = try Stage()
        try await stage.adopt(1, "return 200 one;", withSocket: true)
        try stage.prepare(2, "retrun 200 two;")
        #expect(try await stage.hear(.refused, 2).contains("unknown directive \"retrun\""))
        try stage.prepare(3, bundle: Array("no bundle".utf8))
        try stage.master.say(LinkMessage(.build, generation: 3))
        #expect(try await stage.hear(.refused, 3) == "the bundle is damaged")
        #expect(try await stage.get() == "one")
        try await stage.adopt(4, "return 200 four;")
        #expect(try await stage.get() == "four")
        stage.master.end()
        try await stage.finish()
    }

    @Test("what is no message, or not for it, is passed over, and the descriptors that came with it are closed")
    func odd() async throws {
        let stage = try Stage()
        try await stage.adopt(1, "return 200 one;", withSocket: true)
        try stage.master.send([UInt8](repeating: 0xFF, count: 20))
        try stage.master.send([1])
        let file = try Memory.makeSealed(name: "odd", [1])
        for kind in [
            LinkMessage.Kind.sessionCache, .ready, .refused, .committed, .listenersClosed, .change, .listener, .log,
            .reopen, .build, .commit, .changed,
        ] {
            try stage.master.say(LinkMessage(kind, generation: 9, index: 7), descriptor: file.number)
        }
        try await stage.adopt(2, "return 200 two;")
        #expect(Self.oddFileCount == 1, "the test's own, and no other")
        #expect(try await stage.get() == "two")
        #expect(stage.log.contains("the master sent what is no message"), "\(stage.log)")
        try stage.master.say(LinkMessage(.stop))
        try await stage.finish()
    }

    /// How many descriptors this process has for that file.
    private static var oddFileCount: Int {
        let manager = FileManager.default
        let names = (try? manager.contentsOfDirectory(atPath: "/proc/self/fd")) ?? []
        return names.count { name in
            (try? manager.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(name)"))?.contains("memfd:odd") == true
        }
    }

    @Test("a worker that ends in the middle of an answer is named to who asked by HTTP")
    func inquiry() async throws {
        let stage = try Stage()
        try await stage.adopt(1, "api;", withSocket: true)
        let slot = try #require(WorkerSlot(index: 5))
        stage.region.beginWorker(slot, pid: Processes.currentID, isRespawn: false, wallMilliseconds: 1)
        let (worker, near) = try FarSide.make()
        try stage.master.say(LinkMessage(.inquiry, index: 5), descriptor: near)
        Descriptors.close(near)
        // Messages are taken one after the other: what follows comes after the worker is known.
        try await stage.adopt(2, "api;")
        async let answer = stage.get("/weir/sessions")
        try worker.answer(try await worker.query().number, .sessions([SessionFacts(number: 77)]))
        worker.end()
        let text = try await answer
        #expect(text.contains("worker 5 is gone") && text.contains("\"faults\""), "\(text)")
        try stage.master.say(LinkMessage(.stop))
        try await stage.finish()
    }

    @Test("a link that ends is a master that is gone: that is logged, and the process ends")
    func masterGone() async throws {
        let stage = try Stage()
        try await stage.adopt(1, "return 200 one;", withSocket: true)
        stage.master.end()
        try await stage.finish()
        #expect(stage.log.contains("[alert]") && stage.log.contains("the master process is gone; exiting"))
    }
}
