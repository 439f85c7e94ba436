// SPDX-License-Identifier: Apache-2.0
//
// The demo's smaller parts: ports, bridges, log lines, what an observer reads, the folder's end.

import Glibc
import LinuxIO
import Testing
import Vocabulary

@testable import weirctl

@Suite struct DemoPartsTests {
    @Test("taken ports are passed over, and a thousand taken ones are too many")
    func ports() {
        #expect(DemoPorts.firstFree(from: 18_831) { $0 > 18_840 } == 18_841)
        #expect(DemoPorts.firstFree(from: 18_831) { _ in false } == nil)
    }

    @Test("the bridges are a tree: the first broker has none, the others lead to brokers before them")
    func bridges() {
        let endpoints = (1...3).map { IPEndpoint(address: DemoPorts.ipv4, port: 18_830 + UInt16($0)) }
        func bridge(_ number: Int) -> [Substring] {
            BrokerProcess.configuration(number: number, endpoints: endpoints).split(separator: "\n")
                .filter { $0.hasPrefix("addresses ") }
        }
        #expect(bridge(1) == [])
        #expect(bridge(2) == ["addresses 127.0.0.1:18831"])
        #expect(bridge(3) == ["addresses 127.0.0.1:18831 127.0.0.1:18832"])
    }

    @Test(
        "a log line is shown without date and process",
        arguments: [
            ("2026/11/24 16:39:24 [warn] 12#12: *7 a b  c", "16:39:24 [warn] *7 a b  c"),
            ("::1 [24/Nov/2026:16:39:24 +0000] 200 0.1 s", "::1 [24/Nov/2026:16:39:24 +0000] 200 0.1 s"),
            ("", ""),
        ])
    func shortened(_ line: String, _ short: String) {
        #expect(DemoWorld.shortened(line) == short)
    }

    @Test(
        "the sequence number is found in a reading and nowhere else",
        arguments: [
            (#"{"id":"esp32-01","sequence":17,"uptime":3}"#, 17), (#"{"sequence":}"#, nil), ("", nil),
            (#""sequence":"#, nil), (#"{"sequence":99999999999999999999}"#, nil),
        ] as [(String, UInt64?)])
    func sequence(_ text: String, _ number: UInt64?) {
        #expect(Observer.sequence(in: Array(text.utf8)) == number)
    }

    @Test("tenths of a degree", arguments: [(215, "21.5"), (0, "0.0"), (-5, "-0.5"), (-123, "-12.3")])
    func decimal(_ tenths: Int, _ text: String) {
        #expect(Sensor.decimal(tenths: tenths) == text)
    }

    @Test("a log is read line by line, half a line later, and a file that comes later from its start")
    func tail() throws {
        let folder = try Files.makeTemporaryDirectory(prefix: "/tmp/weir-tests-")
        let path = folder + "/log"
        var tail = LogTail(path: path)
        let none = tail.newLines()
        #expect(none == [])
        let file = try Files.openAppend(path)
        try Files.writeAll(file.number, Array("one\ntw".utf8))
        let first = tail.newLines()
        #expect(first == ["one"])
        try Files.writeAll(file.number, Array("o\n\n".utf8))
        let second = tail.newLines()
        #expect(second == ["two", ""])
        #expect(LogTail.lastLines(of: path, 2) == ["two", ""])
        DemoFolder.removeTree(folder)
        #expect(!Files.exists(folder))
    }

    @Test("the back office switches one sensor after the other, on in one round and off in the next")
    func deeds() {
        let sensors = ["a", "b", "c"]
        let deeds = (0..<7).map { BackOffice.deed($0, sensors) }
        #expect(deeds.map(\.sensor) == ["a", "b", "c", "a", "b", "c", "a"])
        #expect(deeds.map(\.led) == [.on, .on, .on, .off, .off, .off, .on])
    }

    @Test("the demo's keys are for this user alone, the authority's is not written, and every pair makes a context")
    func certificates() throws {
        let folder = try Files.makeTemporaryDirectory(prefix: "/tmp/weir-tests-")
        defer { DemoFolder.removeTree(folder) }
        let certificates = try DemoCertificates(folder: folder)
        #expect(
            try Files.names(in: folder) == ["back-office.key", "back-office.pem", "ca.pem", "server.key", "server.pem"])
        for name in ["back-office.key", "server.key"] {
            var status = stat()
            try #require(unsafe stat(certificates.path(name), &status) == 0)
            #expect(status.st_mode & 0o777 == 0o600)
        }
        for name in ["back-office.pem", "ca.pem", "server.pem"] {
            let text = String(decoding: try Files.read(certificates.path(name)), as: UTF8.self)
            #expect(text.hasPrefix("-----BEGIN CERTIFICATE-----\n") && !text.contains("PRIVATE KEY"))
        }
        for hasCertificate in [true, false] {
            #expect(throws: Never.self) { _ = try certificates.security(hasCertificate: hasCertificate) }
        }
    }

    @Test("removing the folder follows no link out of it")
    func removeTree() throws {
        let outside = try Files.makeTemporaryDirectory(prefix: "/tmp/weir-tests-")
        try Files.write(outside + "/kept", [1])
        let folder = try Files.makeTemporaryDirectory(prefix: "/tmp/weir-tests-")
        try Files.makeDirectory(folder + "/logs")
        try Files.write(folder + "/logs/error.log", [1])
        try #require(unsafe symlink(outside, folder + "/link") == 0)
        DemoFolder.removeTree(folder)
        #expect(!Files.exists(folder))
        #expect(Files.exists(outside + "/kept"))
        DemoFolder.removeTree(outside)
    }
}
