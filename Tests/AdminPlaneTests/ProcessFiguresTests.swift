// SPDX-License-Identifier: Apache-2.0
//
// What is read from /proc of a process.

import LinuxIO
import TestSupport
import Testing

@testable import AdminPlane

@Suite("figures of a process")
struct ProcessFiguresTests {
    @Test("a program's name does not move the fields behind it")
    func name() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 10 20 30 40 250 35 1 2 20 0 1 0 500 1 2 3"
        let figures = ProcessFigures(status: "", stat: stat)
        #expect(figures.processorMilliseconds == 2850)
    }

    @Test("memory is told by kind, in bytes")
    func memory() {
        let status = """
            Name:\tweir
            VmRSS:\t    9000 kB
            RssAnon:\t    3000 kB
            RssFile:\t    5000 kB
            RssShmem:\t    1000 kB
            Threads:\t1
            """
        let figures = ProcessFigures(status: status, stat: "")
        #expect(figures.anonymousBytes == 3_072_000)
        #expect(figures.fileBytes == 5_120_000)
        #expect(figures.sharedBytes == 1_024_000)
    }

    @Test("files that say nothing are figures of 0, not a fault", arguments: ["", "RssAnon: x kB", "7 (a", ") S 1"])
    func nonsense(_ text: String) {
        #expect(ProcessFigures(status: text, stat: text) == ProcessFigures(status: "", stat: ""))
    }

    @Test("this process has memory, processor time, descriptors and a limit of them")
    func own() throws {
        let figures = try #require(ProcessFigures.read(pid: Processes.currentID, countsDescriptors: true))
        #expect(figures.anonymousBytes > 1 << 16)
        let descriptors = try #require(figures.descriptors)
        #expect(descriptors > 2)
        let limit = try Processes.limit(of: .descriptors).soft
        #expect(figures.descriptorsMax == (limit == .max ? nil : UInt64(limit)))
        #expect(descriptors <= UInt64(limit))
    }

    @Test("a process that is not there has no figures")
    func gone() async throws {
        let process = try ManagedProcess("true")
        _ = try await process.wait()
        #expect(ProcessFigures.read(pid: process.id, countsDescriptors: true) == nil)
    }
}
