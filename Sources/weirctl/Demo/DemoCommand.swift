// SPDX-License-Identifier: Apache-2.0
//
// `weirctl demo`: three brokers, a Weir, six sensors and a back office, in one command that leaves nothing behind.

import ArgumentParser
import LinuxIO

struct DemoCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Three MQTT brokers, a Weir in front of them and six sensors: try it out.",
        discussion: """
            Starts three Mosquitto brokers on loopback, bridged with each other, a Weir that balances by client id and \
            checks the brokers, six simulated sensors, and a back office that switches their LEDs through TLS with a \
            client certificate. Needs no root, listens on loopback only, keeps its files, certificates included, in a \
            temporary folder, and removes everything at its end.
            """)

    @Flag(help: "Run a bounded script of it without a terminal, check each step, exit 0 or 1.")
    var once = false

    func run() throws {
        do throws(DemoFault) {
            let isGood = once ? try runOnce() : try runLive()
            if !isGood { throw DemoFault(description: "") }
        } catch {
            if !error.description.isEmpty { sayError(error.description) }
            throw ExitCode(1)
        }
    }

    private func runOnce() throws(DemoFault) -> Bool {
        try DemoCommand.withWorld(terminal: nil, pace: .script) { world throws(DemoFault) in
            var script = DemoScript(world: world)
            return script.run()
        }
    }

    private func runLive() throws(DemoFault) -> Bool {
        let terminal = Terminal()
        return try DemoCommand.withWorld(terminal: terminal, pace: .live) { world throws(DemoFault) in
            if let terminal {
                try DemoScreen(world: world, terminal: terminal).run()
            } else {
                try DemoReport(world: world).run()
            }
            return true
        }
    }

    /// Builds the world, and takes it down however `body` ends.
    private static func withWorld(
        terminal: Terminal?, pace: DemoPace, _ body: (DemoWorld) throws(DemoFault) -> Bool
    ) throws(DemoFault) -> Bool {
        // The end of who reads the output is noticed by the calls that write.
        try? Signals.ignoreBrokenPipes()
        let programs = try Programs.find()
        guard let ports = DemoPorts.choose() else {
            throw DemoFault(description: "No free ports on 127.0.0.1 between 11883 and 19882.")
        }
        let folder: DemoFolder
        do throws(Errno) { folder = try DemoFolder(terminal: terminal) } catch {
            throw DemoFault(description: "Cannot make a temporary folder: \(error.numberedText)")
        }
        let world: DemoWorld
        do throws(DemoFault) {
            world = try makeWorld(programs, ports, folder, pace: pace)
        } catch {
            folder.remove()
            throw error
        }
        let result: Result<Bool, DemoFault>
        do throws(DemoFault) { result = .success(try body(world)) } catch { result = .failure(error) }
        world.stop()
        folder.remove()
        return try result.get()
    }

    private static func makeWorld(
        _ programs: Programs, _ ports: DemoPorts, _ folder: borrowing DemoFolder, pace: DemoPace
    ) throws(DemoFault) -> DemoWorld {
        do {
            let certificates = try DemoCertificates(folder: folder.path)
            return try DemoWorld(
                programs: programs, ports: ports, folder: folder, certificates: certificates,
                security: try certificates.security(hasCertificate: true), pace: pace)
        } catch let error as Errno {
            throw DemoFault(description: "Cannot write to \(folder.path): \(error.numberedText)")
        } catch {
            throw DemoFault(description: "Cannot use the certificates just made: \(error)")
        }
    }
}
