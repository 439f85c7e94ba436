// SPDX-License-Identifier: Apache-2.0
//
// The programs that the demo runs, and what to do where one is missing.

import LinuxIO

/// What keeps the demo from starting or going on, in a sentence for its user.
struct DemoFault: Error, CustomStringConvertible {
    var description: String
}

struct Programs {
    let mosquitto: String
    let weir: String

    static func find() throws(DemoFault) -> Programs {
        // Debian puts the broker where only root's PATH looks.
        let path = (Processes.environmentValue("PATH") ?? "") + ":/usr/sbin:/usr/local/sbin"
        let folders = path.split(separator: ":").map(String.init)
        guard let mosquitto = folders.map({ $0 + "/mosquitto" }).first(where: Files.isExecutable) else {
            throw DemoFault(
                description: """
                    The demo runs three Mosquitto brokers, and there is no mosquitto here.
                    Install it: sudo apt-get install -y mosquitto mosquitto-clients
                    """)
        }
        let own = (try? Files.linkTarget("/proc/self/exe")) ?? ""
        let weir =
            own.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/") + "/weir"
        guard Files.isExecutable(weir) else {
            throw DemoFault(
                description: """
                    The demo runs the weir that stands beside weirctl, and \(weir) is not there.
                    Build both: swift build -c release
                    """)
        }
        return Programs(mosquitto: mosquitto, weir: weir)
    }
}
