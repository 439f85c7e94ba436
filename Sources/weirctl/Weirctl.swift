// SPDX-License-Identifier: Apache-2.0
//
// `weirctl`: what people do with Weir, a file a subcommand. `weir WORD …` comes here too (`weir demo` is
// `weirctl demo`), because the balancer itself knows nginx's flags only.

import ArgumentParser
import Vocabulary

@main
struct Weirctl: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "weirctl", abstract: "Tools around Weir, the IoT load balancer.", version: weirVersion,
        subcommands: [
            RouteCommand.self, WhereCommand.self, TopCommand.self, ServersCommand.self, DemoCommand.self,
            AdminCommand.self,
        ])
}
