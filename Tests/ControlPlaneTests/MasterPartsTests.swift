// SPDX-License-Identifier: Apache-2.0
//
// The master's smaller parts, each on its own: pid file, logs, places for workers, what a reload cannot change.

import LinuxIO
import ProxyConfig
import Testing
import Vocabulary

@testable import ControlPlane

@Suite("parts of the master")
struct MasterPartsTests {
    /// Runs `body` in a folder of its own.
    private func inFolder(_ body: (String) throws -> Void) throws {
        let folder = try Files.makeTemporaryDirectory(prefix: "/tmp/weir-master-")
        defer {
            for name in (try? Files.names(in: folder)) ?? [] { try? Files.remove("\(folder)/\(name)") }
            try? Files.removeDirectory(folder)
        }
        try body(folder)
    }

    // MARK: The pid file

    @Test("a pid file names its master, locks out a second one, and goes with its master")
    func pidFile() throws {
        try inFolder { folder in
            let path = folder + "/weir.pid"
            #expect(throws: Never.self) { try PIDFile.check(path) }
            #expect(!Files.exists(path))
            var file = try PIDFile(path)
            #expect(try PIDFile.read(path) == Processes.currentID)
            let taken = StartFault("another master runs already: process \(Processes.currentID) holds \"\(path)\"")
            #expect(throws: taken) { try PIDFile.check(path) }
            #expect(throws: taken) { try PIDFile(path) }
            file.remove()
            #expect(!Files.exists(path))
        }
    }

    @Test("a pid file of a master that is gone locks nobody out")
    func stalePIDFile() throws {
        try inFolder { folder in
            let path = folder + "/weir.pid"
            try Files.write(path, Array("12345678\n".utf8))
            try PIDFile.check(path)
            var file = try PIDFile(path)
            #expect(try Files.read(path) == Array("\(Processes.currentID)\n".utf8))
            file.remove()
        }
    }

    @Test(
        "what is no process id is named in nginx's words",
        arguments: ["", "x", "0", "-5", "12 34", "99999999999999999999"])
    func badPIDFile(text: String) throws {
        try inFolder { folder in
            let path = folder + "/weir.pid"
            try Files.write(path, Array("\(text)\n".utf8))
            #expect(throws: StartFault("invalid PID number \"\(text)\" in \"\(path)\"")) { try PIDFile.read(path) }
        }
    }

    // MARK: Logs

    @Test("lines go to every log whose level takes them, and to the new file after a reopen")
    func logs() throws {
        try inFolder { folder in
            var configuration = Configuration()
            configuration.logDestinations = [.file(folder + "/all.log"), .file(folder + "/errors.log")]
            configuration.main.errorLogs = [
                ErrorLog(destination: 0, level: .debug), ErrorLog(destination: 1, level: .error),
            ]
            var files = try LogFiles.open(configuration.logDestinations)
            defer { files.close() }
            var log = ErrorLogWriter(hostname: "host")
            log.use(configuration, files)
            log.write(.notice, "first")
            try Files.rename(folder + "/all.log", to: folder + "/all.log.1")
            #expect(files.reopen(configuration.logDestinations) == [])
            log.use(configuration, files)
            log.write(.emerg, "second")

            let old = String(decoding: try Files.read(folder + "/all.log.1"), as: UTF8.self)
            let new = String(decoding: try Files.read(folder + "/all.log"), as: UTF8.self)
            let errors = String(decoding: try Files.read(folder + "/errors.log"), as: UTF8.self)
            let pid = Processes.currentID
            #expect(old.hasSuffix(" [notice] \(pid)#\(pid): first\n"))
            #expect(new.hasSuffix(" [emerg] \(pid)#\(pid): second\n") && !new.contains("first"))
            #expect(errors.hasSuffix(": second\n") && !errors.contains("first"))
        }
    }

    @Test("a log that cannot be opened refuses the start, and keeps the old file in a reopen")
    func unwritableLog() throws {
        try inFolder { folder in
            let missing = LogDestination.file(folder + "/no/such.log")
            let fault = StartFault("open() \"\(folder)/no/such.log\" failed (2: No such file or directory)")
            #expect(throws: fault) { try LogFiles.open([.file(folder + "/a.log"), missing]) }
            var files = try LogFiles.open([.file(folder + "/a.log")])
            let descriptor = files.descriptor(0)
            #expect(files.reopen([missing]) == [fault])
            #expect(files.descriptor(0) == descriptor)
            files.close()
        }
    }

    // MARK: Places for workers

    @Test("automatic affinity gives each worker one of the allowed CPUs in turn")
    func automaticAffinity() {
        let affinity = MainSettings.Affinity.automatic(nil)
        let allowed: [UInt64] = [0b1011]
        #expect((0..<4).map { affinity.mask(position: $0, allowed: allowed) } == [[1], [2], [8], [1]])
        let limited = MainSettings.Affinity.automatic(CPUMask(words: [0b1010]))
        #expect((0..<3).map { limited.mask(position: $0, allowed: allowed) } == [[2], [8], [2]])
        #expect(MainSettings.Affinity.automatic(CPUMask(words: [0b100])).mask(position: 0, allowed: allowed) == nil)
    }

    @Test("the last of the masks serves all further workers")
    func maskedAffinity() {
        let affinity = MainSettings.Affinity.masks([CPUMask(words: [1]), CPUMask(words: [2])])
        #expect((0..<3).map { affinity.mask(position: $0, allowed: [3]) } == [[1], [2], [2]])
        #expect(MainSettings.Affinity.none.mask(position: 0, allowed: [3]) == nil)
    }

    // MARK: The number of workers

    @Test(
        "as many workers as configured, within what the shared region has room for, which a start then says",
        arguments: [(1, 1), (128, 128), (129, 128), (200, 128), (1024, 128)])
    func workerCount(configured: Int, started: Int) {
        var configuration = Configuration()
        configuration.main.workerCount = .number(configured)
        #expect(configuration.workerCount == started)
        let warning = "\(configured) worker_processes are more than there is room for: 128 start"
        let notices = StartNotices(configuration)
        #expect(notices.warnings.contains(warning) == (configured > started))
        #expect(notices.notices.contains { $0.contains(" in each of \(started) worker processes, ") })
        // Without a master there is one process, whatever is configured, and nothing to warn of.
        configuration.main.hasMaster = false
        #expect(StartNotices(configuration).warnings == [])
    }

    @Test("auto is at least one worker and at most what there is room for")
    func automaticWorkerCount() {
        var configuration = Configuration()
        configuration.main.workerCount = .automatic
        #expect((1...128).contains(configuration.workerCount))
    }

    // MARK: Reload

    @Test("a reload says what it cannot change and what only new processes get")
    func whatStays() {
        let old = MainSettings()
        var new = MainSettings()
        #expect(old.whatStays(against: new) == [])
        new.user = "other"
        new.workerPriority = 5
        #expect(
            old.whatStays(against: new) == [
                "\"user\" cannot change while we run and stays as it was at the start",
                "\"worker_priority\" counts for processes that start from now on",
            ])
    }
}
