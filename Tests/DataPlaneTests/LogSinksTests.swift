// SPDX-License-Identifier: Apache-2.0
//
// Sinks write whole lines in order, at the moment that `buffer=` and `flush=` ask for, and say what they have lost.

import LinuxIO
import ProxyConfig
import Testing

@testable import DataPlane

@Suite("log sinks")
struct LogSinksTests {
    private static let destination = LogDestination.file("/logs/a.log")

    /// A sink at a pipe, whose reading end tells what was written.
    private struct Bench: ~Copyable {
        var sinks = LogSinks()
        let sink: Int
        let reader: Descriptor

        init() throws {
            let pipe = try Pipes.make()
            reader = Descriptor(pipe.read)
            sink = sinks.open(LogSinksTests.destination, descriptor: pipe.write)
        }

        mutating func append(_ text: String, now: UInt64 = 0) { sinks.append(Array(text.utf8), to: sink, now: now) }

        var written: Int { (try? Descriptors.readableBytes(reader.number)) ?? -1 }

        deinit { Descriptors.close(sinks.sinks[sink].descriptor) }
    }

    @Test("writes at the end of the turn without buffer=")
    func turn() throws {
        var bench = try Bench()
        bench.append("one\n")
        bench.append("two\n")
        var written = bench.written
        #expect(written == 0)
        bench.sinks.endTurn(now: 0)
        written = bench.written
        #expect(written == 8)
    }

    @Test("writes when buffer= is full, the line that does not fit behind")
    func buffer() throws {
        var bench = try Bench()
        bench.sinks.configure(bench.sink, bufferBytes: 10, flushMilliseconds: nil)
        bench.append("12345\n")
        bench.sinks.endTurn(now: 0)
        var written = bench.written
        #expect(written == 0)
        bench.append("67890\n")
        bench.sinks.endTurn(now: 0)
        written = bench.written
        #expect(written == 6)
        bench.append("a line that is longer than the buffer\n")
        written = bench.written
        #expect(written == 12 + 38)
    }

    @Test("writes when flush= is over, counted from the oldest line")
    func flush() throws {
        var bench = try Bench()
        bench.sinks.configure(bench.sink, bufferBytes: 1000, flushMilliseconds: 50)
        bench.append("one\n", now: 100)
        bench.append("two\n", now: 140)
        let due = bench.sinks.nextFlush
        #expect(due == 150)
        bench.sinks.endTurn(now: 149)
        var written = bench.written
        #expect(written == 0)
        bench.sinks.endTurn(now: 150)
        written = bench.written
        #expect(written == 8)
        let next = bench.sinks.nextFlush
        #expect(next == UInt64.max)
    }

    @Test("writes an error at once, behind the lines that wait")
    func error() throws {
        var bench = try Bench()
        bench.append("access\n")
        bench.sinks.appendNow(Array("error\n".utf8), to: bench.sink, now: 0)
        let written = bench.written
        #expect(written == 13)
    }

    @Test("writes what waits to the old descriptor when a new one comes")
    func reopen() throws {
        var bench = try Bench()
        bench.append("old\n")
        let pipe = try Pipes.make()
        let other = Descriptor(pipe.read)
        let sink = bench.sinks.open(LogSinksTests.destination, descriptor: pipe.write)
        #expect(sink == bench.sink)
        bench.append("newer\n")
        bench.sinks.endTurn(now: 0)
        let written = bench.written
        #expect(written == 4)
        #expect(try Descriptors.readableBytes(other.number) == 6)
    }

    @Test("says once a minute how many lines a full destination has swallowed")
    func loss() throws {
        var sinks = LogSinks()
        let full = try Files.openRead("/dev/null").release()
        let sink = sinks.open(LogSinksTests.destination, descriptor: full)
        sinks.append(Array("one\ntwo\n".utf8), to: sink, now: 0)
        sinks.endTurn(now: 0)
        #expect(sinks.hasLoss)
        let first = sinks.takeLoss(now: 1000)
        #expect(first?.lines == 2)
        sinks.append(Array("three\n".utf8), to: sink, now: 2000)
        sinks.endTurn(now: 2000)
        let early = sinks.takeLoss(now: 2000)
        #expect(early == nil)
        let late = sinks.takeLoss(now: 61_000)
        #expect(late?.lines == 1)
        Descriptors.close(full)
    }
}
