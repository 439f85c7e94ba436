// SPDX-License-Identifier: Apache-2.0
//
// The command line reads as nginx's does: the table was made by asking nginx 1.22 for each of its cases.

import ControlPlane
import Testing

@Suite("command line")
struct InvocationTests {
    @Test(
        "misuse is answered in nginx's words",
        arguments: [
            (["-x"], "invalid option: \"x\""),
            (["-tx"], "invalid option: \"x\""),
            (["--"], "invalid option: \"-\""),
            (["-t", "foo"], "invalid option: \"foo\""),
            (["-s"], "option \"-s\" requires parameter"),
            (["-s", "foo"], "invalid option: \"-s foo\""),
            (["-st"], "invalid option: \"-s t\""),
            (["-c"], "option \"-c\" requires file name"),
            (["-e"], "option \"-e\" requires file name"),
            (["-p"], "option \"-p\" requires directory name"),
            (["-t", "-g"], "option \"-g\" requires parameter"),
        ])
    func misuse(arguments: [String], message: String) {
        #expect(Invocation(arguments: arguments) == .misuse(message))
    }

    @Test("letters may stand together, and a value may follow its letter at once")
    func grouped() {
        var expected = Invocation.Options()
        expected.isTest = true
        expected.isQuiet = true
        #expect(Invocation(arguments: ["-tq"]) == .run(expected))
        #expect(Invocation(arguments: ["-q", "-t", "-"]) == .run(expected))
        expected.configurationFile = "a.conf"
        #expect(Invocation(arguments: ["-tqca.conf"]) == .run(expected))
        #expect(Invocation(arguments: ["-qtc", "a.conf"]) == .run(expected))
        expected = Invocation.Options()
        expected.signal = .reload
        #expect(Invocation(arguments: ["-sreload"]) == .run(expected))
    }

    @Test("help shows the version, and -T is a test that dumps")
    func implied() {
        var expected = Invocation.Options()
        expected.showsVersion = true
        expected.showsHelp = true
        #expect(Invocation(arguments: ["-?"]) == .run(expected))
        #expect(Invocation(arguments: ["-h"]) == .run(expected))
        expected = Invocation.Options()
        expected.isTest = true
        expected.isDump = true
        #expect(Invocation(arguments: ["-T"]) == .run(expected))
    }

    @Test("a first argument without a dash belongs to weirctl, with all that follows")
    func companion() {
        #expect(Invocation(arguments: ["demo", "--once"]) == .companion(["demo", "--once"]))
        #expect(Invocation(arguments: []) == .run(Invocation.Options()))
    }

    @Test("relative names hang on the prefix, and the prefix on the working directory")
    func places() {
        var options = Invocation.Options()
        var places = Places(options, workingDirectory: "/home")
        #expect(places.prefix == "/usr/local/weir/")
        #expect(places.configurationFile == "/usr/local/weir/conf/weir.conf")
        #expect(places.pidFile == "/usr/local/weir/logs/weir.pid")
        options.prefix = "run"
        options.configurationFile = "/etc/weir.conf"
        options.errorLog = "stderr"
        places = Places(options, workingDirectory: "/")
        #expect(places.prefix == "/run/")
        #expect(places.configurationFile == "/etc/weir.conf")
        #expect(places.errorLog == "stderr")
    }
}
