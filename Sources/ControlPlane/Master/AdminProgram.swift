// SPDX-License-Identifier: Apache-2.0
//
// The admin process is another program, `weirctl admin`, since what serves HTTP has threads and a process that forks
// must not (design: two executables). It finds the link and the shared region at fixed numbers.

import ControlLink
import LinuxIO

enum AdminProgram {
    /// Where the region's file is, opened for reading only. The link is at `ChildSetup.linkDescriptor`.
    static let regionDescriptor: Int32 = 4

    static let title = "weir: \(Child.admin.name)"

    /// In the child that `ChildSetup` has made ready: becomes the program, or says why not over the link, the only
    /// thing it still has.
    static func become(link: consuming LinkEndpoint, generation: UInt32) -> Never {
        let path = Companion.path
        // The first argument makes room for the title, which is written over the arguments.
        let error = Processes.execute(path, [title, "admin"], environment: Processes.environment)
        let reason =
            "execve(\"\(path)\") failed (\(error.numberedText)); "
            + "install it there, or take http {} out of the configuration"
        _ = try? link.send(LinkMessage(.refused, generation: generation, text: reason))
        Processes.exit(ChildSetup.fatalCode)
    }
}
