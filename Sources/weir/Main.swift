// SPDX-License-Identifier: Apache-2.0
//
// `weir`: gives the command line to the control plane, and the worker's program with it, since planes do not know each
// other.

import ControlPlane
import DataPlane
import LinuxIO

@main
struct Main {
    static func main() {
        let programs = ChildPrograms(worker: runWorker, prober: runProber)
        Processes.exit(Command.run(arguments: Array(CommandLine.arguments.dropFirst()), programs: programs))
    }
}
