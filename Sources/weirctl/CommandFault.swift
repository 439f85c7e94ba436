// SPDX-License-Identifier: Apache-2.0
//
// How a command says that it could not do what was asked, and with which exit code: the same ones for all commands that
// ask a Weir or a configuration.

import ArgumentParser

struct CommandFault: Error, Equatable {
    /// 64, a wrong command line, is the argument parser's own.
    enum Code: Int32 {
        /// The configuration is not valid, nobody answers, the API refuses.
        case failed = 1
        /// The question has an answer, and it is no: no such client, no such server, the id does not decide.
        case nothingFound = 3
    }
    var text: String
    var code: Code

    init(_ text: String, _ code: Code = .failed) {
        self.text = text
        self.code = code
    }

    /// Runs a command's body; what it throws is said, and is the exit code.
    static func reporting(_ body: () throws(CommandFault) -> Void) throws {
        do throws(CommandFault) { try body() } catch {
            if !error.text.isEmpty { sayError(error.text) }
            throw ExitCode(error.code.rawValue)
        }
    }
}
