// SPDX-License-Identifier: Apache-2.0
//
// Requests on their way to the master and to workers: each gets the answer with its number, and none waits for ever.

import ControlLink
import LinuxIO
import ProxyConfig
import TestSupport
import Testing
import Vocabulary

@testable import AdminPlane

@Suite("requests on the link")
struct LinkControlTests {
    private final class Stage: Sendable {
        let master: FarSide
        let control: LinkControl

        init(patience: Duration = AdminStage.patience, names: NameResolver = NameResolver()) throws {
            let (far, near) = try FarSide.make()
            master = far
            control = LinkControl(link: AdminLink(socket: Descriptor(near)), names: names, patience: patience)
        }

        func remove(_ id: Int) async -> Result<[Int], AdminRefusal> {
            await perform(MembershipChange(.remove(id: id), upstream: "b", requester: "x"))
        }

        func perform(_ change: MembershipChange) async -> Result<[Int], AdminRefusal> {
            do throws(AdminRefusal) { return .success(try await control.change(change)) } catch {
                return .failure(error)
            }
        }

        /// A worker of this slot, as the master introduces it.
        func introduce(_ slot: Int) throws -> FarSide {
            let (far, near) = try FarSide.make()
            control.take(inquiry: Descriptor(near), worker: slot)
            return far
        }
    }

    private static func refusal(_ text: String) -> Result<[Int], AdminRefusal> {
        .failure(AdminRefusal(.unreachable, text))
    }

    @Test("an answer goes to the request with its number, whichever comes first")
    func numbers() async throws {
        let stage = try Stage()
        async let first = stage.remove(1)
        let one = try await stage.master.message()
        async let second = stage.remove(2)
        let two = try await stage.master.message()
        #expect([one.kind, two.kind] == [.change, .change] && one.index != two.index)
        #expect(MembershipChange(text: two.text)?.operation == .remove(id: 2))
        stage.control.take(LinkMessage(.changed, index: two.index, text: "7 8"))
        #expect(await second == .success([7, 8]))
        let busy = AdminRefusal(.busy, "too many changes wait already")
        stage.control.take(LinkMessage(.changeRefused, index: one.index, text: busy.messageText))
        #expect(await first == .failure(busy))
    }

    @Test("what answers nobody, answers twice, or is no answer is passed over")
    func odd() async throws {
        let stage = try Stage()
        stage.control.take(LinkMessage(.changed, index: 17, text: "1"))
        async let answer = stage.remove(1)
        let request = try await stage.master.message()
        stage.control.take(LinkMessage(.changed, index: request.index &+ 1, text: "1"))
        stage.control.take(LinkMessage(.ready, index: request.index))
        stage.control.take(LinkMessage(.changed, index: request.index, text: "4 x 5"))
        stage.control.take(LinkMessage(.changeRefused, index: request.index, text: "again"))
        #expect(await answer == .success([4, 5]))
    }

    @Test("a master that is silent costs who asks some time, and its late word does no harm")
    func silent() async throws {
        let stage = try Stage(patience: .milliseconds(50))
        async let answer = stage.remove(1)
        let request = try await stage.master.message()
        #expect(await answer == Self.refusal("the master has not answered in time"))
        stage.control.take(LinkMessage(.changed, index: request.index, text: "1"))
    }

    @Test("when the master is gone who waits hears so at once, and who comes later, too")
    func gone() async throws {
        let stage = try Stage()
        async let answer = stage.remove(1)
        _ = try await stage.master.message()
        stage.master.end()
        #expect(await stage.remove(2) == Self.refusal("the master takes no message now"))
        stage.control.end()
        #expect(await answer == Self.refusal("the master process is gone"))
        #expect(await stage.remove(3) == Self.refusal("the master process is gone"))
    }

    @Test("a change that no message holds is refused before it is sent")
    func tooLong() async throws {
        let stage = try Stage()
        let long = String(repeating: "x", count: 5000)
        let answer = await stage.perform(MembershipChange(.remove(id: 1), upstream: long, requester: "x"))
        guard case .failure(let refusal) = answer else { throw TestFault("it was done") }
        #expect(refusal.code == .format)
    }

    @Test("a host name is resolved before the master is asked, and nothing else is")
    func names() async throws {
        let address = IPAddress(ipv4: 0x0A00_0001)
        let fault = SourceFault(code: -2, reason: "host not found")
        let stage = try Stage(names: NameResolver { $0 == "b1" ? .success([address]) : .failure(fault) })
        let known: [(String, ResolvedName?)] = [
            ("b1:1883", ResolvedName(host: "b1", answer: .success([address]))),
            ("b2:1883", ResolvedName(host: "b2", answer: .failure(fault))), ("10.0.0.1:1883", nil),
        ]
        for (server, name) in known {
            async let answer = stage.perform(MembershipChange(.add(server: server), upstream: "b", requester: "x"))
            let request = try await stage.master.message()
            #expect(MembershipChange(text: request.text)?.name == name)
            stage.control.take(LinkMessage(.changed, index: request.index, text: "1"))
            #expect(await answer == .success([1]))
        }
    }

    @Test("workers are asked side by side; the answers come in the order of slots, or of those that are wanted")
    func workers() async throws {
        let stage = try Stage()
        let workers = [4: try stage.introduce(4), 0: try stage.introduce(0), 2: try stage.introduce(2)]
        let query = SessionQuery(.topBytes, limit: 1)
        async let all = stage.control.ask(query, workers: nil)
        for (slot, worker) in workers {
            try worker.answer(
                try await worker.query().number, .sessions([SessionFacts(number: UInt64(slot))]), .end(next: nil))
        }
        #expect(await all.map(\.worker) == [0, 2, 4])
        #expect(await all.map { $0.sessions.map(\.id.number) } == [[0], [2], [4]])
        async let some = stage.control.ask(query, workers: [2, 7])
        try workers[2]?.answer(try #require(try await workers[2]?.query().number), .end(next: nil))
        #expect(await some == [WorkerSessions(worker: 2)])
    }

    @Test("a worker's successor is asked in its place, and the end of the former one does not end it")
    func successor() async throws {
        let stage = try Stage()
        let former = try stage.introduce(1)
        let present = try stage.introduce(1)
        former.end()
        let query = SessionQuery(.topBytes, limit: 1)
        for _ in 0..<3 {
            async let answers = stage.control.ask(query, workers: nil)
            try present.answer(try await present.query().number, .end(next: nil))
            #expect(await answers == [WorkerSessions(worker: 1)])
        }
        present.end()
        try await eventually("nobody is left to ask") { await stage.control.ask(query, workers: nil).isEmpty }
    }
}
