// SPDX-License-Identifier: Apache-2.0
//
// Questions to a worker: whatever it answers, or does not, who asked gets what came, and a word about what lacks.

import ControlLink
import LinuxIO
import Synchronization
import TestSupport
import Testing
import Vocabulary

@testable import AdminPlane

@Suite("questions to a worker")
struct InquiryLinkTests {
    private final class Stage: Sendable {
        let worker: FarSide
        let link: InquiryLink
        private let ends: Ends

        private final class Ends: Sendable {
            let count = Mutex(0)
        }

        /// How often the link has said that it is over.
        var endCount: Int { ends.count.withLock { $0 } }

        init(patience: Duration = AdminStage.patience) throws {
            let (far, near) = try FarSide.make()
            let ends = Ends()
            worker = far
            link = InquiryLink(worker: 3, socket: Descriptor(near), patience: patience) { _ in
                ends.count.withLock { $0 += 1 }
            }
            self.ends = ends
            link.begin()
        }

        func ask() async -> WorkerSessions { await link.ask(InquiryLinkTests.query) }
    }

    private static let query = SessionQuery(.list(SessionFilter()), cursor: 5, limit: 10)

    @Test("an answer in pieces is one answer")
    func pieces() async throws {
        let stage = try Stage()
        async let answer = stage.ask()
        let (number, query) = try await stage.worker.query()
        #expect(query == Self.query)
        let often = ReconnectFacts(clientID: Array("dev".utf8), count: 3, doubt: 1)
        try stage.worker.answer(
            number, .sessions([SessionFacts(number: 1)]), .sessions([]),
            .sessions([SessionFacts(number: 2), SessionFacts(number: 3)]), .reconnects([often]), .end(next: 7))
        let whole = await answer
        #expect(whole.sessions.map(\.id.number) == [1, 2, 3])
        #expect(whole.reconnects == [often])
        #expect(whole.worker == 3 && whole.next == 7 && whole.fault == nil)
    }

    @Test("answers go to the question with their number, in whatever order they come")
    func mixed() async throws {
        let stage = try Stage()
        async let first = stage.ask()
        let one = try await stage.worker.query().number
        async let second = stage.ask()
        let two = try await stage.worker.query().number
        try stage.worker.answer(two, .sessions([SessionFacts(number: 2)]))
        try stage.worker.answer(one, .sessions([SessionFacts(number: 1)]))
        try stage.worker.answer(two, .end(next: nil))
        #expect(await second.sessions.map(\.id.number) == [2])
        try stage.worker.answer(one, .end(next: nil))
        #expect(await first.sessions.map(\.id.number) == [1])
    }

    @Test("a worker that ends in the middle of its answer leaves what came, and takes no question any more")
    func endsInTheMiddle() async throws {
        let stage = try Stage()
        async let answer = stage.ask()
        try stage.worker.answer(try await stage.worker.query().number, .sessions([SessionFacts(number: 1)]))
        stage.worker.end()
        let part = await answer
        #expect(part.sessions.map(\.id.number) == [1])
        #expect(part.fault == "worker 3 is gone")
        try await eventually("the link has said so") { stage.endCount == 1 }
        #expect(await stage.ask().fault == "worker 3 takes no question now")
        #expect(stage.endCount == 1)
    }

    @Test("one that is silent, or stops in the middle, costs some time; what it says later is dropped")
    func silent() async throws {
        let stage = try Stage(patience: .milliseconds(300))
        async let answer = stage.ask()
        let number = try await stage.worker.query().number
        try stage.worker.answer(number, .sessions([SessionFacts(number: 1)]))
        let part = await answer
        #expect(part.fault == "worker 3 has not answered in time")
        #expect(part.sessions.count <= 1)
        try stage.worker.answer(number, .sessions([SessionFacts(number: 2)]), .end(next: nil))
        async let next = stage.ask()
        try stage.worker.answer(try await stage.worker.query().number, .end(next: nil))
        #expect(await next == WorkerSessions(worker: 3))
    }

    @Test("what is no answer, or answers nobody, is passed over; a refusal is a fault")
    func odd() async throws {
        let stage = try Stage()
        async let answer = stage.ask()
        let number = try await stage.worker.query().number
        try stage.worker.send([0])
        try stage.worker.send([UInt8](repeating: 0xFF, count: 64))
        try stage.worker.send([UInt8](repeating: 0x40, count: SessionAnswer.packetBytesMax + 1))
        try stage.worker.answer(number &+ 1000, .sessions([SessionFacts(number: 9)]), .end(next: 1), .refused)
        try stage.worker.answer(number, .refused)
        var refused = WorkerSessions(worker: 3)
        refused.fault = "worker 3 does not understand the question"
        #expect(await answer == refused)
    }

    @Test("a worker has at most 32 questions at once")
    func bound() async throws {
        let stage = try Stage()
        await withTaskGroup(of: WorkerSessions.self) { group in
            for _ in 0..<33 { group.addTask { await stage.ask() } }
            // One of them is over at once; the others wait until the worker has gone.
            #expect(await group.next()?.fault == "worker 3 takes no question now")
            stage.worker.end()
            for await answer in group { #expect(answer.fault == "worker 3 is gone") }
        }
    }
}
