// SPDX-License-Identifier: Apache-2.0
//
// `weirctl admin`: the admin process. The master starts it, with the link at descriptor 3 and the shared region at 4;
// there is nothing in it for people.

import AdminPlane
import ArgumentParser
import Dispatch
import LinuxIO
import SharedState

struct AdminCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "admin", abstract: "The HTTP process that weir starts for http {} by itself.",
        shouldDisplay: false)

    private static let linkDescriptor: Int32 = 3
    private static let regionDescriptor: Int32 = 4

    func run() throws {
        Processes.setTitle("weir: admin process", shortName: "weir")
        let region: SharedRegion
        do throws(AttachFault) { region = try SharedRegion.attach(file: AdminCommand.regionDescriptor) } catch {
            sayError("weirctl admin is started by weir, when its configuration has http { … }.")
            throw ExitCode(1)
        }
        Descriptors.close(AdminCommand.regionDescriptor)
        // This thread has no more to do; the tasks have their own.
        let hasEnded = DispatchSemaphore(value: 0)
        Task.detached {
            var loop = AdminLoop(socket: Descriptor(AdminCommand.linkDescriptor), region: region)
            await loop.run()
            hasEnded.signal()
        }
        hasEnded.wait()
    }
}
