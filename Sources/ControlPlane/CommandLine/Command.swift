// SPDX-License-Identifier: Apache-2.0
//
// Does what a command line asks for, in nginx's order: version and help, then the test, then a signal, then the start.
// The result is the process's exit code.

import LinuxIO
import ProxyConfig
import SharedState

package enum Command {
    package static func run(arguments: [String], programs: ChildPrograms) -> Int32 {
        switch Invocation(arguments: arguments) {
        case .companion(let arguments): return Companion.execute(arguments)
        case .misuse(let message):
            Terminal.error("weir: \(message)\n")
            return 1
        case .run(let options):
            if options.showsVersion {
                Terminal.error(Usage.versionLine)
                if options.showsHelp { Terminal.error(Usage.help) }
                if options.showsBuild { Terminal.error(Usage.buildLines) }
                if !options.isTest { return 0 }
            }
            let directory = (try? Files.workingDirectory()) ?? "/"
            let places = Places(options, workingDirectory: directory)
            let directives = options.globalDirectives ?? ""
            if options.isTest { return test(options, places, directives) }
            if let signal = options.signal { return send(signal, places, directives) }
            return Startup(places: places, globalDirectives: directives, programs: programs).run()
        }
    }

    /// `-t` and `-T`: everything is read and built, nothing is opened for writing, no socket is made.
    private static func test(_ options: Invocation.Options, _ places: Places, _ directives: String) -> Int32 {
        let reading = ConfigurationReading.read(places, globalDirectives: directives)
        Terminal.error(reading.outcome.render())
        guard let configuration = reading.outcome.configuration, isRunnable(configuration) else {
            Terminal.error("weir: configuration file \(places.configurationFile) test failed\n")
            return 1
        }
        for warning in reading.stapleWarnings { Terminal.error("weir: [warn] \(warning)\n") }
        if !options.isQuiet {
            Terminal.error("weir: the configuration file \(places.configurationFile) syntax is ok\n")
            Terminal.error("weir: configuration file \(places.configurationFile) test is successful\n")
        }
        if options.isDump {
            for file in reading.outcome.files {
                Terminal.say("# configuration file \(file.path):\n")
                try? Files.writeAll(1, file.bytes)
                Terminal.say("\n")
            }
        }
        return 0
    }

    /// What only the system knows of a configuration.
    private static func isRunnable(_ configuration: Configuration) -> Bool {
        do throws(StartFault) {
            try configuration.checkUser()
            try configuration.checkSlots()
        } catch {
            Terminal.error("weir: [emerg] \(error.message)\n")
            return false
        }
        let faults = TLSProof(configuration, known: nil).faults
        for fault in faults { Terminal.error("weir: [emerg] \(fault)\n") }
        return faults.isEmpty
    }

    /// `-s`: the configuration says where the pid file is.
    private static func send(_ signal: Invocation.Signal, _ places: Places, _ directives: String) -> Int32 {
        let reading = ConfigurationReading.read(places, globalDirectives: directives)
        Terminal.error(reading.outcome.render())
        guard let configuration = reading.outcome.configuration else { return 1 }
        let pid: Int32
        do throws(StartFault) { pid = try PIDFile.read(configuration.main.pidFile) } catch {
            Terminal.error("weir: [error] \(error.message)\n")
            return 1
        }
        let number: MasterSignal =
            switch signal {
            case .stop: .terminate
            case .quit: .quit
            case .reopen: .user1
            case .reload: .hangup
            }
        do throws(Errno) { try Processes.send(number.rawValue, to: pid) } catch {
            Terminal.error("weir: [alert] kill(\(pid), \(number.rawValue)) failed (\(error.numberedText))\n")
            return 1
        }
        return 0
    }
}

/// `weir WORD …`: people type one name, as with git.
enum Companion {
    static let name = "weirctl"

    /// Beside our own binary.
    static var path: String {
        let folder = (try? Files.linkTarget("/proc/self/exe")).flatMap { path in
            path.lastIndex(of: "/").map { String(path[...$0]) }
        }
        return (folder ?? "") + name
    }

    /// Comes back only when the program cannot be run.
    static func execute(_ arguments: [String]) -> Int32 {
        let path = path
        let error = Processes.execute(path, [name] + arguments, environment: Processes.environment)
        Terminal.error("weir: \"\(arguments[0])\" is a word for \(name), which was looked for at \"\(path)\": ")
        Terminal.error("execve() failed (\(error.numberedText))\n")
        return 1
    }
}
