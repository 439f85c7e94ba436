// SPDX-License-Identifier: Apache-2.0
//
// The bulk pump between real TCP sockets: all bytes in order, and every way to stop.

import Testing

@testable import LinuxIO

@Suite struct SpliceTests {
    init() throws { try Signals.ignoreBrokenPipes() }

    /// source → pump → sink: the test writes to `input` and reads from `output`.
    private struct Line {
        let input: Int32
        let source: Int32
        let target: Int32
        let output: Int32
        let pipe: (read: Int32, write: Int32)

        init(outputBufferBytes: Int? = nil) throws {
            (input, source) = try Loopback.connect()
            (target, output) = try Loopback.connect(receiveBufferBytes: outputBufferBytes)
            pipe = try Pipes.make(capacityBytes: 65536)
        }

        func pump(pending: UInt64 = 0, budget: UInt64 = 1 << 30) -> Splice.Outcome {
            Splice.pump(from: source, through: pipe, to: target, pending: pending, budget: budget, chunk: 65536)
        }

        func close() {
            for number in [source, target, pipe.read, pipe.write] { Descriptors.close(number) }
        }
    }

    private func receiveAll(_ number: Int32, count: Int) throws -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count {
            try Loopback.awaitReadable(number)
            guard try Sockets.receive(number, appendingTo: &bytes, bytesMax: 65536) > 0 else { break }
        }
        return bytes
    }

    @Test("what waits is moved whole and in order, then the source is dry, then ended")
    func dryAndEnded() throws {
        let line = try Line()
        defer { line.close() }
        #expect(line.pump() == Splice.Outcome(bytesIn: 0, bytesOut: 0, pending: 0, stop: .sourceDry))
        let sent = (0..<50_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
        #expect(try Sockets.send(line.input, sent[...]) == sent.count)
        try Loopback.awaitReadable(line.source)
        var moved: UInt64 = 0
        while moved < 50_000 {
            let outcome = line.pump()
            #expect(outcome.stop == .sourceDry && outcome.bytesIn == outcome.bytesOut && outcome.pending == 0)
            moved += outcome.bytesIn
        }
        #expect(moved == 50_000)
        #expect(try receiveAll(line.output, count: sent.count) == sent)
        Descriptors.close(line.input)
        try Loopback.awaitReadable(line.source)
        #expect(line.pump() == Splice.Outcome(bytesIn: 0, bytesOut: 0, pending: 0, stop: .sourceEnded))
        Descriptors.close(line.output)
    }

    @Test("the budget bounds what one call takes in")
    func budget() throws {
        let line = try Line()
        defer { line.close() }
        _ = try Sockets.send(line.input, [UInt8](repeating: 7, count: 30_000)[...])
        try Loopback.awaitReadable(line.source)
        let outcome = line.pump(budget: 1000)
        #expect(outcome == Splice.Outcome(bytesIn: 1000, bytesOut: 1000, pending: 0, stop: .budgetUsed))
        Descriptors.close(line.input)
        Descriptors.close(line.output)
    }

    // Goal: a target that does not read stops the source, with at most one filling of the pipe under way, and nothing is
    // lost when it reads again. Method: fill until the pump says so, then empty the target and go on.
    @Test("a target that takes nothing leaves a bounded rest in the pipe, and nothing is lost")
    func backpressure() throws {
        let line = try Line(outputBufferBytes: 65536)
        defer { line.close() }
        try Sockets.setSendBuffer(line.target, bytes: 65536)
        let all = (0..<800_000).map { UInt8(truncatingIfNeeded: $0 &* 7 >> 4) }
        var rest = all[...]
        var pending: UInt64 = 0
        var isFull = false
        while !isFull, !rest.isEmpty {
            rest = rest.dropFirst((try? Sockets.send(line.input, rest.prefix(20_000))) ?? 0)
            let outcome = line.pump(pending: pending)
            pending = outcome.pending
            isFull = outcome.stop == .targetFull
        }
        #expect(isFull)
        #expect(pending > 0 && pending <= 1 << 20)
        #expect(line.pump(pending: pending).bytesIn == 0)

        var received: [UInt8] = []
        let deadline = monotonicMilliseconds() + 20_000
        while received.count < all.count, monotonicMilliseconds() < deadline {
            rest = rest.dropFirst((try? Sockets.send(line.input, rest.prefix(20_000))) ?? 0)
            pending = line.pump(pending: pending).pending
            if try Descriptors.readableBytes(line.output) > 0 {
                _ = try Sockets.receive(line.output, appendingTo: &received, bytesMax: 65536)
            }
        }
        #expect(received == all)
        Descriptors.close(line.input)
        try Loopback.awaitReadable(line.source)
        #expect(line.pump(pending: pending).stop == .sourceEnded)
        Descriptors.close(line.output)
    }

    @Test("a side that was reset is named, and the pipe's rest is known")
    func failures() throws {
        let line = try Line()
        defer { line.close() }
        try Sockets.setResetOnClose(line.output)
        Descriptors.close(line.output)
        try Loopback.awaitReadable(line.target)
        _ = try? Sockets.takeError(line.target)
        _ = try Sockets.send(line.input, [1, 2, 3][...])
        try Loopback.awaitReadable(line.source)
        let outcome = line.pump()
        #expect(outcome.stop == .targetFailed(.brokenPipe) || outcome.stop == .targetFailed(.connectionReset))
        #expect(outcome.pending == 3)
        try Sockets.setResetOnClose(line.input)
        Descriptors.close(line.input)
        var entries = [PollEntry(line.source, [])]
        _ = try Poll.wait(&entries, milliseconds: 5000)
        let fresh = try Pipes.make()
        defer {
            Descriptors.close(fresh.read)
            Descriptors.close(fresh.write)
        }
        let second = Splice.pump(
            from: line.source, through: fresh, to: line.target, pending: 0, budget: 100, chunk: 100)
        #expect(second.stop == .sourceFailed(.connectionReset))
    }
}
