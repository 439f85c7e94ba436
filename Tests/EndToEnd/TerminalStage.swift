// SPDX-License-Identifier: Apache-2.0
//
// Commands as people type them: `weir WORD …` of the built binary, with what it says, what it complains of, and its exit
// code.

import Foundation
import TestSupport

/// What one command came to.
struct CommandAnswer {
    var code: Int32
    /// Standard output alone: scripts read it.
    var output: String
    var complaint: String

    func decoded<Value: Decodable>(_ type: Value.Type) throws -> Value {
        do { return try JSONDecoder().decode(type, from: Data(output.utf8)) } catch {
            throw TestFault("\(error) in \(self)")
        }
    }
}

/// A folder for commands: their home, so that no `~/.netrc` of whoever runs the tests is met, and their outputs.
struct TerminalStage {
    let home: TemporaryDirectory
    /// Of all commands.
    var environment: [String: String] = [:]

    init(api: String? = nil) throws {
        home = try TemporaryDirectory()
        environment["HOME"] = home.path
        if let api { environment["WEIR_API"] = api }
    }

    func with(_ variable: String, _ value: String) -> TerminalStage {
        var copy = self
        copy.environment[variable] = value
        return copy
    }

    /// Runs `weir WORDS` to its end.
    func run(_ words: String...) async throws -> CommandAnswer {
        try await run(program: try WeirBinary.path, words)
    }

    func run(program: String, _ words: [String]) async throws -> CommandAnswer {
        let complaints = home.path("complaints-\(UInt64.random(in: 0 ... .max))")
        let process = try ManagedProcess(
            "bash", ["-c", "exec \"$@\" 2> \(complaints)", "bash", program] + words, environment: environment)
        let ending = try await process.wait(within: .seconds(60))
        guard case .exited(let code) = ending else { throw TestFault("\(words) ended with \(ending)") }
        return CommandAnswer(code: code, output: process.output, complaint: contents(of: complaints))
    }
}
